/**
 * SQL of table `inbound_event`: taking events up, and how they end. What works on many events is not prepared by name: a
 * plan made while the table was small reads it whole when it is large.
 */
import type { Sql } from '../../platform/postgres/index.ts';
import type { Trust } from './model.ts';
import type { BodyKind } from './parse.ts';

export interface DueEvent {
  environmentId: number;
  id: number;
  uuid: string;
  integrationId: number;
  connectionId: number | undefined;
  trust: Trust;
  type: string | undefined;
  headers: Record<string, string>;
  bodyKind: BodyKind;
  bodySealed: Buffer;
  attempts: number;
  looks: number;
  isTold: boolean;
  receivedAt: Date;
  /** Since it was received, when it was taken up. */
  ageMs: number;
}

interface DueRow {
  environment_id: number;
  id: number;
  uuid: string;
  integration_id: number;
  connection_id: number | null;
  trust: Trust;
  type: string | null;
  headers: Record<string, string>;
  body_kind: BodyKind;
  body_sealed: Buffer;
  attempts: number;
  looks: number;
  is_told: boolean;
  received_at: Date;
  age_ms: number;
}

/** Takes up to `limit` due events, oldest first; no other node takes them before the lease is over. */
export async function claimDue(sql: Sql, limit: number, leaseMs: number): Promise<DueEvent[]> {
  const rows = await sql.query<DueRow>(
    `WITH due AS (
       SELECT environment_id, id FROM inbound_event WHERE due_at <= statement_timestamp()
       ORDER BY due_at LIMIT $1 FOR UPDATE SKIP LOCKED)
     UPDATE inbound_event e SET attempts = e.attempts + 1,
       due_at = statement_timestamp() + $2::float8 * interval '1 millisecond'
     FROM due WHERE e.environment_id = due.environment_id AND e.id = due.id
     RETURNING e.environment_id, e.id, e.uuid, e.integration_id, e.connection_id, e.trust, e.type, e.headers,
       e.body_kind, e.body_sealed, e.attempts, e.looks, e.is_told, e.received_at,
       (extract(epoch FROM statement_timestamp() - e.received_at) * 1000)::float8 AS age_ms`,
    [limit, leaseMs],
  );
  return rows
    .map((row) => ({
      environmentId: row.environment_id,
      id: row.id,
      uuid: row.uuid,
      integrationId: row.integration_id,
      connectionId: row.connection_id ?? undefined,
      trust: row.trust,
      type: row.type ?? undefined,
      headers: row.headers,
      bodyKind: row.body_kind,
      bodySealed: row.body_sealed,
      attempts: row.attempts,
      looks: row.looks,
      isTold: row.is_told,
      receivedAt: row.received_at,
      ageMs: row.age_ms,
    }))
    .toSorted((one, other) => one.id - other.id);
}

type Held = Pick<DueEvent, 'environmentId' | 'id' | 'attempts'>;
const keyOf = (event: Held): unknown[] => [event.environmentId, event.id, event.attempts];
const keysOf = (events: readonly Held[]): unknown[][] => [
  events.map((event) => event.environmentId),
  events.map((event) => event.id),
  events.map((event) => event.attempts),
];

/** Holds events against others until the transaction ends. Resolves to the row ids that nobody has taken up since. */
export async function holdEvents(tx: Sql, events: readonly Held[]): Promise<ReadonlySet<number>> {
  const rows = await tx.query<{ id: number }>(
    `SELECT e.id FROM inbound_event e
     JOIN unnest($1::integer[], $2::bigint[], $3::integer[]) AS held (environment_id, id, attempts)
       ON e.environment_id = held.environment_id AND e.id = held.id AND e.attempts = held.attempts
     WHERE e.due_at IS NOT NULL ORDER BY e.id FOR UPDATE OF e`,
    keysOf(events),
  );
  return new Set(rows.map((row) => row.id));
}

