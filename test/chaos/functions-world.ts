/** The stage of the chaos tests of functions: one database, one provider, node processes that run real sandboxes. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { silentLog } from '../../src/base/log.ts';
import { createEnvironments } from '../../src/features/environments/index.ts';
import { createIntegrations } from '../../src/features/integrations/index.ts';
import { createProviders } from '../../src/features/providers/index.ts';
import type { RunLimits } from '../../src/features/runs/index.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { generateKey, keyringFrom, type Keyring } from '../../src/platform/keyring/index.ts';
import { openDatabase } from '../../src/platform/postgres/index.ts';
import { createUpstream } from '../../src/platform/upstream/index.ts';
import { startItemProvider } from './functions-provider.ts';
import { launchNode, type ChaosNode } from './process.ts';

export const KEY = 'shop';
/** Each look is a query. */
const WAIT_STEP_MS = 40;
const WAIT_TIMEOUT_MS = 30_000;
export const FINAL = ['succeeded', 'failed', 'cancelled'];

/** Goes on where it stopped; deletes what a whole listing did not show. */
const SYNC = `
exports.default = {
  type: 'sync',
  async exec(nango) {
    const before = await nango.getCheckpoint();
    let page = before === null ? 0 : before.page;
    await nango.trackDeletesStart('Item');
    for (;;) {
      const { data } = await nango.get({ endpoint: '/items?page=' + page });
      await nango.batchSave(data.items, 'Item');
      page += 1;
      if (data.isLast) break;
      await nango.saveCheckpoint({ page });
    }
    await nango.trackDeletesEnd('Item');
    await nango.clearCheckpoint();
  },
};`;

/** Pays, and says so. Nothing may pay twice. */
const ACTION = `
exports.default = {
  type: 'action',
  async exec(nango, input) {
    const { data } = await nango.post({ endpoint: '/pay', data: { key: input.key } });
    return { paid: data.paid };
  },
};`;

export interface FunctionOptions {
  name?: string;
  kind?: 'sync' | 'action';
  js?: string;
  models?: string[];
  /** Of syncs. Default: every hour. */
  runs?: string;
}

/** One function as `hawser deploy` sends it. */
export function flowOf({ name = 'items', kind = 'sync', js = SYNC, models, runs }: FunctionOptions = {}): object {
  const isSync = kind === 'sync';
  return {
    type: kind,
    syncName: name,
    providerConfigKey: KEY,
    models: models ?? (isSync ? ['Item'] : []),
    runs: isSync ? (runs ?? 'every hour') : null,
    auto_start: isSync,
    attributes: {},
    metadata: {},
    fileBody: { js, ts: `// ${name}` },
    track_deletes: false,
    endpoints: [],
    models_json_schema: {
      definitions: Object.fromEntries((models ?? ['Item']).map((model) => [model, { type: 'object' }])),
    },
  };
}

export const ITEMS = (note = ''): object => flowOf({ js: `${SYNC} // ${note}` });
export const PAY = (note = ''): object => flowOf({ name: 'pay', kind: 'action', js: `${ACTION} // ${note}` });

export interface Reply {
  /** 0: none, the connection broke. */
  status: number;
  // Tests read whatever shape they expect.
  // oxlint-disable-next-line typescript/no-explicit-any
  body: any;
  runId: string | undefined;
}

export interface RunNow {
  uuid: string;
  kind: string;
  state: string;
  attempts: number;
  lost: number;
  connectionId: string | null;
  leaseOwner: string | null;
  errorCode: string | null;
}

export interface LaunchOptions {
  runLimits?: Partial<RunLimits>;
  clockOffsetMs?: number;
}

/** Waits for a condition, but not for ever: what then follows finds that it never came. */
export async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  const giveUpAtMs = performance.now() + WAIT_TIMEOUT_MS;
  while (!(await isSo()) && performance.now() < giveUpAtMs) await sleep(WAIT_STEP_MS);
}

export type FunctionsWorld = Awaited<ReturnType<typeof createFunctionsWorld>>;

