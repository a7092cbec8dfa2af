import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RecordPlace, Records, RecordView } from './model.ts';
import { createRecordStage, readAll, write, type RecordStage } from './records.test-support.ts';

let stage: RecordStage;
let records: Records;
beforeAll(async () => {
  stage = await createRecordStage();
  records = stage.records;
});
afterAll(() => stage?.drop());

const STAMP = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00$/;
const dataOf = ({ _nango_metadata: _metadata, ...data }: RecordView) => data;
const actionsOf = async (place: RecordPlace) =>
  (await readAll(records, place)).map((one) => [one.id, one._nango_metadata.last_action]);

describe('saving', () => {
  it('adds, leaves alone what is the same, updates what is not', async () => {
    const place = await stage.newPlace();
    expect(
      await write(records, place, 'save', [
        { id: 'a', n: 1 },
        { id: 2, n: 2 },
      ]),
    ).toEqual({
      added: 2,
      updated: 0,
      deleted: 0,
      unchanged: 0,
    });
    const first = await readAll(records, place);
    expect(first.map(dataOf)).toEqual([
      { id: 'a', n: 1 },
      { id: 2, n: 2 },
    ]);
    const metadata = first[0]?._nango_metadata;
    expect(metadata?.first_seen_at).toMatch(STAMP);
    expect(metadata).toEqual({
      first_seen_at: metadata?.first_seen_at,
      last_modified_at: metadata?.first_seen_at,
      last_action: 'ADDED',
      deleted_at: null,
      pruned_at: null,
      cursor: expect.stringMatching(/^[\w-]{15,}$/),
    });
    expect(
      await write(
        records,
        place,
        'save',
        [
          { id: 'a', n: 1 },
          { id: 2, n: 3 },
        ],
        2,
      ),
    ).toEqual({
      added: 0,
      updated: 1,
      deleted: 0,
      unchanged: 1,
    });
    const second = await readAll(records, place);
    expect(second[0]).toEqual(first[0]);
    expect(second[1]).toMatchObject({ id: 2, n: 3, _nango_metadata: { last_action: 'UPDATED' } });
    expect(second[1]?._nango_metadata.first_seen_at).toBe(first[1]?._nango_metadata.first_seen_at);
    expect(await records.counts(undefined, place.environmentId, place.connectionId, ['Thing', 'Other'])).toEqual({
      Thing: 2,
      Other: 0,
    });
  });

  it('takes the order of keys for content', async () => {
    const place = await stage.newPlace();
    await write(records, place, 'save', [{ id: 'a', x: 1, y: 2 }]);
    expect(await write(records, place, 'save', [{ id: 'a', y: 2, x: 1 }])).toMatchObject({ updated: 1 });
  });

  it('keeps the first of equal ids and tells it once', async () => {
    const place = await stage.newPlace();
    const warnings: string[] = [];
    const counts = await records.write({
      ...place,
      action: 'save',
      records: [
        { id: '1', n: 1 },
        { id: 1, n: 2 },
        { id: '1', n: 3 },
      ],
      syncId: 1,
      generation: 1,
      onWarning: (message) => warnings.push(message),
    });
    expect(counts.added).toBe(1);
    expect(await readAll(records, place)).toMatchObject([{ id: '1', n: 1 }]);
    expect(warnings).toEqual(['2 of 3 records of Thing have an id that stands in the batch before: left out.']);
  });

  it('strips metadata, so that a record read can be saved again unchanged', async () => {
    const place = await stage.newPlace();
    await write(records, place, 'save', [{ id: 'a', n: 1 }]);
    expect(await write(records, place, 'save', await readAll(records, place))).toMatchObject({ unchanged: 1 });
  });

  it('keeps every text as it is', async () => {
    const place = await stage.newPlace();
    const texts = ['\0', '\ud800', '', '😀', '"}],', '\\', '\u2028', '"__proto__":', 'x'.repeat(100_000)];
    const saved = texts.map((text, index) => ({ id: index, text, [text]: index }));
    await write(records, place, 'save', saved);
    expect((await readAll(records, place)).map(dataOf)).toEqual(saved);
  });

  it('keeps models, variants, connections apart', async () => {
    const one = await stage.newPlace('A');
    const other = await stage.newPlace('A');
    const variant = { ...one, model: 'A::eu' };
    for (const [n, place] of [one, other, variant].entries()) await write(records, place, 'save', [{ id: 'x', n }]);
    for (const [n, place] of [one, other, variant].entries()) {
      expect(await readAll(records, place)).toMatchObject([{ id: 'x', n }]);
    }
    expect(await readAll(records, { ...one, model: 'B' })).toEqual([]);
  });

  it('undoes everything when the transaction of the run throws', async () => {
    const place = await stage.newPlace();
    await write(records, place, 'save', [{ id: 'a', n: 1 }]);
    const before = await readAll(records, place);
    const superseded = new Error('superseded');
    for (const action of ['save', 'update', 'delete'] as const) {
      await expect(
        records.write({
          ...place,
          action,
          records: [{ id: 'a', n: 2 }, { id: 'b' }],
          syncId: 1,
          generation: 2,
          inTransaction: async (_tx, counts) => {
            expect(counts.added + counts.updated + counts.deleted).toBeGreaterThan(0);
            throw superseded;
          },
        }),
      ).rejects.toBe(superseded);
    }
    expect(await readAll(records, place)).toEqual(before);
    expect(await records.counts(undefined, place.environmentId, place.connectionId, ['Thing'])).toEqual({ Thing: 1 });
  });

  it('fault 26: writes nothing for a connection that was deleted', async () => {
    const place = await stage.newPlace();
    await stage.db.query('UPDATE connection SET deleted_at = now() WHERE id = $1', [place.connectionId]);
    await expect(write(records, place, 'save', [{ id: 'a' }])).rejects.toMatchObject({ code: 'connection_gone' });
  });

  it('seals payloads, each bound to its row', async () => {
    const place = await stage.newPlace();
    await write(records, place, 'save', [
      { id: 'a', secret: 'canary-7f3a' },
      { id: 'b', secret: 'canary-7f3a' },
    ]);
    const [row] = await stage.db.query<{ text: string }>(
      `SELECT string_agg(r::text || encode(r.sealed, 'escape'), ' ') AS text FROM record r
       JOIN record_model m ON m.id = r.model_id WHERE m.connection_id = $1`,
      [place.connectionId],
    );
    expect(row?.text).not.toContain('canary-7f3a');
    await stage.db.query(
      `UPDATE record a SET sealed = b.sealed FROM record b, record_model m
       WHERE m.connection_id = $1 AND a.model_id = m.id AND b.model_id = m.id
         AND a.external_id = 'a' AND b.external_id = 'b'`,
      [place.connectionId],
    );
    await expect(readAll(records, place)).rejects.toMatchObject({ code: 'sealed' });
  });
});

