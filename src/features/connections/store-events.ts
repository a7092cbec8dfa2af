/** SQL of table `event`. */
import type { Sql } from '../../platform/postgres/index.ts';

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
  if (first !== undefined && events.length === 1) {
    await sql.query(
      `INSERT INTO event (environment_id, uuid, type, connection_id, payload, sealed, provider_headers)
       VALUES ($1, $2, $3, $4, $5, $6, $7)`,
      valuesOf(first),
      'event-insert',
    );
    return;
  }
  const rows = events.map(valuesOf);
  await sql.query(
    `INSERT INTO event (environment_id, uuid, type, connection_id, payload, sealed, provider_headers)
     SELECT environment_id, uuid, type, connection_id, payload, sealed, provider_headers
     FROM unnest($1::integer[], $2::uuid[], $3::text[], $4::bigint[], $5::jsonb[], $6::bytea[], $7::jsonb[])
       WITH ORDINALITY AS one (environment_id, uuid, type, connection_id, payload, sealed, provider_headers, place)
     ORDER BY place`,
    valuesOf(first as EventRow).map((_, column) => rows.map((row) => row[column])),
    'event-insert-many',
  );
}

function valuesOf(event: EventRow): unknown[] {
  return [
    event.environmentId,
    event.uuid,
    event.type,
    event.connectionId ?? null,
    event.payload,
    event.sealed ?? null,
    event.providerHeaders === undefined ? null : JSON.stringify(event.providerHeaders),
  ];
}
