import { randomId, randomSecret, secretHash } from '../../base/ids.ts';
import { isHawserError } from '../../base/errors.ts';
import { authorizeUrl, newPkce, type OAuthClient } from '../../protocols/oauth2/index.ts';
import { openAttempt, openSession, type Attempt } from './access.ts';
import { bindBrowser } from './browser.ts';
import type { ConnectDeps } from './deps.ts';
import { errors } from './errors.ts';
import { FLOW_LIFE_MS, type FlowSecret } from './model.ts';
import { authorizationParamsOf, configIssues, connectionConfigOf, scopesOf, splitScopes } from './plan.ts';
import type { BrowserQuery } from './query.ts';
import { insertFlow } from './store-flows.ts';

/** Where a flow's sealed part lives. */
export function flowPlace(environmentId: number, id: string) {
  return { environmentId, table: 'oauth_flow', row: id, column: 'sealed' };
}

/**
 * Opens an OAuth flow: checks what the session allows, stores the state bound to this browser, and resolves to the
 * provider's authorize URL and the cookie. `returnTo` is already checked.
 *
 * Errors: those of the session and the attempt, `invalid_auth_mode`, `integration_not_ready`, `invalid_scope`,
 * `url_param_err`.
 */
export async function startFlow(
  deps: ConnectDeps,
  input: { key: string; query: BrowserQuery; cookie: string; returnTo: string | undefined },
): Promise<{ location: string; setCookie: string }> {
  const { query } = input;
  const attempt = await openAttempt(deps, await openSession(deps, query), input.key);
  const { integration, environment, defaults, session } = attempt;
  const { provider } = integration;
  if (provider.authMode !== 'OAUTH2' || provider.oauth2 === undefined) {
    const message = `${provider.displayName} does not connect by OAuth 2: send the credentials instead.`;
    throw errors.fail('invalid_auth_mode', { message });
  }
  const client = clientOf(attempt, query);
  const scopes = scopesOf(integration, defaults);
  const connectionConfig = {
    ...attempt.reconnect?.connectionConfig,
    ...connectionConfigOf(provider, defaults, query.params),
  };
  const issues = configIssues(provider.connectionConfig, connectionConfig, 'params');
  if (issues.length > 0) throw errors.fail('url_param_err', { message: issues[0]?.message ?? '', errors: issues });

  const oauth2 = await deps.integrations.oauth2Of(integration);
  const state = randomSecret();
  const pkce = oauth2.pkce === 'S256' ? newPkce() : undefined;
  const redirectUri = environment.callbackUrl ?? new URL('/oauth/callback', deps.publicUrl()).href;
  const userScopes = splitScopes(defaults?.user_scopes ?? '');
  let location: URL;
  try {
    location = authorizeUrl({
      provider,
      oauth2,
      client,
      connectionConfig,
      integrationConfig: integration.integrationConfig,
      redirectUri,
      scopes,
      state,
      codeChallenge: pkce?.challenge,
      extraParams: authorizationParamsOf(oauth2, defaults, query.authorizationParams),
      userScopes: userScopes.length > 0 ? userScopes : undefined,
    });
  } catch (error) {
    // Template faults of any kind are one thing to the caller: a value of the address does not fit.
    if (isHawserError(error) && error.status === 400)
      throw errors.fail('url_param_err', { message: error.message, cause: error });
    throw error;
  }

  const secret: FlowSecret = {
    codeVerifier: pkce?.verifier,
    scopes,
    connectionConfig,
    clientOverride: query.clientOverride,
    returnTo: input.returnTo,
  };
  const browser = bindBrowser(deps.publicUrl(), input.cookie);
  const id = randomId();
  const sealed = await deps.environments.vault.seal(flowPlace(environment.id, id), JSON.stringify(secret));
  const now = new Date(deps.clock.now());
  await deps.db.transaction((tx) =>
    insertFlow(tx, {
      environmentId: environment.id,
      id,
      stateHash: secretHash(state),
      browserHash: browser.hash,
      integrationId: integration.id,
      connectionId: attempt.reconnect?.connectionId ?? randomId(),
      reconnectId: attempt.reconnect?.id,
      connectSessionId: session.id,
      sealed,
      redirectUri,
      wsClientId: query.wsClientId,
      now,
      expiresAt: new Date(now.getTime() + FLOW_LIFE_MS),
    }),
  );
  return { location: deps.integrations.targetUrl(integration, location).href, setCookie: browser.setCookie };
}

function clientOf({ integration }: Attempt, query: BrowserQuery): OAuthClient {
  if (query.clientOverride !== undefined) return query.clientOverride;
  const { client } = integration;
  if (client === undefined || client.clientId === '') throw errors.fail('integration_not_ready');
  return { clientId: client.clientId, clientSecret: client.clientSecret };
}