describe('bad records', () => {
  const circular: Record<string, unknown> = { id: 'a' };
  circular['self'] = circular;
  const cases: [string, unknown, RegExp][] = [
    ['null', null, /is null, not an object/],
    ['a list', [], /is a list, not an object/],
    ['text', 'x', /is a string, not an object/],
    ['no id', { name: 'x' }, /has no `id`/],
    ['an id that is an object', { id: {} }, /has no `id`/],
    ['an id that is a boolean', { id: true }, /has no `id`/],
    ['an id that is NaN', { id: Number.NaN }, /no finite number/],
    ['an empty id', { id: '' }, /empty `id`/],
    ['an id of NULs', { id: '\0\0' }, /empty `id`/],
    ['a long id', { id: 'x'.repeat(256) }, /256 characters/],
    ['half a character in the id', { id: 'a\ud800' }, /lone surrogate/],
    ['a key __proto__', JSON.parse('{"id":"a","x":{"__proto__":{"admin":true}}}'), /__proto__/],
    ['20 MB', { id: 'a', text: 'x'.repeat(20_000_000) }, /larger than 10 MB/],
    ['20 MB in few characters', { id: 'a', text: '€'.repeat(6_700_000) }, /larger than 10 MB/],
    ['a circle', circular, /circular/],
    ['a BigInt', { id: 'a', n: 1n }, /BigInt/],
  ];
  it.each(cases)('%s: named by index and reason, and nothing is written', async (_name, record, reason) => {
    const place = await stage.newPlace();
    await expect(write(records, place, 'save', [{ id: 'good' }, record])).rejects.toMatchObject({
      code: 'invalid_sync_record',
      status: 400,
      message: expect.stringMatching(reason),
      payload: { index: 1, reason: expect.stringMatching(reason) },
    });
    expect(await readAll(records, place)).toEqual([]);
  });

  it('takes NUL out of ids, at most 255 characters, and at most 1,000 records', async () => {
    const place = await stage.newPlace();
    await write(records, place, 'save', [{ id: 'a\0b' }, { id: '€'.repeat(255) }]);
    expect(await write(records, place, 'delete', [{ id: 'ab' }])).toMatchObject({ deleted: 1 });
    const many = Array.from({ length: 1_001 }, (_, id) => ({ id }));
    await expect(write(records, place, 'save', many)).rejects.toMatchObject({ code: 'invalid_sync_record' });
    expect(await write(records, place, 'save', many.slice(1))).toMatchObject({ added: 1_000 });
  });
});

