/**
 * The provider's answer comes back (wire contract C.3). Order: find and consume the flow, check the browser, check the
 * issuer, read the code, exchange it, store. Nothing is sent to the provider before the first three have passed.
 */
import { timingSafeEqual } from 'node:crypto';
import type { OAuth2Spec } from '../../../catalogue/_spec/index.ts';
import { HawserError, isHawserError } from '../../base/errors.ts';
import { errorText } from '../../base/log.ts';
import { UpstreamFailure } from '../../platform/upstream/index.ts';
import {
  codeRequest,
  isSignedCallback,
  issuerOf,
  issuerProblem,
  readCallback,
  readTokenAnswer,
  type OAuthClient,
  type TokenFailureKind,
} from '../../protocols/oauth2/index.ts';
import type { Credential } from '../credentials/index.ts';
import type { Integration } from '../integrations/index.ts';
import { askAfterConnect } from './after-connect.ts';
import type { Attempt } from './access.ts';
import { browserOf } from './browser.ts';
import type { ConnectDeps } from './deps.ts';
import { errors, socketType } from './errors.ts';
import type { FlowSecret, Notice, OAuthFlow } from './model.ts';
import { learnedValues, optionallyTold } from './plan.ts';
import { recordFailure, saveConnection } from './save.ts';
import { finishOAuth1 } from './finish-oauth1.ts';
import { finishInstall } from './install-app.ts';
import { flowPlace } from './open-flow.ts';
import { takeFlowOf } from './take-flow.ts';
import { selectSessionById } from './store.ts';

/** Why a provider gives no token, in words for the developer. */
const TOKEN_WORDS: Record<TokenFailureKind, string> = {
  invalid_grant: 'it does not accept the code',
  invalid_client: 'it does not accept the client id or secret of this integration',
  invalid_scope: 'it does not grant the scope that was asked for',
  refused: 'it refused',
  rate_limited: 'it asks to come back later',
  provider_down: 'it has a problem at the moment',
  malformed: 'its answer could not be understood',
};

/** What became of a callback; everything the page and the redirect need. */
export type Finish = {
  /** Where to go, when there is no popup. */
  returnTo: string | undefined;
  /** Id this browser gave; the page repeats it, so that two attempts of one browser never mix. */
  wsClientId: string | undefined;
} & (
  | { ok: true; notice: Extract<Notice, { message_type: 'success' }> }
  | { ok: false; error: HawserError; notice: Extract<Notice, { message_type: 'error' }> }
);

/** Handles a callback. Resolves also for every failure; `tell` gets the message for the waiting socket. */
export async function finishFlow(
  deps: ConnectDeps,
  input: { query: URLSearchParams; cookie: string },
  tell: (wsClientId: string, notice: Notice) => Promise<void>,
): Promise<Finish> {
  const progress: Progress = { connectionId: '', key: '' };
  let finish: Finish;
  try {
    const connectionId = await run(deps, input, progress);
    finish = {
      ok: true,
      notice: {
        message_type: 'success',
        provider_config_key: progress.key,
        connection_id: connectionId,
        is_pending: false,
      },
      returnTo: progress.secret?.returnTo,
      wsClientId: progress.ownClientId,
    };
  } catch (thrown) {
    finish = await fail(deps, progress, thrown);
  }
  if (progress.wsClientId !== undefined) {
    await tell(progress.wsClientId, finish.notice).catch((error: unknown) =>
      // The page tells the opener too, and the connection is stored: not worth failing the callback.
      deps.log.warn('the waiting browser could not be told', { error: errorText(error) }),
    );
  }
  return finish;
}

/** What is known so far; a failure reports as much as there is. */
interface Progress {
  key: string;
  connectionId: string;
  /** Who waits for the outcome. */
  wsClientId?: string | undefined;
  /** The same when it is the browser that came back: whoever knows it can send messages there. */
  ownClientId?: string | undefined;
  attempt?: Attempt;
  secret?: FlowSecret;
  providerError?: string | undefined;
}

