import { afterAll, expect, it } from 'vitest';
import { silentLog } from '../../../base/log.ts';
import { systemClock } from '../../../platform/clock.ts';
import { createSandbox, type SandboxRun } from '../../../platform/sandbox/index.ts';
import { describeBundles } from './describe.ts';

const sandbox = createSandbox({ clock: systemClock, log: silentLog, limits: { aloneMax: 1, crowdedMs: 600_000 } });
afterAll(() => sandbox.close());

it('does not wait for long syncs, which may take hours', async () => {
  const code = 'exports.default = { exec: () => new Promise(() => {}) };';
  const long = { environmentId: 1, entry: 'exec', input: null, alone: true, limits: { timeoutMs: 3_600_000 } } as const;
  const context = { kind: 'sync', name: 'long' } as SandboxRun['context'];
  void sandbox.run({ ...long, bundle: { hash: 'long', code }, context, host: () => Promise.resolve(null) });
  const js = "exports.default = { type: 'action', exec: async () => null };";
  expect(await describeBundles(sandbox, 1, [{ name: 'new', js }])).toMatchObject([
    { ok: true, definition: { type: 'action', hasExec: true } },
  ]);
});
