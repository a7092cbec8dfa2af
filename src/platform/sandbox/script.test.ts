import { describe, expect, it } from 'vitest';
import { HawserError } from '../../base/errors.ts';
import { failureOf, notingHost, outputOf, testSandbox } from './sandbox.test-support.ts';

const sandbox = testSandbox();
const SYNC = { kind: 'sync' as const };
const ok = (body: unknown, more: object = {}): object => ({
  status: 200,
  statusText: 'OK',
  headers: { 'content-type': 'application/json' },
  bodyText: JSON.stringify(body),
  ...more,
});

describe('calls of the provider', () => {
  it('are told to the host as they will be sent', async () => {
    const { host, calls } = notingHost({ proxy: ok({ id: 1 }) });
    const code = `
      await nango.get({ endpoint: '/a?x=1#f', params: { y: 'ü &', x: 2, z: [1, 2], none: undefined }, headers: { 'X-Mine': 5 }, retries: 3, retryOn: [404] });
      await nango.post({ endpoint: '/b', data: { a: [1] } });
      await nango.put({ endpoint: '/c', data: { a: 1, b: 'x y' }, headers: { 'Content-Type': 'application/x-www-form-urlencoded' } });
      await nango.patch({ endpoint: '/d', data: 'raw', params: '?q=1', baseUrlOverride: 'https://other.example' });
      await nango.delete({ endpoint: '/e', data: Buffer.from([0, 255]), connectionId: 'other', providerConfigKey: 'key' });
      const form = new FormData(); form.append('file', new Blob(['hi']), 'a.txt');
      await nango.proxy({ method: 'post', endpoint: '/f', data: form });
      await nango.proxy({ endpoint: '/g', data: new URLSearchParams({ a: 'b' }), method: 'POST' });`;
    await outputOf(sandbox, code, { host });
    const sent = calls.map(({ args }) => args[0] as { headers: Record<string, string>; bodyBase64?: string });
    expect(sent.slice(0, 5)).toEqual([
      {
        method: 'GET',
        endpoint: '/a?y=%C3%BC+%26&x=2&z=1&z=2#f',
        headers: { 'x-mine': '5' },
        retries: 3,
        retryOn: [404],
      },
      { method: 'POST', endpoint: '/b', headers: { 'content-type': 'application/json' }, bodyText: '{"a":[1]}' },
      { method: 'PUT', endpoint: '/c', headers: { 'content-type': 'application/x-www-form-urlencoded' }, bodyText: 'a=1&b=x+y' }, // prettier-ignore
      {
        method: 'PATCH',
        endpoint: '/d?q=1',
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
        bodyText: 'raw',
        baseUrlOverride: 'https://other.example',
      },
      {
        method: 'DELETE',
        endpoint: '/e',
        headers: {},
        bodyBase64: 'AP8=',
        connectionId: 'other',
        providerConfigKey: 'key',
      },
    ]);
    expect(sent[5]?.headers['content-type']).toMatch(/^multipart\/form-data; boundary=/);
    expect(Buffer.from(sent[5]?.bodyBase64 ?? '', 'base64').toString()).toContain('filename="a.txt"');
    expect(sent[6]).toMatchObject({ method: 'POST', bodyText: 'a=b' });
  });

  it('answer as axios does', async () => {
    const answers: Record<string, object> = {
      '/json': ok({ a: 1 }, { headers: { 'x-total': '5' } }),
      '/text': ok(0, { bodyText: 'no json' }),
      '/empty': ok(0, { status: 204, bodyText: '' }),
      '/binary': { status: 200, statusText: 'OK', headers: {}, bodyBase64: 'AP8=' },
    };
    const host = (_method: string, args: readonly unknown[]): unknown =>
      answers[(args[0] as { endpoint: string }).endpoint];
    const code = `
      const json = await nango.get({ endpoint: '/json' });
      return [json.data, json.status, json.statusText, json.headers['x-total'], json.headers.get('X-Total'), json.config.url,
        (await nango.get({ endpoint: '/json', responseType: 'text' })).data,
        (await nango.get({ endpoint: '/text' })).data, (await nango.get({ endpoint: '/empty' })).data,
        (await nango.get({ endpoint: '/binary', responseType: 'arraybuffer' })).data.length];`;
    expect(await outputOf(sandbox, code, { host })).toEqual([
      { a: 1 },
      200,
      'OK',
      '5',
      '5',
      '/json',
      '{"a":1}',
      'no json',
      '',
      2,
    ]);
  });

  it('outside of 200 to 299 reject with the answer, which the caller of an action gets', async () => {
    const host = (): unknown =>
      ok(
        { error: 'slow down' },
        { status: 429, headers: { 'content-type': 'application/json', 'x-ratelimit-limit': '9', 'set-cookie': 'x' } },
      );
    const code = `try { await nango.get({ endpoint: '/a', headers: { authorization: 'secret-x' } }); } catch (error) {
      return [error.isAxiosError, error instanceof Error, error.name, error.code, error.status, error.message, error.response.data, JSON.stringify(error), JSON.stringify(error.config).includes('secret-x')]; }`;
    expect(await outputOf(sandbox, code, { host })).toEqual([
      true,
      true,
      'AxiosError',
      'ERR_BAD_REQUEST',
      429,
      'Request failed with status code 429',
      { error: 'slow down' },
      '{"message":"Request failed with status code 429","name":"AxiosError","code":"ERR_BAD_REQUEST","status":429}',
      false,
    ]);
    expect(await failureOf(sandbox, 'await nango.get({ endpoint: "/a" });', { host })).toMatchObject({
      code: 'script_http_error',
      upstream: {
        status: 429,
        headers: { 'content-type': 'application/json', 'x-ratelimit-limit': '9' },
        body: { error: 'slow down' },
      },
    });
  });

  it('without an answer reject without a response', async () => {
    const host = (): unknown => {
      throw new HawserError(
        'script_network_error',
        { status: 500, message: 'The provider did not answer' },
        { payload: { code: 'ECONNRESET' } },
      );
    };
    const code =
      'try { await nango.get({ endpoint: "/a" }); } catch (error) { return [error.isAxiosError, error.code, error.response === undefined]; }';
    expect(await outputOf(sandbox, code, { host })).toEqual([true, 'ECONNRESET', true]);
    expect(await failureOf(sandbox, 'await nango.get({ endpoint: "/a" });', { host })).toMatchObject({
      code: 'script_network_error',
      payload: { name: 'AxiosError', code: 'ECONNRESET', message: 'The provider did not answer' },
    });
  });

  it('of other servers give a real Response', async () => {
    const { host, calls } = notingHost({
      uncontrolledFetch: {
        status: 201,
        statusText: 'Created',
        headers: { 'x-a': 'b' },
        bodyBase64: Buffer.from('{"a":1}').toString('base64'),
      },
    });
    const code = `const r = await nango.uncontrolledFetch({ url: new URL('https://a.example/x'), method: 'post', body: 'q' });
      return [r instanceof Response, r.status, r.ok, r.url, r.headers.get('X-A'), await r.json()];`;
    expect(await outputOf(sandbox, code, { host })).toEqual([true, 201, true, 'https://a.example/x', 'b', { a: 1 }]);
    expect(calls[0]?.args[0]).toMatchObject({ url: 'https://a.example/x', method: 'POST', bodyBase64: 'cQ==' });
  });
});