async function run(
  deps: ConnectDeps,
  input: { query: URLSearchParams; cookie: string },
  progress: Progress,
): Promise<string> {
  const browser = browserOf(deps.publicUrl(), input.cookie);
  const flow = await takeFlowOf(deps, input.query, browser);
  progress.wsClientId = flow.wsClientId;
  progress.connectionId = flow.connectionId;
  const isOwn = browser !== undefined && timingSafeEqual(browser, flow.browserHash);
  if (isOwn) progress.ownClientId = flow.wsClientId;
  const { attempt, used } = await openFlow(deps, flow);
  progress.key = attempt.integration.uniqueKey;
  if (!isOwn) {
    // The page belongs to another browser: it learns nothing about the flow, and is not sent anywhere.
    progress.attempt = attempt;
    throw errors.fail('state_cookie_err');
  }
  progress.attempt = attempt;
  const secret = JSON.parse(
    await deps.environments.vault.open(flowPlace(flow.environmentId, flow.id), flow.sealed),
  ) as FlowSecret;
  progress.secret = secret;
  if (flow.expiresAt.getTime() <= deps.clock.now()) throw errors.fail('state_err');
  if (used) throw errors.fail('unknown_connect_session_token');

  if (attempt.integration.provider.oauth1 !== undefined) return finishOAuth1(deps, attempt, flow, secret, input.query);
  if (attempt.integration.provider.app !== undefined) return finishInstall(deps, attempt, flow, secret, input.query);
  const oauth2 = await deps.integrations.oauth2Of(attempt.integration);
  const answer = readCallback(oauth2, input.query);
  // Stops a mix-up of servers before the code goes anywhere.
  const { provider, integrationConfig } = attempt.integration;
  const issuer = issuerOf(oauth2, { provider, integrationConfig, connectionConfig: secret.connectionConfig });
  const mixedUp = issuerProblem({ ...oauth2, issuer: issuer ?? oauth2.issuer }, answer.iss);
  if (mixedUp !== undefined) throw errors.fail('iss_err', { message: `${mixedUp} Nothing was stored.` });
  if (answer.kind === 'refused') {
    progress.providerError = answer.error;
    const words = answer.description ?? answer.error;
    const message =
      answer.error === 'access_denied'
        ? `${attempt.integration.provider.displayName} says that access was refused.`
        : `${attempt.integration.provider.displayName} answered with an error: ${words}`;
    throw errors.fail('callback_err', { message });
  }
  if (answer.kind === 'incomplete') {
    throw errors.fail('callback_err', { message: 'The answer of the provider holds neither a code nor an error.' });
  }
  const { signature } = oauth2.callback;
  const clientSecret = clientOf(attempt.integration, secret).clientSecret;
  if (signature !== undefined && !isSignedCallback(signature, input.query, clientSecret)) {
    const message = 'The answer is not signed by the provider: something changed it on its way. Nothing was stored.';
    throw errors.fail('callback_err', { message });
  }
  return exchange(deps, attempt, flow, secret, oauth2, answer, progress);
}

