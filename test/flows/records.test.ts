/** Records as the app reads them: routes and the unmodified published client (wire contract B.7, G). */
import { Nango } from '@nangohq/node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RecordPlace, Records } from '../../src/features/records/index.ts';
import { startTestApp, type ApiAnswer, type TestApp } from '../support/app.ts';
import { connectAccount } from '../support/connect.ts';

const KEY = 'checkr-partner';
let app: TestApp;
let nango: Nango;
let records: Records;
let connectionId: string;
let rowId: number;
let environmentId: number;

beforeAll(async () => {
  app = await startTestApp();
  nango = new Nango({ host: app.url, secretKey: app.apiKey });
  records = app.services.records;
  ({ connectionId } = await connectAccount(app, KEY));
  const environment = await app.services.environments.byName('dev');
  environmentId = environment?.id as number;
  const integration = await app.services.integrations.byKey(environmentId, KEY);
  const connection = await app.services.connections.byPublicId(environmentId, integration?.id as number, connectionId);
  rowId = connection?.id as number;
});
afterAll(() => app?.close());

const placeOf = (model: string): RecordPlace => ({ environmentId, connectionId: rowId, model });
const save = (model: string, list: unknown[], generation = 1) =>
  records.write({ ...placeOf(model), action: 'save', records: list, syncId: 1, generation });
const get = (query: string, headers: Record<string, string> = {}): Promise<ApiAnswer> =>
  app.api('GET', `/records?${query}`, undefined, {
    'connection-id': connectionId,
    'provider-config-key': KEY,
    ...headers,
  });
const names = { providerConfigKey: KEY } as const;

