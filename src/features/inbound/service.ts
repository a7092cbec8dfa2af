import type { FastifyInstance } from 'fastify';
import { webhookPath, type Integration } from '../integrations/index.ts';
import type { Connection } from '../connections/index.ts';
import type { Environments } from '../environments/index.ts';
import { registerGateway, type GatewayDeps } from './gateway.ts';
import { createReceive, type ReceiveDeps } from './receive.ts';
import { urlSecretOf } from './urls.ts';
import { createWorker, type Worker, type WorkerDeps } from './worker.ts';

export type InboundDeps = Omit<ReceiveDeps, 'stored'> &
  WorkerDeps &
  Pick<GatewayDeps, 'integrations' | 'connections' | 'serverUrl'> & {
    environments: Pick<Environments, 'byUuid' | 'byId'>;
  };

/** What the HTTP edge gives. */
export type InboundEdge = Pick<GatewayDeps, 'watchBody' | 'toError'>;

export interface Inbound {
  /** Mounts `POST /webhook/…`. */
  register(app: FastifyInstance, edge: InboundEdge): Promise<void>;
  /** Where the provider sends webhooks of an integration. */
  webhookUrl(integration: Integration): Promise<string>;
  /** A URL that is about one connection and that nobody else knows: for providers that prove or say nothing. */
  connectionUrl(integration: Integration, connection: Pick<Connection, 'id'>): Promise<string>;
  /** Handles what is due now; resolves to how many events. */
  work: Worker['work'];
  /** Handles events until the returned function has resolved. */
  start: Worker['start'];
}

export function createInbound(deps: InboundDeps): Inbound {
  const { vault, environments } = deps;
  const worker = createWorker(deps);
  const receive = createReceive({ ...deps, stored: () => worker.wake() });

  async function webhookUrl(integration: Integration): Promise<string> {
    const environment = await environments.byId(integration.environmentId);
    if (environment === undefined) throw new Error('an integration without its environment');
    return deps.serverUrl() + webhookPath(environment, integration.uniqueKey);
  }

  return {
    register: (app, edge) => registerGateway(app, { ...deps, ...edge, receive }),
    webhookUrl,
    async connectionUrl(integration, connection) {
      const { environmentId, id: integrationId } = integration;
      const secret = await urlSecretOf(vault, { environmentId, integrationId, connectionId: connection.id });
      return `${await webhookUrl(integration)}/${secret}`;
    },
    work: () => worker.work(),
    start: () => worker.start(),
  };
}
