/**
 * Builders for slices without the HTTP shell: one database, one environment, and as many nodes as a test wants, each
 * with a pool of its own.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ProviderSpec } from '../../catalogue/_spec/index.ts';
import { catalogue } from '../../catalogue/index.ts';
import type { Clock } from '../../src/base/clock.ts';
import type { Log, LogFields } from '../../src/base/log.ts';
import type { Environment } from '../../src/base/route.ts';
import { createActivity, type Activity } from '../../src/features/activity/index.ts';
import { createConnections, type Connection, type Connections } from '../../src/features/connections/index.ts';
import {
  createCredentials,
  type Credential,
  type Credentials,
  type RefreshTimes,
} from '../../src/features/credentials/index.ts';
import { createDisconnect, type Disconnect } from '../../src/features/disconnect/index.ts';
import { createEnvironments, type Environments } from '../../src/features/environments/index.ts';
import {
  createIntegrations,
  type Integration,
  type IntegrationService,
} from '../../src/features/integrations/index.ts';
import { createProviders } from '../../src/features/providers/index.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { generateKey, keyringFrom, type Keyring } from '../../src/platform/keyring/index.ts';
import { noKillPoints, type KillPoints } from '../../src/platform/kill-points.ts';
import { openDatabase, type Database } from '../../src/platform/postgres/index.ts';
import { createUpstream, type Upstream } from '../../src/platform/upstream/index.ts';
import { createTestDatabase } from './database.ts';

export interface CoreNode {
  db: Database;
  environments: Environments;
  integrations: IntegrationService;
  connections: Connections;
  activity: Activity;
  credentials: Credentials;
  disconnect: Disconnect;
  upstream: Upstream;
  spoolDir: string;
}

export interface NodeOptions {
  clock?: Clock;
  killPoints?: KillPoints;
  /** Another way to the same database, e.g. through a relay. */
  databaseUrl?: string;
  spoolDir?: string;
  poolSize?: number;
  times?: Partial<RefreshTimes>;
}

export interface Core {
  /** The first node. */
  node: CoreNode;
  /** For looking at rows, whatever happens to a node's own way to the database. */
  db: Database;
  databaseUrl: string;
  environment: Environment;
  /** Everything any node logged, one line each. */
  logged: string[];
  startNode(options?: NodeOptions): Promise<CoreNode>;
  close(): Promise<void>;
}