describe('the published client', () => {
  it('walks 100,000 records by cursor and sees each once, in order', { timeout: 60_000 }, async () => {
    for (let from = 0; from < 100_000; from += 1_000) {
      await save(
        'Many',
        Array.from({ length: 1_000 }, (_, n) => ({ id: from + n, name: `record ${from + n}` })),
      );
    }
    let next = 0;
    let cursor: string | null = null;
    let pages = 0;
    do {
      const page: { records: { id: number; name: string }[]; next_cursor: string | null } = await nango.listRecords<{
        id: number;
        name: string;
      }>({
        ...names,
        connectionId,
        model: 'Many',
        limit: 10_000,
        ...(cursor !== null && { cursor }),
      });
      for (const record of page.records) {
        // Not by `expect`: a hundred thousand of them take longer than the walk.
        if (record.id !== next || record.name !== `record ${next}`) throw new Error(`${record.id} instead of ${next}`);
        next += 1;
      }
      cursor = page.next_cursor;
      pages += 1;
    } while (cursor !== null);
    expect({ next, pages }).toEqual({ next: 100_000, pages: 10 });
  });

  it('filters, ids, modifiedAfter, variants', async () => {
    await save('Thing', [
      { id: 'a', n: 1 },
      { id: 'b', n: 1 },
      { id: 'c', n: 1 },
    ]);
    await save('Thing', [{ id: 'a', n: 2 }]);
    await records.write({ ...placeOf('Thing'), action: 'delete', records: [{ id: 'b' }], syncId: 1, generation: 2 });
    await save('Thing::eu', [{ id: 'z' }]);
    const list = async (more: object) =>
      (await nango.listRecords({ ...names, connectionId, model: 'Thing', ...more })).records.map(({ id }) => id);
    expect(await list({})).toEqual(['c', 'a', 'b']);
    expect(await list({ filter: 'added' })).toEqual(['c']);
    expect(await list({ filter: 'updated' })).toEqual(['a']);
    expect(await list({ filter: 'deleted' })).toEqual(['b']);
    expect(await list({ filter: 'added,updated' })).toEqual(['c', 'a']);
    expect(await list({ ids: ['a', 'c', 'x'] })).toEqual(['c', 'a']);
    expect(await list({ ids: ['b'] })).toEqual(['b']);
    expect(await list({ variant: 'eu' })).toEqual(['z']);
    expect(await list({ variant: 'base' })).toEqual(['c', 'a', 'b']);
    const [, updated] = (await nango.listRecords({ ...names, connectionId, model: 'Thing' })).records;
    const stamp = updated?._nango_metadata.last_modified_at as string;
    expect(await list({ modifiedAfter: stamp })).toEqual(['a', 'b']);
    expect(await list({ modifiedAfter: new Date(stamp).toISOString() })).toEqual(expect.arrayContaining(['a', 'b']));
    expect(await list({ modifiedAfter: '2099-01-01T00:00:00Z' })).toEqual([]);
    expect(await list({ modifiedAfter: stamp, filter: 'deleted' })).toEqual(['b']);
  });

  it('resumes after any record: the newest cursor gives what is new', async () => {
    await save('Feed', [{ id: 1 }, { id: 2 }]);
    const { records: first, next_cursor } = await nango.listRecords({ ...names, connectionId, model: 'Feed' });
    expect(next_cursor).toBeNull();
    const cursor = first.at(-1)?._nango_metadata.cursor as string;
    const since = async () =>
      (await nango.listRecords({ ...names, connectionId, model: 'Feed', cursor })).records.map(({ id }) => id);
    expect(await since()).toEqual([]);
    await save('Feed', [{ id: 1, x: 1 }, { id: 2 }, { id: 3 }]);
    expect((await since()).toSorted()).toEqual([1, 3]);
  });

  it('prunes up to a cursor', async () => {
    await save('Old', [
      { id: 1, text: 'x' },
      { id: 2, text: 'x' },
      { id: 3, text: 'x' },
    ]);
    const before = (await nango.listRecords({ ...names, connectionId, model: 'Old' })).records;
    const prune = (limit: number) =>
      nango.pruneRecords({
        ...names,
        connectionId,
        model: 'Old',
        untilCursor: before[1]?._nango_metadata.cursor as string,
        limit,
      });
    expect(await prune(1)).toEqual({ count: 1, has_more: true });
    expect(await prune(1)).toEqual({ count: 1, has_more: false });
    expect(await prune(1)).toEqual({ count: 0, has_more: false });
    const after = (await nango.listRecords({ ...names, connectionId, model: 'Old' })).records;
    expect(after[0]).toEqual({
      id: '1',
      _nango_metadata: { ...before[0]?._nango_metadata, pruned_at: expect.stringMatching(/\.\d{6}\+00:00$/) },
    });
    expect(after[2]).toEqual(before[2]);
    // The same content again is no news; another one brings the payload back.
    expect(await save('Old', [{ id: 1, text: 'x' }])).toMatchObject({ unchanged: 1 });
    await save('Old', [{ id: 2, text: 'y' }]);
    const last = (await nango.listRecords({ ...names, connectionId, model: 'Old' })).records.at(-1);
    expect(last).toMatchObject({ id: 2, text: 'y', _nango_metadata: { pruned_at: null, last_action: 'UPDATED' } });
  });
});

