import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { silentLog } from '../../base/log.ts';
import { systemClock } from '../../platform/clock.ts';
import type { RecordPlace, Records } from './model.ts';
import { createRecordStage, readAll, write, type RecordStage } from './records.test-support.ts';
import { sweepRecords } from './retention.ts';

let stage: RecordStage;
let records: Records;
beforeAll(async () => {
  stage = await createRecordStage();
  records = stage.records;
});
afterAll(() => stage?.drop());

const list = (count: number, from = 0) => Array.from({ length: count }, (_, n) => ({ id: `r${from + n}` }));
const detect = (place: RecordPlace, since: number) => records.deleteNotSavedSince({ ...place, syncId: 1, since });
const living = async (place: RecordPlace) =>
  (await records.counts(undefined, place.environmentId, place.connectionId, [place.model]))[place.model];

async function rowsOf(place: RecordPlace): Promise<{ rows: number; payloads: number; models: number; bytes: number }> {
  const [row] = await stage.db.query<{ rows: number; payloads: number; models: number; bytes: number }>(
    `SELECT count(r.id) AS rows, count(r.sealed) AS payloads, count(DISTINCT m.id) AS models,
       coalesce(max(m.bytes), 0) AS bytes
     FROM record_model m LEFT JOIN record r ON r.model_id = m.id WHERE m.connection_id = $1`,
    [place.connectionId],
  );
  return row as { rows: number; payloads: number; models: number; bytes: number };
}

describe('generations', () => {
  it('deletes what no run since the start has saved; what was unchanged counts as saved', async () => {
    const place = await stage.newPlace();
    await write(records, place, 'save', list(10), 1);
    await write(records, place, 'save', list(4), 2);
    await write(records, place, 'save', list(2, 4), 3);
    const counted: number[] = [];
    const { deletedKeys, counts } = await records.deleteNotSavedSince({
      ...place,
      syncId: 1,
      since: 2,
      inTransaction: async (_tx, { deleted }) => void counted.push(deleted),
    });
    expect(deletedKeys).toEqual(['r6', 'r7', 'r8', 'r9']);
    expect(counts).toEqual({ added: 0, updated: 0, deleted: 4, unchanged: 0 });
    expect(counted).toEqual([4]);
    const all = await readAll(records, place);
    expect(all.slice(-4)).toMatchObject(deletedKeys.map((id) => ({ id, _nango_metadata: { last_action: 'DELETED' } })));
    expect(new Set(all.map((one) => one._nango_metadata.last_modified_at)).size).toBe(10);
    expect(await detect(place, 2)).toMatchObject({ deletedKeys: [] });
    expect(await living(place)).toBe(6);
  });

  it('an older run does not take back what a newer one has seen', async () => {
    const place = await stage.newPlace();
    await write(records, place, 'save', list(3), 5);
    await write(records, place, 'save', list(3), 4);
    expect(await detect(place, 5)).toMatchObject({ deletedKeys: [] });
  });

  it('fault 24: a run that lost its lease deletes nothing', async () => {
    const place = await stage.newPlace();
    await write(records, place, 'save', list(3), 1);
    const superseded = new Error('run_superseded');
    await expect(
      records.deleteNotSavedSince({ ...place, syncId: 1, since: 2, inTransaction: () => Promise.reject(superseded) }),
    ).rejects.toBe(superseded);
    expect(await living(place)).toBe(3);
  });

  it('deletes more than one statement takes, in the order of the feed', { timeout: 60_000 }, async () => {
    const place = await stage.newPlace();
    const open = stage.create({ guard: { share: 1, records: 1 } });
    for (let from = 0; from < 12_000; from += 1_000) await write(open, place, 'save', list(1_000, from), 1);
    const { deletedKeys } = await open.deleteNotSavedSince({ ...place, syncId: 1, since: 2 });
    expect(deletedKeys).toEqual(list(12_000).map(({ id }) => id));
    const feed = await readAll(open, place, 10_000);
    expect(feed.map(({ id }) => id)).toEqual(deletedKeys);
    expect(await living(place)).toBe(0);
  });
});

describe('the guard', () => {
  it('lets pass what is few or a small share', async () => {
    const few = await stage.newPlace();
    await write(records, few, 'save', list(99), 1);
    expect((await detect(few, 2)).deletedKeys).toHaveLength(99);
    const share = await stage.newPlace();
    await write(records, share, 'save', list(500), 1);
    await write(records, share, 'save', list(350), 2);
    expect((await detect(share, 2)).deletedKeys).toHaveLength(150);
  });

  it('holds the rest until it is confirmed, for one detection', async () => {
    const place = await stage.newPlace();
    await write(records, place, 'save', list(300), 1);
    await write(records, place, 'save', list(200), 2);
    expect(await records.confirmDeletion(place)).toBe(false);
    for (let round = 0; round < 2; round += 1) {
      await expect(detect(place, 2)).rejects.toMatchObject({
        code: 'mass_deletion_held',
        status: 409,
        payload: { model: 'Thing', total: 300, missing: 100 },
      });
    }
    expect(await living(place)).toBe(300);
    expect(await records.held(place.environmentId)).toMatchObject([
      { ...place, total: 300, missing: 100, confirmed: false },
    ]);
    expect(await records.confirmDeletion(place)).toBe(true);
    expect((await detect(place, 2)).deletedKeys).toHaveLength(100);
    expect(await records.held(place.environmentId)).toEqual([]);
    await expect(detect(place, 3)).rejects.toMatchObject({ code: 'mass_deletion_held', payload: { missing: 200 } });
    // The provider is well again: nothing is held any more.
    await write(records, place, 'save', list(200), 3);
    expect((await detect(place, 3)).deletedKeys).toEqual([]);
    expect(await records.held(place.environmentId)).toEqual([]);
  });

  it('takes another share', async () => {
    const place = await stage.newPlace();
    const strict = stage.create({ guard: { share: 0, records: 1 } });
    await write(strict, place, 'save', list(3), 1);
    await write(strict, place, 'save', list(2), 2);
    await expect(strict.deleteNotSavedSince({ ...place, syncId: 1, since: 2 })).rejects.toMatchObject({
      code: 'mass_deletion_held',
    });
  });
});