/** `allow`: host:port pairs that may be called. `providers`: beside the catalogue's. */
export async function buildCore(
  options: { allow?: string[]; providers?: ProviderSpec[] } & NodeOptions = {},
): Promise<Core> {
  const logged: string[] = [];
  const log = capturingLog(logged);
  const database = await createTestDatabase({ poolSize: 8 });
  const keyring = keyringFrom(generateKey()) as Keyring;
  const directory = await mkdtemp(join(tmpdir(), 'hawser-core-'));
  const entries = new Map([...catalogue, ...(options.providers ?? []).map((spec) => [spec.name, spec] as const)]);
  const nodes: (CoreNode & { close(): Promise<void> })[] = [];

  async function startNode(of: NodeOptions = {}): Promise<CoreNode> {
    const { clock = systemClock, killPoints = noKillPoints } = of;
    const url = of.databaseUrl ?? database.url;
    const db = await openDatabase({ url, poolSize: of.poolSize ?? 6, log, clock });
    const policy = { allow: options.allow ?? [] };
    const upstream = createUpstream({ policy: () => policy, clock, userAgent: 'hawser-test' });
    const environments = await createEnvironments({ db, keyring, clock, log });
    const { vault } = environments;
    const activity = createActivity({ db, clock, log });
    const providers = createProviders(entries);
    const integrations = await createIntegrations({
      db,
      vault,
      providers,
      upstream,
      clock,
      emulatorUrl: () => undefined,
    });
    const connections = createConnections({ db, clock, log, vault });
    const spoolDir = of.spoolDir ?? join(directory, `spool-${nodes.length}`);
    const shared = { db, clock, log, vault, upstream, integrations, connections, activity, killPoints };
    const credentials = createCredentials({
      ...shared,
      nodeId: `node-${nodes.length}`,
      spoolDir,
      ...(of.times && { times: of.times }),
    });
    const disconnect = createDisconnect({ ...shared, credentials });
    const node = {
      db,
      environments,
      integrations,
      connections,
      activity,
      credentials,
      disconnect,
      upstream,
      spoolDir,
      async close() {
        await credentials.drain();
        await connections.close();
        await activity.close();
        await upstream.destroy();
        await db.close();
      },
    };
    nodes.push(node);
    return node;
  }

  const node = await startNode(options);
  const environment = await node.environments.create({ name: 'dev', isProduction: false });
  return {
    node,
    db: database.db,
    databaseUrl: database.url,
    environment,
    logged,
    startNode,
    async close() {
      await Promise.all(nodes.map((each) => each.close()));
      await database.drop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** An integration with some server of one's own; `rotation` as the app's developer would set it. */
export async function anIntegration(
  core: Pick<Core, 'node' | 'environment'>,
  server: { url: string; tokenUrl: string; revokeUrl: string },
  more: {
    key?: string;
    rotation?: string;
    client?: { clientId: string; clientSecret: string };
    revocation?: boolean;
  } = {},
): Promise<Integration> {
  const { clientId, clientSecret } = more.client ?? { clientId: 'client-id', clientSecret: 'client-secret-value' };
  return core.node.integrations.create(core.environment.id, {
    provider: 'oauth2-generic',
    uniqueKey: more.key ?? 'generic',
    client: { type: 'OAUTH2', clientId, clientSecret, scopes: [], webhookSecret: undefined },
    integrationConfig: {
      authorization_url: `${server.url}/authorize`,
      token_url: server.tokenUrl,
      api_base_url: server.url,
      rotation: more.rotation ?? 'strict',
      ...(more.revocation === false ? {} : { revocation_url: server.revokeUrl }),
    },
  });
}

/** Addresses of a provider that nothing is sent to. */
export const NOWHERE = {
  url: 'https://provider.test',
  tokenUrl: 'https://provider.test/t',
  revokeUrl: 'https://provider.test/r',
};

/** Stores a connection with its credential. `expiresInMs`: life of the token from now; absent: no known end. */
export async function aConnection(
  node: CoreNode,
  integration: Integration,
  credential: Credential,
  more: { connectionId?: string; expiresInMs?: number; scope?: string } = {},
): Promise<Connection> {
  return node.db.transaction(async (tx) => {
    const { connection } = await node.connections.upsert(tx, {
      environmentId: integration.environmentId,
      integrationId: integration.id,
      connectionId: more.connectionId ?? 'customer-1',
      connectionConfig: {},
    });
    const expiresAt = more.expiresInMs === undefined ? undefined : new Date(systemClock.now() + more.expiresInMs);
    await node.credentials.write(tx, { connection, credential, facts: { scope: more.scope, expiresAt } });
    return connection;
  });
}

/** A connection to a provider that nothing is sent to, for tests that need a connection, but no call with it. */
export async function aConnectionNowhere(
  core: Pick<Core, 'node' | 'environment'>,
  connectionId?: string,
): Promise<{ integration: Integration; connection: Connection }> {
  const integration = await anIntegration(core, NOWHERE);
  const credential = { type: 'OAUTH2', access_token: 'token', raw: {} } as const;
  return { integration, connection: await aConnection(core.node, integration, credential, { connectionId }) };
}

/** Keeps every line, with its fields, as text: for looking for secrets. */
export function capturingLog(lines: string[]): Log {
  const at = (level: string) => (message: string, fields?: LogFields) => {
    lines.push(`${level} ${message} ${JSON.stringify(fields ?? {})}`);
  };
  const log: Log = { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error'), child: () => log };
  return log;
}

/** Waits for a condition by asking again; fails after 10 s. */
export async function eventually<T>(read: () => Promise<T> | T, until: (value: T) => boolean): Promise<T> {
  const giveUpAtMs = performance.now() + 10_000;
  for (;;) {
    const value = await read();
    if (until(value)) return value;
    if (performance.now() > giveUpAtMs) throw new Error(`still ${JSON.stringify(value)} after 10 s`);
    await systemClock.sleep(20);
  }
}
