/** SQL of table `inbound_event`: storing what comes in. Times are the database's. */
import { packBytes, type Sql } from '../../platform/postgres/index.ts';
import type { Trust } from './model.ts';
import type { BodyKind } from './parse.ts';

export interface NewEvent {
  environmentId: number;
  uuid: string;
  integrationId: number;
  /** Row id; the URL named it. */
  connectionId: number | undefined;
  dedupeHash: Buffer;
  trust: Trust;
  type: string | undefined;
  headers: Record<string, string>;
  bodyKind: BodyKind;
  bodyBytes: number;
  bodySealed: Buffer;
}

/** Stores events in one statement, which is one commit. Resolves to the uuids that were new; the others were there. */
export async function insertEvents(sql: Sql, events: readonly NewEvent[]): Promise<ReadonlySet<string>> {
  const [first] = events;
  if (first !== undefined && events.length === 1) return insertEvent(sql, first);
  const { bytes, starts, sizes } = packBytes(events.map((one) => one.bodySealed));
  const rows = await sql.query<{ uuid: string }>(
    `INSERT INTO inbound_event (environment_id, uuid, integration_id, connection_id, dedupe_hash, trust, type, headers,
       body_kind, body_bytes, body_sealed)
     SELECT environment_id, uuid, integration_id, connection_id, dedupe_hash, trust, type, headers, body_kind, body_bytes,
       substring($11::bytea FROM start FOR size)
     FROM unnest($1::integer[], $2::uuid[], $3::integer[], $4::bigint[], $5::bytea[], $6::text[], $7::text[],
         $8::jsonb[], $9::text[], $10::integer[], $12::integer[], $13::integer[])
       AS one (environment_id, uuid, integration_id, connection_id, dedupe_hash, trust, type, headers, body_kind,
         body_bytes, start, size)
     ON CONFLICT (environment_id, integration_id, dedupe_hash) DO NOTHING RETURNING uuid`,
    [
      events.map((one) => one.environmentId),
      events.map((one) => one.uuid),
      events.map((one) => one.integrationId),
      events.map((one) => one.connectionId ?? null),
      events.map((one) => one.dedupeHash),
      events.map((one) => one.trust),
      events.map((one) => one.type ?? null),
      events.map((one) => JSON.stringify(one.headers)),
      events.map((one) => one.bodyKind),
      events.map((one) => one.bodyBytes),
      bytes,
      starts,
      sizes,
    ],
    'inbound-insert',
  );
  return new Set(rows.map((row) => row.uuid));
}

/** One alone, at three quarters of the cost: nothing is made into lists and read out of them again. */
async function insertEvent(sql: Sql, event: NewEvent): Promise<ReadonlySet<string>> {
  const rows = await sql.query<{ uuid: string }>(
    `INSERT INTO inbound_event (environment_id, uuid, integration_id, connection_id, dedupe_hash, trust, type, headers,
       body_kind, body_bytes, body_sealed)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
     ON CONFLICT (environment_id, integration_id, dedupe_hash) DO NOTHING RETURNING uuid`,
    [
      event.environmentId,
      event.uuid,
      event.integrationId,
      event.connectionId ?? null,
      event.dedupeHash,
      event.trust,
      event.type ?? null,
      JSON.stringify(event.headers),
      event.bodyKind,
      event.bodyBytes,
      event.bodySealed,
    ],
    'inbound-insert-one',
  );
  return new Set(rows.map((row) => row.uuid));
}
