/** SQL of table `event`. */
import { packBytes, type Sql } from '../../platform/postgres/index.ts';

export interface EventRow {
  environmentId: number;
  uuid: string;
  type: string;
  connectionId?: number;
  /** JSON. */
  payload: string;
  sealed: Buffer | undefined;
  providerHeaders?: Record<string, string>;
}

/** Their row ids rise in the order given. */
export async function insertEvents(sql: Sql, events: readonly EventRow[]): Promise<void> {
  const [first] = events;
  if (first !== undefined && events.length === 1) return insertEvent(sql, first);
  const { bytes, starts, sizes } = packBytes(events.map((one) => one.sealed));
  await sql.query(
    `INSERT INTO event (environment_id, uuid, type, connection_id, payload, provider_headers, sealed)
     SELECT environment_id, uuid, type, connection_id, payload, provider_headers, substring($7::bytea FROM start FOR size)
     FROM unnest($1::integer[], $2::uuid[], $3::text[], $4::bigint[], $5::jsonb[], $6::jsonb[], $8::integer[],
         $9::integer[]) WITH ORDINALITY
       AS one (environment_id, uuid, type, connection_id, payload, provider_headers, start, size, place)
     ORDER BY place`,
    [
      events.map((one) => one.environmentId),
      events.map((one) => one.uuid),
      events.map((one) => one.type),
      events.map((one) => one.connectionId ?? null),
      events.map((one) => one.payload),
      events.map(headersOf),
      bytes,
      starts,
      sizes,
    ],
    'event-insert-many',
  );
}

async function insertEvent(sql: Sql, event: EventRow): Promise<void> {
  await sql.query(
    `INSERT INTO event (environment_id, uuid, type, connection_id, payload, provider_headers, sealed)
     VALUES ($1, $2, $3, $4, $5, $6, $7)`,
    [
      event.environmentId,
      event.uuid,
      event.type,
      event.connectionId ?? null,
      event.payload,
      headersOf(event),
      event.sealed ?? null,
    ],
    'event-insert',
  );
}

const headersOf = ({ providerHeaders }: EventRow): string | null =>
  providerHeaders === undefined ? null : JSON.stringify(providerHeaders);
