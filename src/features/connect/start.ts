import { randomSecret } from '../../base/ids.ts';
import { isHawserError } from '../../base/errors.ts';
import { authorizeUrl, newPkce, type OAuthClient } from '../../protocols/oauth2/index.ts';
import { openAttempt, openSession, type Attempt } from './access.ts';
import type { ConnectDeps } from './deps.ts';
import { errors } from './errors.ts';
import type { FlowSecret } from './model.ts';
import { startInstall } from './install-app.ts';
import { configOf, redirectUriOf, storeFlow } from './open-flow.ts';
import { authorizationParamsOf, scopesOf, splitScopes } from './plan.ts';
import type { BrowserQuery } from './query.ts';
import { startOAuth1 } from './start-oauth1.ts';

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
  const { integration, defaults } = attempt;
  const { provider } = integration;
  if (provider.app !== undefined) return startInstall(deps, attempt, provider.app, input);
  if (provider.oauth1 !== undefined) return startOAuth1(deps, attempt, provider.oauth1, input);
  if (provider.authMode !== 'OAUTH2' || provider.oauth2 === undefined) {
    const message = `${provider.displayName} does not connect by OAuth: send the credentials instead.`;
    throw errors.fail('invalid_auth_mode', { message });
  }
  const client = clientOf(attempt, query);
  const scopes = scopesOf(integration, defaults);
  const connectionConfig = configOf(attempt, query);
  const oauth2 = await deps.integrations.oauth2Of(integration);
  const state = randomSecret();
  const pkce = oauth2.pkce === 'S256' ? newPkce() : undefined;
  const redirectUri = redirectUriOf(deps, attempt);
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
  const setCookie = await storeFlow(deps, attempt, { ...input, state, redirectUri, secret });
  return { location: deps.integrations.targetUrl(integration, location).href, setCookie };
}

function clientOf({ integration }: Attempt, query: BrowserQuery): OAuthClient {
  if (query.clientOverride !== undefined) return query.clientOverride;
  const { client } = integration;
  if (client === undefined || client.clientId === '') throw errors.fail('integration_not_ready');
  return { clientId: client.clientId, clientSecret: client.clientSecret };
}
