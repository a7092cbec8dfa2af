import type { Sql } from '../../platform/postgres/index.ts';
import type { ConnectionState, EndUser } from './model.ts';

export interface ListQuery {
  environmentId: number;
  connectionId: string | undefined;
  search: string | undefined;
  endUserId: string | undefined;
  organizationId: string | undefined;
  integrationKeys: string[] | undefined;
  tags: Record<string, string> | undefined;
  limit: number;
  /** 0-based. */
  page: number;
}

export interface ListedConnection {
  id: number;
  connectionId: string;
  integrationKey: string;
  provider: string;
  emulated: boolean;
  state: ConnectionState;
  stateReason: string | undefined;
  stateSince: Date;
  endUser: EndUser | undefined;
  tags: Record<string, string>;
  metadata: Record<string, unknown> | null;
  createdAt: Date;
}

interface ListedRow {
  id: number;
  connection_id: string;
  unique_key: string;
  provider: string;
  emulated: boolean;
  state: ConnectionState;
  state_reason: string | null;
  state_since: Date;
  tags: Record<string, string>;
  metadata: Record<string, unknown> | null;
  created_at: Date;
  end_user_id: string | null;
  email: string | null;
  display_name: string | null;
  end_user_tags: Record<string, string> | null;
  organization_id: string | null;
  organization_display_name: string | null;
}

/** Newest first (wire contract B.5). All filters are bound parameters. */
export async function selectListed(sql: Sql, query: ListQuery): Promise<ListedConnection[]> {
  const rows = await sql.query<ListedRow>(
    `SELECT c.id, c.connection_id, i.unique_key, i.provider, i.emulated, c.state, c.state_reason, c.state_since, c.tags,
       c.metadata, c.created_at, c.end_user_id, u.email, u.display_name, u.tags AS end_user_tags, u.organization_id,
       u.organization_display_name
     FROM connection c
     JOIN integration i ON i.environment_id = c.environment_id AND i.id = c.integration_id
     LEFT JOIN end_user u ON u.environment_id = c.environment_id AND u.id = c.end_user_id
     WHERE c.environment_id = $1 AND c.deleted_at IS NULL
       AND ($2::text IS NULL OR c.connection_id = $2)
       AND ($3::text IS NULL OR strpos(lower(c.connection_id), $3) > 0 OR strpos(lower(u.display_name), $3) > 0
         OR strpos(lower(u.email), $3) > 0)
       AND ($4::text IS NULL OR c.end_user_id = $4)
       AND ($5::text IS NULL OR u.organization_id = $5)
       AND ($6::text[] IS NULL OR i.unique_key = ANY ($6))
       AND ($7::jsonb IS NULL OR c.tags @> $7)
     ORDER BY c.created_at DESC, c.id DESC LIMIT $8 OFFSET $9`,
    [
      query.environmentId,
      query.connectionId ?? null,
      query.search?.toLowerCase() ?? null,
      query.endUserId ?? null,
      query.organizationId ?? null,
      query.integrationKeys ?? null,
      query.tags === undefined ? null : JSON.stringify(query.tags),
      query.limit,
      query.page * query.limit,
    ],
  );
  return rows.map((row) => ({
    id: row.id,
    connectionId: row.connection_id,
    integrationKey: row.unique_key,
    provider: row.provider,
    emulated: row.emulated,
    state: row.state,
    stateReason: row.state_reason ?? undefined,
    stateSince: row.state_since,
    endUser: row.end_user_id === null ? undefined : toEndUser(row.end_user_id, row),
    tags: row.tags,
    metadata: row.metadata,
    createdAt: row.created_at,
  }));
}

export async function selectEndUser(sql: Sql, environmentId: number, id: string): Promise<EndUser | undefined> {
  const rows = await sql.query<Omit<ListedRow, 'end_user_tags'> & { end_user_tags: Record<string, string> }>(
    `SELECT email, display_name, tags AS end_user_tags, organization_id, organization_display_name FROM end_user
     WHERE environment_id = $1 AND id = $2`,
    [environmentId, id],
  );
  return rows[0] && toEndUser(id, rows[0]);
}

function toEndUser(
  id: string,
  row: Pick<ListedRow, 'email' | 'display_name' | 'end_user_tags' | 'organization_id' | 'organization_display_name'>,
): EndUser {
  return {
    id,
    email: row.email ?? undefined,
    displayName: row.display_name ?? undefined,
    tags: row.end_user_tags ?? {},
    organization:
      row.organization_id === null
        ? undefined
        : { id: row.organization_id, displayName: row.organization_display_name ?? undefined },
  };
}
