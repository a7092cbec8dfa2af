/** What the flows of OAuth 1 and OAuth 2 have in common: form, way back, and the row that binds them to a browser. */
import { randomId, secretHash } from '../../base/ids.ts';
import type { Attempt } from './access.ts';
import { bindBrowser } from './browser.ts';
import type { ConnectDeps } from './deps.ts';
import { errors } from './errors.ts';
import { FLOW_LIFE_MS, type FlowSecret } from './model.ts';
import { configIssues, connectionConfigOf } from './plan.ts';
import type { BrowserQuery } from './query.ts';
import { insertFlow } from './store-flows.ts';

/** Where a flow's sealed part lives. */
export function flowPlace(environmentId: number, id: string) {
  return { environmentId, table: 'oauth_flow', row: id, column: 'sealed' };
}

/** Where the provider sends the browser back: from the configuration only. */
export function redirectUriOf(deps: ConnectDeps, { environment }: Attempt): string {
  return environment.callbackUrl ?? new URL('/oauth/callback', deps.publicUrl()).href;
}

/** The customer's form under the session's defaults. Errors: `url_param_err`. */
export function configOf(attempt: Attempt, query: BrowserQuery): Record<string, unknown> {
  const { provider } = attempt.integration;
  const connectionConfig = {
    ...attempt.reconnect?.connectionConfig,
    ...connectionConfigOf(provider, attempt.defaults, query.params),
  };
  const issues = configIssues(provider.connectionConfig, connectionConfig, 'params');
  if (issues.length > 0) throw errors.fail('url_param_err', { message: issues[0]?.message ?? '', errors: issues });
  return connectionConfig;
}

/** Opens the flow of a state, bound to this browser. Resolves to the cookie to set. */
export async function storeFlow(
  deps: ConnectDeps,
  { session, environment, integration, reconnect }: Attempt,
  flow: { cookie: string; query: BrowserQuery; state: string; redirectUri: string; secret: FlowSecret },
): Promise<string> {
  const { state, redirectUri, secret, query } = flow;
  const browser = bindBrowser(deps.publicUrl(), flow.cookie);
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
      connectionId: reconnect?.connectionId ?? randomId(),
      reconnectId: reconnect?.id,
      connectSessionId: session.id,
      sealed,
      redirectUri,
      wsClientId: query.wsClientId,
      now,
      expiresAt: new Date(now.getTime() + FLOW_LIFE_MS),
    }),
  );
  return browser.setCookie;
}
