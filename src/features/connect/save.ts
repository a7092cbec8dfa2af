import { isHawserError } from '../../base/errors.ts';
import type { Sql } from '../../platform/postgres/index.ts';
import { tagsFor, tagsWithUser } from '../connections/index.ts';
import type { Credential, GrantFacts } from '../credentials/index.ts';
import type { Attempt } from './access.ts';
import type { ConnectDeps } from './deps.ts';
import { errors } from './errors.ts';
import { keepConnection, type KeptConnection } from './keep.ts';
import { claimSession } from './store.ts';

/** What a successful attempt brings. */
export interface Outcome {
  /** Public name of the connection. */
  connectionId: string;
  connectionConfig: Record<string, unknown>;
  /** What an earlier grant of this connection may have told and this one did not. */
  configForgotten?: readonly string[];
  credential: Credential;
  facts: GrantFacts;
  accountId: string | undefined;
}

/**
 * Stores a connection with its credential, spends the session and writes the event, all in one transaction: whoever
 * fails here changes nothing, an existing connection keeps its credential.
 *
 * The app's own checks run before, with the credential that is about to be stored.
 *
 * Errors: `connection_validation_failed` (one of them refused it), `unknown_connect_session_token` (the session was spent
 * meanwhile), `unknown_provider_config` (the integration was deleted meanwhile), `invalid_connection` (so was the
 * connection to repair), `account_already_connected` and `account_changed` (the integration's policy about accounts).
 */
export async function saveConnection(deps: ConnectDeps, attempt: Attempt, outcome: Outcome): Promise<KeptConnection> {
  const { session, environment, integration, reconnect } = attempt;
  const given = Object.keys(session.tags).length > 0;
  await deps.events?.validate({
    environmentId: environment.id,
    integration,
    connectionId: outcome.connectionId,
    connectionConfig: outcome.connectionConfig,
    credential: outcome.credential,
    facts: outcome.facts,
    tags: session.tags,
    existing: reconnect,
  });
  const { connectionConfig, credential } = outcome;
  const readiness = await deps.accounts.readiness(integration, connectionConfig, credential);
  const newTags =
    given || reconnect === undefined
      ? session.tags
      : session.endUser && (await tagsWithUser(deps.connections, reconnect, session.endUser));
  const arrival = {
    environmentId: environment.id,
    integration,
    connectionId: outcome.connectionId,
    accountId: outcome.accountId,
  };
  const store = async (tx: Sql) => {
    const claimed = await claimSession(tx, environment.id, session.id, new Date(deps.clock.now()));
    if (!claimed) throw errors.fail('unknown_connect_session_token');
    const kept = await keepConnection(deps, tx, {
      arrival,
      credential,
      facts: outcome.facts,
      values: () => ({
        connectionConfig: outcome.connectionConfig,
        configForgotten: outcome.configForgotten,
        tags: newTags,
        endUser: session.endUser,
        webhookUrlOverride: session.webhookUrlOverride,
        ...(readiness.ready === false
          ? { state: 'not_ready' as const, stateReason: readiness.reason }
          : { state: 'active' as const }),
      }),
      payload: ({ connectionId, tags }) => ({ ...authEvent(attempt, connectionId), tags }),
    });
    if (reconnect !== undefined && kept.connection.id !== reconnect.id) throw errors.fail('invalid_connection');
    return kept;
  };
  const saved = await deps.db.transaction(store).catch(async (error: unknown) => {
    // The customer has granted something all the same.
    if (isHawserError(error, 'account_already_connected', 'account_changed', 'invalid_connection')) {
      await deps.accounts.refused(arrival, credential, reconnect);
    }
    throw error;
  });
  deps.activity.record({
    environmentId: environment.id,
    kind: 'connect',
    ok: true,
    connectionId: saved.connection.id,
    integration: integration.uniqueKey,
    summary: saved.operation === 'creation' ? 'Connected' : 'Connected again',
    detail: { operation: saved.operation, ...scopeDetail(outcome.facts.scope) },
  });
  return saved;
}

/** Notes a failed attempt for the developer and tells the app. Never throws: the customer's page comes first. */
export async function recordFailure(
  deps: ConnectDeps,
  attempt: Attempt,
  failure: { connectionId: string; code: string; message: string; detail?: Record<string, string | number | boolean> },
): Promise<void> {
  const { environment, integration, reconnect } = attempt;
  deps.activity.record({
    environmentId: environment.id,
    kind: 'connect',
    ok: false,
    connectionId: reconnect?.id,
    integration: integration.uniqueKey,
    summary: failure.message,
    detail: { code: failure.code, ...failure.detail },
  });
  try {
    await deps.connections.writeEvent(deps.db, {
      environmentId: environment.id,
      type: 'auth',
      ...(reconnect && { connectionId: reconnect.id }),
      payload: {
        ...authEvent(attempt, failure.connectionId),
        operation: reconnect === undefined ? 'creation' : 'override',
        success: false,
        error: { type: failure.code, description: failure.message },
      },
    });
  } catch (error) {
    const reason = isHawserError(error) ? error.code : 'unknown';
    deps.log.warn('the event of a failed connect could not be written', { reason, integration: integration.uniqueKey });
  }
}

/** The fields every auth event has (wire contract D.2); `from` and signatures are added on delivery. */
function authEvent({ environment, integration, session }: Attempt, connectionId: string) {
  const { endUser } = session;
  return {
    type: 'auth',
    connectionId,
    providerConfigKey: integration.uniqueKey,
    provider: integration.provider.name,
    authMode: integration.provider.authMode,
    environment: environment.name,
    tags: Object.keys(session.tags).length > 0 ? session.tags : tagsFor(endUser),
    ...(endUser && {
      endUser: {
        endUserId: endUser.id,
        ...(endUser.email !== undefined && { endUserEmail: endUser.email }),
        ...(endUser.organization !== undefined && { organizationId: endUser.organization.id }),
        tags: endUser.tags,
      },
    }),
  };
}

function scopeDetail(scope: string | undefined): Record<string, string> {
  return scope === undefined || scope === '' ? {} : { scope };
}
