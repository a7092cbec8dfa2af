/**
 * @module features/connect
 *
 * How an account gets connected: connect sessions, the OAuth flow, typed credentials, the sockets of waiting browsers,
 * the Connect page, and the import of what the app has already. Owns tables `connect_session`, `oauth_flow`.
 *
 * Invariants: a session makes one connection and is then refused; a state works once, in the browser that started the
 * flow, for 10 minutes; nothing the browser sends widens what the session allows; `redirect_uri` comes from the
 * configuration only; a failed attempt leaves an existing connection as it was; no token, code or state is logged.
 */
import type { Server } from 'node:http';
import type { Principal, Route } from '../../base/route.ts';
import { readAssets } from './assets.ts';
import type { ConnectDeps } from './deps.ts';
import { createReconnectSessionRoute } from './routes/create-reconnect-session.ts';
import { createSessionRoute } from './routes/create-session.ts';
import { deleteSessionRoute } from './routes/delete-session.ts';
import { finishOAuthRoutes } from './routes/finish-oauth.ts';
import { getConnectAssetRoute } from './routes/get-connect-asset.ts';
import { importConnectionRoute } from './routes/import-connection.ts';
import { importLegacyRoute } from './routes/import-legacy.ts';
import { getSessionRoute } from './routes/get-session.ts';
import { listSessionIntegrationsRoute } from './routes/list-session-integrations.ts';
import { recordTelemetryRoute } from './routes/record-telemetry.ts';
import { saveUnsupportedRoutes } from './routes/save-unsupported.ts';
import { saveApiKeyRoute } from './routes/save-api-key.ts';
import { saveOwnFormRoutes } from './routes/save-own-form.ts';
import { saveClientCredentialsRoute } from './routes/save-client-credentials.ts';
import { saveAwsRoute } from './routes/save-aws.ts';
import { saveBasicRoute } from './routes/save-basic.ts';
import { saveUnauthenticatedRoute } from './routes/save-unauthenticated.ts';
import { showConnectPageRoute } from './routes/show-connect-page.ts';
import { startOAuthRoute } from './routes/start-oauth.ts';
import { createReconnectSession, createSession, sessionByToken, type NewSession } from './sessions.ts';
import { createSockets, type AttachedSockets } from './sockets.ts';
import { startFlow } from './start.ts';
import { deleteOldFlows } from './store-flows.ts';
import { deleteOldSessions } from './store.ts';

export type { ConnectDeps } from './deps.ts';
export type { NewSession } from './sessions.ts';
export { errors as connectErrors } from './errors.ts';
export { readBrowserQuery } from './query.ts';

export interface Connect {
  routes: Route[];
  /** The caller behind a connect session token; undefined when the session is used, over or unknown. */
  sessionByToken(token: string): Promise<Principal | undefined>;
  /** Starts a session without HTTP, for the dashboard and the seed. Errors: `invalid_body`. */
  createSession(...args: Rest<typeof createSession>): Promise<NewSession>;
  createReconnectSession(...args: Rest<typeof createReconnectSession>): Promise<NewSession>;
  /** Opens an OAuth flow without HTTP: the provider's authorize URL and the browser's cookie. */
  startFlow(...args: Rest<typeof startFlow>): ReturnType<typeof startFlow>;
  /** Takes the WebSocket upgrades of a listening server. */
  attachSockets(server: Server): AttachedSockets;
  /** Removes sessions and flows that ended long ago. Safe on any number of nodes. */
  sweep(): Promise<void>;
}

type Rest<F extends (deps: ConnectDeps, ...rest: never[]) => unknown> = F extends (
  deps: ConnectDeps,
  ...rest: infer R
) => unknown
  ? R
  : never;

/** Ended sessions stay a day, so that support can see that there was one. */
const KEEP_MS = 24 * 60 * 60_000;

/** Errors: StartupError when the Connect page is not built. */
export function createConnect(deps: ConnectDeps): Connect {
  const assets = readAssets(deps.connectPageDir);
  const sockets = createSockets(deps);
  return {
    routes: [
      createSessionRoute(deps),
      createReconnectSessionRoute(deps),
      getSessionRoute(deps),
      listSessionIntegrationsRoute(deps),
      deleteSessionRoute(deps),
      recordTelemetryRoute(deps),
      startOAuthRoute(deps, assets, sockets),
      ...finishOAuthRoutes(deps, assets, sockets),
      saveApiKeyRoute(deps),
      saveBasicRoute(deps),
      saveAwsRoute(deps),
      saveClientCredentialsRoute(deps),
      ...saveOwnFormRoutes(deps),
      saveUnauthenticatedRoute(deps),
      ...saveUnsupportedRoutes(),
      showConnectPageRoute(deps, assets),
      getConnectAssetRoute(assets),
      importConnectionRoute(deps),
      importLegacyRoute(deps),
    ],
    sessionByToken: (token) => sessionByToken(deps, token),
    createSession: (...args) => createSession(deps, ...args),
    createReconnectSession: (...args) => createReconnectSession(deps, ...args),
    startFlow: (...args) => startFlow(deps, ...args),
    attachSockets: (server) => sockets.attach(server),
    async sweep() {
      const now = deps.clock.now();
      await deleteOldSessions(deps.db, new Date(now - KEEP_MS));
      await deleteOldFlows(deps.db, new Date(now));
    },
  };
}
