/** Actions over HTTP and by the published client, in real sandboxes. */
import { Nango } from '@nangohq/node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestApp, type TestApp } from '../../../test/support/app.ts';
import type { Environment } from '../../base/route.ts';
import { NO_DEFINITION, type FunctionDefinition } from '../functions/index.ts';

let app: TestApp;
let nango: Nango;
let environmentId: number;
const at = { 'connection-id': 'acme', 'provider-config-key': 'xref' };
const INPUT = {
  type: 'object',
  properties: { name: { type: 'string' }, size: { $ref: '#/definitions/Size' } },
  required: ['name'],
  additionalProperties: false,
};

interface Deployed {
  name: string;
  /** Body of `exec(nango, input)`. */
  exec: string;
  definition?: Partial<FunctionDefinition>;
  kind?: 'action' | 'on-event';
}

const ACTIONS: Deployed[] = [
  { name: 'constant', exec: 'return { ok: 1 };' },
  { name: 'echo', exec: 'return input ?? null;' },
  {
    name: 'greet',
    exec: 'return { text: `hi ${input.name}` };',
    definition: {
      input: 'ActionInput_xref_greet',
      models: ['Greeting'],
      jsonSchema: {
        definitions: {
          ActionInput_xref_greet: INPUT,
          Size: { type: 'number' },
          Greeting: { type: 'object', properties: { text: { type: 'string', maxLength: 10 } }, required: ['text'] },
        },
      },
    },
  },
  {
    name: 'lax',
    exec: 'return 7;',
    definition: { input: 'In', metadata: { validation: 'off' }, jsonSchema: { definitions: { In: INPUT } } },
  },
  {
    name: 'throws',
    exec: "throw new nango.ActionError({ type: 'credits', message: 'Not enough credits' });",
  },
  {
    name: 'leaky',
    exec: `const token = await nango.getToken();
      await nango.log('using ' + token);
      throw new Error('bad ' + token);`,
  },
  {
    name: 'flaky',
    exec: `const metadata = await nango.getMetadata();
      const tries = (metadata?.tries ?? 0) + 1;
      await nango.updateMetadata({ tries });
      if (tries < 2) throw new Error('first');
      return { tries };`,
  },
];

/** Deploys beside what is there. */
async function deploy(functions: Deployed[]): Promise<void> {
  await app.services.functions.deploy(environmentId, {
    scope: { mode: 'none' },
    source: 'repo',
    functions: functions.map(({ name, exec, kind = 'action', definition }) => ({
      integrationKey: 'xref',
      kind,
      name,
      code: {
        js: `exports.default = { type: '${kind === 'action' ? kind : 'onEvent'}', exec: async (nango, input) => { ${exec} } };`,
        ts: '',
      },
      definition: {
        ...NO_DEFINITION,
        ...definition,
      },
    })),
  });
}

beforeAll(async () => {
  app = await startTestApp();
  nango = new Nango({ host: app.url, secretKey: app.apiKey });
  const { environments, integrations, connections, credentials } = app.services;
  environmentId = ((await environments.byName('dev')) as Environment).id;
  const integration = await integrations.byKey(environmentId, 'xref');
  await app.db.transaction(async (tx) => {
    const { connection } = await connections.upsert(tx, {
      environmentId,
      integrationId: (integration as { id: number }).id,
      connectionId: 'acme',
      connectionConfig: {},
    });
    await credentials.write(tx, {
      connection,
      credential: { type: 'OAUTH2', access_token: 'secret-token-of-acme', raw: {} },
      facts: { scope: undefined, expiresAt: undefined },
    });
  });
  await deploy(ACTIONS);
});

afterAll(() => app.close());

async function whenEnded(id: string): Promise<void> {
  await expect
    .poll(
      async () => ['succeeded', 'failed', 'cancelled'].includes((await app.api('GET', `/runs/${id}`)).body.data.state),
      {
        timeout: 10_000,
      },
    )
    .toBe(true);
}

