import type { Database } from '../../platform/postgres/index.ts';
import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import type { Connection, Connections } from '../connections/index.ts';
import type { ConnectionEvents, Credentials } from '../credentials/index.ts';
import type { DeployedFunction, Functions } from '../functions/index.ts';
import type { Integration, IntegrationService } from '../integrations/index.ts';
import type { Run, RunResult, RunTrigger, Runs } from '../runs/index.ts';

export interface ActionsDeps {
  db: Database;
  clock: Clock;
  log: Log;
  integrations: Pick<IntegrationService, 'peek' | 'byKey' | 'byId'>;
  connections: Pick<Connections, 'byPublicId' | 'byId' | 'writeEvent'>;
  credentials: Pick<Credentials, 'peek' | 'live'>;
  functions: Pick<Functions, 'byName' | 'list'>;
  runs: Runs;
}

/** An action on a connection, found and allowed to run. */
export interface ActionTarget {
  fn: DeployedFunction;
  connection: Connection;
  integration: Integration;
}

export interface TriggerOptions {
  trigger?: RunTrigger;
  /** 24 h. */
  idempotencyKey?: string | undefined;
}

export interface Actions {
  /**
   * Errors: `unknown_provider_config`, `unknown_connection` (400), `not_found`, `disabled_resource`.
   */
  find(environmentId: number, integrationKey: string, connectionId: string, name: string): Promise<ActionTarget>;
  /** Runs it now. Errors: `invalid_action_input`, `too_many_runs`, `idempotency_key_reused`. */
  runNow(target: ActionTarget, input: unknown, options?: TriggerOptions): Promise<{ run: Run; result: RunResult }>;
  /** Queues it: one after the other per environment. `retries` 0 to 5. Errors: as `runNow`. */
  runLater(target: ActionTarget, input: unknown, options?: TriggerOptions & { retries?: number }): Promise<Run>;
  /** Functions that follow the life of connections. */
  events: ConnectionEvents;
}