describe('GET /records', () => {
  it('with and without slash, for models that nobody knows, too', async () => {
    for (const path of ['/records?model=Nothing', '/records/?model=Nothing']) {
      const answer = await app.api('GET', path, undefined, {
        'connection-id': connectionId,
        'provider-config-key': KEY,
      });
      expect(answer.status).toBe(200);
      expect(answer.headers.get('content-type')).toBe('application/json; charset=utf-8');
      expect(answer.body).toEqual({ records: [], next_cursor: null });
    }
  });

  it('refuses what does not fit', async () => {
    const codes: [string, Record<string, string>, string][] = [
      ['', {}, 'invalid_query_params'],
      ['model=Thing&nope=1', {}, 'invalid_query_params'],
      ['model=Thing&limit=0', {}, 'invalid_query_params'],
      ['model=Thing&limit=10001', {}, 'invalid_query_params'],
      ['model=Thing&filter=changed', {}, 'invalid_query_params'],
      ['model=Thing&modified_after=yesterday', {}, 'invalid_query_params'],
      [`model=Thing&${'ids=a&'.repeat(101)}`, {}, 'invalid_query_params'],
      ['model=Thing&cursor=abc', {}, 'invalid_cursor'],
      ['model=Thing', { 'connection-id': 'nobody' }, 'unknown_connection'],
      ['model=Thing', { 'connection-id': '' }, 'invalid_headers'],
      ['model=Thing', { 'provider-config-key': 'nothing' }, 'unknown_provider_config'],
    ];
    for (const [query, headers, code] of codes) {
      const { status, body } = await get(query, headers);
      expect({ query, status, code: body.error.code }).toEqual({ query, status: 400, code });
    }
  });

  it('refuses the cursor of another model, variant or connection, and one that was changed', async () => {
    await save('Thing', [{ id: 'a', n: 9 }]);
    const { body } = await get('model=Thing');
    const { cursor } = body.records[0]._nango_metadata;
    expect((await get(`model=Thing&cursor=${cursor}`)).status).toBe(200);
    for (const query of [
      `model=Feed&cursor=${cursor}`,
      `model=Thing&variant=eu&cursor=${cursor}`,
      `model=Thing&cursor=${cursor}_`,
      `model=Thing&cursor=A${cursor.slice(1)}-`,
    ]) {
      const answer = await get(query);
      expect(answer.body.error?.code, query).toBe('invalid_cursor');
    }
    const other = await connectAccount(app, KEY);
    const answer = await get(`model=Thing&cursor=${cursor}`, { 'connection-id': other.connectionId });
    expect(answer.body.error.code).toBe('invalid_cursor');
  });

  it('takes stamps with offsets, also with a plus that was not encoded', async () => {
    for (const stamp of [
      '2020-01-31',
      '2020-01-31T10:00:00Z',
      '2020-01-31T10:00:00.123456%2B00:00',
      '2020-01-31T10:00:00+0100',
    ]) {
      const { status, body } = await get(`model=Thing&delta=${stamp}`);
      expect({ stamp, status, found: body.records?.length > 0 }).toEqual({ stamp, status: 200, found: true });
    }
  });
});

describe('held deletions', () => {
  it('are listed, confirmed, and gone after the next detection', async () => {
    const list = Array.from({ length: 200 }, (_, id) => ({ id }));
    await save('Guarded', list, 1);
    await save('Guarded', list.slice(0, 100), 2);
    const detect = () => records.deleteNotSavedSince({ ...placeOf('Guarded'), syncId: 1, since: 2 });
    const names = { 'connection-id': connectionId, 'provider-config-key': KEY };
    const confirm = () => app.api('POST', '/records/confirm-deletion', { model: 'Guarded' }, names);
    expect((await confirm()).body.error.code).toBe('no_held_deletion');
    await expect(detect()).rejects.toMatchObject({ code: 'mass_deletion_held', payload: { total: 200, missing: 100 } });
    const held = await app.api('GET', '/records/held');
    expect(held.body.data).toEqual([
      {
        connection_id: connectionId,
        provider_config_key: KEY,
        model: 'Guarded',
        variant: 'base',
        total: 200,
        missing: 100,
        held_at: expect.any(String),
        confirmed: false,
      },
    ]);
    expect((await confirm()).body).toEqual({ success: true });
    expect((await detect()).deletedKeys).toHaveLength(100);
    expect((await app.api('GET', '/records/held')).body).toEqual({ data: [] });
  });

  it('name their variant as it is to be confirmed, whatever stands in it', async () => {
    const place = placeOf('Guarded::eu::north');
    const list = Array.from({ length: 200 }, (_, id) => ({ id }));
    await save(place.model, list, 1);
    const detection = records.deleteNotSavedSince({ ...place, syncId: 1, since: 2 });
    await expect(detection).rejects.toMatchObject({ code: 'mass_deletion_held' });
    const [{ model, variant }] = (await app.api('GET', '/records/held')).body.data;
    const names = { 'connection-id': connectionId, 'provider-config-key': KEY };
    const confirmed = await app.api('POST', '/records/confirm-deletion', { model, variant }, names);
    expect(confirmed.body).toEqual({ success: true });
  });
});
