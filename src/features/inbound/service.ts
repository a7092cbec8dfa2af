import type { FastifyInstance } from 'fastify';
import { redacted } from '../../protocols/webhook-signature/index.ts';
import { webhookPath, type Integration } from '../integrations/index.ts';
import type { Connection } from '../connections/index.ts';
import type { Environments } from '../environments/index.ts';
import { registerGateway, type GatewayDeps } from './gateway.ts';
import { LIST_POLL_MS } from './limits.ts';
import type { ListedEvent } from './model.ts';
import { createReceive, webhooksOf, type ReceiveDeps } from './receive.ts';
import { readBodies } from './route-event.ts';
import { replayEvents, selectListed, selectWhole, type EventFilter } from './store-read.ts';
import { createUnproven } from './unproven.ts';
import { createUrlSecrets, type SecretPart } from './urls.ts';
import { createWorker, type Worker, type WorkerDeps } from './worker.ts';

export type InboundDeps = Omit<ReceiveDeps, 'stored'> &
  WorkerDeps &
  Pick<GatewayDeps, 'integrations' | 'connections' | 'serverUrl'> & {
    environments: Pick<Environments, 'byUuid' | 'byId'>;
  };

/** What the HTTP edge gives. */
export type InboundEdge = Pick<GatewayDeps, 'watchBody' | 'toError'> & Parameters<typeof createUnproven>[0];

export type ListQuery = Parameters<typeof selectListed>[1];
export interface ConnectionUrl {
  url: string;
  /** Until then the one before is good as well; undefined: it is not. */
  previousUntil: Date | undefined;
}

type ReplayOptions = Parameters<typeof replayEvents>[2];

export interface Inbound {
  /** Mounts `POST /webhook/…`. */
  register(app: FastifyInstance, edge: InboundEdge): Promise<void>;
  /** Where the provider sends webhooks of an integration. */
  webhookUrl(integration: Integration): Promise<string>;
  /** A URL that is about one connection and that nobody else knows: for providers that prove or say nothing. */
  connectionUrl(integration: Integration, connection: Pick<Connection, 'id'>): Promise<ConnectionUrl>;
  /** Gives the connection another one; the one before stays good for `previousMs`, and those before that end now. */
  rotateConnectionUrl(
    integration: Integration,
    connection: Pick<Connection, 'id'>,
    previousMs: number,
  ): Promise<ConnectionUrl>;
  /** As `selectListed` says; with `waitMs` it waits so long for the first one. */
  list(query: ListQuery, options?: { waitMs: number; signal: AbortSignal }): Promise<ListedEvent[]>;
  /** One with its body, without the secrets in it. */
  read(environmentId: number, id: string): Promise<{ event: ListedEvent; body: unknown } | undefined>;
  /** Makes events due again, as `replayEvents` says. */
  replay(filter: EventFilter, options: ReplayOptions): ReturnType<typeof replayEvents>;
  /** Handles what is due now; resolves to how many events. */
  work: Worker['work'];
  /** Handles events until the returned function has resolved. */
  start: Worker['start'];
}

export function createInbound(deps: InboundDeps): Inbound {
  const { db, clock, environments } = deps;
  const worker = createWorker(deps);
  const urls = createUrlSecrets(deps);
  const receive = createReceive({ ...deps, stored: () => worker.wake() });

  async function webhookUrl(integration: Integration): Promise<string> {
    const environment = await environments.byId(integration.environmentId);
    if (environment === undefined) throw new Error('an integration without its environment');
    return deps.serverUrl() + webhookPath(environment, integration.uniqueKey);
  }

  async function connectionUrlOf(integration: Integration, part: SecretPart): Promise<ConnectionUrl> {
    return { url: `${await webhookUrl(integration)}/${part.secret}`, previousUntil: part.previousUntil };
  }

  return {
    register: (app, edge) => registerGateway(app, { ...deps, ...edge, receive, urls, unproven: createUnproven(edge) }),
    webhookUrl,
    connectionUrl: async (integration, connection) =>
      connectionUrlOf(integration, await urls.of(placeOf(integration, connection))),
    rotateConnectionUrl: async (integration, connection, previousMs) =>
      connectionUrlOf(integration, await urls.rotate(placeOf(integration, connection), previousMs)),
    async list(query, { waitMs, signal } = { waitMs: 0, signal: new AbortController().signal }) {
      const untilMs = clock.monotonicMs() + waitMs;
      for (;;) {
        const events = await selectListed(db, query);
        if (events.length > 0 || clock.monotonicMs() >= untilMs || signal.aborted) return events;
        await clock.sleep(LIST_POLL_MS, signal).catch(() => undefined); // the caller has left
      }
    },
    async read(environmentId, id) {
      const whole = await selectWhole(db, environmentId, id);
      if (whole === undefined) return undefined;
      const integration = await deps.integrations.byId(environmentId, whole.integrationId);
      const [body] = await readBodies(deps, environmentId, [{ ...whole, uuid: id }]);
      const secrets = integration === undefined ? [] : (webhooksOf(integration).redact ?? []);
      return { event: whole.listed, body: redacted(body, secrets) };
    },
    async replay(filter, options) {
      const replayed = await replayEvents(db, filter, options);
      if (replayed.count > 0) worker.wake();
      return replayed;
    },
    work: () => worker.work(),
    start: () => worker.start(),
  };
}

function placeOf({ environmentId, id }: Integration, connection: Pick<Connection, 'id'>) {
  return { environmentId, integrationId: id, connectionId: connection.id };
}