describe('synchronous actions', () => {
  it('answer with what the script returns, and leave one record', async () => {
    expect(await nango.triggerAction('xref', 'acme', 'constant')).toEqual({ ok: 1 });
    expect(await nango.triggerAction('xref', 'acme', 'echo', ['a', 2, null])).toEqual(['a', 2, null]);
    const answer = await app.api('POST', '/action/trigger', { action_name: 'echo', input: 'text' }, at);
    expect(answer.text).toBe('"text"');
    const run = await app.api('GET', `/runs/${answer.headers.get('x-hawser-run-id')}`);
    expect(run.body.data).toMatchObject({
      kind: 'action',
      trigger: 'api',
      state: 'succeeded',
      function_name: 'echo',
      provider_config_key: 'xref',
      connection_id: 'acme',
      output: 'text',
    });
    const listed = async (key: string) => (await app.api('GET', `/runs?provider_config_key=${key}`)).body;
    expect((await listed('xref')).runs).not.toEqual([]);
    expect((await listed('checkr-partner')).runs).toEqual([]);
    expect((await listed('nobody')).error.code).toBe('unknown_provider_config');
  });

  it('tell failures as the contract says', async () => {
    const thrown = await app.api('POST', '/action/trigger', { action_name: 'throws' }, at);
    expect(thrown.status).toBe(500);
    expect(thrown.body.error).toMatchObject({
      code: 'action_script_runtime_error',
      payload: { type: 'credits', message: 'Not enough credits' },
    });
    const cases: [string, object, Record<string, string>, number, string][] = [
      ['an unknown action', { action_name: 'nope' }, at, 404, 'not_found'],
      ['an unknown connection', { action_name: 'echo' }, { ...at, 'connection-id': 'x' }, 400, 'unknown_connection'],
      [
        'an unknown integration',
        { action_name: 'echo' },
        { ...at, 'provider-config-key': 'x' },
        400,
        'unknown_provider_config',
      ],
      ['no connection', { action_name: 'echo' }, { 'provider-config-key': 'xref' }, 400, 'missing_connection_id'],
      ['no integration', { action_name: 'echo' }, { 'connection-id': 'acme' }, 400, 'missing_provider_config_key'],
      [
        'too many retries',
        { action_name: 'echo' },
        { ...at, 'x-async': 'true', 'x-max-retries': '6' },
        400,
        'invalid_headers',
      ],
      ['an unknown field', { action_name: 'echo', more: 1 }, at, 400, 'invalid_body'],
    ];
    for (const [name, body, headers, status, code] of cases) {
      const answer = await app.api('POST', '/action/trigger', body, headers);
      expect([name, answer.status, answer.body.error?.code]).toEqual([name, status, code]);
    }
  });

  it('check input and output, unless switched off', async () => {
    const greet = (input: unknown) => app.api('POST', '/action/trigger', { action_name: 'greet', input }, at);
    expect((await greet({ name: 'Ann' })).body).toEqual({ text: 'hi Ann' });
    const wrong = await greet({ name: 1, size: 'x' });
    expect(wrong.status).toBe(400);
    expect(wrong.body.error.code).toBe('invalid_action_input');
    expect(wrong.body.error.errors.map((issue: { path: string[] }) => issue.path[0])).toEqual(['name', 'size']);
    const long = await greet({ name: 'Bartholomew' });
    expect([long.status, long.body.error.code]).toEqual([400, 'invalid_action_output']);
    expect((await app.api('GET', `/runs/${long.headers.get('x-hawser-run-id')}`)).body.data.state).toBe('failed');
    expect((await app.api('POST', '/action/trigger', { action_name: 'lax', input: 5 }, at)).body).toBe(7);
  });

  it('keep the credential out of lines, errors and the database', async () => {
    const answer = await app.api('POST', '/action/trigger', { action_name: 'leaky' }, at);
    expect(answer.body.error.message).toBe('bad ***');
    const logs = await app.api('GET', `/runs/${answer.headers.get('x-hawser-run-id')}/logs`);
    expect(logs.body.logs.map((line: { message: string }) => line.message)).toEqual(['using ***', 'bad ***']);
  });

  it('run once per idempotency key', async () => {
    const headers = { ...at, 'idempotency-key': 'order-1' };
    const ask = (input: unknown) => app.api('POST', '/action/trigger', { action_name: 'echo', input }, headers);
    const [first, second] = await Promise.all([ask({ n: 1 }), ask({ n: 1 })]);
    expect(second.headers.get('x-hawser-run-id')).toBe(first.headers.get('x-hawser-run-id'));
    expect(second.body).toEqual({ n: 1 });
    const other = await ask({ n: 2 });
    expect([other.status, other.body.error.code]).toEqual([409, 'idempotency_key_reused']);
    await app.db.query("UPDATE run SET queued_at = now() - interval '25 hours' WHERE idempotency_hash IS NOT NULL");
    expect((await ask({ n: 2 })).body).toEqual({ n: 2 });
  });
});

