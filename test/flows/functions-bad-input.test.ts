/** What functions and their callers can do wrong, on a whole node: each a sentence that says what to do, nothing lost. */
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { startTestApp, type ApiAnswer, type TestApp } from '../support/app.ts';
import { connectAccount } from '../support/connect.ts';

const KEY = 'checkr-partner';
const WAIT = { timeout: 50_000, interval: 50 };

let app: TestApp;
let connectionId: string;

const BAD_RECORDS: Record<string, string> = {
  unknownModel: "await nango.batchSave([{ id: 2 }], 'Nobody');",
  noId: "await nango.batchSave([{ id: 2 }, { name: 'no id' }], 'Thing');",
  twentyMegabytes: "await nango.batchSave([{ id: 2 }, { id: 3, text: 'x'.repeat(20_000_000) }], 'Thing');",
  circularRecord: "const one = { id: 2 }; one.self = one; await nango.batchSave([one], 'Thing');",
  tooDeepRecord:
    "let deep = {}; for (let n = 0; n < 9_000; n += 1) deep = { deep }; await nango.batchSave([{ id: 2, deep }], 'Thing');",
};
const BAD_ACTIONS: Record<string, string> = {
  circularOutput: 'const one = {}; one.self = one; return one;',
  tooDeepOutput: 'let deep = {}; for (let n = 0; n < 9_000; n += 1) deep = { deep }; return deep;',
  hugeOutput: "return 'x'.repeat(5_000_000);",
  throwsString: "throw 'no reason';",
  throwsNothing: 'throw undefined;',
  printsGigabyte: "for (let n = 0; n < 1_000; n += 1) await nango.log('x'.repeat(1_000_000)); return 'said it all';",
  importsNothing: "return require('left-pad').default;",
  neverReturns: 'for (;;);',
  neverResolves: 'await new Promise(() => {});',
  well: "return 'well';",
};

const flow = (type: 'sync' | 'action', name: string, body: string): object => ({
  type,
  syncName: name,
  providerConfigKey: KEY,
  models: type === 'sync' ? ['Thing', 'Other'] : [],
  runs: type === 'sync' ? 'every day' : null,
  auto_start: false,
  attributes: {},
  metadata: {},
  fileBody: { js: `exports.default = { type: '${type}', async exec(nango, input) { ${body} } };`, ts: `// ${name}` },
  track_deletes: false,
  endpoints: [],
  models_json_schema: { definitions: { Thing: { type: 'object' }, Other: { type: 'object' } } },
});

beforeAll(async () => {
  app = await startTestApp();
  const good = "await nango.batchSave([{ id: 1, name: 'first' }], 'Thing');";
  const { status, text } = await app.api('POST', '/sync/deploy', {
    flowConfigs: [
      flow('sync', 'good', `${good} await nango.batchSave([{ id: 'o' }], 'Other');`),
      ...Object.entries(BAD_RECORDS).map(([name, body]) => flow('sync', name, `${good} ${body}`)),
      ...Object.entries(BAD_ACTIONS).map(([name, body]) => flow('action', name, body)),
    ],
    nangoYamlBody: '',
    reconcile: true,
    debug: false,
    deployMode: 'all',
    sdkVersion: '0.71.10-zero',
  });
  expect([status, text]).toEqual([200, expect.any(String)]);
  ({ connectionId } = await connectAccount(app, KEY));
});
afterAll(() => app?.close());

const headers = () => ({ 'connection-id': connectionId, 'provider-config-key': KEY });
const act = (name: string, body = {}, more = {}): Promise<ApiAnswer> =>
  app.api('POST', '/action/trigger', { action_name: name, ...body }, { ...headers(), ...more });
const ids = async (model: string): Promise<string[]> =>
  (await app.api('GET', `/records?model=${model}`, undefined, headers())).body.records.map(
    ({ id }: { id: string }) => id,
  );

interface LastRun {
  state: string;
  error: { code: string; message: string } | null;
}

/** Triggers a sync and resolves to how its run ended. */
async function runSync(name: string): Promise<LastRun> {
  const last = async (): Promise<(LastRun & { id: number }) | undefined> => {
    const rows = await app.db.query<LastRun & { id: number }>(
      "SELECT id, state, error FROM run WHERE kind = 'sync' AND function_name = $1 ORDER BY id DESC LIMIT 1",
      [name],
    );
    return rows[0];
  };
  const before = (await last())?.id;
  const body = { syncs: [name], provider_config_key: KEY, connection_id: connectionId };
  expect((await app.api('POST', '/sync/trigger', body)).status).toBe(200);
  return vi.waitFor(async () => {
    const run = await last();
    if (run === undefined || run.id === before || run.state === 'queued' || run.state === 'running') {
      throw new Error(`the run of ${name} has not ended: ${run?.state}`);
    }
    return run;
  }, WAIT);
}

