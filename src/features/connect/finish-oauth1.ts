import type { OAuth1Spec } from '../../../catalogue/_spec/index.ts';
import { accessTokenRequest, readOAuth1Answer, readOAuth1Callback } from '../../protocols/oauth1/index.ts';
import type { Attempt } from './access.ts';
import type { ConnectDeps } from './deps.ts';
import { errors } from './errors.ts';
import type { FlowSecret, OAuthFlow } from './model.ts';
import { learnedValues } from './plan.ts';
import { saveConnection } from './save.ts';
import { oauth1Input } from './start-oauth1.ts';

/**
 * The customer came back from an OAuth 1 provider: exchanges the approved request token and stores the connection.
 * Resolves to its public id. Errors: `callback_err`, `token_err`, `url_param_err`, and those of the upstream.
 */
export async function finishOAuth1(
  deps: ConnectDeps,
  attempt: Attempt,
  flow: OAuthFlow,
  secret: FlowSecret,
  query: URLSearchParams,
): Promise<string> {
  const { provider } = attempt.integration;
  const token = secret.requestToken;
  if (provider.oauth1 === undefined || token === undefined) throw errors.fail('state_err');
  const answer = readOAuth1Callback(query, token);
  if (answer.kind === 'refused') {
    throw errors.fail('callback_err', { message: `${provider.displayName} says that access was refused.` });
  }
  if (answer.kind === 'incomplete') {
    throw errors.fail('callback_err', { message: 'The answer of the provider holds no approval of this request.' });
  }
  const spec: OAuth1Spec = provider.oauth1;
  const input = oauth1Input(deps, attempt, spec, secret.connectionConfig);
  const response = await deps.upstream.call(accessTokenRequest({ ...input, token, verifier: answer.verifier }));
  const sent = [input.client.clientSecret, token.secret, answer.verifier];
  const read = readOAuth1Answer(response, sent);
  if (!read.ok) {
    const said = [read.description, `status ${read.status}`].filter((part) => part !== undefined);
    throw errors.fail('token_err', { message: `${provider.displayName} gave no token (${said.join(', ')}).` });
  }
  const metadata = Object.fromEntries(
    Object.entries(spec.metadata ?? {}).flatMap(([key, name]) => {
      const value = read.raw[name];
      return value === undefined ? [] : [[key, value]];
    }),
  );
  const connectionConfig = { ...secret.connectionConfig, ...learnedValues(provider, metadata) };
  const account = provider.account === undefined ? undefined : connectionConfig[provider.account.idFrom];
  const { connection } = await saveConnection(deps, attempt, {
    connectionId: flow.connectionId,
    connectionConfig,
    accountId: typeof account === 'string' && account !== '' ? account : undefined,
    credential: { type: 'OAUTH1', oauth_token: read.token.key, oauth_token_secret: read.token.secret, raw: read.raw },
    facts: { scope: secret.scopes.join(' '), expiresAt: undefined },
  });
  return connection.connectionId;
}
