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

export async function releaseEvents(db: Database): Promise<void> {
  await db.query("UPDATE inbound_event SET due_at = statement_timestamp() WHERE state = 'received'");
}

/** Stored events that are not handled yet. */
export async function countWaiting(db: Database): Promise<number> {
  const rows = await db.query<{ count: number }>(
    "SELECT count(*)::integer AS count FROM inbound_event WHERE state = 'received'",
  );
  return rows[0]?.count ?? 0;
}
