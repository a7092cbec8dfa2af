/**
 * SQL of table `delivery` as a queue, and of `delivery_attempt`. Times are the database's, moved by `shiftMs` in tests.
 * Not prepared by name: a plan that was made while the tables were small reads them whole when they are large.
 */
import type { Sql } from '../../platform/postgres/index.ts';
import type { DeliveryState } from './model.ts';

/** The time of the statement, as an expression; `n` is the parameter that holds the shift. */
const NOW = (n: number) => `(statement_timestamp() + $${n}::float8 * interval '1 millisecond')`;

/**
 * A pending delivery `d`, where it is looked up by its id. Said as `state = 'pending'` the index of what is due would
 * serve as well, and PostgreSQL 18 takes it while the table has no statistics: it skips through the whole queue in it.
 */
const PENDING = 'd.next_attempt_at IS NOT NULL';

export interface DueEndpoint {
  environment_id: number;
  id: string;
  url: string;
  secret_sealed: Buffer;
  previous_secret_sealed: Buffer | null;
  failures: number;
  /** A pause has ended: one try at a time. */
  half_open: boolean;
}

/** Endpoints with something due that may be tried, each found by one hop in the index. */
export async function selectDueEndpoints(sql: Sql, shiftMs: number): Promise<DueEndpoint[]> {
  return sql.query<DueEndpoint>(
    `WITH RECURSIVE hop AS (
       (SELECT environment_id, endpoint_id, next_attempt_at FROM delivery WHERE state = 'pending'
        ORDER BY environment_id, endpoint_id, next_attempt_at, id LIMIT 1)
       UNION ALL
       SELECT n.environment_id, n.endpoint_id, n.next_attempt_at FROM hop, LATERAL (
         SELECT d.environment_id, d.endpoint_id, d.next_attempt_at FROM delivery d
         WHERE d.state = 'pending' AND (d.environment_id, d.endpoint_id) > (hop.environment_id, hop.endpoint_id)
         ORDER BY d.environment_id, d.endpoint_id, d.next_attempt_at, d.id LIMIT 1) n)
     SELECT e.environment_id, e.id, e.url, e.secret_sealed, e.failures, e.open_until IS NOT NULL AS half_open,
       CASE WHEN e.previous_until > statement_timestamp() THEN e.previous_secret_sealed END AS previous_secret_sealed
     FROM hop JOIN endpoint e ON e.environment_id = hop.environment_id AND e.id = hop.endpoint_id
     WHERE hop.next_attempt_at <= ${NOW(1)} AND e.state = 'enabled'
       AND (e.open_until IS NULL OR e.open_until <= ${NOW(1)})`,
    [shiftMs],
  );
}

/** Takes the one try of an endpoint whose pause has ended. False: somebody else has it. */
export async function takeProbe(
  sql: Sql,
  endpoint: { environmentId: number; id: string },
  options: { leaseMs: number; shiftMs: number },
): Promise<boolean> {
  const rows = await sql.query(
    `UPDATE endpoint SET open_until = ${NOW(4)} + $3::float8 * interval '1 millisecond'
     WHERE environment_id = $1 AND id = $2 AND open_until <= ${NOW(4)} RETURNING 1`,
    [endpoint.environmentId, endpoint.id, options.leaseMs, options.shiftMs],
  );
  return rows.length > 0;
}

export interface ClaimedDelivery {
  id: number;
  lease_epoch: number;
  step: number;
  attempts: number;
  lost: number;
  type: string;
  uuid: string;
  sealed: Buffer | null;
  sequence: number | null;
  occurred_at: Date;
  /** When it was due, as text: finer than a `Date`. */
  due_at: string;
  provider_headers: Record<string, unknown> | null;
}

/**
 * Takes due deliveries of an endpoint, the longest due first; nobody else takes them until `leaseMs` have passed.
 *
 * How many rows `LIMIT $5` leaves the planner guesses from the length of the queue, so every step behind it is written
 * such that it can only be a look into a primary key: an array for the update, a limited subquery for the event. As
 * plain joins they are hashed, and each claim reads the whole queue.
 */