describe('updating', () => {
  it('merges objects, replaces lists, ignores ids that are not here', async () => {
    const place = await stage.newPlace();
    await write(records, place, 'save', [{ id: 7, a: { x: 1, y: { z: 2 } }, tags: [1, 2], keep: true }]);
    const counts = await write(records, place, 'update', [
      { id: '7', a: { y: { w: 3 } } },
      { id: 7, tags: [3], a: { x: null } },
      { id: 8, a: 1 },
    ]);
    expect(counts).toEqual({ added: 0, updated: 1, deleted: 0, unchanged: 0 });
    expect(await readAll(records, place)).toMatchObject([
      { id: 7, a: { x: null, y: { z: 2, w: 3 } }, tags: [3], keep: true, _nango_metadata: { last_action: 'UPDATED' } },
    ]);
    expect(await write(records, place, 'update', [{ id: 7, keep: true }])).toMatchObject({ updated: 0, unchanged: 1 });
    await write(records, place, 'delete', [{ id: 7 }]);
    expect(await write(records, place, 'update', [{ id: 7, keep: false }])).toMatchObject({ updated: 0 });
    expect(await actionsOf(place)).toEqual([[7, 'DELETED']]);
  });
});

describe('deleting', () => {
  it('keeps the payload, shows the record as deleted, and adds it anew when it is saved again', async () => {
    const place = await stage.newPlace();
    await write(records, place, 'save', [
      { id: 'a', n: 1 },
      { id: 'b', n: 1 },
    ]);
    const before = await readAll(records, place);
    expect(await write(records, place, 'delete', [{ id: 'a' }, { id: 'c' }])).toMatchObject({ deleted: 1 });
    expect(await write(records, place, 'delete', [{ id: 'a' }])).toMatchObject({ deleted: 0 });
    const [, deleted] = await readAll(records, place);
    expect(deleted).toMatchObject({ id: 'a', n: 1, _nango_metadata: { last_action: 'DELETED' } });
    expect(deleted?._nango_metadata.deleted_at).toBe(deleted?._nango_metadata.last_modified_at);
    expect(await write(records, place, 'save', [{ id: 'a', n: 1 }])).toMatchObject({ added: 1, unchanged: 0 });
    const [, again] = await readAll(records, place);
    expect(again?._nango_metadata).toMatchObject({ last_action: 'ADDED', deleted_at: null });
    expect(again?._nango_metadata.first_seen_at).not.toBe(before[0]?._nango_metadata.first_seen_at);
    expect(await records.counts(undefined, place.environmentId, place.connectionId, ['Thing'])).toEqual({ Thing: 2 });
  });
});

describe('merging strategy', () => {
  it('leaves alone what another run changed after it was set; the first call of a run wins', async () => {
    const place = await stage.newPlace();
    await write(
      records,
      place,
      'save',
      [
        { id: 'a', n: 1 },
        { id: 'b', n: 1 },
      ],
      1,
    );
    const at = { ...place, generation: 2 };
    expect(await records.setMergingStrategy({ ...at, strategy: 'ignore_if_modified_after' })).toBe(true);
    expect(await records.setMergingStrategy({ ...at, strategy: 'override' })).toBe(false);
    await write(records, place, 'save', [{ id: 'a', n: 'webhook' }], 1);
    const poll = [
      { id: 'a', n: 'poll' },
      { id: 'b', n: 'poll' },
    ];
    expect(await write(records, place, 'save', poll, 2)).toMatchObject({ updated: 1, unchanged: 1 });
    // Its own changes are not somebody else's.
    expect(await write(records, place, 'save', [{ id: 'b', n: 'poll 2' }], 2)).toMatchObject({ updated: 1 });
    expect(await write(records, place, 'update', [{ id: 'a', n: 'poll' }], 2)).toMatchObject({ unchanged: 1 });
    expect(await write(records, place, 'delete', [{ id: 'a' }], 2)).toMatchObject({ deleted: 0 });
    expect(await readAll(records, place)).toMatchObject([
      { id: 'a', n: 'webhook' },
      { id: 'b', n: 'poll 2' },
    ]);
    // The next run has said nothing.
    expect(await write(records, place, 'save', poll, 3)).toMatchObject({ updated: 2 });
  });
});
