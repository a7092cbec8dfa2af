import type { Clock } from '../../../base/clock.ts';
import type { Route } from '../../../base/route.ts';
import type { Connections } from '../../connections/index.ts';
import type { IntegrationService } from '../../integrations/index.ts';
import type { Credentials } from '../service.ts';
import { getConnectionRoutes } from './get-connection.ts';

export interface CredentialRouteDeps {
  integrations: Pick<IntegrationService, 'byKey'>;
  connections: Connections;
  credentials: Credentials;
  clock: Clock;
}

export function credentialRoutes(deps: CredentialRouteDeps): Route[] {
  return getConnectionRoutes(deps);
}
