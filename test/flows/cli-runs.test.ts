/** Functions by hand: run, runs, logs, variables, against a running server, as its own process. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestApp, type TestApp } from '../support/app.ts';
import { runHere } from '../support/process.ts';
import type { Environment } from '../../src/base/route.ts';
import { NO_DEFINITION } from '../../src/features/functions/index.ts';
import type { Integration } from '../../src/features/integrations/index.ts';

let app: TestApp;
let settings: Record<string, string>;

beforeAll(async () => {
  app = await startTestApp();
  settings = { HAWSER_URL: app.url, HAWSER_API_KEY: app.apiKey };
  const { environments, integrations, connections, credentials, functions } = app.services;
  const { id: environmentId } = (await environments.byName('dev')) as Environment;
  const { id: integrationId } = (await integrations.byKey(environmentId, 'xref')) as Integration;
  const add = (name: string, kind: 'action' | 'sync', exec: string, more: object) => ({
    integrationKey: 'xref',
    kind,
    name,
    code: { js: `exports.default = { type: '${kind}', exec: async (nango, input) => { ${exec} } };`, ts: '' },
    definition: { ...NO_DEFINITION, ...more },
  });
  const people = "await nango.batchSave([{ id: '1' }, { id: '2' }], 'Person');";
  await functions.deploy(environmentId, {
    scope: { mode: 'none' },
    source: 'repo',
    functions: [
      add('greet', 'action', "await nango.log('greeting', { to: input.to }); return { text: `hi ${input.to}` };", {}),
      add('people', 'sync', people, { models: ['Person'], runs: 'every day' }),
    ],
  });
  await app.db.transaction(async (tx) => {
    const { connection } = await connections.upsert(tx, {
      environmentId,
      integrationId,
      connectionId: 'acme',
      connectionConfig: {},
    });
    const credential = { type: 'OAUTH2', access_token: 'token-of-acme', raw: {} } as const;
    await credentials.write(tx, { connection, credential, facts: { scope: undefined, expiresAt: undefined } });
  });
});
afterAll(() => app.close());

const hawser = (...args: string[]) => runHere(args, settings);

describe('functions by hand', () => {
  it('run an action, list it, read what it said', { timeout: 120_000 }, async () => {
    const ran = await hawser('run', 'greet', 'acme', '--input', '{"to":"Ann"}');
    expect([ran.code, JSON.parse(ran.stdout)]).toEqual([0, { text: 'hi Ann' }]);
    const runs = JSON.parse((await hawser('runs', '-c', 'acme', '--json')).stdout) as { id: string; state: string }[];
    expect(runs).toMatchObject([{ function_name: 'greet', state: 'succeeded', connection_id: 'acme' }]);
    const logs = await hawser('logs', (runs[0] as { id: string }).id);
    expect(logs.stdout).toContain('succeeded');
    expect(logs.stdout).toMatch(/info {3}greeting \{"to":"Ann"\}/);
    const failed = await hawser('run', 'greet', 'acme');
    expect(failed.code).toBe(4);
    expect(failed.stderr).toMatch(/hawser logs [0-9a-f-]{36}/);
    const unknown = await hawser('run', 'nope', 'acme');
    expect([unknown.code, unknown.stderr]).toEqual([4, expect.stringContaining('It has: greet, people.')]);
  });

  it('run a sync to its end', { timeout: 120_000 }, async () => {
    const ran = await hawser('run', 'people', 'acme', '-i', 'xref');
    expect(ran.stdout).toMatch(/sync people {2}xref\/acme {2}succeeded .* Person \+2 ~0 -0/);
    expect(ran.code).toBe(0);
  });

  it('set, list and remove variables', { timeout: 120_000 }, async () => {
    expect((await hawser('variables', 'set', 'REGION', 'eu')).stdout).toBe('REGION is set.\n');
    expect((await hawser('variables', 'list')).stdout).toBe('REGION=eu\n');
    expect((await hawser('variables', 'remove', 'REGION')).code).toBe(0);
    expect((await hawser('variables', 'remove', 'REGION')).code).toBe(4);
  });
});
