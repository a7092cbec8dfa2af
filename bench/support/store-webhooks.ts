/** What the database alone could do for webhooks. */
import { randomBytes } from 'node:crypto';
import type { Database } from '../../src/platform/postgres/index.ts';

/** The least that a durable webhook costs by itself: one row of its size, a commit each. */
export async function commitRows(
  db: Database,
  { clients, durationMs, bytes }: { clients: number; durationMs: number; bytes: number },
): Promise<{ rows: number; elapsedMs: number; latenciesMs: number[] }> {
  await db.query(
    'CREATE TABLE IF NOT EXISTS bench_row (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body bytea NOT NULL)',
  );
  const body = randomBytes(bytes);
  const latenciesMs: number[] = [];
  const startedAtMs = performance.now();
  const client = async (): Promise<void> => {
    while (performance.now() - startedAtMs < durationMs) {
      const beganAtMs = performance.now();
      await db.query('INSERT INTO bench_row (body) VALUES ($1)', [body], 'bench-row');
      latenciesMs.push(performance.now() - beganAtMs);
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  return { rows: latenciesMs.length, elapsedMs: performance.now() - startedAtMs, latenciesMs };
}

/** What is stored from now on waits (or no longer does) until it is let go by {@link releaseEvents}. */
export async function holdEvents(db: Database, held: boolean): Promise<void> {
  await db.query(
    held
      ? "ALTER TABLE inbound_event ALTER COLUMN due_at SET DEFAULT clock_timestamp() + interval '1 hour'"
      : 'ALTER TABLE inbound_event ALTER COLUMN due_at SET DEFAULT clock_timestamp()',
  );
}

/** Resolves to the database's time when all that waits has become due. */
export async function releaseEvents(db: Database): Promise<Date> {
  const rows = await db.query<{ at: Date }>(
    `WITH released AS (UPDATE inbound_event SET due_at = statement_timestamp() WHERE state = 'received')
     SELECT statement_timestamp() AS at`,
  );
  return (rows[0] as { at: Date }).at;
}

/** True while events wait to be handled. By the index of those: reading the table would take turns with the handling. */
export async function isWaiting(db: Database): Promise<boolean> {
  const rows = await db.query('SELECT FROM inbound_event WHERE due_at IS NOT NULL ORDER BY due_at LIMIT 1');
  return rows.length > 0;
}

/** Events handled since then, and from the first handling to the last: without those of the first, which began before. */
export async function countHandled(db: Database, since: Date): Promise<{ events: number; ms: number }> {
  const rows = await db.query<{ events: number; ms: number | null }>(
    `SELECT count(*)::integer AS events, (extract(epoch FROM max(routed_at) - min(first)) * 1000)::float8 AS ms
     FROM (SELECT routed_at, min(routed_at) OVER () AS first FROM inbound_event WHERE routed_at >= $1) handled
     WHERE routed_at > first`,
    [since],
  );
  return { events: rows[0]?.events ?? 0, ms: rows[0]?.ms ?? 0 };
}
