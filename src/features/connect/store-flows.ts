import type { Sql } from '../../platform/postgres/index.ts';
import { FLOWS_MAX, type OAuthFlow } from './model.ts';

interface FlowRow {
  environment_id: number;
  id: string;
  browser_hash: Buffer;
  integration_id: number;
  connection_id: string;
  reconnect_id: number | null;
  connect_session_id: string | null;
  sealed: Buffer;
  redirect_uri: string;
  ws_client_id: string | null;
  expires_at: Date;
}

const COLUMNS = `environment_id, id, browser_hash, integration_id, connection_id, reconnect_id, connect_session_id,
  sealed, redirect_uri, ws_client_id, expires_at`;

/**
 * Opens a flow. An earlier one of the same session, browser and integration is replaced; of a session or a browser only
 * the newest {@link FLOWS_MAX} stay.
 */
export async function insertFlow(sql: Sql, flow: OAuthFlow & { stateHash: Buffer; now: Date }): Promise<void> {
  await sql.query(
    `DELETE FROM oauth_flow WHERE browser_hash = $1 AND (
       (environment_id = $2 AND connect_session_id = $3 AND integration_id = $4)
       OR id IN (SELECT id FROM oauth_flow WHERE browser_hash = $1 ORDER BY created_at DESC OFFSET $5))`,
    [flow.browserHash, flow.environmentId, flow.connectSessionId ?? null, flow.integrationId, FLOWS_MAX - 1],
  );
  await sql.query(
    `DELETE FROM oauth_flow WHERE environment_id = $1 AND connect_session_id = $2 AND id IN (
       SELECT id FROM oauth_flow WHERE environment_id = $1 AND connect_session_id = $2
       ORDER BY created_at DESC OFFSET $3)`,
    [flow.environmentId, flow.connectSessionId ?? null, FLOWS_MAX - 1],
  );
  await sql.query(
    `INSERT INTO oauth_flow (environment_id, id, state_hash, browser_hash, integration_id, connection_id, reconnect_id,
       connect_session_id, sealed, redirect_uri, ws_client_id, created_at, expires_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`,
    [
      flow.environmentId,
      flow.id,
      flow.stateHash,
      flow.browserHash,
      flow.integrationId,
      flow.connectionId,
      flow.reconnectId ?? null,
      flow.connectSessionId ?? null,
      flow.sealed,
      flow.redirectUri,
      flow.wsClientId ?? null,
      flow.now,
      flow.expiresAt,
    ],
  );
}

/** Consumes the flow of a state: of any number of callers exactly one gets it. */
export async function takeFlowByState(sql: Sql, stateHash: Buffer): Promise<OAuthFlow | undefined> {
  const rows = await sql.query<FlowRow>(
    `DELETE FROM oauth_flow WHERE state_hash = $1 RETURNING ${COLUMNS}`,
    [stateHash],
    'oauth-flow-take',
  );
  return rows[0] && toFlow(rows[0]);
}

/** Consumes a flow by its row. */
export async function takeFlow(sql: Sql, environmentId: number, id: string): Promise<OAuthFlow | undefined> {
  const rows = await sql.query<FlowRow>(
    `DELETE FROM oauth_flow WHERE environment_id = $1 AND id = $2 RETURNING ${COLUMNS}`,
    [environmentId, id],
  );
  return rows[0] && toFlow(rows[0]);
}

/** Flows this browser has open at `now`. */
export async function selectFlowsOfBrowser(sql: Sql, browserHash: Buffer, now: Date): Promise<OAuthFlow[]> {
  const rows = await sql.query<FlowRow>(
    `SELECT ${COLUMNS} FROM oauth_flow WHERE browser_hash = $1 AND expires_at > $2 LIMIT $3`,
    [browserHash, now, FLOWS_MAX],
  );
  return rows.map(toFlow);
}

export async function deleteOldFlows(sql: Sql, before: Date): Promise<void> {
  await sql.query('DELETE FROM oauth_flow WHERE expires_at < $1', [before]);
}

/** Hands a message to the node that holds the socket. At most 8,000 bytes: PostgreSQL's limit of a notification. */
export async function notifySockets(sql: Sql, channel: string, payload: string): Promise<void> {
  await sql.query('SELECT pg_notify($1, $2)', [channel, payload]);
}

function toFlow(row: FlowRow): OAuthFlow {
  return {
    environmentId: row.environment_id,
    id: row.id,
    browserHash: row.browser_hash,
    integrationId: row.integration_id,
    connectionId: row.connection_id,
    reconnectId: row.reconnect_id ?? undefined,
    connectSessionId: row.connect_session_id ?? undefined,
    sealed: row.sealed,
    redirectUri: row.redirect_uri,
    wsClientId: row.ws_client_id ?? undefined,
    expiresAt: row.expires_at,
  };
}
