/** Everything a node can do: one service per slice, in the order in which they need one another. */
import type { Clock } from '../base/clock.ts';
import { StartupError } from '../base/errors.ts';
import { randomId } from '../base/ids.ts';
import type { Log } from '../base/log.ts';
import type { Route } from '../base/route.ts';
import { pairOf, type Config } from '../config.ts';
import { createAccounts } from '../features/accounts/index.ts';
import { createActivity } from '../features/activity/index.ts';
import { createConnect } from '../features/connect/index.ts';
import { createConnections } from '../features/connections/index.ts';
import { createCredentials, type ConnectionEvents, type CredentialsDeps } from '../features/credentials/index.ts';
import { createDisconnect } from '../features/disconnect/index.ts';
import { createEnvironments } from '../features/environments/index.ts';
import { createInbound, JSON_DEPTH_MAX, JSON_VALUES_MAX } from '../features/inbound/index.ts';
import { createIntegrations, type Integration } from '../features/integrations/index.ts';
import { createRetryGate } from '../features/proxy/index.ts';
import { createOutbound, type OutboundDeps } from '../features/outbound/index.ts';
import { createProviders } from '../features/providers/index.ts';
import { createRecovery } from '../features/recovery/index.ts';
import type { RunLimits } from '../features/runs/index.ts';
import { systemClock } from '../platform/clock.ts';
import type { Keyring } from '../platform/keyring/index.ts';
import { armKillPoint, noKillPoints } from '../platform/kill-points.ts';
import type { Database } from '../platform/postgres/index.ts';
import { createUpstream, normalizePair } from '../platform/upstream/index.ts';
import { createFunctionServices } from './functions.ts';
import { parseJson } from './http/json.ts';

export interface HawserOptions {
  config: Config;
  db: Database;
  keyring: Keyring;
  log: Log;
  version: string;
  clock?: Clock;
  /** Base of running emulators, without trailing slash. */
  emulatorUrl?: string | undefined;
  /** The database is the embedded one of the data folder. Default false. */
  embeddedDatabase?: boolean;
  /** Told before an emulator is called, so that there is one. */
  onEmulated?: ((integration: Integration) => void) | undefined;
  /** Routes that only `dev` has, made once the services are there. */
  devRoutes?: (services: Services) => Route[];
  /** For tests: kill points that are armed later, a known name, shorter times. */
  refresh?: Partial<Pick<CredentialsDeps, 'killPoints' | 'nodeId' | 'times'>>;
  /** For tests: when deliveries are looked for, and how far their time is moved. */
  outbound?: Partial<Pick<OutboundDeps, 'limits' | 'shiftMs'>>;
  /** For tests: shorter times of runs. */
  runLimits?: Partial<RunLimits> | undefined;
}

/** Everything a role or a test may need, by slice. */
export type Services = Awaited<ReturnType<typeof createServices>>;

export async function createServices(options: HawserOptions, publicUrl: () => URL) {
  const { config, db, keyring, log } = options;
  const clock = options.clock ?? systemClock;
  const killPoints = config.killAt === undefined ? noKillPoints : armKillPoint(config.killAt);
  const emulatorUrl = options.emulatorUrl ?? config.emulatorUrl;
  assertPairs('HAWSER_EGRESS_ALLOW', config.egressAllow);
  const allow = [...config.egressAllow, ...(emulatorUrl === undefined ? [] : [pairOf(emulatorUrl)])];
  const upstream = createUpstream({
    policy: () => ({ allow }),
    clock,
    userAgent: `hawser/${options.version}`,
  });
  const nodeId = randomId();
  const environments = await createEnvironments({ db, keyring, clock, log });
  const { vault } = environments;
  // Before anything that could call a provider.
  const recovery = await createRecovery({
    db,
    clock,
    log,
    dataDir: config.dataDir,
    ownsDatabase: options.embeddedDatabase === true,
  });
  const isQuarantined = (): boolean => recovery.isQuarantined();
  const activity = createActivity({ db, clock, log });
  const providers = createProviders();
  const integrations = await createIntegrations({
    db,
    vault,
    providers,
    upstream,
    clock,
    emulatorUrl: () => emulatorUrl,
    onEmulated: options.onEmulated,
  });
  const connections = createConnections({ db, clock, log, vault });
  // What every slice is given that acts on connections.
  const parts = { db, clock, log, upstream, integrations, connections, activity };
  const credentials = await createCredentials({
    ...parts,
    vault,
    killPoints,
    nodeId,
    spoolDir: `${config.dataDir}/spool`,
    isQuarantined,
    ...options.refresh,
  });
  // The functions that follow a connection are made last, of all the rest.
  const events: ConnectionEvents = {
    validate: (candidate) => ran.actions.events.validate(candidate),
    created: (tx, connection) => ran.actions.events.created(tx, connection),
    deleting: (connection) => ran.actions.events.deleting(connection),
    deleted: (tx, connection) => ran.actions.events.deleted(tx, connection),
  };
  const disconnect = createDisconnect({ ...parts, vault, credentials, killPoints, isQuarantined, events });
  const accounts = createAccounts({ ...parts, credentials, disconnect, isQuarantined, events });
  const connect = createConnect({
    ...parts,
    environments,
    providers,
    credentials,
    accounts,
    publicUrl,
    returnOrigins: config.returnOrigins,
    connectFrameAncestors: config.frameAncestors,
    events,
  });
  const outbound = createOutbound({
    ...parts,
    environments,
    killPoints: options.refresh?.killPoints ?? killPoints,
    nodeId: options.refresh?.nodeId ?? nodeId,
    isQuarantined,
    ...options.outbound,
  });
  const core = {
    ...parts,
    environments,
    recovery,
    providers,
    credentials,
    disconnect,
    accounts,
    connect,
    outbound,
    retryGate: createRetryGate(clock),
    publicUrl,
  };
  const ran = await createFunctionServices(core, {
    config,
    killPoints: options.refresh?.killPoints ?? killPoints,
    nodeId: options.refresh?.nodeId ?? nodeId,
    runLimits: options.runLimits,
    serverUrl: () => publicUrl().origin,
    webhookUrl: async (integration) => integration.provider.webhooks && (await inbound.webhookUrl(integration)),
  });
  const inbound = createInbound({
    ...core,
    vault,
    killPoints: options.refresh?.killPoints ?? killPoints,
    readJson: (text) => parseJson(text, { jsonDepthMax: JSON_DEPTH_MAX, jsonValuesMax: JSON_VALUES_MAX }),
    serverUrl: () => publicUrl().origin,
    hooks: [(event, matched, tx) => accounts.onProviderEvent(event, matched, tx)],
    hasSubscribers: (sql, environmentId, integrationId) => ran.syncs.hasSubscribers(sql, environmentId, integrationId),
    runFunctions: (tx, event, matched) =>
      ran.syncs.onWebhook(tx, { ...event, connectionIds: matched.map((connection) => connection.id) }),
    recordHolders: (sql, environmentId, integrationId, id) =>
      ran.records.holders(sql, environmentId, integrationId, id),
  });
  return { ...core, ...ran, inbound };
}

/** A wrong entry would silently stay refused. Errors: {@link StartupError}. */
function assertPairs(setting: string, pairs: readonly string[]): void {
  const wrong = pairs.find((pair) => normalizePair(pair) === undefined);
  if (wrong === undefined) return;
  throw new StartupError(`${setting} holds "${wrong}", which is no host:port pair.`, `Write it like 127.0.0.1:8080.`);
}
