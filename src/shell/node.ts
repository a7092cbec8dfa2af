/**
 * One node: puts the parts together and takes them apart again. Reads no setting and decides nothing.
 */
import type { AddressInfo } from 'node:net';
import type { FastifyInstance } from 'fastify';
import type { Clock } from '../base/clock.ts';
import { StartupError } from '../base/errors.ts';
import { errorText } from '../base/log.ts';
import type { Principal, Route } from '../base/route.ts';
import { isLoopbackHost, PASSWORD_CHARACTERS_MIN, type Config } from '../config.ts';
import { accountRoutes } from '../features/accounts/index.ts';
import { connectionRoutes } from '../features/connections/index.ts';
import { credentialRoutes } from '../features/credentials/index.ts';
import { disconnectRoutes } from '../features/disconnect/index.ts';
import { ENVIRONMENT_SCOPES } from '../features/environments/index.ts';
import { inboundRoutes } from '../features/inbound/index.ts';
import { integrationRoutes } from '../features/integrations/index.ts';
import { outboundRoutes } from '../features/outbound/index.ts';
import { providerRoutes } from '../features/providers/index.ts';
import { registerProxy } from '../features/proxy/index.ts';
import { functionServiceRoutes, startFunctionServices } from './functions.ts';
import { landingRoutes } from './http/landing.ts';
import { createServer, type MountedRoute } from './http/server.ts';
import { createServices, type HawserOptions, type Services } from './services.ts';

export type { HawserOptions, Services };

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

/** Abandoned flows and sessions are swept this often; disconnects that wait have their own timer. */
const SWEEP_INTERVAL_MS = 60_000;
/** What a stop grants to calls under way; leaves the rest of 30 s to refreshes and the database. */
const CALLS_END_TIMEOUT_MS = 10_000;

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
    ...connectionRoutes({ connections, integrations, upstream, publicUrl: () => services.publicUrl() }),
    ...credentialRoutes({ clock, integrations, connections, credentials }),
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
            retryGate: services.retryGate,
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
