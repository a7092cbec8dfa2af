/**
 * One node: puts the parts together and takes them apart again. Reads no setting and decides nothing.
 */
import type { AddressInfo } from 'node:net';
import type { FastifyInstance } from 'fastify';
import type { Clock } from '../base/clock.ts';
import { StartupError } from '../base/errors.ts';
import { randomId } from '../base/ids.ts';
import { errorText, type Log } from '../base/log.ts';
import type { Principal, Route } from '../base/route.ts';
import { isLoopbackHost, pairOf, PASSWORD_CHARACTERS_MIN, type Config } from '../config.ts';
import { accountRoutes, createAccounts } from '../features/accounts/index.ts';
import { createActivity } from '../features/activity/index.ts';
import { createConnect, verifyCredential } from '../features/connect/index.ts';
import { connectionRoutes, createConnections } from '../features/connections/index.ts';
import {
  createCredentials,
  credentialRoutes,
  type ConnectionEvents,
  type CredentialsDeps,
} from '../features/credentials/index.ts';
import { createDisconnect, disconnectRoutes } from '../features/disconnect/index.ts';
import { createEnvironments, ENVIRONMENT_SCOPES } from '../features/environments/index.ts';
import { createInbound, inboundRoutes, JSON_DEPTH_MAX, JSON_VALUES_MAX } from '../features/inbound/index.ts';
import { createIntegrations, integrationRoutes, type Integration } from '../features/integrations/index.ts';
import { createOutbound, outboundRoutes, type OutboundDeps } from '../features/outbound/index.ts';
import { createProviders, providerRoutes } from '../features/providers/index.ts';
import { registerProxy } from '../features/proxy/index.ts';
import type { RunLimits } from '../features/runs/index.ts';
import { createRecovery } from '../features/recovery/index.ts';
import { systemClock } from '../platform/clock.ts';
import type { Keyring } from '../platform/keyring/index.ts';
import { armKillPoint, noKillPoints } from '../platform/kill-points.ts';
import type { Database } from '../platform/postgres/index.ts';
import { createUpstream, normalizePair } from '../platform/upstream/index.ts';
import { createFunctionServices, functionServiceRoutes, startFunctionServices } from './functions.ts';
import { createServer, type MountedRoute } from './http/server.ts';
import { parseJson } from './http/json.ts';
import { landingRoutes } from './http/landing.ts';

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

export interface Hawser {
  /** Where browsers reach this server, without trailing slash. */
  url: string;
  port: number;
  services: Services;
  /** Everything that answers over HTTP, with who may call it. */
  routes: readonly MountedRoute[];
  /** Refuses new work, finishes refreshes and queued writes, closes the port. */
  close(): Promise<void>;
}

/** Everything a role or a test may need, by slice. */
export type Services = Awaited<ReturnType<typeof createServices>>;

/** Abandoned flows and sessions are swept this often; disconnects that wait have their own timer. */
const SWEEP_INTERVAL_MS = 60_000;
/** What a stop grants to calls under way; leaves the rest of 30 s to refreshes and the database. */
const CALLS_END_TIMEOUT_MS = 10_000;

