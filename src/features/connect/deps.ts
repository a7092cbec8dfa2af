import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import type { Database } from '../../platform/postgres/index.ts';
import type { Upstream } from '../../platform/upstream/index.ts';
import type { Accounts } from '../accounts/index.ts';
import type { Activity } from '../activity/index.ts';
import type { Connections } from '../connections/index.ts';
import type { ConnectionEvents, Credentials } from '../credentials/index.ts';
import type { Environments } from '../environments/index.ts';
import type { IntegrationService } from '../integrations/index.ts';
import type { Providers } from '../providers/index.ts';

/** What the connect slice needs from the rest. */
export interface ConnectDeps {
  db: Database;
  clock: Clock;
  log: Log;
  environments: Pick<Environments, 'byId' | 'vault'>;
  providers: Pick<Providers, 'list'>;
  integrations: Pick<IntegrationService, 'byKey' | 'byId' | 'holdLiving' | 'list' | 'oauth2Of' | 'targetUrl'>;
  connections: Pick<Connections, 'byId' | 'byPublicId' | 'list' | 'upsert' | 'writeEvent' | 'endUser'>;
  credentials: Pick<Credentials, 'write'>;
  accounts: Pick<Accounts, 'readiness' | 'admit' | 'takesPlace' | 'settle' | 'refused'>;
  activity: Pick<Activity, 'record'>;
  /** The app's functions around a connection. Default: none. */
  events?: Pick<ConnectionEvents, 'validate' | 'created'>;
  upstream: Pick<Upstream, 'call' | 'check'>;
  /** Origin under which browsers reach us, as configured; never taken from a request. A function: the port may be 0. */
  publicUrl: () => URL;
  /** Exact origins that `return_to` may name, beside our own. */
  returnOrigins: readonly string[];
  /** CSP sources that may frame the Connect page, beside our own origin. */
  connectFrameAncestors: readonly string[];
  /** Name of the app as its customers know it. Default: the page says "the app". */
  appName?: string | undefined;
  /** Folder of the built Connect page. Default: `web/connect/dist` of this package. */
  connectPageDir?: string | undefined;
}
