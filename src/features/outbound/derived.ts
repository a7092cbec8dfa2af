/** Events that follow from others, written in the transaction that makes the others' deliveries; the next batch sends them. */
import type { Sql } from '../../platform/postgres/index.ts';
import { FEED_KIND } from './kinds.ts';
import type { Endpoint, OutboundDeps } from './model.ts';
import type { NewEventRow } from './store-events.ts';

interface Derived {
  type: string;
  payload: object;
}

export async function writeDerived(
  deps: Pick<OutboundDeps, 'connections'>,
  tx: Sql,
  rows: readonly NewEventRow[],
  endpoints: readonly Endpoint[],
): Promise<void> {
  const hasFeed = endpoints.some(({ kinds }) => kinds?.includes(FEED_KIND));
  for (const row of rows) {
    if (row.connection_id === null) continue;
    const derived = row.type === 'connection.state' ? brokenOf(row.payload) : hasFeed ? changesOf(row) : undefined;
    if (derived === undefined) continue;
    const place = { environmentId: row.environment_id, connectionId: row.connection_id };
    await deps.connections.writeEvent(tx, { ...place, ...derived });
  }
}

/** A credential that is of no use any more, as apps know it that know the wire contract only (D.2). */
function brokenOf(payload: unknown): Derived | undefined {
  const { state, reason } = payload as { state?: unknown; reason?: unknown };
  if (state !== 'needs_reauth') return undefined;
  const type = typeof reason === 'string' ? reason : state;
  const description = `The credential cannot be used any more (${type}). The customer has to reconnect.`;
  return { type: 'auth', payload: { operation: 'refresh', success: false, error: { type, description } } };
}

interface SyncPayload {
  success?: unknown;
  syncName?: unknown;
  model?: unknown;
  modifiedAfter?: unknown;
  responseResults?: { added?: number; updated?: number; deleted?: number };
}

/** For endpoints that ask for changes of records: each sync that changed some. */
function changesOf(row: NewEventRow): Derived | undefined {
  if (row.type !== 'sync') return undefined;
  const { success, syncName, model, modifiedAfter, responseResults } = row.payload as SyncPayload;
  const { added = 0, updated = 0, deleted = 0 } = responseResults ?? {};
  if (success !== true || added + updated + deleted === 0) return undefined;
  return { type: FEED_KIND, payload: { syncName, model, added, updated, deleted, modifiedAfter } };
}
