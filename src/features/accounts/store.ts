/** SQL that looks at connections by their account. The table belongs to slice `connections`. */
import type { Sql } from '../../platform/postgres/index.ts';
import type { ConnectionState } from '../connections/index.ts';

export interface AccountRow {
  account_id: string;
  integration_id: number;
  members: number;
  grants: number;
  states: ConnectionState[];
  since: Date;
  is_elsewhere: boolean;
}

/** Accounts with a living connection, the newest first. */
export async function selectAccounts(
  sql: Sql,
  query: { environmentId: number; integrationId: number | undefined; limit: number; offset: number },
): Promise<AccountRow[]> {
  return sql.query<AccountRow>(
    `WITH found AS (
       SELECT c.integration_id, c.account_id, count(*)::int AS members,
         count(DISTINCT coalesce(c.grant_of, c.id))::int AS grants,
         array_agg(DISTINCT c.state ORDER BY c.state) AS states, min(c.created_at) AS since
       FROM connection c
       WHERE c.environment_id = $1 AND c.account_id IS NOT NULL AND c.deleted_at IS NULL
         AND ($2::integer IS NULL OR c.integration_id = $2)
       GROUP BY c.integration_id, c.account_id
       ORDER BY min(c.created_at) DESC, c.integration_id, c.account_id LIMIT $3 OFFSET $4
     )
     SELECT f.*, EXISTS (
       SELECT 1 FROM integration own
       JOIN integration i ON i.provider = own.provider AND i.environment_id <> own.environment_id
       JOIN connection c ON c.environment_id = i.environment_id AND c.integration_id = i.id
         AND c.account_id = f.account_id AND c.deleted_at IS NULL
       WHERE own.environment_id = $1 AND own.id = f.integration_id
     ) AS is_elsewhere
     FROM found f ORDER BY f.since DESC, f.integration_id, f.account_id`,
    [query.environmentId, query.integrationId ?? null, query.limit, query.offset],
  );
}

/** True when another environment has a living connection to the account. */
export async function existsElsewhere(
  sql: Sql,
  account: { environmentId: number; provider: string; accountId: string },
): Promise<boolean> {
  const rows = await sql.query(
    `SELECT 1 FROM integration i
     JOIN connection c ON c.environment_id = i.environment_id AND c.integration_id = i.id AND c.account_id = $3
       AND c.deleted_at IS NULL
     WHERE i.provider = $2 AND i.environment_id <> $1 LIMIT 1`,
    [account.environmentId, account.provider, account.accountId],
  );
  return rows.length > 0;
}

export interface MemberRow {
  integration_id: number;
  connection_id: string;
  end_user_id: string | null;
  email: string | null;
  organization_id: string | null;
  tags: Record<string, string>;
  state: ConnectionState;
  state_reason: string | null;
  state_since: Date;
  is_shared: boolean;
  created_at: Date;
}

/** Living connections of an account, of one integration or of all; the oldest first. */
export async function selectMembers(
  sql: Sql,
  query: { environmentId: number; accountId: string; integrationIds: number[]; limit: number },
): Promise<MemberRow[]> {
  return sql.query<MemberRow>(
    `SELECT c.integration_id, c.connection_id, c.end_user_id, u.email, u.organization_id, c.tags, c.state,
       c.state_reason, c.state_since, c.created_at,
       count(*) OVER (PARTITION BY coalesce(c.grant_of, c.id)) > 1 AS is_shared
     FROM connection c
     LEFT JOIN end_user u ON u.environment_id = c.environment_id AND u.id = c.end_user_id
     WHERE c.environment_id = $1 AND c.account_id = $2 AND c.integration_id = ANY ($3) AND c.deleted_at IS NULL
     ORDER BY c.created_at, c.id LIMIT $4`,
    [query.environmentId, query.accountId, query.integrationIds, query.limit],
  );
}

/** Connections whose account was not ready when we last heard, after this one. */
export async function selectNotReady(
  sql: Sql,
  after: { environment_id: number; id: number },
  limit: number,
): Promise<{ environment_id: number; id: number }[]> {
  return sql.query(
    `SELECT environment_id, id FROM connection
     WHERE state = 'not_ready' AND deleted_at IS NULL AND (environment_id, id) > ($1, $2)
     ORDER BY environment_id, id LIMIT $3`,
    [after.environment_id, after.id, limit],
  );
}
