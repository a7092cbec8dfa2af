/**
 * SQL of table `event` as an outbox, and of `event_sequence`. Not prepared by name, for the reason that `store-queue.ts`
 * tells.
 */
import type { Sql } from '../../platform/postgres/index.ts';

/** First key of the advisory lock that lets one node at a time make the deliveries of an environment. */
const LOCK_CLASS = 0x6861_7773;

export interface NewEventRow {
  environment_id: number;
  id: number;
  uuid: string;
  type: string;
  payload: unknown;
  sealed: Buffer | null;
  created_at: Date;
  connection_id: number | null;
  connection_name: string | null;
  integration_id: number | null;
  tags: Record<string, string> | null;
  webhook_url_override: string | null;
  end_user_id: string | null;
  end_user_email: string | null;
  organization_id: string | null;
  end_user_tags: Record<string, string> | null;
}

/** Environments with events of which no deliveries were made yet, each found by one hop in the index. */
export async function selectNewEnvironments(sql: Sql): Promise<number[]> {
  const rows = await sql.query<{ environment_id: number }>(
    `WITH RECURSIVE fresh AS (
       (SELECT environment_id FROM event WHERE NOT is_handled ORDER BY environment_id LIMIT 1)
       UNION ALL
       SELECT (SELECT e.environment_id FROM event e WHERE NOT e.is_handled AND e.environment_id > fresh.environment_id
               ORDER BY e.environment_id LIMIT 1)
       FROM fresh WHERE fresh.environment_id IS NOT NULL)
     SELECT environment_id FROM fresh WHERE environment_id IS NOT NULL`,
    [],
  );
  return rows.map((row) => row.environment_id);
}

/** True when no other node makes deliveries of this environment until the end of the transaction. */
export async function lockEnvironment(tx: Sql, environmentId: number): Promise<boolean> {
  const rows = await tx.query<{ locked: boolean }>('SELECT pg_try_advisory_xact_lock($1, $2) AS locked', [
    LOCK_CLASS,
    environmentId,
  ]);
  return rows[0]?.locked === true;
}

/** The oldest new events of an environment: at most `limit`, and no more than `bytes` of what is sealed in them. */
export async function selectNewEvents(
  tx: Sql,
  environmentId: number,
  options: { limit: number; bytes: number },
): Promise<NewEventRow[]> {
  return tx.query<NewEventRow>(
    `SELECT e.environment_id, e.id, e.uuid, e.type, e.payload, e.sealed, e.created_at, e.connection_id,
       c.connection_id AS connection_name, c.integration_id, c.tags, c.webhook_url_override,
       u.id AS end_user_id, u.email AS end_user_email, u.organization_id, u.tags AS end_user_tags
     FROM (SELECT n.environment_id, n.id, sum(coalesce(octet_length(n.sealed), 0)) OVER (ORDER BY n.id) AS bytes,
             row_number() OVER (ORDER BY n.id) AS place
           FROM (SELECT environment_id, id, sealed FROM event WHERE environment_id = $1 AND NOT is_handled
                 ORDER BY id LIMIT $2) n) first
     JOIN event e ON e.environment_id = first.environment_id AND e.id = first.id
     LEFT JOIN connection c ON c.environment_id = e.environment_id AND c.id = e.connection_id
     LEFT JOIN end_user u ON u.environment_id = c.environment_id AND u.id = c.end_user_id
     WHERE first.bytes <= $3 OR first.place = 1
     ORDER BY e.id`,
    [environmentId, options.limit, options.bytes],
  );
}

/** Integrations of the oldest `limit` new events. */
export async function selectNewIntegrations(sql: Sql, environmentId: number, limit: number): Promise<number[]> {
  const rows = await sql.query<{ integration_id: number }>(
    `SELECT DISTINCT c.integration_id
     FROM (SELECT connection_id FROM event WHERE environment_id = $1 AND NOT is_handled ORDER BY id LIMIT $2) n
     JOIN connection c ON c.environment_id = $1 AND c.id = n.connection_id`,
    [environmentId, limit],
  );
  return rows.map((row) => row.integration_id);
}

