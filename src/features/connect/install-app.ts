/** Apps that the customer installs at the provider, which then sends the browser back with the installation's id. */
import type { AppSpec } from '../../../catalogue/_spec/index.ts';
import { randomSecret } from '../../base/ids.ts';
import { holesFor, urlFrom } from '../../protocols/input.ts';
import { installationRequest, readInstallation } from '../../protocols/machine-token/index.ts';
import { obtainToken } from '../credentials/index.ts';
import type { Attempt } from './access.ts';
import type { ConnectDeps } from './deps.ts';
import { errors } from './errors.ts';
import { FLOW_LIFE_MS, type FlowSecret, type OAuthFlow } from './model.ts';
import { configOf, redirectUriOf, storeFlow } from './open-flow.ts';
import { learnedValues } from './plan.ts';
import type { BrowserQuery } from './query.ts';
import { saveConnection } from './save.ts';

/** The provider's clock may be behind ours by this much. */
const CLOCK_SKEW_MS = 2 * 60_000;
const INSTALLATION_ID = /^[1-9][0-9]{0,19}$/;

/** Sends the browser to the page where the app is installed. Errors: `integration_not_ready`, `url_param_err`. */
export async function startInstall(
  deps: ConnectDeps,
  attempt: Attempt,
  spec: AppSpec,
  input: { query: BrowserQuery; cookie: string; returnTo: string | undefined },
): Promise<{ location: string; setCookie: string }> {
  const { integration } = attempt;
  const { provider, integrationConfig, client } = integration;
  if (client?.appLink === undefined) throw errors.fail('integration_not_ready');
  const connectionConfig = configOf(attempt, input.query);
  const state = randomSecret();
  const page = urlFrom(
    spec.installUrl,
    holesFor({ provider, integrationConfig, connectionConfig }, { appLink: client.appLink }),
  );
  page.searchParams.set('state', state);
  const secret: FlowSecret = { scopes: [], connectionConfig, returnTo: input.returnTo };
  const setCookie = await storeFlow(deps, attempt, {
    ...input,
    state,
    redirectUri: redirectUriOf(deps, attempt),
    secret,
  });
  return { location: deps.integrations.targetUrl(integration, page).href, setCookie };
}

/**
 * The customer came back from the installation. The id in the address is only a claim: it is believed when the provider
 * says that this installation was made or changed during this flow, or when the connection to repair holds it already.
 * Otherwise anybody could connect the installation of somebody else. Resolves to the connection's public id.
 *
 * Errors: `callback_err`, `url_param_err`, `token_err`.
 */
export async function finishInstall(
  deps: ConnectDeps,
  attempt: Attempt,
  flow: OAuthFlow,
  secret: FlowSecret,
  query: URLSearchParams,
): Promise<string> {
  const { integration, reconnect } = attempt;
  const { provider, integrationConfig, client } = integration;
  const spec = provider.app;
  if (spec === undefined) throw errors.fail('state_err');
  const name = provider.displayName;
  const [installationId = '', ...others] = query.getAll('installation_id');
  if (query.get('setup_action') === 'request') {
    const message = `An owner of the ${name} account must approve the installation. Connect again when that is done.`;
    throw errors.fail('callback_err', { message });
  }
  if (others.length > 0 || !INSTALLATION_ID.test(installationId)) {
    throw errors.fail('callback_err', { message: 'The answer of the provider names no installation.' });
  }
  const connectionConfig = { ...secret.connectionConfig, installation_id: installationId };
  const nowMs = deps.clock.now();
  const request = installationRequest({ spec, provider, integrationConfig, connectionConfig, client, nowMs });
  const answer = await deps.upstream.call({ ...request, url: deps.integrations.targetUrl(integration, request.url) });
  const installation = readInstallation(spec, answer);
  if (installation === undefined) {
    const message = `${name} does not know this installation of the app (status ${answer.status}).`;
    throw errors.fail('callback_err', { message });
  }
  const startedAtMs = flow.expiresAt.getTime() - FLOW_LIFE_MS;
  const isOurs = reconnect?.connectionConfig['installation_id'] === installationId;
  if (!isOurs && installation.changedAtMs < startedAtMs - CLOCK_SKEW_MS) {
    const message =
      'This installation was there before. Remove it at the provider and install it again, or reconnect its connection.';
    throw errors.fail('callback_err', { message });
  }
  const config = { ...connectionConfig, ...learnedValues(provider, installation.metadata) };
  const fields = { installation_id: installationId };
  const made = await obtainToken(deps, { integration, connectionConfig: config, mode: 'APP', fields });
  const account = provider.account === undefined ? undefined : config[provider.account.idFrom as keyof typeof config];
  const { connection } = await saveConnection(deps, attempt, {
    connectionId: flow.connectionId,
    connectionConfig: config,
    accountId: typeof account === 'string' && account !== '' ? account : undefined,
    credential: made.credential,
    facts: made.facts,
  });
  return connection.connectionId;
}
