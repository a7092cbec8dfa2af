/** SQL of table `refresh_pace`: when the next token request of a provider may start, for all nodes together. */
import type { Sql } from '../../platform/postgres/index.ts';

/** Longer waits come from a database clock that was set back: nobody waits for that. */
const WAIT_MAX_SECONDS = 10;
/** A lane that was not used for so long says nothing any more. */
const KEEP_HOURS = 1;

/** Takes the next free start of a lane. Resolves to the milliseconds until then. */
export async function reserveStart(sql: Sql, lane: string, startsPerSecond: number): Promise<number> {
  const rows = await sql.query<{ wait_ms: number }>(
    `INSERT INTO refresh_pace AS p (lane, next_start_at)
     VALUES ($1, clock_timestamp() + interval '1 second' / $2::float8)
     ON CONFLICT (lane) DO UPDATE SET next_start_at = interval '1 second' / $2::float8 + greatest(clock_timestamp(),
       least(p.next_start_at, clock_timestamp() + make_interval(secs => $3)))
     RETURNING (extract(epoch FROM next_start_at - interval '1 second' / $2::float8 - clock_timestamp()) * 1000)::float8
       AS wait_ms`,
    [lane, startsPerSecond, WAIT_MAX_SECONDS],
    'pace-reserve',
  );
  return Math.max(0, rows[0]?.wait_ms ?? 0);
}

/** Forgets lanes that nobody uses. */
export async function deleteIdleLanes(sql: Sql): Promise<void> {
  await sql.query('DELETE FROM refresh_pace WHERE next_start_at < clock_timestamp() - make_interval(hours => $1)', [
    KEEP_HOURS,
  ]);
}