export async function markRouted(tx: Sql, routed: readonly { event: Held; matched: number }[]): Promise<void> {
  if (routed.length === 0) return;
  await tx.query(
    `UPDATE inbound_event e SET state = 'routed', reason = NULL, error = NULL, due_at = NULL, matched = held.matched,
       routed_at = statement_timestamp()
     FROM unnest($1::integer[], $2::bigint[], $3::integer[], $4::integer[]) AS held (environment_id, id, attempts, matched)
     WHERE e.environment_id = held.environment_id AND e.id = held.id AND e.attempts = held.attempts`,
    [...keysOf(routed.map(({ event }) => event)), routed.map(({ matched }) => matched)],
  );
}

/** An event that nobody matched. */
export interface Unmatched {
  event: Held;
  /** Looked at again after this; undefined: only when a connection comes. */
  waitMs: number | undefined;
  /** The app knows of it. */
  isTold: boolean;
}

export async function parkUnmatched(tx: Sql, unmatched: readonly Unmatched[]): Promise<void> {
  if (unmatched.length === 0) return;
  await tx.query(
    `UPDATE inbound_event e SET state = 'parked', reason = 'no_match', error = NULL, attempts = 0, looks = e.looks + 1,
       is_told = held.is_told, due_at = statement_timestamp() + held.wait_ms * interval '1 millisecond'
     FROM unnest($1::integer[], $2::bigint[], $3::integer[], $4::float8[], $5::boolean[])
       AS held (environment_id, id, attempts, wait_ms, is_told)
     WHERE e.environment_id = held.environment_id AND e.id = held.id AND e.attempts = held.attempts`,
    [
      ...keysOf(unmatched.map(({ event }) => event)),
      unmatched.map(({ waitMs }) => waitMs ?? null),
      unmatched.map(({ isTold }) => isTold),
    ],
  );
}

/** It could not be handled: tried again after `waitMs`; undefined: given up. */
export async function markFailed(sql: Sql, event: Held, error: string, waitMs: number | undefined): Promise<void> {
  await sql.query(
    `UPDATE inbound_event SET error = $4, due_at = statement_timestamp() + $5::float8 * interval '1 millisecond',
       state = CASE WHEN $5::float8 IS NULL THEN 'parked' ELSE state END,
       reason = CASE WHEN $5::float8 IS NULL THEN 'poison' ELSE reason END
     WHERE environment_id = $1 AND id = $2 AND attempts = $3`,
    [...keyOf(event), error, waitMs ?? null],
  );
}

/** Gives events back that could not even be tried: due at once, and the taking up does not count. */
export async function giveBack(sql: Sql, events: readonly Held[]): Promise<void> {
  await sql.query(
    `UPDATE inbound_event e SET attempts = e.attempts - 1, due_at = statement_timestamp()
     FROM unnest($1::integer[], $2::bigint[], $3::integer[]) AS held (environment_id, id, attempts)
     WHERE e.environment_id = held.environment_id AND e.id = held.id AND e.attempts = held.attempts
       AND e.due_at IS NOT NULL`,
    keysOf(events),
  );
}

/** Parked events of an integration are due at once, a batch at a time; resolves to how many were not before. */
export async function wakeParked(
  sql: Sql,
  environmentId: number,
  integrationId: number,
  limit: number,
): Promise<number> {
  const rows = await sql.query(
    `WITH woken AS (
       SELECT id FROM inbound_event WHERE environment_id = $1 AND integration_id = $2 AND state = 'parked'
         AND reason = 'no_match' AND attempts = 0 AND (due_at IS NULL OR due_at > statement_timestamp())
       ORDER BY id LIMIT $3 FOR UPDATE SKIP LOCKED)
     UPDATE inbound_event SET due_at = statement_timestamp()
     FROM woken WHERE environment_id = $1 AND inbound_event.id = woken.id RETURNING 1`,
    [environmentId, integrationId, limit],
  );
  return rows.length;
}

/** Removes events older than `keepMs`, a batch at a time; resolves to how many. */
export async function deleteOld(sql: Sql, keepMs: number, limit: number): Promise<number> {
  const rows = await sql.query(
    `DELETE FROM inbound_event e USING (
       SELECT environment_id, id FROM inbound_event
       WHERE received_at < statement_timestamp() - $1::float8 * interval '1 millisecond' LIMIT $2) old
     WHERE e.environment_id = old.environment_id AND e.id = old.id RETURNING 1`,
    [keepMs, limit],
  );
  return rows.length;
}