describe('the connection', () => {
  it('is remembered, unless an option or a change of the metadata says otherwise', async () => {
    const { host, calls } = notingHost({
      getConnection: { credentials: { type: 'OAUTH2', access_token: 'token-of-test' }, metadata: { a: 1 } },
      getIntegration: { unique_key: 'k' },
    });
    const code = `
      const [a, b] = await Promise.all([nango.getConnection(), nango.getMetadata()]);
      await nango.getToken(); await nango.getIntegration(); await nango.getIntegration();
      await nango.getConnection(undefined, undefined, { forceRefresh: true });
      await nango.updateMetadata({ b: 2 });
      await nango.getMetadata();
      return [a.metadata, b, await nango.getToken()];`;
    expect(await outputOf(sandbox, code, { host })).toEqual([{ a: 1 }, { a: 1 }, 'token-of-test']);
    expect(calls.map(({ method, args }) => [method, ...args])).toEqual([
      ['getConnection', null, null, {}],
      ['getIntegration', {}],
      ['getConnection', null, null, { forceRefresh: true }],
      ['updateMetadata', { b: 2 }],
      ['getConnection', null, null, {}],
    ]);
  });

  it('has the properties of the contract, whatever the object is called', async () => {
    const bundle = `exports.default = { exec: async (terapi) => [terapi.connectionId, terapi.providerConfigKey, terapi.provider,
      terapi.environmentName, terapi.environmentId, terapi.nangoConnectionId, terapi.activityLogId, terapi.syncId, terapi.variant,
      terapi.lastSyncDate.getTime(), terapi.scriptType, terapi.isCLI, terapi.abortSignal.aborted, new terapi.ActionError({ message: 'x' }).message] };`;
    const context = { ...SYNC, lastSyncDate: '2026-01-01T00:00:00.000Z' };
    expect(await outputOf(sandbox, bundle, { context })).toEqual([
      'customer-1', 'sample-api', 'sample', 'dev', 1, 7, 'run-1', 'sync-1', 'base', Date.UTC(2026, 0, 1), 'sync', false, false, 'x',
    ]); // prettier-ignore
    expect(await outputOf(sandbox, 'return [typeof nango.batchSave, nango.lastSyncDate === undefined];')).toEqual([
      'undefined',
      true,
    ]);
  });

  it('lets errors of ours through with their code', async () => {
    const host = (): unknown => {
      throw new HawserError('unknown_connection', { status: 404, message: 'There is no such connection' });
    };
    const code =
      'try { await nango.getConnection("k", "c"); } catch (error) { return [error.code, error.status, error.message]; }';
    expect(await outputOf(sandbox, code, { host })).toEqual(['unknown_connection', 404, 'There is no such connection']);
    expect((await failureOf(sandbox, 'await nango.getConnection();', { host })).code).toBe('unknown_connection');
  });
});