/** Reserves `counts` numbers per connection (0: none); resolves to the last number before them. */
export async function takeSequences(
  tx: Sql,
  environmentId: number,
  counts: ReadonlyMap<number, number>,
): Promise<Map<number, number>> {
  const rows = await tx.query<{ connection_id: number; last: number }>(
    `INSERT INTO event_sequence AS s (environment_id, connection_id, last)
     SELECT $1, connection_id, count FROM unnest($2::bigint[], $3::bigint[]) n (connection_id, count)
     ON CONFLICT (environment_id, connection_id) DO UPDATE SET last = s.last + excluded.last
     RETURNING s.connection_id, s.last`,
    [environmentId, [...counts.keys()], [...counts.values()]],
  );
  return new Map(rows.map((row) => [row.connection_id, row.last - (counts.get(row.connection_id) ?? 0)]));
}

export interface HandledEvent {
  id: number;
  /** The body; undefined where nobody is told. */
  sealed: Buffer | undefined;
  sequence: number | undefined;
  parkedReason: string | undefined;
}

export async function markHandled(tx: Sql, environmentId: number, events: readonly HandledEvent[]): Promise<void> {
  await tx.query(
    `UPDATE event e SET is_handled = true, sealed = h.sealed, sequence = h.sequence, parked_reason = h.reason
     FROM unnest($2::bigint[], $3::bytea[], $4::bigint[], $5::text[]) h (id, sealed, sequence, reason)
     WHERE e.environment_id = $1 AND e.id = h.id`,
    [
      environmentId,
      events.map(({ id }) => id),
      events.map(({ sealed }) => sealed ?? null),
      events.map(({ sequence }) => sequence ?? null),
      events.map(({ parkedReason }) => parkedReason ?? null),
    ],
  );
}

/** `parked`: there is nothing to send, only something to be told of. */
export async function insertDeliveries(
  tx: Sql,
  environmentId: number,
  deliveries: readonly { eventId: number; endpointId: string; parked: boolean }[],
  shiftMs: number,
): Promise<void> {
  await tx.query(
    `INSERT INTO delivery (environment_id, event_id, endpoint_id, state, next_attempt_at, last_error, finished_at)
     SELECT $1, event_id, endpoint_id, CASE WHEN parked THEN 'parked' ELSE 'pending' END,
       CASE WHEN NOT parked THEN statement_timestamp() + $5::float8 * interval '1 millisecond' END,
       CASE WHEN parked THEN 'unreadable_event' END, CASE WHEN parked THEN statement_timestamp() END
     FROM unnest($2::bigint[], $3::uuid[], $4::boolean[]) d (event_id, endpoint_id, parked)`,
    [
      environmentId,
      deliveries.map(({ eventId }) => eventId),
      deliveries.map(({ endpointId }) => endpointId),
      deliveries.map(({ parked }) => parked),
      shiftMs,
    ],
  );
}

/** Deletes events that are older than they are kept, with their deliveries. Resolves to how many went. */
export async function deleteOldEvents(sql: Sql, keepMs: number, limit: number): Promise<number> {
  const rows = await sql.query(
    `DELETE FROM event WHERE (environment_id, id) IN (
       SELECT environment_id, id FROM event
       WHERE created_at < statement_timestamp() - $1::float8 * interval '1 millisecond'
       ORDER BY created_at LIMIT $2) RETURNING 1`,
    [keepMs, limit],
  );
  return rows.length;
}

/** Endpoints of connections' own URLs that nothing was sent to for so long. */
export async function deleteUnusedOverrides(sql: Sql, keepMs: number, limit: number): Promise<void> {
  await sql.query(
    `DELETE FROM endpoint WHERE (environment_id, id) IN (
       SELECT e.environment_id, e.id FROM endpoint e
       WHERE e.role = 'override' AND e.created_at < statement_timestamp() - $1::float8 * interval '1 millisecond'
         AND NOT EXISTS (SELECT 1 FROM delivery d WHERE d.environment_id = e.environment_id AND d.endpoint_id = e.id)
       LIMIT $2)`,
    [keepMs, limit],
  );
}