describe('emptying', () => {
  it('empties models, and their cursors stay good', async () => {
    const place = await stage.newPlace('A');
    const other = { ...place, model: 'B' };
    await write(records, place, 'save', list(3));
    await write(records, other, 'save', list(3));
    const cursor = (await readAll(records, place)).at(-1)?._nango_metadata.cursor as string;
    await records.empty(place.environmentId, place.connectionId, ['A', 'C']);
    expect(await readAll(records, place)).toEqual([]);
    expect(await readAll(records, other)).toHaveLength(3);
    expect(await living(place)).toBe(0);
    await write(records, place, 'save', list(3));
    expect(await readAll(records, place, 100, cursor)).toHaveLength(3);
  });

  it('takes everything of a connection', async () => {
    const place = await stage.newPlace('A');
    await write(records, place, 'save', list(3));
    await write(records, { ...place, model: 'B' }, 'save', list(3));
    await records.emptyConnection(place.environmentId, place.connectionId);
    expect(await rowsOf(place)).toMatchObject({ rows: 0, models: 0 });
  });
});

describe('retention', () => {
  const sweep = (hasRunWithin?: (environmentId: number, syncId: number) => Promise<boolean>) =>
    sweepRecords({ db: stage.db, clock: systemClock, log: silentLog, hasRunWithin });
  /** Moves all of a place into the past. */
  async function age(place: RecordPlace, days: number): Promise<void> {
    const micros = days * 86_400_000_000;
    await stage.db.query(
      `UPDATE record r SET position = r.position - $2::bigint, first_position = first_position - $2::bigint
       FROM record_model m WHERE m.connection_id = $1 AND r.model_id = m.id`,
      [place.connectionId, micros],
    );
    await stage.db.query(
      `UPDATE record_model SET position = position - $2::bigint,
         pruned_position = greatest(pruned_position - $2::bigint, 0), written_at = written_at - $3::integer * interval '1 day'
       WHERE connection_id = $1`,
      [place.connectionId, micros, days],
    );
  }

  it('prunes payloads of 30 days, and those only', async () => {
    const place = await stage.newPlace();
    await write(records, place, 'save', list(1_000));
    await write(records, place, 'save', list(500, 1_000));
    await age(place, 31);
    await write(records, place, 'save', list(10, 2_000));
    await sweep();
    expect(await rowsOf(place)).toMatchObject({ rows: 1_510, payloads: 10, bytes: 10 * '{"id":"r2000"}'.length });
    expect((await readAll(records, place, 1_000)).filter((one) => one._nango_metadata.pruned_at === null)).toHaveLength(
      10,
    );
    // What comes back is pruned again in its time.
    await write(records, place, 'save', [{ id: 'r1', x: 1 }]);
    await sweep();
    expect(await rowsOf(place)).toMatchObject({ payloads: 11 });
    await age(place, 31);
    await sweep();
    expect(await rowsOf(place)).toMatchObject({ payloads: 0, bytes: 0 });
  });

  it('deletes the rows of syncs that have not run for 60 days, and of no others', async () => {
    const idle = await stage.newPlace();
    const quiet = await stage.newPlace();
    const fresh = await stage.newPlace();
    for (const [n, place] of [idle, quiet, fresh].entries()) {
      await records.write({ ...place, action: 'save', records: list(3), syncId: 10 + n, generation: 1 });
    }
    await age(idle, 61);
    await age(quiet, 61);
    await sweep();
    expect(await rowsOf(idle)).toMatchObject({ rows: 3 });
    const asked: number[] = [];
    await sweep(async (_environmentId, syncId) => {
      asked.push(syncId);
      return syncId === 11;
    });
    expect(asked.toSorted()).toEqual([10, 11]);
    expect(await rowsOf(idle)).toMatchObject({ rows: 0 });
    expect(await rowsOf(quiet)).toMatchObject({ rows: 3 });
    expect(await rowsOf(fresh)).toMatchObject({ rows: 3 });
  });

  it('removes what deleted connections leave behind', async () => {
    const place = await stage.newPlace();
    await write(records, place, 'save', list(3));
    await stage.db.query('UPDATE connection SET deleted_at = now() WHERE id = $1', [place.connectionId]);
    await sweep();
    expect(await rowsOf(place)).toMatchObject({ rows: 0, models: 0 });
  });
});
