import type { OAuth1Spec } from '../../../catalogue/_spec/index.ts';
import { randomSecret } from '../../base/ids.ts';
import { isHawserError } from '../../base/errors.ts';
import { UpstreamFailure } from '../../platform/upstream/index.ts';
import {
  authorizePage,
  readOAuth1Answer,
  requestTokenRequest,
  type OAuth1Input,
  type OAuth1Token,
} from '../../protocols/oauth1/index.ts';
import type { Attempt } from './access.ts';
import type { ConnectDeps } from './deps.ts';
import { errors } from './errors.ts';
import { configOf, redirectUriOf, storeFlow } from './open-flow.ts';
import { scopesOf } from './plan.ts';
import type { BrowserQuery } from './query.ts';

/**
 * Opens an OAuth 1 flow: asks for a request token, stores it bound to this browser, and resolves to the page on which
 * the customer approves it.
 *
 * Errors: `integration_not_ready`, `invalid_query_params`, `invalid_scope`, `url_param_err`,
 * `request_token_external_error`, `provider_unreachable`.
 */
export async function startOAuth1(
  deps: ConnectDeps,
  attempt: Attempt,
  spec: OAuth1Spec,
  input: { query: BrowserQuery; cookie: string; returnTo: string | undefined },
): Promise<{ location: string; setCookie: string }> {
  const { integration } = attempt;
  const { query } = input;
  if (query.clientOverride !== undefined) {
    const message = `${integration.provider.displayName} connects with the client of the integration only.`;
    throw errors.fail('invalid_query_params', { message });
  }
  const connectionConfig = configOf(attempt, query);
  const scopes = scopesOf(integration, attempt.defaults);
  const oauth1 = oauth1Input(deps, attempt, spec, connectionConfig);
  const state = randomSecret();
  const redirectUri = redirectUriOf(deps, attempt);
  const callback = new URL(redirectUri);
  callback.searchParams.set('state', state);
  const token = await askRequestToken(deps, oauth1, callback.href);
  const page = forAddress(() => authorizePage({ ...oauth1, token, scopes }));
  const secret = { scopes, connectionConfig, requestToken: token, returnTo: input.returnTo };
  const setCookie = await storeFlow(deps, attempt, { ...input, state, redirectUri, secret });
  return { location: deps.integrations.targetUrl(integration, page).href, setCookie };
}

/** What every request of the flow is built from. Errors: `integration_not_ready`. */
export function oauth1Input(
  deps: ConnectDeps,
  { integration }: Attempt,
  spec: OAuth1Spec,
  connectionConfig: Record<string, unknown>,
): OAuth1Input {
  const { client, provider, integrationConfig } = integration;
  if (client === undefined || client.clientId === '') throw errors.fail('integration_not_ready');
  return {
    spec,
    provider,
    integrationConfig,
    connectionConfig,
    client: { clientId: client.clientId, clientSecret: client.clientSecret },
    nowMs: deps.clock.now(),
    target: (url) => deps.integrations.targetUrl(integration, url),
  };
}

async function askRequestToken(deps: ConnectDeps, input: OAuth1Input, callback: string): Promise<OAuth1Token> {
  const name = input.provider.displayName;
  const request = forAddress(() => requestTokenRequest({ ...input, callback }));
  let response;
  try {
    response = await deps.upstream.call(request);
  } catch (error) {
    if (!(error instanceof UpstreamFailure)) throw error;
    throw errors.fail('provider_unreachable', {
      message: `${name} could not be asked: ${error.message}`,
      cause: error,
    });
  }
  const answer = readOAuth1Answer(response, [input.client.clientSecret]);
  if (answer.ok) return answer.token;
  const said = [answer.description, `status ${answer.status}`].filter((part) => part !== undefined);
  throw errors.fail('request_token_external_error', {
    message: `${name} gave no request token: check the client id and secret of this integration (${said.join(', ')}).`,
  });
}

/** Template faults of any kind are one thing to the caller: a value of the address does not fit. */
function forAddress<T>(build: () => T): T {
  try {
    return build();
  } catch (error) {
    if (!isHawserError(error) || error.status !== 400) throw error;
    throw errors.fail('url_param_err', { message: error.message, cause: error });
  }
}
