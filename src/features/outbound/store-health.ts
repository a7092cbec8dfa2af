/** SQL of how an endpoint fares: its circuit, and when it is disabled. Times are the database's, moved by `shiftMs`. */
import type { Sql } from '../../platform/postgres/index.ts';

const NOW = (n: number) => `(statement_timestamp() + $${n}::float8 * interval '1 millisecond')`;

interface Place {
  environmentId: number;
  id: string;
}

/** Forgets the failures. Resolves to true when it had failed for `recoveryMs` with an open circuit. */
export async function noteSuccess(sql: Sql, endpoint: Place, recoveryMs: number, shiftMs: number): Promise<boolean> {
  const rows = await sql.query<{ recovered: boolean }>(
    `UPDATE endpoint e SET failures = 0, failing_since = NULL, open_until = NULL
     FROM (SELECT environment_id, id, open_until IS NOT NULL
             AND failing_since < ${NOW(4)} - $3::float8 * interval '1 millisecond' AS recovered
           FROM endpoint WHERE environment_id = $1 AND id = $2 AND failing_since IS NOT NULL FOR UPDATE) before
     WHERE e.environment_id = before.environment_id AND e.id = before.id
     RETURNING before.recovered`,
    [endpoint.environmentId, endpoint.id, recoveryMs, shiftMs],
    'endpoint-success',
  );
  return rows[0]?.recovered === true;
}

/** What was tried while an endpoint was down is due at once, in its old order; its place in the schedule was no fault of its own. */
export async function pullForward(sql: Sql, endpoint: Place): Promise<void> {
  await sql.query(
    `UPDATE delivery SET next_attempt_at = created_at, step = greatest(step - 1, 0)
     WHERE environment_id = $1 AND endpoint_id = $2 AND state = 'pending' AND lease_owner IS NULL AND attempts > 0`,
    [endpoint.environmentId, endpoint.id],
  );
}

export interface Failing {
  url: string;
  failing_since: Date;
  /** It has now failed for as long as one may. */
  is_over: boolean;
}

/** Counts failures, and opens the circuit after `circuit.failures` in a row. Undefined: the endpoint is gone. */
export async function noteFailures(
  sql: Sql,
  endpoint: Place & { failures: number },
  circuit: { failures: number; firstMs: number; maxMs: number; disableMs: number; holdMs: number | undefined },
  shiftMs: number,
): Promise<Failing | undefined> {
  const rows = await sql.query<Failing>(
    `UPDATE endpoint SET failures = failures + $3, failing_since = coalesce(failing_since, ${NOW(9)}),
       open_until = greatest(
         CASE WHEN failures + $3 < $4::int THEN open_until
              WHEN open_until IS NULL THEN ${NOW(9)} + $5::float8 * interval '1 millisecond'
              ELSE ${NOW(9)} + least($6::float8, $5::float8 * 2 ^ least(failures + $3 - $4::int, 20))
                   * interval '1 millisecond' END,
         ${NOW(9)} + $8::float8 * interval '1 millisecond')
     WHERE environment_id = $1 AND id = $2
     RETURNING url, failing_since,
       failing_since <= ${NOW(9)} - $7::float8 * interval '1 millisecond' AS is_over`,
    [
      endpoint.environmentId,
      endpoint.id,
      endpoint.failures,
      circuit.failures,
      circuit.firstMs,
      circuit.maxMs,
      circuit.disableMs,
      circuit.holdMs ?? null,
      shiftMs,
    ],
    'endpoint-failure',
  );
  return rows[0];
}

/** Resolves to true when it was enabled until now: then the app has to be told. */
export async function disableEndpoint(sql: Sql, endpoint: Place, reason: 'gone' | 'failing'): Promise<boolean> {
  const rows = await sql.query(
    `UPDATE endpoint SET state = 'disabled', disabled_reason = $3, disabled_at = statement_timestamp()
     WHERE environment_id = $1 AND id = $2 AND state = 'enabled' RETURNING 1`,
    [endpoint.environmentId, endpoint.id, reason],
  );
  return rows.length > 0;
}
