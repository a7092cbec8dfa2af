/** Credentials typed by the customer: checked with the provider, then stored (wire contract C.4). */
import { z } from 'zod';
import type { AuthMode } from '../../../catalogue/_spec/index.ts';
import { isHawserError } from '../../base/errors.ts';
import { randomId } from '../../base/ids.ts';
import { errorText } from '../../base/log.ts';
import type { Credential } from '../credentials/index.ts';
import { openAttempt, openSession, type Attempt } from './access.ts';
import type { ConnectDeps } from './deps.ts';
import { errors } from './errors.ts';
import { makeCredential } from './make-credential.ts';
import { configIssues, connectionConfigOf } from './plan.ts';
import type { BrowserQuery } from './query.ts';
import { recordFailure, saveConnection } from './save.ts';
import { verifyCredential } from './verify.ts';

/** What the endpoints for typed credentials have in common. */
export const credentialRoute = {
  method: 'POST',
  auth: { by: 'public', why: 'called by the customer’s browser; the connect session token is in the query' },
  params: z.object({ providerConfigKey: z.string().min(1).max(255) }),
  query: z.record(z.string(), z.unknown()),
  output: z.object({ connectionId: z.string(), providerConfigKey: z.string() }),
  errors: ['integration_not_allowed', 'invalid_auth_mode', 'invalid_connection', 'connection_test_failed'],
} as const;

/** Longest key or password. Source: wire contract B.5. */
export const SECRET_LENGTH_MAX = 1_024;

/** Longest key or certificate, PEM. Source: wire contract B.5. */
export const PEM_LENGTH_MAX = 10_000;

export interface TypedCredential {
  key: string;
  query: BrowserQuery;
  mode: AuthMode;
  credential: Credential | NewToken;
}

/** What a machine mode's first token is made from. */
export interface NewToken {
  fields: Record<string, string>;
}

/**
 * Stores a typed credential as a connection. Resolves to what the published client returns.
 *
 * Errors: those of the session and the attempt, `invalid_auth_mode`, `invalid_query_params`, `connection_test_failed`.
 */
export async function saveTypedCredential(
  deps: ConnectDeps,
  input: TypedCredential,
): Promise<{ connectionId: string; providerConfigKey: string }> {
  const session = await openSession(deps, input.query);
  const attempt = await openAttempt(deps, session, input.key);
  const connectionId = attempt.reconnect?.connectionId ?? randomId();
  try {
    const saved = await save(deps, attempt, connectionId, input);
    return { connectionId: saved, providerConfigKey: attempt.integration.uniqueKey };
  } catch (thrown) {
    const error = isHawserError(thrown) ? thrown : errors.fail('server_error', { cause: thrown });
    if (error.status >= 500) deps.log.error('a credential could not be stored', { error: errorText(thrown) });
    // A typo in the form is for the customer alone; the rest is worth a line for the developer.
    if (error.code !== 'invalid_query_params') {
      await recordFailure(deps, attempt, { connectionId, code: error.code, message: error.message });
    }
    throw error;
  }
}

async function save(
  deps: ConnectDeps,
  attempt: Attempt,
  connectionId: string,
  input: TypedCredential,
): Promise<string> {
  const { provider } = attempt.integration;
  if (provider.authMode !== input.mode) {
    const message = `${provider.displayName} connects with ${provider.authMode}, not with ${input.mode}.`;
    throw errors.fail('invalid_auth_mode', { message });
  }
  const connectionConfig = {
    ...attempt.reconnect?.connectionConfig,
    ...connectionConfigOf(provider, attempt.defaults, input.query.params),
  };
  const issues = configIssues(provider.connectionConfig, connectionConfig, 'params');
  if (issues.length > 0) {
    throw errors.fail('invalid_query_params', { message: issues[0]?.message ?? '', errors: issues });
  }
  const made = await makeCredential(deps, attempt, connectionConfig, input);
  Object.assign(connectionConfig, made.learned);
  await verifyCredential(deps, attempt.integration, connectionConfig, made.credential);
  const account = provider.account === undefined ? undefined : connectionConfig[provider.account.idFrom];
  const { connection } = await saveConnection(deps, attempt, {
    connectionId,
    connectionConfig,
    credential: made.credential,
    facts: made.facts,
    accountId: typeof account === 'string' && account !== '' ? account : undefined,
  });
  return connection.connectionId;
}