describe('asynchronous actions', () => {
  it('are queued, retried, polled and told', async () => {
    const plain = await nango.triggerActionAsync('xref', 'acme', 'echo', { n: 1 });
    await whenEnded(plain.id);
    expect(await nango.getAsyncActionResult({ id: plain.id })).toEqual({ n: 1 });
    await app.db.query("DELETE FROM event WHERE type = 'async_action'");
    const headers = { ...at, 'x-async': 'true', 'x-max-retries': '2' };
    const { id, statusUrl } = (await app.api('POST', '/action/trigger', { action_name: 'flaky' }, headers)).body;
    expect(statusUrl).toBe(`/action/${id}`);
    await expect.poll(async () => (await app.api('GET', statusUrl)).status, { timeout: 10_000 }).toBe(200);
    expect(await nango.getAsyncActionResult({ id })).toEqual({ tries: 2 });
    const events = await app.db.query<{ payload: unknown }>("SELECT payload FROM event WHERE type = 'async_action'");
    expect(events).toEqual([
      {
        payload: {
          type: 'async_action',
          connectionId: 'acme',
          providerConfigKey: 'xref',
          payload: { id, statusUrl },
        },
      },
    ]);
  });

  it('answer with the last error', async () => {
    const answer = await app.api('POST', '/action/trigger', { action_name: 'throws' }, { ...at, 'x-async': 'true' });
    expect([answer.status, answer.headers.get('location')]).toEqual([202, answer.body.statusUrl]);
    await whenEnded(answer.body.id);
    const ended = await app.api('GET', answer.body.statusUrl);
    expect([ended.status, ended.body.error.code]).toEqual([500, 'action_script_runtime_error']);
    expect((await app.api('GET', '/action/11111111-1111-4111-8111-111111111111')).status).toBe(404);
  });
});

describe('environment variables', () => {
  it('are set, read by the client and by scripts, and removed', async () => {
    expect((await app.api('PUT', '/environment-variables/API_BASE', { value: 'https://x.test' })).status).toBe(200);
    expect(await nango.getEnvironmentVariables()).toEqual([{ name: 'API_BASE', value: 'https://x.test' }]);
    await app.api('PUT', '/environment-variables/API_BASE', { value: 'two' });
    expect((await app.api('GET', '/environment-variables')).body).toEqual([{ name: 'API_BASE', value: 'two' }]);
    const [row] = await app.db.query<{ value: string }>(
      "SELECT encode(value_sealed, 'escape') AS value FROM environment_variable",
    );
    expect(row?.value).not.toContain('two');
    expect((await app.api('DELETE', '/environment-variables/API_BASE')).status).toBe(200);
    expect((await app.api('DELETE', '/environment-variables/API_BASE')).status).toBe(404);
    expect((await app.api('PUT', '/environment-variables/1x', { value: '' })).status).toBe(400);
  });
});

describe('functions that follow a connection', () => {
  const body = (token: string, id: string) => ({
    provider_config_key: 'xref',
    connection_id: id,
    credentials: { type: 'OAUTH2', access_token: token },
    connection_config: {},
  });

  it('check it before it is stored, with its own credential', async () => {
    await deploy([
      {
        name: 'only-good',
        kind: 'on-event',
        exec: `const token = await nango.getToken();
          if (token !== 'a-good-token') throw new nango.ActionError({ message: 'This account is too small.' });`,
        definition: { event: 'validate-connection' },
      },
    ]);
    const refused = await app.api('POST', '/connections', body('a-bad-token', 'small'));
    expect([refused.status, refused.body.error.code]).toEqual([400, 'connection_validation_failed']);
    expect(refused.body.error.message).toBe('This account is too small.');
    expect((await app.api('GET', '/connections/small?provider_config_key=xref')).status).toBe(404);
    expect((await app.api('POST', '/connections', body('a-good-token', 'large'))).status).toBe(201);
  });

  it('follow its creation and precede its end, whose runs are cancelled', async () => {
    await deploy([
      {
        name: 'welcome',
        kind: 'on-event',
        exec: "await nango.setMetadata({ welcome: 'done' });",
        definition: { event: 'post-connection-creation' },
      },
      {
        name: 'goodbye',
        kind: 'on-event',
        exec: "await nango.log('goodbye'); throw new Error('it goes in any case');",
        definition: { event: 'pre-connection-deletion' },
      },
      { name: 'endless', exec: 'await new Promise((done) => setTimeout(done, 60_000));' },
    ]);
    await app.api('POST', '/connections', body('a-good-token', 'guest'));
    const read = () => app.api('GET', '/connections/guest?provider_config_key=xref');
    await expect.poll(async () => (await read()).body.metadata, { timeout: 10_000 }).toEqual({ welcome: 'done' });
    const there = { 'connection-id': 'guest', 'provider-config-key': 'xref', 'x-async': 'true' };
    const { id } = (await app.api('POST', '/action/trigger', { action_name: 'endless' }, there)).body;
    await expect
      .poll(async () => (await app.api('GET', `/runs/${id}`)).body.data.state, { timeout: 10_000 })
      .toBe('running');
    expect((await app.api('DELETE', '/connections/guest?provider_config_key=xref')).status).toBe(200);
    const kinds = await app.db.query<{ function_name: string; state: string }>(
      "SELECT function_name, state FROM run WHERE function_name IN ('welcome', 'goodbye') ORDER BY id",
    );
    expect(kinds).toContainEqual({ function_name: 'welcome', state: 'succeeded' });
    expect(kinds).toContainEqual({ function_name: 'goodbye', state: 'failed' });
    await expect
      .poll(async () => (await app.api('GET', `/runs/${id}`)).body.data.state, { timeout: 15_000 })
      .toBe('cancelled');
  });
});