describe('records', () => {
  it('are checked, stripped, split and sent in the order of the calls', async () => {
    const { host, calls } = notingHost({
      getRecordsByIds: (ids: string[]) => ids.filter((id) => id !== '3').map((id) => [id, { id }]),
      listRecords: (_model: string, cursor: string | null) => ({
        records: [{ id: cursor ?? 'first' }],
        nextCursor: cursor === null ? 'c2' : null,
      }),
      trackDeletesEnd: { deletedKeys: ['9'] },
    });
    const code = `
      nango.setMergingStrategy({ strategy: 'ignore_if_modified_after' }, 'Contact');
      nango.trackDeletesStart('Contact');
      const records = Array.from({ length: 1500 }, (_, id) => ({ id: String(id), _nango_metadata: { cursor: 'x' } }));
      nango.batchSave(records, 'Contact'); records.length = 0;
      nango.batchUpdate([{ id: 5 }], 'Contact'); nango.batchDelete([{ id: 'a' }], 'Contact');
      nango.saveCheckpoint({ page: 1 });
      const empty = [await nango.batchSave([], 'Contact'), await nango.batchSave(null, 'Contact')];
      const { deletedKeys } = await nango.trackDeletesEnd('Contact');
      const found = await nango.getRecordsByIds([1, '2', 3], 'Contact');
      const listed = []; for await (const record of nango.listRecords('Contact')) listed.push(record.id);
      return { empty, deletedKeys, found: [...found], listed };`;
    expect(await outputOf(sandbox, code, { host, context: SYNC })).toEqual({
      empty: [true, true],
      deletedKeys: ['9'],
      found: [
        [1, { id: '1' }],
        ['2', { id: '2' }],
      ],
      listed: ['first', 'c2'],
    });
    const told = calls.map(({ method, args }) =>
      method === 'batchSave' ? [method, (args[0] as unknown[]).length] : [method, ...args],
    );
    expect(told).toEqual([
      ['setMergingStrategy', { strategy: 'ignore_if_modified_after' }, 'Contact'],
      ['trackDeletesStart', 'Contact'],
      ['batchSave', 1000],
      ['batchSave', 500],
      ['batchUpdate', [{ id: 5 }], 'Contact'],
      ['batchDelete', [{ id: 'a' }], 'Contact'],
      ['saveCheckpoint', { page: 1 }],
      ['trackDeletesEnd', 'Contact'],
      ['getRecordsByIds', ['1', '2', '3'], 'Contact'],
      ['listRecords', 'Contact', null],
      ['listRecords', 'Contact', 'c2'],
    ]);
    expect(calls[2]?.args[0]).toContainEqual({ id: '0' });
  });

  it('that are wrong fail with a sentence about the record', async () => {
    const cases: [string, string, string][] = [
      ['[{ id: "1" }, { name: "x" }], "Contact"', 'invalid_sync_record', 'Record 1 of Contact has no `id`'],
      ['[{ id: null }], "Contact"', 'invalid_sync_record', 'has no `id`'],
      ['["x"], "Contact"', 'invalid_sync_record', 'is no object'],
      ['{ id: 1 }, "Contact"', 'invalid_sync_record', 'takes a list'],
      ['[{ id: 1 }], "Other"', 'unknown_model', 'no model "Other". Its `models`: Contact'],
      ['[{ id: 1, text: "x".repeat(20_000_000) }], "Contact"', 'invalid_sync_record', 'the limit is 10485760'],
      ['[(() => { const r = { id: 1 }; r.self = r; return r; })()], "Contact"', 'invalid_sync_record', 'circular'],
    ];
    const { host, calls } = notingHost();
    const body = cases.map(([args], n) => `if (input === ${n}) await nango.batchSave(${args});`).join('\n');
    for (const [input, [, code, text]] of cases.entries()) {
      expect(await failureOf(sandbox, body, { input, host, context: SYNC })).toMatchObject({
        code,
        message: expect.stringContaining(text),
      });
    }
    expect(calls).toEqual([]);
  });

  it('that fail stop a checkpoint that was called before the failure was known', async () => {
    const { host, calls } = notingHost({
      batchSave: () => {
        throw new HawserError('database_unavailable', { status: 503, message: 'The database does not answer' });
      },
    });
    const code = 'nango.batchSave([{ id: 1 }], "Contact").catch(() => {}); await nango.saveCheckpoint({ page: 2 });';
    expect(await failureOf(sandbox, code, { host, context: SYNC })).toMatchObject({ code: 'database_unavailable' });
    expect(calls.map(({ method }) => method)).toEqual(['batchSave']);
  });
});

