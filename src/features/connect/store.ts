import type { Sql } from '../../platform/postgres/index.ts';
import type { EndUser } from '../connections/index.ts';
import type { ConfigDefaults, ConnectSession } from './model.ts';

interface SessionRow {
  environment_id: number;
  id: string;
  end_user: Omit<EndUser, 'organization'> | null;
  organization: NonNullable<EndUser['organization']> | null;
  tags: Record<string, string>;
  allowed_integrations: string[] | null;
  config_defaults: Record<string, ConfigDefaults>;
  overrides: ConnectSession['overrides'];
  reconnect_id: number | null;
  webhook_url_override: string | null;
  expires_at: Date;
}

const COLUMNS = `environment_id, id, end_user, organization, tags, allowed_integrations, config_defaults, overrides,
  reconnect_id, webhook_url_override, expires_at`;

export async function insertSession(
  sql: Sql,
  session: Omit<ConnectSession, 'id'> & { tokenHash: Buffer },
): Promise<ConnectSession> {
  const { organization, ...endUser } = session.endUser ?? { organization: undefined };
  const rows = await sql.query<SessionRow>(
    `INSERT INTO connect_session (environment_id, token_hash, end_user, organization, tags, allowed_integrations,
       config_defaults, overrides, reconnect_id, webhook_url_override, expires_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) RETURNING ${COLUMNS}`,
    [
      session.environmentId,
      session.tokenHash,
      session.endUser === undefined ? null : JSON.stringify(endUser),
      organization === undefined ? null : JSON.stringify(organization),
      JSON.stringify(session.tags),
      session.allowedIntegrations ?? null,
      JSON.stringify(session.configDefaults),
      JSON.stringify(session.overrides),
      session.reconnectId ?? null,
      session.webhookUrlOverride ?? null,
      session.expiresAt,
    ],
  );
  return toSession(rows[0] as SessionRow);
}

/** The open session behind a token: not used, not expired at `now`. */
export async function selectSession(sql: Sql, tokenHash: Buffer, now: Date): Promise<ConnectSession | undefined> {
  const rows = await sql.query<SessionRow>(
    `SELECT ${COLUMNS} FROM connect_session WHERE token_hash = $1 AND used_at IS NULL AND expires_at > $2`,
    [tokenHash, now],
    'connect-session-by-token',
  );
  return rows[0] && toSession(rows[0]);
}

/** A session of a running flow, used or not; undefined when it was deleted. */
export async function selectSessionById(
  sql: Sql,
  environmentId: number,
  id: string,
): Promise<(ConnectSession & { used: boolean }) | undefined> {
  const rows = await sql.query<SessionRow & { used: boolean }>(
    `SELECT ${COLUMNS}, used_at IS NOT NULL AS used FROM connect_session WHERE environment_id = $1 AND id = $2`,
    [environmentId, id],
  );
  return rows[0] && { ...toSession(rows[0]), used: rows[0].used };
}

/** Spends the session. False: somebody else did, or it is gone. */
export async function claimSession(sql: Sql, environmentId: number, id: string, now: Date): Promise<boolean> {
  const rows = await sql.query(
    `UPDATE connect_session SET used_at = $3
     WHERE environment_id = $1 AND id = $2 AND used_at IS NULL RETURNING 1`,
    [environmentId, id, now],
  );
  return rows.length > 0;
}

export async function deleteSession(sql: Sql, environmentId: number, id: string): Promise<void> {
  await sql.query('DELETE FROM connect_session WHERE environment_id = $1 AND id = $2', [environmentId, id]);
}

/** Removes what ended before `before`. */
export async function deleteOldSessions(sql: Sql, before: Date): Promise<void> {
  await sql.query('DELETE FROM connect_session WHERE expires_at < $1', [before]);
}

function toSession(row: SessionRow): ConnectSession {
  return {
    environmentId: row.environment_id,
    id: row.id,
    endUser:
      row.end_user === null
        ? undefined
        : { ...row.end_user, tags: row.end_user.tags ?? {}, organization: row.organization ?? undefined },
    tags: row.tags,
    allowedIntegrations: row.allowed_integrations ?? undefined,
    configDefaults: row.config_defaults,
    overrides: row.overrides,
    reconnectId: row.reconnect_id ?? undefined,
    webhookUrlOverride: row.webhook_url_override ?? undefined,
    expiresAt: row.expires_at,
  };
}
