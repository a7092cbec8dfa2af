import type { Clock } from '../../../base/clock.ts';
import type { Log } from '../../../base/log.ts';
import type { KillPoints } from '../../../platform/kill-points.ts';
import type { Database, Sql } from '../../../platform/postgres/index.ts';
import type { Upstream } from '../../../platform/upstream/index.ts';
import type { Connection, Connections } from '../../connections/index.ts';
import type { Credentials, LiveConnection } from '../../credentials/index.ts';
import type { Functions } from '../../functions/index.ts';
import type { Integration, IntegrationService } from '../../integrations/index.ts';
import type { ScriptCalls } from '../../proxy/index.ts';
import type { DeployedFunction } from '../../functions/index.ts';
import type { RunLog } from '../logs.ts';
import type { ExecuteOptions, Run, RunRequest, RunResult, SyncControl, Variables } from '../model.ts';
import type { Redactor } from '../redact.ts';

export interface HostDeps {
  db: Database;
  clock: Clock;
  log: Log;
  killPoints: KillPoints;
  upstream: Pick<Upstream, 'call'>;
  integrations: Pick<IntegrationService, 'byKey' | 'byId'>;
  connections: Pick<Connections, 'byId' | 'byPublicId' | 'endUser' | 'setMetadata'>;
  credentials: Pick<Credentials, 'peek' | 'live' | 'open'>;
  functions: Pick<Functions, 'byName' | 'byId' | 'code'>;
  calls: ScriptCalls;
  variables: Pick<Variables, 'list'>;
  /** Undefined until the syncs slice is bound. */
  syncControl: () => SyncControl | undefined;
  /** Where the provider sends its webhooks; undefined when it sends none. */
  webhookUrl: (integration: Integration) => Promise<string | undefined> | string | undefined;
  /** Where clients reach this server, without trailing slash. */
  serverUrl: () => string;
  execute(
    request: Omit<RunRequest, 'lane' | 'slotAt' | 'runAt' | 'retries'>,
    options: ExecuteOptions,
  ): Promise<{ run: Run; result: RunResult }>;
}

/** What the methods of the script object know about the run they serve. */
export interface HostRun {
  run: Run;
  fn: DeployedFunction;
  connection: Connection;
  integration: Integration;
  /** A connection that is not stored yet, and its credential. */
  candidate: LiveConnection | undefined;
  /** Of the sync; `base` for everything else. */
  variant: string;
  depth: number;
  redactor: Redactor;
  log: RunLog;
  signal: AbortSignal;
  /** The run has to give its locks back at its end. */
  hasLocks: boolean;
  fence(tx: Sql): Promise<void>;
}

export type HostMethods = Record<string, (...args: never[]) => Promise<unknown>>;
