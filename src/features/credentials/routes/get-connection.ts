import { z } from 'zod';
import { HawserError } from '../../../base/errors.ts';
import { defineRoute, environmentOf, grantsScope, type Route } from '../../../base/route.ts';
import { CONNECTION_ID, connectionErrors } from '../../connections/index.ts';
import { ENVIRONMENT_SCOPES } from '../../environments/index.ts';
import { integrationErrors, PROVIDER_CONFIG_KEY } from '../../integrations/index.ts';
import { appJwt } from '../../../protocols/machine-token/index.ts';
import { credentialErrors } from '../errors.ts';
import { connectionToWire, credentialToWire } from '../wire.ts';
import type { CredentialRouteDeps } from './index.ts';

const flag = z.enum(['true', 'false']).optional();
/** Failures of the credential itself: answered as `invalid_credentials` with the connection beside it (I.4). */
const PASSED_THROUGH = ['unknown_connection', 'unknown_provider_config', 'sealed', 'database_busy'];

/** Reads a connection and refreshes its credential when due; `GET /connection/:id` is the old name. */
export function getConnectionRoutes(deps: CredentialRouteDeps): Route[] {
  return ['/connections/:connectionId', '/connection/:connectionId'].map((path) => getConnectionRoute(deps, path));
}

function getConnectionRoute(deps: CredentialRouteDeps, path: string): Route {
  const { integrations, connections, credentials, clock } = deps;
  return defineRoute({
    method: 'GET',
    path,
    summary: 'Get a connection with fresh credentials',
    auth: { by: 'key', anyOf: ENVIRONMENT_SCOPES.connectionsRead },
    params: z.object({ connectionId: CONNECTION_ID }),
    query: z.strictObject({
      provider_config_key: PROVIDER_CONFIG_KEY,
      force_refresh: flag,
      refresh_token: flag,
      refresh_github_app_jwt_token: flag,
    }),
    errors: ['unknown_provider_config', 'not_found', 'invalid_credentials', 'forbidden'],
    documented: path.startsWith('/connections'),
    async handle(request) {
      const { query, principal } = request;
      const environmentId = environmentOf(request).id;
      const mayRead =
        principal.kind === 'key' && grantsScope(principal.scopes, ENVIRONMENT_SCOPES.connectionsCredentials);
      const withRefreshToken = query.refresh_token === 'true';
      const force = query.force_refresh === 'true';
      if (!mayRead && (withRefreshToken || force || query.refresh_github_app_jwt_token === 'true')) {
        throw new HawserError('forbidden', {
          status: 403,
          message: `Insufficient scope. Required: ${ENVIRONMENT_SCOPES.connectionsCredentials}`,
        });
      }
      const integration = await integrations.byKey(environmentId, query.provider_config_key);
      if (integration === undefined) throw integrationErrors.fail('unknown_provider_config');
      const stored = await connections.byPublicId(environmentId, integration.id, request.params.connectionId);
      if (stored === undefined) throw connectionErrors.fail('not_found');
      const endUser =
        stored.endUserId === undefined ? undefined : await connections.endUser(environmentId, stored.endUserId);

      const render = (connection: typeof stored, values: Record<string, unknown> | undefined) =>
        connectionToWire({ connection, integration, endUser, credentials: values, dates: 'offset', withRefreshToken });
      try {
        if (!mayRead) return { body: render(stored, {}) };
        const live = await credentials.live(environmentId, integration.uniqueKey, stored.connectionId, { force });
        connections.touchFetched(environmentId, stored.id);
        // The credential in memory holds no refresh token; it is opened only when asked for.
        const full = withRefreshToken ? (await credentials.open(live.connection))?.credential : undefined;
        const values = credentialToWire(full ?? live.credential);
        if (query.refresh_github_app_jwt_token === 'true' && live.credential.type === 'APP') {
          values['jwtToken'] = appJwt({ client: integration.client, nowMs: clock.now() });
        }
        // What is in memory may be a moment older than the row just read.
        const shown = live.connection.updatedAt > stored.updatedAt ? live.connection : stored;
        return { body: render(shown, values) };
      } catch (error) {
        if (!(error instanceof HawserError) || PASSED_THROUGH.includes(error.code)) throw error;
        const now = (await connections.byId(environmentId, stored.id)) ?? stored;
        throw credentialErrors.fail('invalid_credentials', {
          status: error.status,
          message: error.message,
          payload: { connection: render(now, undefined), cause: error.code },
          cause: error,
        });
      }
    },
  });
}
