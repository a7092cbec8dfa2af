/** The part of a node that runs the app's own code: records, functions, runs, actions, syncs. */
import type { Route } from '../base/route.ts';
import type { Config } from '../config.ts';
import { actionRoutes, createActions } from '../features/actions/index.ts';
import { createFunctions, createFunctionTasks, functionRoutes } from '../features/functions/index.ts';
import type { Integration } from '../features/integrations/index.ts';
import { createScriptCalls } from '../features/proxy/index.ts';
import { createRecords, recordRoutes } from '../features/records/index.ts';
import { createRuns, runRoutes, type RunLimits } from '../features/runs/index.ts';
import { createSyncs, scriptSyncControl, syncRoutes } from '../features/syncs/index.ts';
import type { KillPoints } from '../platform/kill-points.ts';
import { createSandbox } from '../platform/sandbox/index.ts';
import { createDryrun } from './dryrun.ts';
import type { Services } from './node.ts';

/** What a node has before it can run functions. */
export type CoreServices = Pick<
  Services,
  | 'clock'
  | 'log'
  | 'db'
  | 'upstream'
  | 'environments'
  | 'activity'
  | 'integrations'
  | 'connections'
  | 'credentials'
  | 'recovery'
  | 'outbound'
  | 'retryGate'
>;

export type FunctionServices = Awaited<ReturnType<typeof createFunctionServices>>;

export async function createFunctionServices(
  core: CoreServices,
  options: {
    config: Config;
    killPoints: KillPoints;
    nodeId: string;
    serverUrl: () => string;
    runLimits?: Partial<RunLimits> | undefined;
    /** Where the provider sends its webhooks; undefined when it sends none. */
    webhookUrl: (integration: Integration) => Promise<string | undefined>;
  },
) {
  const { clock, log, db, environments, integrations, connections, credentials } = core;
  const { vault } = environments;
  const { killPoints } = options;
  const records = createRecords({
    db,
    vault,
    clock,
    log,
    guard: { share: options.config.deletionGuardPercent / 100, records: options.config.deletionGuardRecords },
    hasRunWithin: (environmentId, syncId, ageMs) => syncs.hasRunWithin(environmentId, syncId, ageMs),
  });
  const functions = await createFunctions({ db, integrations, log, killPoints });
  const tasks = createFunctionTasks({ db, vault, log });
  const sandbox = createSandbox({ clock, log });
  const calls = createScriptCalls({ ...core, baseUrlOverride: { allow: options.config.baseUrlOverride } });
  const runs = await createRuns({
    ...core,
    vault,
    functions,
    sandbox,
    calls,
    killPoints,
    nodeId: options.nodeId,
    ...(options.runLimits !== undefined && { limits: options.runLimits }),
    serverUrl: options.serverUrl,
    syncControl: () => scriptSyncControl(syncs),
    webhookUrl: (integration) => options.webhookUrl(integration),
  });
  const actions = createActions({ db, clock, log, integrations, connections, credentials, functions, runs });
  const { tellsUnchanged } = core.outbound;
  const syncsDeps = { db, clock, log, connections, integrations, functions, records, runs, killPoints };
  const syncs = createSyncs({ ...syncsDeps, tellsUnchanged });
  const { serverUrl } = options;
  const dryrun = createDryrun({ sandbox, calls, connections, credentials, environments, runs, serverUrl });
  return { records, functions, tasks, sandbox, calls, dryrun, runs, actions, syncs };
}

export function functionServiceRoutes(core: CoreServices, services: FunctionServices): Route[] {
  const { db, clock, integrations, connections } = core;
  const { records, functions, tasks, sandbox, dryrun, runs, actions, syncs } = services;
  return [
    ...recordRoutes({ records, integrations, connections }),
    ...functionRoutes({ functions, integrations, remote: { sandbox, tasks, clock, dryrun } }),
    ...runRoutes({ db, runs, integrations, connections }),
    ...actionRoutes({ actions, runs, functions, integrations }),
    ...syncRoutes({ syncs, integrations, connections }),
  ];
}

/** A person accepts a restored database while the node runs; nobody minds a second. */
const ACCEPTANCE_INTERVAL_MS = 1_000;

/**
 * Takes up work until the returned function has resolved. In quarantine nothing is taken up: a restored database may
 * tell of work that was done long ago. What a caller asks for and waits for still runs.
 */
export function startFunctionServices(
  core: Pick<CoreServices, 'clock' | 'recovery'>,
  { records, runs, syncs, inbound }: Pick<FunctionServices, 'records' | 'runs' | 'syncs'> & Pick<Services, 'inbound'>,
): () => Promise<void> {
  let stops: (() => Promise<void>)[] = [];
  const begin = (): void => {
    stops = [inbound.start(), syncs.startSchedules(), runs.start(), records.start()];
  };
  let stopWatching: (() => void) | undefined;
  if (core.recovery.isQuarantined()) {
    stopWatching = core.clock.every(ACCEPTANCE_INTERVAL_MS, () => {
      if (core.recovery.isQuarantined()) return;
      stopWatching?.();
      begin();
    });
  } else begin();
  return async () => {
    stopWatching?.();
    for (const stop of stops) await stop();
  };
}