describe('records that do not fit', () => {
  it.each([
    ['unknownModel', 'unknown_model', /no model "Nobody"\. Its `models`: Thing, Other/],
    ['noId', 'invalid_sync_record', /Record 1 of Thing has no `id`; every record needs one/],
    ['twentyMegabytes', 'invalid_sync_record', /Record 1 of Thing \(id 3\) has 20000018 bytes.*the limit is.*split it/],
    ['circularRecord', 'invalid_sync_record', /circular/i],
    ['tooDeepRecord', 'invalid_sync_record', /deep/i],
  ])('%s: the run fails with %s, the batch before is kept, nothing of the bad one is', async (name, code, message) => {
    const run = await runSync(name);
    expect(run).toMatchObject({ state: 'failed', error: { code } });
    expect(run.error?.message).toMatch(message);
    expect(await ids('Thing')).toEqual([expect.anything()]);
  });

  it('are no obstacle to the next run', async () => {
    expect(await runSync('good')).toMatchObject({ state: 'succeeded', error: null });
    expect([await ids('Thing'), await ids('Other')]).toEqual([[1], ['o']]);
  });
});

describe('a reader', () => {
  it('with a cursor of another model, or none at all, is told to begin without', async () => {
    const { body } = await app.api('GET', '/records?model=Other', undefined, headers());
    const cursor = encodeURIComponent(body.records[0]._nango_metadata.cursor as string);
    for (const bad of [cursor, 'bm90IG9uZQ', 'x']) {
      const answer = await app.api('GET', `/records?model=Thing&cursor=${bad}`, undefined, headers());
      expect([bad, answer.status, answer.body.error.code]).toEqual([bad, 400, 'invalid_cursor']);
      expect(answer.body.error.message).toMatch(/Start without one/);
    }
  });

  it('of a model that nobody has gets an empty list', async () => {
    expect(await ids('Nobody')).toEqual([]);
  });
});

describe('an action', () => {
  it.each([
    ['circularOutput', 'script_internal_error', /circular/i],
    ['tooDeepOutput', 'script_internal_error', /deep/i],
    ['hugeOutput', 'script_output_too_large', /MiB|MB|bytes/],
    ['throwsString', 'script_internal_error', /no reason/],
    ['throwsNothing', 'script_internal_error', /undefined/],
    ['importsNothing', 'module_not_allowed', /left-pad/],
  ])('%s fails with %s and a sentence', async (name, code, message) => {
    const answer = await act(name);
    expect([answer.status >= 400, answer.body.error.code]).toEqual([true, code]);
    expect(answer.text).toMatch(message);
  });

  it('that prints a gigabyte ends, with the first lines and one that says that more were dropped', async () => {
    const answer = await act('printsGigabyte');
    expect([answer.status, answer.body]).toEqual([200, 'said it all']);
    const run = answer.headers.get('x-hawser-run-id');
    const { logs } = (await app.api('GET', `/runs/${run}/logs?limit=1000`)).body as { logs: { message: string }[] };
    expect(JSON.stringify(logs).length).toBeLessThan(15_000_000);
    expect(logs.at(-1)?.message).toMatch(/said too much: the rest is left out/);
  });

  it.each(['neverReturns', 'neverResolves'])('%s: is ended at its limit', async (name) => {
    const { integrations, connections, functions, runs, environments } = app.services;
    const environmentId = (await environments.byName('dev'))?.id as number;
    const integration = await integrations.byKey(environmentId, KEY);
    const connection = await connections.byPublicId(environmentId, integration?.id as number, connectionId);
    const fn = await functions.byName(environmentId, integration?.id as number, 'action', name);
    if (connection === undefined || fn === undefined) throw new Error('nothing is deployed');
    const request = { environmentId, kind: 'action', trigger: 'api', fn, connection } as const;
    const { run, result } = await runs.execute(request, { timeoutMs: 600 });
    expect(run.state).toBe('failed');
    expect(result).toMatchObject({ ok: false, error: { code: 'execution_timeout' } });
    expect(result.ok ? '' : result.error.message).toMatch(/0\.6 s|600|second/);
  });

  it.each([
    ['whose name nobody deployed', () => act('nobody'), /^not_found$/],
    ['without a name', () => app.api('POST', '/action/trigger', { input: 1 }, headers()), /^invalid_body$/],
    ['with a broken body', () => act('well', { more: true }), /^invalid_body$/],
    ['with too many retries', () => act('well', {}, { 'x-async': 'true', 'x-max-retries': '50' }), /^invalid_headers$/],
    ['of another connection', () => act('well', {}, { 'connection-id': 'nobody' }), /^unknown_connection$/],
  ])('%s is refused before anything runs', async (_title, call, code) => {
    const count = () => app.db.query('SELECT count(*) AS runs FROM run');
    const before = await count();
    const answer = await call();
    expect([answer.status >= 400 && answer.status < 500, answer.body.error.code]).toEqual([
      true,
      expect.stringMatching(code),
    ]);
    expect(await count()).toEqual(before);
  });
});

describe('after all of it', () => {
  it('the node is well, every run has ended, and what was stored is there', async () => {
    expect((await app.api('GET', '/ready')).status).toBe(200);
    expect(await act('well')).toMatchObject({ status: 200, body: 'well' });
    const open = await app.db.query("SELECT 1 FROM run WHERE state IN ('queued', 'running')");
    expect(open).toEqual([]);
    const failed = await app.db.query<{ message: string | null }>(
      "SELECT error ->> 'message' AS message FROM run WHERE state = 'failed' AND coalesce(error ->> 'message', '') = ''",
    );
    expect(failed).toEqual([]);
    expect([await ids('Thing'), await ids('Other')]).toEqual([[1], ['o']]);
  });
});
