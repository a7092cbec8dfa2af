/** SQL of table `inbound_event`: lists for people, and replay. */
import type { Sql } from '../../platform/postgres/index.ts';
import type { InboundState, ListedEvent, Trust } from './model.ts';
import type { BodyKind } from './parse.ts';

interface ListedRow {
  id: number;
  uuid: string;
  unique_key: string;
  connection_id: string | null;
  trust: Trust;
  type: string | null;
  headers: Record<string, string>;
  state: InboundState;
  reason: ListedEvent['reason'] | null;
  error: string | null;
  attempts: number;
  matched: number;
  body_bytes: number;
  received_at: Date;
  routed_at: Date | null;
}

const COLUMNS = `e.id, e.uuid, i.unique_key, c.connection_id, e.trust, e.type, e.headers, e.state, e.reason, e.error,
  e.attempts, e.matched, e.body_bytes, e.received_at, e.routed_at`;
const FROM = `inbound_event e
  JOIN integration i ON i.environment_id = e.environment_id AND i.id = e.integration_id
  LEFT JOIN connection c ON c.environment_id = e.environment_id AND c.id = e.connection_id`;

function toListed(row: ListedRow): ListedEvent {
  return {
    id: row.id,
    uuid: row.uuid,
    integrationKey: row.unique_key,
    connectionId: row.connection_id ?? undefined,
    trust: row.trust,
    type: row.type ?? undefined,
    headers: row.headers,
    state: row.state,
    reason: row.reason ?? undefined,
    error: row.error ?? undefined,
    attempts: row.attempts,
    matched: row.matched,
    bodyBytes: row.body_bytes,
    receivedAt: row.received_at,
    routedAt: row.routed_at ?? undefined,
  };
}

/** Which events; absent: all. */
export interface EventFilter {
  environmentId: number;
  integrationId?: number | undefined;
  uuids?: readonly string[] | undefined;
  state?: InboundState | undefined;
  type?: string | undefined;
  receivedAfter?: Date | undefined;
  receivedBefore?: Date | undefined;
}

/** An empty value asks for everything. */
const WHERE = `e.environment_id = $1 AND ($2::integer IS NULL OR e.integration_id = $2)
  AND ($3::uuid[] IS NULL OR e.uuid = ANY ($3)) AND ($4::text IS NULL OR e.state = $4)
  AND ($5::text IS NULL OR e.type = $5) AND ($6::timestamptz IS NULL OR e.received_at >= $6)
  AND ($7::timestamptz IS NULL OR e.received_at < $7)`;

function valuesOf(filter: EventFilter): unknown[] {
  return [
    filter.environmentId,
    filter.integrationId ?? null,
    filter.uuids ?? null,
    filter.state ?? null,
    filter.type ?? null,
    filter.receivedAfter ?? null,
    filter.receivedBefore ?? null,
  ];
}

/** `before`: newest first, behind it. `after`: oldest first, behind it. */
export async function selectListed(
  sql: Sql,
  query: EventFilter & { limit: number; before?: number | undefined; after?: number | undefined },
): Promise<ListedEvent[]> {
  const values = [...valuesOf(query), query.after ?? query.before ?? null, query.limit];
  const rows =
    query.after === undefined
      ? await sql.query<ListedRow>(
          `SELECT ${COLUMNS} FROM ${FROM} WHERE ${WHERE} AND ($8::bigint IS NULL OR e.id < $8)
           ORDER BY e.id DESC LIMIT $9`,
          values,
        )
      : await sql.query<ListedRow>(
          `SELECT ${COLUMNS} FROM ${FROM} WHERE ${WHERE} AND e.id > $8 ORDER BY e.id LIMIT $9`,
          values,
        );
  return rows.map(toListed);
}

export interface WholeEvent {
  listed: ListedEvent;
  integrationId: number;
  bodyKind: BodyKind;
  bodySealed: Buffer;
}

export async function selectWhole(sql: Sql, environmentId: number, uuid: string): Promise<WholeEvent | undefined> {
  const rows = await sql.query<ListedRow & { integration_id: number; body_kind: BodyKind; body_sealed: Buffer }>(
    `SELECT ${COLUMNS}, e.integration_id, e.body_kind, e.body_sealed FROM ${FROM}
     WHERE e.environment_id = $1 AND e.uuid = $2`,
    [environmentId, uuid],
    'inbound-by-uuid',
  );
  const [row] = rows;
  return (
    row && {
      listed: toListed(row),
      integrationId: row.integration_id,
      bodyKind: row.body_kind,
      bodySealed: row.body_sealed,
    }
  );
}

/** Makes events behind `after` due again as if they had just come, oldest first; resolves to how many, and the last. */
export async function replayEvents(
  sql: Sql,
  filter: EventFilter,
  { limit, after }: { limit: number; after?: number | undefined },
): Promise<{ count: number; last: number | undefined }> {
  const rows = await sql.query<{ id: number }>(
    `WITH picked AS (
       SELECT e.id FROM inbound_event e WHERE ${WHERE} AND e.id > $8 ORDER BY e.id LIMIT $9 FOR UPDATE)
     UPDATE inbound_event SET state = 'received', reason = NULL, error = NULL, attempts = 0, looks = 0, is_told = false,
       due_at = statement_timestamp()
     FROM picked WHERE environment_id = $1 AND inbound_event.id = picked.id RETURNING inbound_event.id`,
    [...valuesOf(filter), after ?? 0, limit],
  );
  return { count: rows.length, last: rows.length === 0 ? undefined : Math.max(...rows.map(({ id }) => id)) };
}