async function exchange(
  deps: ConnectDeps,
  attempt: Attempt,
  flow: OAuthFlow,
  secret: FlowSecret,
  oauth2: OAuth2Spec,
  answer: { code: string; metadata: Record<string, string> },
  progress: Progress,
): Promise<string> {
  const { integration } = attempt;
  const { provider } = integration;
  const known = { ...secret.connectionConfig, ...learnedValues(provider, answer.metadata) };
  const client = clientOf(integration, secret);
  const request = codeRequest({
    provider,
    oauth2,
    client,
    connectionConfig: known,
    integrationConfig: integration.integrationConfig,
    code: answer.code,
    redirectUri: flow.redirectUri,
    codeVerifier: secret.codeVerifier,
    scope: secret.scopes.join(oauth2.scopes?.separator ?? ' '),
  });
  const response = await deps.upstream.call({ ...request, url: deps.integrations.targetUrl(integration, request.url) });
  // What we sent must not come back in the provider's error text.
  const sent = [client.clientSecret, answer.code, secret.codeVerifier].filter((value) => value !== undefined);
  const token = readTokenAnswer(oauth2, response, deps.clock.now(), sent);
  if (!token.ok) {
    progress.providerError = token.kind === 'invalid_client' ? token.kind : token.error;
    const said = [token.description ?? token.error, `status ${token.status}`].filter((part) => part !== undefined);
    throw errors.fail('token_err', {
      message: `${provider.displayName} gave no token: ${TOKEN_WORDS[token.kind]} (${said.join(', ')}).`,
    });
  }
  const learned = { ...known, ...learnedValues(provider, token.metadata) };
  const fresh: Credential = { type: 'OAUTH2', access_token: token.accessToken, raw: {} };
  const connectionConfig: Record<string, unknown> = {
    ...learned,
    ...(await askAfterConnect(deps, integration, learned, fresh)),
  };
  const account = provider.account === undefined ? undefined : connectionConfig[provider.account.idFrom];
  const expiresAt = token.expiresAtMs === undefined ? undefined : new Date(token.expiresAtMs);
  const { connection } = await saveConnection(deps, attempt, {
    connectionId: flow.connectionId,
    connectionConfig,
    configForgotten: optionallyTold(provider),
    accountId: typeof account === 'string' && account !== '' ? account : undefined,
    credential: {
      type: 'OAUTH2',
      access_token: token.accessToken,
      refresh_token: token.refreshToken,
      expires_at: expiresAt?.toISOString(),
      raw: token.raw,
      config_override: secret.clientOverride && {
        client_id: secret.clientOverride.clientId,
        client_secret: secret.clientOverride.clientSecret,
      },
    },
    // An answer without scope grants what was asked. Source: RFC 6749 section 5.1.
    facts: { scope: token.scope ?? secret.scopes.join(' '), expiresAt },
  });
  return connection.connectionId;
}

async function openFlow(deps: ConnectDeps, flow: OAuthFlow): Promise<{ attempt: Attempt; used: boolean }> {
  const [environment, integration, isLiving, session] = await Promise.all([
    deps.environments.byId(flow.environmentId),
    deps.integrations.byId(flow.environmentId, flow.integrationId),
    deps.integrations.holdLiving(deps.db, flow.environmentId, flow.integrationId),
    flow.connectSessionId === undefined
      ? undefined
      : selectSessionById(deps.db, flow.environmentId, flow.connectSessionId),
  ]);
  if (environment === undefined || integration === undefined || !isLiving) {
    throw errors.fail('unknown_provider_config');
  }
  if (session === undefined) throw errors.fail('unknown_connect_session_token');
  const reconnect =
    flow.reconnectId === undefined ? undefined : await deps.connections.byId(flow.environmentId, flow.reconnectId);
  if (flow.reconnectId !== undefined && reconnect === undefined) throw errors.fail('invalid_connection');
  const defaults = session.configDefaults[integration.uniqueKey];
  return { attempt: { session, environment, integration, defaults, reconnect }, used: session.used };
}

function clientOf(integration: Integration, secret: FlowSecret): OAuthClient {
  if (secret.clientOverride !== undefined) return secret.clientOverride;
  if (integration.client === undefined) throw errors.fail('integration_not_ready');
  return { clientId: integration.client.clientId, clientSecret: integration.client.clientSecret };
}

async function fail(deps: ConnectDeps, progress: Progress, thrown: unknown): Promise<Finish> {
  const error = toPublic(thrown);
  if (error.status >= 500) {
    deps.log.error('a callback failed', { code: error.code, integration: progress.key, error: errorText(thrown) });
  }
  if (progress.attempt !== undefined) {
    await recordFailure(deps, progress.attempt, {
      connectionId: progress.connectionId,
      code: error.code,
      message: error.message,
      ...(progress.providerError !== undefined && { detail: { providerError: progress.providerError } }),
    });
  }
  return {
    ok: false,
    error,
    notice: {
      message_type: 'error',
      provider_config_key: progress.key,
      connection_id: progress.connectionId,
      error_type: socketType(error.code),
      error_desc: error.message,
      provider_error: progress.providerError,
    },
    returnTo: progress.secret?.returnTo,
    wsClientId: progress.ownClientId,
  };
}

/** One of our errors for whatever was thrown; nothing internal gets out. */
function toPublic(thrown: unknown): HawserError {
  if (isHawserError(thrown)) return thrown;
  if (thrown instanceof UpstreamFailure)
    return errors.fail('provider_unreachable', { message: thrown.message, cause: thrown });
  return errors.fail('server_error', { cause: thrown });
}
