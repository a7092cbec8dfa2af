import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { eventually } from '../../../test/support/build.ts';
import { createTestDatabase, type TestDatabase } from '../../../test/support/database.ts';
import { silentLog } from '../../base/log.ts';
import { systemClock } from '../clock.ts';
import { createStatistics } from './statistics.ts';

let database: TestDatabase;
let nowMs = 0;
const clock = { ...systemClock, monotonicMs: () => nowMs };

// One connection: what it has counted is what it asks for.
beforeAll(async () => {
  database = await createTestDatabase({ migrated: false, poolSize: 1 });
});
afterAll(() => database?.drop());

beforeEach(async () => {
  await database.db.query('DROP TABLE IF EXISTS queue');
  await database.db.query('CREATE TABLE queue (id int PRIMARY KEY) WITH (autovacuum_enabled = off)');
  nowMs += 60_000;
});

async function fill(from: number, to: number): Promise<void> {
  await database.db.query('INSERT INTO queue SELECT generate_series($1::int, $2::int)', [from, to]);
  await counted();
}

/** A connection hands on what it has counted once a second, or when told to. */
async function counted(): Promise<void> {
  await database.db.query('SELECT pg_stat_force_next_flush()');
  await database.db.query('SELECT 1');
}

/** Rows that plans are made for; -1: never looked at. */
async function seen(): Promise<number> {
  const rows = await database.db.query<{ seen: number }>(
    "SELECT reltuples AS seen FROM pg_class WHERE relname = 'queue'",
  );
  return rows[0]?.seen ?? Number.NaN;
}

const isSeen = (count: number) => eventually(seen, (rows) => rows === count);

it('fault 27: a table that was seen empty and has filled is looked at when more is found than can be taken', async () => {
  const foundMore = createStatistics({ db: database.db, clock, log: silentLog }, 'queue');
  await database.db.query('ANALYZE queue');
  await fill(1, 5_000);
  foundMore();
  await isSeen(5_000);
});

it('is not looked at for little, and then not for what has changed little since', async () => {
  const asked: string[] = [];
  const db = {
    query: async <R extends object>(text: string, values?: readonly unknown[]): Promise<R[]> => {
      const rows = await database.db.query<R>(text, values);
      asked.push(text.slice(0, 7));
      return rows;
    },
  };
  const foundMore = createStatistics({ db, clock, log: silentLog }, 'queue');
  const look = async (answers: number): Promise<void> => {
    nowMs += 5_000;
    asked.length = 0;
    foundMore();
    // Within five seconds once, however much is found.
    foundMore();
    await eventually(
      () => asked.length,
      (count) => count >= answers,
    );
  };
  await fill(1, 900);
  await look(1);
  expect([asked, await seen()]).toEqual([['SELECT '], -1]);
  await fill(901, 4_000);
  await look(2);
  expect([asked, await seen()]).toEqual([['SELECT ', 'ANALYZE'], 4_000]);
  await fill(4_001, 6_000);
  await look(1);
  expect([asked, await seen()]).toEqual([['SELECT '], 4_000]);
  await fill(6_001, 9_000);
  await look(2);
  expect(await seen()).toBe(9_000);
});

it('is a matter of speed only: a database that is away breaks nothing', async () => {
  const lines: string[] = [];
  const log = { ...silentLog, debug: (message: string) => void lines.push(message) };
  createStatistics({ db: { query: () => Promise.reject(new Error('away')) }, clock, log }, 'queue')();
  await eventually(
    () => lines,
    (found) => found.length === 1,
  );
});