describe('checkpoints, locks, logs and input', () => {
  it('a checkpoint past the soft limit ends the run after it is saved', async () => {
    const { host, calls } = notingHost();
    const limits = { softTimeoutMs: 0 };
    const failure = await failureOf(sandbox, 'await nango.saveCheckpoint({ page: 3 }); await nango.getMetadata();', {
      host,
      limits,
    });
    expect(failure.code).toBe('script_interrupted');
    expect(calls.map(({ method }) => method)).toEqual(['saveCheckpoint']);
    expect((await failureOf(sandbox, 'await nango.saveCheckpoint({ deep: {} });')).code).toBe('invalid_checkpoint');
  });

  it('locks are checked', async () => {
    const { host, calls } = notingHost({ tryAcquireLock: true });
    expect(await outputOf(sandbox, 'return await nango.tryAcquireLock({ key: "a", ttlMs: 5 });', { host })).toBe(true);
    expect(calls).toEqual([{ method: 'tryAcquireLock', args: [{ key: 'a', ttlMs: 5 }] }]);
    expect((await failureOf(sandbox, 'await nango.tryAcquireLock({ key: "", ttlMs: 5 });')).code).toBe('invalid_lock');
    expect((await failureOf(sandbox, 'await nango.tryAcquireLock({ key: "a", ttlMs: 0 });')).code).toBe('invalid_lock');
  });

  it('log lines have level, message and payload', async () => {
    const { host, calls } = notingHost();
    const code = `nango.log('dropped'); nango.log('w', { level: 'warn' }); nango.setLogger({ level: 'debug' });
      nango.log('one', { a: 1 }); nango.log('list', ['x'], { level: 'error' }); nango.log({ b: 2 }); console.warn('con', 1);
      nango.setLogger({ level: 'off' }); nango.setLogger({ level: 'debug' }); nango.log('gone', { level: 'error' });`;
    await outputOf(sandbox, code, { host });
    const rows = calls.flatMap(({ args }) => args[0] as { at: string }[]).map(({ at: _at, ...row }) => row);
    expect(rows).toEqual([
      { level: 'warn', message: 'w' },
      { level: 'info', message: 'one', payload: { a: 1 } },
      { level: 'error', message: 'list', payload: { 0: 'x' } },
      { level: 'info', message: '{"b":2}' },
      { level: 'warn', message: 'con 1' },
    ]);
  });

  it('zodValidateInput gives the data, or an ActionError after logging what is wrong', async () => {
    const { host, calls } = notingHost();
    const code = `const { z } = require('zod'); const zodSchema = z.object({ email: z.string(), at: z.date().optional() });
      return (await nango.zodValidateInput({ zodSchema, input: { ...input, at: new Date(0) } })).data.email;`;
    expect(await outputOf(sandbox, code, { input: { email: 'a@b.c' }, host })).toBe('a@b.c');
    const failure = await failureOf(sandbox, code, { input: { email: 5 }, host });
    expect(failure).toMatchObject({ code: 'action_script_runtime_error', message: 'Invalid input provided' });
    expect(JSON.stringify(calls)).toContain('Invalid input at email');
  });
});
