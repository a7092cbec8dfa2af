import type { FastifyRequest } from 'fastify';
import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import type { Principal } from '../../base/route.ts';
import type { Database } from '../../platform/postgres/index.ts';
import type { Upstream } from '../../platform/upstream/index.ts';
import type { Activity } from '../activity/index.ts';
import type { Connections } from '../connections/index.ts';
import type { Credentials } from '../credentials/index.ts';
import type { Integration } from '../integrations/index.ts';
import type { ProxyLimits } from './limits.ts';
import type { RetryGate } from './retry-gate.ts';

export interface ProxyDeps {
  db: Database;
  integrations: { targetUrl(integration: Integration, url: URL): URL };
  credentials: Pick<Credentials, 'peek' | 'live' | 'afterUnauthorized' | 'spend'>;
  connections: Pick<Connections, 'byId' | 'setState' | 'touchGoodCall'>;
  activity: Pick<Activity, 'record'>;
  upstream: Pick<Upstream, 'stream'>;
  clock: Clock;
  log: Log;
  limits?: Partial<ProxyLimits>;
  /** Shared by all who repeat calls; without it the proxy has one of its own. */
  retryGate?: RetryGate;
  /** Origins that `Base-Url-Override` may name, exactly (`https://api.example`), or `*`. Empty: switched off. */
  baseUrlOverride: { allow: readonly string[] };
  /** Who calls. Without a promise when the key is in memory, so that the hot path never waits. */
  principalOf(request: FastifyRequest): Principal | Promise<Principal>;
}

/** The one write that a single-use grant allows, while it is under way. Only the first word about its end counts. */
export interface WriteClaim {
  /** The provider has answered with this status. Resolves when grant and connection say what that means. */
  answered(status: number): Promise<void>;
  /** There is no answer. `sent`: the provider may have the request. */
  failed(sent: boolean): Promise<void>;
}