async function createServices(options: HawserOptions, publicUrl: () => URL) {
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
  const credentials = await createCredentials({
    db,
    clock,
    log,
    vault,
    upstream,
    integrations,
    connections,
    activity,
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
  const disconnect = createDisconnect({
    db,
    clock,
    log,
    vault,
    upstream,
    integrations,
    connections,
    credentials,
    activity,
    killPoints,
    isQuarantined,
    events,
  });
  const accounts = createAccounts({
    db,
    clock,
    log,
    upstream,
    integrations,
    connections,
    credentials,
    disconnect,
    activity,
    events,
    isQuarantined,
  });
  const connect = createConnect({
    accounts,
    db,
    clock,
    log,
    environments,
    providers,
    integrations,
    connections,
    credentials,
    activity,
    upstream,
    publicUrl,
    returnOrigins: config.returnOrigins,
    connectFrameAncestors: config.frameAncestors,
    events,
  });
  const outbound = createOutbound({
    db,
    clock,
    log,
    upstream,
    environments,
    integrations,
    connections,
    killPoints: options.refresh?.killPoints ?? killPoints,
    nodeId: options.refresh?.nodeId ?? nodeId,
    isQuarantined,
    ...options.outbound,
  });
  const core = {
    clock,
    log,
    db,
    upstream,
    environments,
    recovery,
    activity,
    providers,
    integrations,
    connections,
    credentials,
    disconnect,
    accounts,
    connect,
    outbound,
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

/** Starts one node. Errors: {@link StartupError} for everything a person can repair. */
export async function startHawser(options: HawserOptions): Promise<Hawser> {
  const { config, db, log } = options;
  assertSafeToListen(config);
  let publicUrl = config.publicUrl;
  const services = await createServices(options, () => new URL(publicUrl as string));
  const { clock, environments, recovery, integrations, connections, credentials, disconnect, connect } = services;
  const { activity, upstream } = services;
  const serverUrl = (): string => publicUrl as string;

  const routes: Route[] = [
    ...providerRoutes({ providers: services.providers, serverUrl }),
    ...integrationRoutes({
      integrations,
      serverUrl,
      releaseConnections: async (tx, integration) => {
        for (const connection of await connections.ofIntegration(tx, integration.environmentId, integration.id)) {
          await disconnect.enqueue(tx, connection);
        }
        await services.functions.removeOfIntegration(tx, integration.environmentId, integration.id);
      },
    }),
    ...connectionRoutes({ connections, integrations }),
    ...credentialRoutes({
      db,
      clock,
      integrations,
      connections,
      credentials,
      activity,
      verify: ({ integration, connectionConfig, credential }) =>
        verifyCredential(services, integration, connectionConfig, credential),
      events: services.actions.events,
    }),
    ...disconnectRoutes({ integrations, connections, disconnect }),
    ...accountRoutes({ accounts: services.accounts }),
    ...connect.routes,
    ...functionServiceRoutes(services, services),
    ...inboundRoutes({ inbound: services.inbound, integrations, connections }),
    ...outboundRoutes(services),
    ...(options.devRoutes?.(services) ?? landingRoutes({ version: options.version })),
  ];
  const { app, routes: mounted } = await createServer({
    db,
    log,
    clock,
    version: options.version,
    // Provider answers that are not yet in the database must not meet a new caller's load.
    ready: () => credentials.unflushed === 0,
    isQuarantined: () => recovery.isQuarantined(),
    environments,
    sessionByToken: (token): Promise<Principal | undefined> => connect.sessionByToken(token),
    publicUrl: () => services.publicUrl(),
    rateLimitPerMinute: config.rateLimitPerMinute,
    authFailuresPerMinute: config.authFailuresPerMinute,
    trustedProxies: config.trustedProxies,
    routes,
    plugins: [
      {
        auth: { by: 'public', why: 'providers; proven by what the catalogue says of them' },
        mount: (server, edge) => services.inbound.register(server, edge),
      },
      {
        auth: { by: 'key', anyOf: ENVIRONMENT_SCOPES.proxy },
        mount: (server, edge) =>
          registerProxy(server, {
            db,
            integrations,
            credentials,
            connections,
            activity,
            upstream,
            clock,
            log,
            baseUrlOverride: { allow: config.baseUrlOverride },
            principalOf: edge.keyPrincipalFor(ENVIRONMENT_SCOPES.proxy),
          }),
      },
    ],
  });
  // Before the first call: a rotation of keys waits for the nodes it knows.
  const stopAnnouncing = await environments.announce();
  let port: number;
  try {
    port = await listen(app, config);
  } catch (error) {
    await app.close();
    await closeServices(services);
    await stopAnnouncing();
    throw error;
  }
  publicUrl ??= `http://localhost:${port}`;
  const sockets = connect.attachSockets(app.server);
  await sockets.ready;

  const stopRecovery = recovery.start();
  const stopCredentials = credentials.start();
  const stopDisconnects = disconnect.start();
  const stopAccounts = services.accounts.start();
  const stopFunctions = startFunctionServices(services, services);
  const stopOutbound = services.outbound.start();
  const stopSweep = clock.every(SWEEP_INTERVAL_MS, () => {
    connect.sweep().catch((error: unknown) => log.warn('sweep of connect flows failed', { error: errorText(error) }));
  });

  let closing: Promise<void> | undefined;
  return {
    url: publicUrl,
    port,
    services,
    routes: mounted,
    close() {
      closing ??= (async () => {
        stopSweep();
        await stopFunctions();
        await stopOutbound();
        stopCredentials();
        await stopDisconnects();
        stopAccounts();
        await sockets.close();
        // Calls under way may end; then their connections are cut.
        await within(clock, app.close(), () => app.server.closeAllConnections());
        await closeServices(services);
        await stopRecovery();
        await stopAnnouncing();
      })();
      return closing;
    },
  };
}

/** Finishes what is under way and writes what is queued; then lets go of every socket. */
async function closeServices(services: Services): Promise<void> {
  const { clock, credentials, connections, activity, upstream, calls, sandbox } = services;
  await calls.settled();
  await sandbox.close();
  await credentials.drain();
  await connections.close();
  await activity.close();
  await within(clock, upstream.close(), () => void upstream.destroy());
}

/** Waits for `work`, but calls `cut` when it takes longer than a stop may. */
async function within(clock: Clock, work: PromiseLike<unknown>, cut: () => void): Promise<void> {
  const done = new AbortController();
  clock.sleep(CALLS_END_TIMEOUT_MS, done.signal).then(cut, () => undefined); // ended in time
  await work;
  done.abort();
}

async function listen(app: FastifyInstance, config: Config): Promise<number> {
  try {
    await app.listen({ host: config.host, port: config.port });
  } catch (cause) {
    const { code } = cause as { code?: string };
    if (code === 'EADDRINUSE') {
      throw new StartupError(
        `Port ${config.port} on ${config.host} is taken by another program.`,
        'Stop that program, or choose another port with HAWSER_PORT.',
        cause,
      );
    }
    if (code === 'EACCES' || code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND') {
      throw new StartupError(
        `The server cannot listen on ${config.host}:${config.port} (${code}).`,
        'Choose another HAWSER_HOST or HAWSER_PORT.',
        cause,
      );
    }
    throw cause;
  }
  return (app.server.address() as AddressInfo).port;
}

/** A server that others can reach must not be open. Errors: {@link StartupError}. */
function assertSafeToListen(config: Config): void {
  if (isLoopbackHost(config.host)) return;
  if ((config.dashboardPassword ?? '').length < PASSWORD_CHARACTERS_MIN) {
    throw new StartupError(
      `HAWSER_HOST is ${config.host}, which others can reach, but there is no dashboard password.`,
      `Set HAWSER_DASHBOARD_PASSWORD to at least ${PASSWORD_CHARACTERS_MIN} characters, or listen on 127.0.0.1.`,
    );
  }
}

/** A wrong entry would silently stay refused. Errors: {@link StartupError}. */
function assertPairs(setting: string, pairs: readonly string[]): void {
  const wrong = pairs.find((pair) => normalizePair(pair) === undefined);
  if (wrong === undefined) return;
  throw new StartupError(`${setting} holds "${wrong}", which is no host:port pair.`, `Write it like 127.0.0.1:8080.`);
}