export async function claimDeliveries(
  sql: Sql,
  claim: {
    environmentId: number;
    endpointId: string;
    owner: string;
    leaseMs: number;
    limit: number;
    shiftMs: number;
  },
): Promise<ClaimedDelivery[]> {
  return sql.query<ClaimedDelivery>(
    `WITH due AS MATERIALIZED (
       SELECT id, event_id, next_attempt_at FROM delivery
       WHERE environment_id = $1 AND endpoint_id = $2 AND state = 'pending' AND next_attempt_at <= ${NOW(6)}
       ORDER BY next_attempt_at, id LIMIT $5 FOR UPDATE SKIP LOCKED),
     taken AS (
       UPDATE delivery d SET lease_owner = $3, lease_epoch = d.lease_epoch + 1, lost = d.lost + 1,
         next_attempt_at = ${NOW(6)} + $4::float8 * interval '1 millisecond'
       WHERE d.environment_id = $1 AND d.id = ANY (ARRAY(SELECT id FROM due))
       RETURNING d.id, d.lease_epoch, d.step, d.attempts, d.lost)
     SELECT taken.*, e.*, due.next_attempt_at::text AS due_at
     FROM due JOIN taken ON taken.id = due.id, LATERAL (
       SELECT type, uuid, sealed, sequence, created_at AS occurred_at, provider_headers FROM event
       WHERE environment_id = $1 AND id = due.event_id LIMIT 1) e
     ORDER BY due.next_attempt_at, due.id`,
    [claim.environmentId, claim.endpointId, claim.owner, claim.leaseMs, claim.limit, claim.shiftMs],
  );
}

/** Gives back what was taken and not begun, to the place it had. */
export async function releaseClaims(
  sql: Sql,
  environmentId: number,
  claims: readonly Pick<ClaimedDelivery, 'id' | 'lease_epoch' | 'due_at'>[],
): Promise<void> {
  await sql.query(
    `UPDATE delivery d SET lease_owner = NULL, lost = d.lost - 1, next_attempt_at = r.due_at
     FROM unnest($2::bigint[], $3::bigint[], $4::timestamptz[]) r (id, epoch, due_at)
     WHERE d.environment_id = $1 AND d.id = r.id AND d.lease_epoch = r.epoch AND ${PENDING}
       AND d.lease_owner IS NOT NULL`,
    [environmentId, claims.map(({ id }) => id), claims.map((one) => one.lease_epoch), claims.map((one) => one.due_at)],
  );
}

/** What became of a try. */
export interface Result {
  environmentId: number;
  endpointId: string;
  id: number;
  epoch: number;
  state: DeliveryState;
  step: number;
  /** Until the next try; only of a pending one. */
  waitMs: number | undefined;
  at: Date;
  durationMs: number;
  status: number | undefined;
  error: string | undefined;
  answerSealed: Buffer | undefined;
}

/** Names one try. */
export function attemptKey({ id, epoch }: Pick<Result, 'id' | 'epoch'>): string {
  return `${id}:${epoch}`;
}

/**
 * Stores tries and what follows from them. A try whose lease has passed to somebody else is kept as a try and moves
 * nothing. Safe to repeat when the answer to a commit was lost: resolves to the tries that were not there before.
 */
export async function storeResults(sql: Sql, results: readonly Result[], shiftMs: number): Promise<Set<string>> {
  const rows = await sql.query<{ id: number; epoch: number }>(
    `WITH r AS (
       SELECT * FROM unnest($1::int[], $2::bigint[], $3::bigint[], $4::text[], $5::smallint[], $6::float8[],
         $7::timestamptz[], $8::int[], $9::int[], $10::text[], $11::bytea[])
         AS r (environment_id, id, epoch, state, step, wait_ms, at, duration_ms, status, error, answer)),
     moved AS (
       UPDATE delivery d SET state = r.state, step = r.step, attempts = d.attempts + 1, lost = 0, lease_owner = NULL,
         last_status = r.status, last_error = r.error,
         next_attempt_at = CASE WHEN r.state = 'pending'
           THEN ${NOW(12)} + r.wait_ms * interval '1 millisecond' END,
         finished_at = CASE WHEN r.state <> 'pending' THEN ${NOW(12)} END
       FROM r WHERE d.environment_id = r.environment_id AND d.id = r.id AND d.lease_epoch = r.epoch
         AND ${PENDING} AND d.lease_owner IS NOT NULL)
     INSERT INTO delivery_attempt (environment_id, delivery_id, epoch, at, duration_ms, status, error, answer_sealed)
     SELECT r.environment_id, r.id, r.epoch, r.at, r.duration_ms, r.status, r.error, r.answer
     FROM r JOIN delivery d ON d.environment_id = r.environment_id AND d.id = r.id
     ON CONFLICT (environment_id, delivery_id, epoch) DO NOTHING RETURNING delivery_id AS id, epoch`,
    [
      results.map((one) => one.environmentId),
      results.map((one) => one.id),
      results.map((one) => one.epoch),
      results.map((one) => one.state),
      results.map((one) => one.step),
      results.map((one) => one.waitMs ?? null),
      results.map((one) => one.at),
      results.map((one) => Math.round(one.durationMs)),
      results.map((one) => one.status ?? null),
      results.map((one) => one.error ?? null),
      results.map((one) => one.answerSealed ?? null),
      shiftMs,
    ],
  );
  return new Set(rows.map(attemptKey));
}
