/** SQL of deliveries as people look at them, and of sending them again. */
import type { Sql } from '../../platform/postgres/index.ts';
import { messageIdOf } from './headers.ts';
import type { Delivery, DeliveryState } from './model.ts';

interface DeliveryRow {
  environment_id: number;
  id: number;
  uuid: string;
  type: string;
  endpoint_id: string;
  url: string;
  connection_name: string | null;
  sequence: number | null;
  state: DeliveryState;
  attempts: number;
  next_attempt_at: Date | null;
  last_status: number | null;
  last_error: string | null;
  occurred_at: Date;
  created_at: Date;
  finished_at: Date | null;
}

const COLUMNS = `d.environment_id, d.id, e.uuid, e.type, d.endpoint_id, p.url, c.connection_id AS connection_name,
  e.sequence, d.state, d.attempts, d.next_attempt_at, d.last_status, d.last_error, e.created_at AS occurred_at,
  d.created_at, d.finished_at`;

const FROM = `FROM delivery d
  JOIN event e ON e.environment_id = d.environment_id AND e.id = d.event_id
  JOIN endpoint p ON p.environment_id = d.environment_id AND p.id = d.endpoint_id
  LEFT JOIN connection c ON c.environment_id = e.environment_id AND c.id = e.connection_id`;

export interface DeliveryFilter {
  environmentId: number;
  endpointId?: string | undefined;
  kind?: string | undefined;
  /** Public id. */
  connectionId?: string | undefined;
  state?: DeliveryState | undefined;
  /** Tried without success, or given up. */
  failing?: boolean | undefined;
  /** By the time of the event. */
  since?: Date | undefined;
  until?: Date | undefined;
}

/** The filter as SQL over the aliases of {@link FROM}. */
function whereOf(filter: DeliveryFilter): { where: string[]; values: unknown[] } {
  const values: unknown[] = [filter.environmentId];
  const where = ['d.environment_id = $1'];
  const conditions: [unknown, (n: number) => string][] = [
    [filter.endpointId, (n) => `d.endpoint_id = $${n}`],
    [filter.kind, (n) => `e.type = $${n}`],
    [filter.connectionId, (n) => `c.connection_id = $${n}`],
    [filter.state, (n) => `d.state = $${n}`],
    [filter.since, (n) => `e.created_at >= $${n}`],
    [filter.until, (n) => `e.created_at < $${n}`],
  ];
  for (const [value, condition] of conditions) {
    if (value === undefined) continue;
    values.push(value);
    where.push(condition(values.length));
  }
  if (filter.failing === true)
    where.push(`(d.state IN ('failed', 'parked') OR d.state = 'pending' AND d.attempts > 0)`);
  return { where, values };
}

/** Newest first. */
export async function selectDeliveries(
  sql: Sql,
  filter: DeliveryFilter,
  page: { limit: number; before?: number | undefined },
): Promise<Delivery[]> {
  const { where, values } = whereOf(filter);
  if (page.before !== undefined) {
    values.push(page.before);
    where.push(`d.id < $${values.length}`);
  }
  values.push(page.limit);
  const rows = await sql.query<DeliveryRow>(
    `SELECT ${COLUMNS} ${FROM} WHERE ${where.join(' AND ')} ORDER BY d.id DESC LIMIT $${values.length}`,
    values,
  );
  return rows.map(toDelivery);
}

export interface DeliveryDetail {
  delivery: Delivery;
  eventUuid: string;
  /** The body. */
  sealed: Buffer | undefined;
  endpointState: 'enabled' | 'disabled';
}

export async function selectDelivery(sql: Sql, environmentId: number, id: number): Promise<DeliveryDetail | undefined> {
  const rows = await sql.query<DeliveryRow & { sealed: Buffer | null; endpoint_state: 'enabled' | 'disabled' }>(
    `SELECT ${COLUMNS}, e.sealed, p.state AS endpoint_state ${FROM} WHERE d.environment_id = $1 AND d.id = $2`,
    [environmentId, id],
  );
  const row = rows[0];
  return (
    row && {
      delivery: toDelivery(row),
      eventUuid: row.uuid,
      sealed: row.sealed ?? undefined,
      endpointState: row.endpoint_state,
    }
  );
}

export interface AttemptRow {
  epoch: number;
  at: Date;
  duration_ms: number;
  status: number | null;
  error: string | null;
  answer_sealed: Buffer | null;
}

/** Newest first. */
export async function selectAttempts(sql: Sql, environmentId: number, deliveryId: number, limit: number) {
  return sql.query<AttemptRow>(
    `SELECT epoch, at, duration_ms, status, error, answer_sealed FROM delivery_attempt
     WHERE environment_id = $1 AND delivery_id = $2 ORDER BY epoch DESC LIMIT $3`,
    [environmentId, deliveryId, limit],
  );
}

/**
 * The schedule begins anew, now; one that is being sent is left alone, and one without a body cannot be sent. Resolves
 * to how many begin anew and where to go on: undefined when nothing is left.
 */
export async function replayDeliveries(
  sql: Sql,
  filter: DeliveryFilter,
  options: { id?: number | undefined; after: number; limit: number; shiftMs: number },
): Promise<{ count: number; after: number | undefined }> {
  const { where, values } = whereOf(filter);
  values.push(options.after);
  where.push(`d.id > $${values.length}`);
  if (options.id !== undefined) {
    values.push(options.id);
    where.push(`d.id = $${values.length}`);
  }
  values.push(options.limit, options.shiftMs);
  const now = `(statement_timestamp() + $${values.length}::float8 * interval '1 millisecond')`;
  const rows = await sql.query<{ id: number; moved: boolean }>(
    `WITH chosen AS (
       SELECT d.id, e.sealed IS NOT NULL AND p.state = 'enabled' AS sendable ${FROM} WHERE ${where.join(' AND ')}
       ORDER BY d.id LIMIT $${values.length - 1}),
     moved AS (
       UPDATE delivery d SET state = 'pending', step = 0, lost = 0, next_attempt_at = ${now}, finished_at = NULL,
         lease_owner = NULL, lease_epoch = d.lease_epoch + 1
       FROM chosen WHERE d.environment_id = $1 AND d.id = chosen.id AND chosen.sendable
         AND (d.lease_owner IS NULL OR d.next_attempt_at <= ${now})
       RETURNING d.id)
     SELECT chosen.id, moved.id IS NOT NULL AS moved FROM chosen LEFT JOIN moved USING (id) ORDER BY chosen.id`,
    values,
  );
  return {
    count: rows.filter(({ moved }) => moved).length,
    after: rows.length < options.limit ? undefined : rows.at(-1)?.id,
  };
}

function toDelivery(row: DeliveryRow): Delivery {
  return {
    environmentId: row.environment_id,
    id: row.id,
    messageId: messageIdOf(row.uuid),
    kind: row.type,
    endpointId: row.endpoint_id,
    url: row.url,
    connectionId: row.connection_name ?? undefined,
    sequence: row.sequence ?? undefined,
    state: row.state,
    attempts: row.attempts,
    nextAttemptAt: row.next_attempt_at ?? undefined,
    lastStatus: row.last_status ?? undefined,
    lastError: row.last_error ?? undefined,
    occurredAt: row.occurred_at,
    createdAt: row.created_at,
    finishedAt: row.finished_at ?? undefined,
  };
}
