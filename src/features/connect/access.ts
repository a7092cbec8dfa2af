import { secretHash } from '../../base/ids.ts';
import type { Environment } from '../../base/route.ts';
import type { Connection } from '../connections/index.ts';
import type { Integration } from '../integrations/index.ts';
import type { ConnectDeps } from './deps.ts';
import { errors } from './errors.ts';
import type { ConfigDefaults, ConnectSession } from './model.ts';
import { selectSession } from './store.ts';

/** Source: wire contract A.1. */
export const TOKEN_PREFIX = 'nango_connect_session_';
const TOKEN = /^nango_connect_session_[0-9a-f]{64}$/;

/** True for text shaped like a connect session token. */
export function isSessionToken(text: string): boolean {
  return TOKEN.test(text);
}

/** The open session behind a token. */
export async function findSession(
  deps: Pick<ConnectDeps, 'db' | 'clock'>,
  token: string,
): Promise<ConnectSession | undefined> {
  if (!isSessionToken(token)) return undefined;
  return selectSession(deps.db, secretHash(token), new Date(deps.clock.now()));
}

/** What one connect attempt works on: everything the session allows, looked up once. */
export interface Attempt {
  session: ConnectSession;
  environment: Environment;
  integration: Integration;
  defaults: ConfigDefaults | undefined;
  /** The connection to repair. */
  reconnect: Connection | undefined;
}

/**
 * Opens the session of a browser call. Errors: `deprecated_authentication`, `invalid_connect_session_token_format`,
 * `unknown_connect_session_token`.
 */
export async function openSession(
  deps: ConnectDeps,
  query: { token: string | undefined; publicKey: string | undefined },
): Promise<ConnectSession> {
  if (query.token === undefined && query.publicKey !== undefined) throw errors.fail('deprecated_authentication');
  if (query.token === undefined || !isSessionToken(query.token)) {
    throw errors.fail('invalid_connect_session_token_format');
  }
  const session = await findSession(deps, query.token);
  if (session === undefined) throw errors.fail('unknown_connect_session_token');
  return session;
}

/** Errors: `unknown_provider_config`, `integration_not_allowed`, `invalid_connection`. */
export async function openAttempt(deps: ConnectDeps, session: ConnectSession, key: string): Promise<Attempt> {
  const environment = await deps.environments.byId(session.environmentId);
  const integration = await deps.integrations.byKey(session.environmentId, key);
  if (environment === undefined || integration === undefined) throw errors.fail('unknown_provider_config');
  if (session.allowedIntegrations !== undefined && !session.allowedIntegrations.includes(key)) {
    throw errors.fail('integration_not_allowed');
  }
  const reconnect =
    session.reconnectId === undefined
      ? undefined
      : await deps.connections.byId(session.environmentId, session.reconnectId);
  if (session.reconnectId !== undefined && reconnect === undefined) throw errors.fail('invalid_connection');
  if (reconnect !== undefined && reconnect.integrationId !== integration.id)
    throw errors.fail('integration_not_allowed');
  return { session, environment, integration, defaults: session.configDefaults[key], reconnect };
}
