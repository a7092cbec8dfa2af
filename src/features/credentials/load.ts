/** Reads a connection with its integration and its credential, as stored. */
import type { OAuth2Spec } from '../../../catalogue/_spec/index.ts';
import { chosenOAuth2 } from '../../protocols/oauth2/index.ts';
import { connectionErrors, grantRowOf, type Connection } from '../connections/index.ts';
import { integrationErrors, type Integration } from '../integrations/index.ts';
import type { Reading } from './cache.ts';
import type { Context } from './context.ts';
import { credentialErrors } from './errors.ts';
import { HAND_OUT_MARGIN_MS, refreshWindowMs, usabilityOf, type Usability } from './expiry.ts';
import { isMachine, type LiveConnection } from './model.ts';
import { canRenew } from './renewal.ts';
import { openGrant, refreshTokenOf } from './seal.ts';
import { selectCredential, type CredentialRow } from './store.ts';

/** States whose credential can be used as it is, without a second thought. */
const USABLE_STATES: readonly string[] = ['active', 'expiring', 'not_ready', 'spent'];

export interface Loaded {
  live: LiveConnection;
  row: CredentialRow;
  usability: Usability;
  /** Monotonic time at which the row was read; `row.left_ms` counts from here. */
  readAtMs: number;
  windowMs: number;
  /** Kept apart: what is cached and handed out holds no refresh token. */
  refreshToken: string | undefined;
  /** There is a way to a new token: a refresh token with a client to use it with, or a credential that brings its own. */
  refreshable: boolean;
}

/** Errors: `unknown_provider_config`, `unknown_connection`, `sealed`. */
export async function loadByName(
  context: Context,
  environmentId: number,
  integrationKey: string,
  connectionId: string,
): Promise<Loaded> {
  return reading(context, async () => {
    const integration = await context.integrations.byKey(environmentId, integrationKey);
    if (integration === undefined) throw integrationErrors.fail('unknown_provider_config');
    const connection = await context.connections.byPublicId(environmentId, integration.id, connectionId);
    return loadRow(context, integration, connection);
  });
}

/**
 * The same by row ids. A row that keeps a grant for others after its own connection was let go stands for one of them.
 * Errors: `unknown_provider_config`, `unknown_connection`, `sealed`.
 */
export async function loadByRow(context: Context, environmentId: number, connectionRow: number): Promise<Loaded> {
  return reading(context, async () => {
    const connection =
      (await context.connections.byId(environmentId, connectionRow)) ??
      (await context.connections.ofGrant(context.db, environmentId, connectionRow))[0];
    if (connection === undefined) throw connectionErrors.fail('unknown_connection');
    const integration = await context.integrations.byId(environmentId, connection.integrationId);
    if (integration === undefined) throw integrationErrors.fail('unknown_provider_config');
    return loadRow(context, integration, connection);
  });
}

async function loadRow(
  context: Context,
  integration: Integration,
  connection: Connection | undefined,
): Promise<Loaded> {
  if (connection === undefined) throw connectionErrors.fail('unknown_connection');
  const readAtMs = context.clock.monotonicMs();
  const row = await selectCredential(context.db, connection.environmentId, grantRowOf(connection));
  if (row === undefined && connection.state === 'revoked_by_provider') {
    throw credentialErrors.fail('connection_needs_reauth');
  }
  if (row === undefined) throw connectionErrors.fail('unknown_connection', { detail: 'no credential is stored' });
  const stored = await openGrant(context.vault, row);
  const refreshToken = refreshTokenOf(stored);
  const credential = stored.type === 'OAUTH2' ? { ...stored, refresh_token: undefined } : stored;
  const windowMs = refreshWindowMs(row.lifetime_ms ?? undefined, connection.id, row.gen);
  return {
    live: {
      connection,
      integration,
      credential,
      generation: row.gen,
      scope: row.scope ?? undefined,
      expiresAtMs: row.expires_at?.getTime(),
    },
    row,
    usability: usabilityOf(row.left_ms ?? undefined, windowMs),
    readAtMs,
    windowMs,
    refreshToken,
    refreshable: isMachine(stored)
      ? canRenew(integration, stored)
      : refreshToken !== undefined && refreshSpecOf(integration, connection) !== undefined,
  };
}

/** The refresh facts of a connection; undefined when its provider or its integration has no way to refresh. */
export function refreshSpecOf(integration: Integration, connection: Connection): OAuth2Spec['refresh'] {
  if (integration.client === undefined) return undefined;
  const { provider, integrationConfig } = integration;
  return chosenOAuth2({ provider, integrationConfig, connectionConfig: connection.connectionConfig })?.refresh;
}

async function reading(context: Context, read: () => Promise<Loaded>): Promise<Loaded> {
  const started: Reading = context.cache.begin();
  let loaded: Loaded | undefined;
  try {
    loaded = await read();
    return loaded;
  } finally {
    context.cache.end(started, loaded && cacheable(loaded));
  }
}

function cacheable(loaded: Loaded) {
  const { live, row, readAtMs, windowMs, refreshable } = loaded;
  if (!USABLE_STATES.includes(live.connection.state)) return undefined;
  const endsAtMs = row.left_ms === null ? Number.POSITIVE_INFINITY : readAtMs + row.left_ms;
  return {
    live,
    usableUntilMs: endsAtMs - HAND_OUT_MARGIN_MS,
    dueAtMs: refreshable ? endsAtMs - windowMs : Number.POSITIVE_INFINITY,
  };
}
