import { secretHash } from '../../base/ids.ts';
import { callbackStateNames } from '../../protocols/oauth2/index.ts';
import type { ConnectDeps } from './deps.ts';
import { errors } from './errors.ts';
import type { OAuthFlow } from './model.ts';
import { selectFlowsOfBrowser, takeFlow, takeFlowByState } from './store-flows.ts';

const STATE = /^[0-9a-f]{64}$/;

/**
 * Consumes the flow this callback belongs to. A callback without state is matched by the browser alone, when its
 * provider may drop the state and exactly one such flow of the browser is open.
 * Errors: `state_err`, `state_cookie_err`.
 */
export async function takeFlowOf(
  deps: ConnectDeps,
  query: URLSearchParams,
  browser: Buffer | undefined,
): Promise<OAuthFlow> {
  const names = callbackStateNames(deps.providers.list());
  const states = names.flatMap((name) => query.getAll(name));
  if (states.length > 0) {
    const valid = states.find((state) => STATE.test(state));
    const flow =
      states.length === 1 && valid !== undefined ? await takeFlowByState(deps.db, secretHash(valid)) : undefined;
    if (flow === undefined) throw errors.fail('state_err');
    return flow;
  }
  if (browser === undefined) throw errors.fail('state_err');
  const open = await selectFlowsOfBrowser(deps.db, browser, new Date(deps.clock.now()));
  const candidates: OAuthFlow[] = [];
  for (const flow of open) {
    const integration = await deps.integrations.byId(flow.environmentId, flow.integrationId);
    if (integration?.provider.oauth2?.callback.stateEcho === 'may-drop') candidates.push(flow);
  }
  if (candidates.length > 1) {
    // None can be told from the others; ending them lets the next attempt be the only one.
    for (const flow of candidates) await takeFlow(deps.db, flow.environmentId, flow.id);
    const message =
      'Several authorizations are open in this browser and the answer fits more than one. Start again with one.';
    throw errors.fail('state_err', { message });
  }
  const [only] = candidates;
  const flow = only && (await takeFlow(deps.db, only.environmentId, only.id));
  if (flow === undefined) throw errors.fail('state_err');
  return flow;
}
