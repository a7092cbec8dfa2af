/** What a running function may ask of its host, besides calls: state, metadata, other functions, locks. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { aConnectionNowhere, buildCore, type Core } from '../../../test/support/build.ts';
import type { Connection } from '../connections/index.ts';
import type { Integration } from '../integrations/index.ts';
import { createRuns } from './index.ts';
import { runsDeps, Scripts } from './runs.test-support.ts';

let core: Core;
let connection: Connection;
let integration: Integration;
beforeAll(async () => {
  core = await buildCore();
  ({ integration, connection } = await aConnectionNowhere(core, 'acme'));
});
afterAll(() => core?.close());

describe('the script object', () => {
  it('answers state, metadata, nested actions and unknown methods', async () => {
    const scripts = new Scripts();
    scripts.add(integration, 'action', 'inner', async ({ input }) => ({ got: input }));
    let depth = 0;
    const self = scripts.add(integration, 'action', 'self', async ({ host }) => {
      depth += 1;
      return host('triggerAction', ['generic', 'acme', 'self', null]);
    });
    const outer = scripts.add(integration, 'action', 'outer', async ({ host }) => {
      const before = await host('getCheckpoint', []);
      await host('saveCheckpoint', [{ page: 1 }]);
      await host('saveCheckpoint', [{ page: 2 }]);
      const after = await host('getCheckpoint', []);
      await host('setMetadata', [{ a: 1, b: 2 }]);
      await host('updateMetadata', [{ b: 3 }]);
      const { metadata } = (await host('getConnection', [null, null, {}])) as { metadata: unknown };
      const { unique_key: key } = (await host('getIntegration', [{}])) as { unique_key: string };
      const inner = await host('triggerAction', ['generic', 'acme', 'inner', { x: 1 }]);
      const errors: string[] = [];
      for (const [method, args] of [
        ['batchSave', [[], 'M']],
        ['constructor', []],
        ['saveCheckpoint', [{ deep: {} }]],
        ['triggerAction', ['generic', 'nobody', 'inner', null]],
        ['triggerAction', ['generic', 'acme', 'none', null]],
        ['triggerSync', ['generic', 'acme', 'x', null]],
        ['uncontrolledFetch', [{ url: 'http://127.0.0.1:1/' }]],
        ['uncontrolledFetch', [{ url: 'file:///etc/passwd' }]],
        ['tryAcquireLock', [{ key: '', ttlMs: 1 }]],
      ] as const) {
        await host(method, [...args]).catch((error: { code: string }) => void errors.push(error.code));
      }
      return { before, after, metadata, key, inner, errors };
    });
    const runs = await createRuns(runsDeps(core.node, scripts));
    const base = { environmentId: integration.environmentId, kind: 'action', trigger: 'cli', connection } as const;
    const { result } = await runs.execute({ ...base, fn: outer });
    expect(result).toEqual({
      ok: true,
      output: {
        before: null,
        after: { page: 2 },
        metadata: { a: 1, b: 3 },
        key: 'generic',
        inner: { got: { x: 1 } },
        errors: [
          'unknown_script_method',
          'unknown_script_method',
          'invalid_checkpoint',
          'unknown_connection',
          'not_found',
          'sync_control_unavailable',
          'egress_refused',
          'invalid_script_call',
          'invalid_lock',
        ],
      },
    });
    const deep = await runs.execute({ ...base, fn: self });
    expect(deep.result).toMatchObject({ ok: false, error: { code: 'run_depth_exceeded' } });
    expect(depth).toBe(6);
  });
});
