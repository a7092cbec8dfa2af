/** Changes of records, for endpoints that ask for them: one event per sync and model that changed some. */
import type { Sql } from '../../platform/postgres/index.ts';
import { FEED_KIND } from './kinds.ts';
import type { Endpoint, OutboundDeps } from './model.ts';
import type { NewEventRow } from './store-events.ts';

interface SyncPayload {
  success?: unknown;
  syncName?: unknown;
  model?: unknown;
  modifiedAfter?: unknown;
  responseResults?: { added?: number; updated?: number; deleted?: number };
}

/** Writes them in the transaction that makes the deliveries of the syncs' own events; the next batch sends them. */
export async function writeFeed(
  deps: Pick<OutboundDeps, 'connections'>,
  tx: Sql,
  rows: readonly NewEventRow[],
  endpoints: readonly Endpoint[],
): Promise<void> {
  if (!endpoints.some(({ kinds }) => kinds?.includes(FEED_KIND))) return;
  for (const row of rows) {
    if (row.type !== 'sync' || row.connection_id === null) continue;
    const { success, syncName, model, modifiedAfter, responseResults } = row.payload as SyncPayload;
    const { added = 0, updated = 0, deleted = 0 } = responseResults ?? {};
    if (success !== true || added + updated + deleted === 0) continue;
    await deps.connections.writeEvent(tx, {
      environmentId: row.environment_id,
      type: FEED_KIND,
      connectionId: row.connection_id,
      payload: { syncName, model, added, updated, deleted, modifiedAfter },
    });
  }
}
