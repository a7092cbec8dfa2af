/** Any sequence of writes by two writers: a reader that follows cursors ends with what a plain model says. */
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { RecordPlace } from './model.ts';
import { createRecordStage, readAll, write, type RecordStage } from './records.test-support.ts';

let stage: RecordStage;
beforeAll(async () => {
  stage = await createRecordStage(8);
});
afterAll(() => stage?.drop());

const id = fc.integer({ min: 0, max: 6 });
const batch = fc.uniqueArray(fc.record({ id, n: fc.integer({ min: 0, max: 2 }) }), {
  maxLength: 5,
  selector: (one) => one.id,
});
const step = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('save' as const), batch }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('update' as const), batch }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('delete' as const), batch }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('throw' as const), batch }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('track' as const), batch }) },
);
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

/** What the records should be: by id, undefined once deleted. */
type Expected = Map<number, { n: number } | undefined>;

function apply(expected: Expected, { kind, batch: list }: Step): void {
  if (kind === 'throw') return;
  const saved = new Set(list.map((one) => one.id));
  for (const { id: key, n } of list) {
    if (kind === 'save' || kind === 'track') expected.set(key, { n });
    else if (expected.get(key) !== undefined) expected.set(key, kind === 'update' ? { n } : undefined);
  }
  if (kind !== 'track') return;
  for (const key of expected.keys()) if (!saved.has(key)) expected.set(key, undefined);
}

async function perform(place: RecordPlace, { kind, batch: list }: Step, generation: number): Promise<void> {
  const { records } = stage;
  if (kind === 'throw') {
    const undo = new Error('undo');
    await records
      .write({
        ...place,
        action: 'save',
        records: list,
        syncId: 1,
        generation,
        inTransaction: () => Promise.reject(undo),
      })
      .catch((error: unknown) => expect(error).toBe(undo));
    return;
  }
  await write(records, place, kind === 'track' ? 'save' : kind, list, generation);
  if (kind === 'track') await records.deleteNotSavedSince({ ...place, syncId: 1, since: generation });
}

/** Follows the feed from where it was. */
function follower(place: RecordPlace, limit: number) {
  const seen = new Map<unknown, { n: unknown } | undefined>();
  const stamps: string[] = [];
  let cursor: string | undefined;
  return {
    seen,
    stamps,
    async follow() {
      for (const record of await readAll(stage.records, place, limit, cursor)) {
        const { _nango_metadata: metadata } = record;
        cursor = metadata.cursor;
        stamps.push(metadata.last_modified_at);
        seen.set(record.id, metadata.last_action === 'DELETED' ? undefined : { n: record['n'] });
      }
    },
  };
}

it('one writer: after each step a reader knows what the model says', { timeout: 60_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 12 }), fc.integer({ min: 1, max: 4 }), async (steps, limit) => {
      const place = await stage.newPlace();
      const expected: Expected = new Map();
      const reader = follower(place, limit);
      for (const [index, one] of steps.entries()) {
        await perform(place, one, index + 1);
        apply(expected, one);
        await reader.follow();
        expect(new Map([...reader.seen].toSorted())).toEqual(new Map([...expected].toSorted()));
      }
      // Never twice the same, never back.
      expect(reader.stamps).toEqual([...new Set(reader.stamps)].toSorted());
      const counts = await stage.records.counts(undefined, place.environmentId, place.connectionId, ['Thing']);
      expect(counts).toEqual({ Thing: [...expected.values()].filter((one) => one !== undefined).length });
    }),
    { numRuns: 25 },
  );
});

it('two writers at once: the reader ends with what is there, and stamps only rise', { timeout: 60_000 }, async () => {
  const plain = fc.array(
    step.filter(({ kind }) => kind !== 'track'),
    { minLength: 1, maxLength: 10 },
  );
  await fc.assert(
    fc.asyncProperty(plain, plain, fc.integer({ min: 1, max: 4 }), async (one, other, limit) => {
      const place = await stage.newPlace();
      const reader = follower(place, limit);
      let writing = true;
      const writer = async (steps: Step[]): Promise<void> => {
        for (const [index, next] of steps.entries()) await perform(place, next, index + 1);
      };
      const reading = (async () => {
        while (writing) await reader.follow();
      })();
      await Promise.all([writer(one), writer(other)]);
      writing = false;
      await reading;
      await reader.follow();
      const { records } = await stage.records.list({ ...place, limit: 100 });
      const there = records.map(
        (record) =>
          [record.id, record._nango_metadata.last_action === 'DELETED' ? undefined : { n: record['n'] }] as const,
      );
      expect(new Map([...reader.seen].toSorted())).toEqual(new Map(there.toSorted() as typeof there));
      expect(reader.stamps).toEqual([...new Set(reader.stamps)].toSorted());
    }),
    { numRuns: 20 },
  );
});
