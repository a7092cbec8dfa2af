/** The wire forms of a connection with its credential (wire contract B.5). */
import { endUserToWire, errorsToWire, offsetDate, type Connection, type EndUser } from '../connections/index.ts';
import type { Integration } from '../integrations/index.ts';
import { isMachine, type Credential, type MachineCredential } from './model.ts';

const REFRESH_TOKEN_NAME = 'refreshtoken';

/** Drops every property whose name means "refresh token", at any depth. */
export function withoutRefreshTokens(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutRefreshTokens);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([name]) => name.toLowerCase().replace(/[^a-z]/g, '') !== REFRESH_TOKEN_NAME)
      .map(([name, inner]) => [name, withoutRefreshTokens(inner)]),
  );
}

/** The credential as its owner reads it; NONE is `{}`. */
export function credentialToWire(credential: Credential): Record<string, unknown> {
  if (credential.type === 'NONE') return {};
  if (isMachine(credential)) return machineToWire(credential);
  if (credential.type !== 'OAUTH2') return { ...credential };
  const { refresh_token: refreshToken, expires_at: expiresAt, config_override: override, ...rest } = credential;
  return {
    ...rest,
    ...(refreshToken !== undefined && { refresh_token: refreshToken }),
    ...(expiresAt !== undefined && { expires_at: expiresAt }),
    ...(override !== undefined && { config_override: override }),
    raw: refreshToken === undefined ? rest.raw : { ...rest.raw, refresh_token: refreshToken },
  };
}

/** The token, its end, the answer, and the form's values beside them. */
function machineToWire({
  type,
  token,
  expires_at: expiresAt,
  raw,
  fields,
}: MachineCredential): Record<string, unknown> {
  if (type === 'AWS_SIGV4') {
    const { AccessKeyId: access_key_id, SecretAccessKey: secret_access_key } = raw;
    const keys = { access_key_id, secret_access_key, session_token: token };
    return { ...fields, type, ...keys, ...(expiresAt !== undefined && { expires_at: expiresAt }), raw };
  }
  if (type === 'APP') {
    return { type, access_token: token, ...(expiresAt !== undefined && { expires_at: expiresAt }), raw };
  }
  const made = type === 'JWT';
  return { ...fields, type, token, ...(expiresAt !== undefined && { expires_at: expiresAt }), ...(!made && { raw }) };
}

export interface ConnectionParts {
  connection: Connection;
  integration: Integration;
  endUser: EndUser | undefined;
  /** Undefined: without credentials (an error's payload). */
  credentials: Record<string, unknown> | undefined;
  dates: 'offset' | 'zulu';
  withRefreshToken: boolean;
}

/** The full connection object of Get and Import. */
export function connectionToWire(parts: ConnectionParts): Record<string, unknown> {
  const { connection, integration } = parts;
  const date = (value: Date): string => (parts.dates === 'offset' ? offsetDate(value) : value.toISOString());
  const hide = (value: unknown): unknown => (parts.withRefreshToken ? value : withoutRefreshTokens(value));
  return {
    id: connection.id,
    connection_id: connection.connectionId,
    provider_config_key: integration.uniqueKey,
    provider: integration.provider.name,
    errors: errorsToWire(connection.state, connection.stateReason),
    end_user: endUserToWire(parts.endUser),
    tags: connection.tags,
    metadata: connection.metadata ?? {},
    connection_config: hide(connection.connectionConfig),
    webhook_url_override: connection.webhookUrlOverride ?? null,
    created_at: date(connection.createdAt),
    updated_at: date(connection.updatedAt),
    last_fetched_at: connection.lastFetchedAt === undefined ? null : date(connection.lastFetchedAt),
    state: connection.state,
    state_reason: connection.stateReason ?? null,
    state_since: date(connection.stateSince),
    last_good_call_at: connection.lastGoodCallAt === undefined ? null : date(connection.lastGoodCallAt),
    emulated: integration.emulated,
    ...(parts.credentials && { credentials: hide(parts.credentials) }),
  };
}
