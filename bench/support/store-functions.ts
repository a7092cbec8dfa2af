/** What the database alone could do for functions, and schedules in bulk. */
import { randomBytes } from 'node:crypto';
import type { Database, Sql } from '../../src/platform/postgres/index.ts';
import { growTo } from './store-growth.ts';
import { createRawTable, upsertRaw } from './store-records.ts';

const BATCH = 1_000;
/** A record of 500 characters, sealed. */
const SEALED_BYTES = 550;

/** The least that a durable action costs: one row at its start and the same row again at its end, each a commit. */
export async function commitPairs(
  db: Database,
  { clients, durationMs }: { clients: number; durationMs: number },
): Promise<{ pairs: number; elapsedMs: number; latenciesMs: number[] }> {
  await db.query(
    `CREATE TABLE IF NOT EXISTS bench_pair (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, state text NOT NULL,
       input bytea, output bytea)`,
  );
  const sealed = randomBytes(100);
  const latenciesMs: number[] = [];
  const startedAtMs = performance.now();
  const client = async (): Promise<void> => {
    while (performance.now() - startedAtMs < durationMs) {
      const beganAtMs = performance.now();
      const rows = await db.query<{ id: number }>(
        "INSERT INTO bench_pair (state, input) VALUES ('running', $1) RETURNING id",
        [sealed],
        'bench-pair-begin',
      );
      await db.query(
        "UPDATE bench_pair SET state = 'succeeded', output = $2 WHERE id = $1",
        [rows[0]?.id, sealed],
        'bench-pair-end',
      );
      latenciesMs.push(performance.now() - beganAtMs);
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  return { pairs: latenciesMs.length, elapsedMs: performance.now() - startedAtMs, latenciesMs };
}

/** Ready rows in batches of 1,000; the same `version` again changes nothing. */
export async function upsertRawBatches(
  db: Database,
  { batches, version }: { batches: number; version: number },
): Promise<{ elapsedMs: number }> {
  const known = await db.query("SELECT 1 FROM pg_class WHERE relname = 'record_raw'");
  if (known.length === 0) await createRawTable(db);
  const sealed = randomBytes(BATCH * SEALED_BYTES);
  let elapsedMs = 0;
  for (let batch = 0; batch < batches; batch += 1) {
    const first = batch * BATCH;
    const hex = (n: number, of: number): string => `${of}${String(first + n).padStart(30, '0')}0`;
    const order = Array.from({ length: BATCH }, (_, n) => n);
    const raw = {
      ids: order.map((n) => hex((n * 7_919) % BATCH, 1)),
      hashes: order.map((n) => hex(n, version)),
      sealed,
      bytes: SEALED_BYTES,
      first: version * 1e9 + first,
    };
    const beganAtMs = performance.now();
    await upsertRaw(db, raw);
    elapsedMs += performance.now() - beganAtMs;
  }
  return { elapsedMs };
}

/** One connection with its sync for each schedule, due an hour later or more. */
export async function growSchedules(
  db: Sql,
  { environmentId, integrationId, count }: { environmentId: number; integrationId: number; count: number },
): Promise<void> {
  await db.query('UPDATE sync_plan SET auto_start = false WHERE environment_id = $1', [environmentId]);
  await growTo(db, { environmentId, integrationId, connections: count, samples: 1 });
  await db.query(
    `UPDATE sync SET state = 'started', due_at = now() + interval '1 hour' + random() * interval '1 hour'
     WHERE environment_id = $1`,
    [environmentId],
  );
  await db.query('VACUUM ANALYZE sync');
}