/** `databaseUrl`: migrated and empty. */
export async function createFunctionsWorld({ databaseUrl }: { databaseUrl: string }) {
  const directory = await mkdtemp(join(tmpdir(), 'hawser-chaos-functions-'));
  const encryptionKey = generateKey();
  const provider = await startItemProvider();
  const db = await openDatabase({ url: databaseUrl, poolSize: 4, log: silentLog, clock: systemClock });
  const shared = { db, clock: systemClock, log: silentLog };
  const environments = await createEnvironments({ ...shared, keyring: keyringFrom(encryptionKey) as Keyring });
  const environment = await environments.create({ name: 'chaos', isProduction: false });
  const { secret } = await environments.createKey({ environmentId: environment.id, displayName: 'chaos' });
  const upstream = createUpstream({ policy: () => ({ allow: [] }), clock: systemClock, userAgent: 'hawser/observer' });
  const integrations = await createIntegrations({
    ...shared,
    vault: environments.vault,
    upstream,
    providers: createProviders(),
    emulatorUrl: () => undefined,
  });
  await integrations.create(environment.id, {
    provider: 'private-api-bearer',
    uniqueKey: KEY,
    integrationConfig: { base_url: provider.url },
  });
  await upstream.close();
  const nodes: ChaosNode[] = [];
  let launched = 0;

  const world = {
    db,
    environment,
    provider,

    /** Every node has a name of its own: it stands in leases. */
    async launch({ runLimits = {}, clockOffsetMs = 0 }: LaunchOptions = {}): Promise<ChaosNode> {
      launched += 1;
      const name = `node-${launched}`;
      const node = await launchNode({
        name,
        clockOffsetMs,
        runLimits: { pollMs: 250, sweepMs: 250, beatMs: 1_000, ...runLimits },
        settings: {
          HAWSER_PORT: '0',
          HAWSER_DATA_DIR: join(directory, name),
          HAWSER_ENCRYPTION_KEY: encryptionKey,
          HAWSER_RATE_LIMIT_PER_MINUTE: '0',
          DATABASE_URL: databaseUrl,
          HAWSER_EGRESS_ALLOW: new URL(provider.url).host,
          HAWSER_LOG_LEVEL: 'info',
          HAWSER_POOL_SIZE: '6',
        },
      });
      nodes.push(node);
      return node;
    },

    /** A call of the API; a broken connection is status 0. */
    async call(
      node: ChaosNode,
      method: string,
      path: string,
      body?: unknown,
      headers: Record<string, string> = {},
    ): Promise<Reply> {
      try {
        const response = await fetch(`${node.url}${path}`, {
          method,
          headers: {
            authorization: `Bearer ${secret}`,
            'provider-config-key': KEY,
            ...(body !== undefined && { 'content-type': 'application/json' }),
            ...headers,
          },
          ...(body !== undefined && { body: JSON.stringify(body) }),
        });
        const text = await response.text();
        return {
          status: response.status,
          body: text === '' ? undefined : JSON.parse(text),
          runId: response.headers.get('x-hawser-run-id') ?? undefined,
        };
      } catch {
        return { status: 0, body: undefined, runId: undefined }; // the node was killed meanwhile
      }
    },

    deploy: (node: ChaosNode, flows: object[]): Promise<Reply> =>
      world.call(node, 'POST', '/sync/deploy', {
        flowConfigs: flows,
        nangoYamlBody: '',
        reconcile: true,
        debug: false,
        deployMode: 'all',
        sdkVersion: '0.71.10-zero',
      }),

    /** Connections as rows alone: enough for functions that call nobody. */
    async connectMany(count: number): Promise<void> {
      await db.query(
        `INSERT INTO connection (environment_id, integration_id, connection_id, state)
         SELECT i.environment_id, i.id, 'many-' || n, 'active'
         FROM integration i, generate_series(1, $2::int) n WHERE i.environment_id = $1`,
        [environment.id, count],
      );
    },

    connect: (node: ChaosNode, connectionId: string): Promise<Reply> =>
      world.call(node, 'POST', '/connections', {
        provider_config_key: KEY,
        connection_id: connectionId,
        credentials: { type: 'API_KEY', apiKey: 'the-key' },
      }),

    trigger: (node: ChaosNode, connectionId: string, name = 'items'): Promise<Reply> =>
      world.call(node, 'POST', '/sync/trigger', {
        syncs: [name],
        provider_config_key: KEY,
        connection_id: connectionId,
      }),

    pay: (node: ChaosNode, connectionId: string, key: string, later?: { retries: number }): Promise<Reply> =>
      world.call(
        node,
        'POST',
        '/action/trigger',
        { action_name: 'pay', input: { key } },
        {
          'connection-id': connectionId,
          ...(later !== undefined && { 'x-async': 'true', 'x-max-retries': String(later.retries) }),
        },
      ),

    async records(node: ChaosNode, connectionId: string): Promise<Map<string, number>> {
      const found = new Map<string, number>();
      for (let cursor = ''; ;) {
        const path = `/records?model=Item&limit=1000&filter=added,updated${cursor}`;
        const { status, body } = await world.call(node, 'GET', path, undefined, { 'connection-id': connectionId });
        if (status !== 200) throw new Error(`records of ${connectionId}: ${status} ${JSON.stringify(body)}`);
        for (const { id, value } of body.records as { id: string; value: number }[]) found.set(id, value);
        if (body.next_cursor === null) return found;
        cursor = `&cursor=${encodeURIComponent(String(body.next_cursor))}`;
      }
    },

    /** Page that the sync of a connection goes on with. */
    async checkpoint(node: ChaosNode, connectionId: string): Promise<number | undefined> {
      const query = new URLSearchParams({ syncs: '*', provider_config_key: KEY, connection_id: connectionId });
      const { body } = await world.call(node, 'GET', `/sync/status?${query}`);
      const [sync] = body.syncs as { checkpoint?: { page: number } | null }[];
      return sync?.checkpoint?.page;
    },

    runs: (where = 'true', ...values: unknown[]): Promise<RunNow[]> =>
      db.query<RunNow>(
        `SELECT r.uuid, r.kind, r.state, r.attempts, r.lost, c.connection_id AS "connectionId",
           r.lease_owner AS "leaseOwner", r.error ->> 'code' AS "errorCode"
         FROM run r LEFT JOIN connection c ON c.environment_id = r.environment_id AND c.id = r.connection_id
         WHERE ${where} ORDER BY r.id`,
        values,
      ),

    /** How many runs have not ended. */
    async open(): Promise<number> {
      const rows = await db.query<{ count: number }>(
        "SELECT count(*) AS count FROM run WHERE state IN ('queued', 'running')",
      );
      return Number(rows[0]?.count);
    },

    /** The lease time of a node that is gone passes. */
    async leasesEnd(name: string): Promise<void> {
      await db.query(
        `UPDATE run SET lease_until = clock_timestamp() - interval '1 second'
         WHERE lease_owner = $1 AND state = 'running'`,
        [name],
      );
    },

    async close(): Promise<void> {
      for (const node of nodes) node.signal('SIGCONT');
      for (const node of nodes) node.signal('SIGKILL');
      for (const node of nodes) await node.exited;
      await provider.close();
      await db.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
  return world;
}
