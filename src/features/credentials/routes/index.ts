import type { Clock } from '../../../base/clock.ts';
import type { Route } from '../../../base/route.ts';
import type { Database } from '../../../platform/postgres/index.ts';
import type { Activity } from '../../activity/index.ts';
import type { Connections } from '../../connections/index.ts';
import type { IntegrationService } from '../../integrations/index.ts';
import type { ConnectionEvents } from '../events.ts';
import type { Credentials } from '../service.ts';
import { getConnectionRoutes } from './get-connection.ts';
import { importConnectionRoute } from './import-connection.ts';
import { importLegacyRoute } from './import-legacy.ts';

export interface CredentialRouteDeps {
  db: Database;
  integrations: IntegrationService;
  connections: Connections;
  credentials: Credentials;
  activity: Activity;
  clock: Clock;
  /** Proves a typed-in credential by the provider's verification call. Errors: `connection_test_failed`. */
  verify: (input: VerifyInput) => Promise<void>;
  /** The app's functions around a connection. Default: none. */
  events?: Pick<ConnectionEvents, 'validate' | 'created'>;
}

export interface VerifyInput {
  integration: Parameters<IntegrationService['targetUrl']>[0];
  connectionConfig: Record<string, unknown>;
  credential: { type: 'API_KEY'; apiKey: string } | { type: 'BASIC'; username: string; password: string };
}

export function credentialRoutes(deps: CredentialRouteDeps): Route[] {
  return [...getConnectionRoutes(deps), importConnectionRoute(deps), importLegacyRoute(deps)];
}
