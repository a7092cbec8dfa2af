/**
 * A whole node on an embedded PostgreSQL in a temporary folder, with one connection per upstream. Grows when asked, and
 * says what the growth has made of its sweeps.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { silentLog } from '../../src/base/log.ts';
import { readConfig } from '../../src/config.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { generateKey, keyringFrom, type Keyring } from '../../src/platform/keyring/index.ts';
import { Pool } from '../../src/platform/postgres/pool.ts';
import { startHawser } from '../../src/shell/node.ts';
import { ensureEnvironments } from '../../src/shell/start/environments.ts';
import { openPlatformDatabase } from '../../src/shell/start/platform.ts';
import { commitPairs, growSchedules, upsertRawBatches } from './store-functions.ts';
import { growTo } from './store-growth.ts';
import { commitRows, countHandled, holdEvents, isWaiting, releaseEvents } from './store-webhooks.ts';

const BULK_TIMEOUT_MS = 600_000;

const upstreams = JSON.parse(process.argv[2] ?? '{}') as Record<string, string>;
const dataDir = await mkdtemp(join(tmpdir(), 'hawser-bench-'));
const config = readConfig('start', {
  HAWSER_PORT: '0',
  HAWSER_DATA_DIR: dataDir,
  HAWSER_RATE_LIMIT_PER_MINUTE: '0',
  HAWSER_EGRESS_ALLOW: Object.values(upstreams)
    .map((url) => new URL(url).host)
    .join(','),
});
const platform = await openPlatformDatabase({
  config,
  log: silentLog,
  clock: systemClock,
  onLost(error) {
    throw error;
  },
});
const hawser = await startHawser({
  config,
  db: platform.db,
  keyring: keyringFrom(generateKey()) as Keyring,
  log: silentLog,
  version: 'bench',
});
const { entries } = await ensureEnvironments(hawser.services.environments, undefined);
const authorization = `Bearer ${entries['dev']?.apiKey}`;
const environment = await hawser.services.environments.byName('dev');
const headers: Record<string, Record<string, string>> = {};
for (const [name, url] of Object.entries(upstreams)) {
  await hawser.services.integrations.create(environment?.id as number, {
    provider: 'private-api-bearer',
    uniqueKey: name,
    integrationConfig: { base_url: url },
  });
  const imported = await fetch(`${hawser.url}/connections`, {
    method: 'POST',
    headers: { authorization, 'content-type': 'application/json' },
    body: JSON.stringify({
      provider_config_key: name,
      connection_id: name,
      credentials: { type: 'API_KEY', apiKey: 'the-key' },
    }),
  });
  if (!imported.ok) throw new Error(`the connection was not made: ${imported.status} ${await imported.text()}`);
  headers[name] = { authorization, 'provider-config-key': name, 'connection-id': name };
}
process.on('SIGTERM', () => {
  void (async () => {
    await hawser.close();
    await bulk.close();
    await platform.close();
    await rm(dataDir, { recursive: true, force: true });
    process.exit(0);
  })();
});
/** Rows in bulk take longer than a statement of the program may. */
const bulk = new Pool({
  url: platform.url,
  size: 1,
  log: silentLog,
  clock: systemClock,
  statementTimeoutMs: BULK_TIMEOUT_MS,
});

/** What the growth benchmark asks for. */
export type Order =
  /** Answers with row ids and names of connections that may be read, spread over all of them. */
  | { do: 'grow'; connections: number; samples: number }
  | { do: 'sweep' }
  /** Answers with what the database alone could do. */
  | { do: 'commit pairs'; clients: number; durationMs: number }
  | { do: 'upsert raw'; batches: number; version: number }
  | { do: 'commit rows'; clients: number; durationMs: number; bytes: number }
  /** Answers with where a provider sends webhooks that one connection is told of, and what signs them. */
  | { do: 'webhooks' }
  /** What comes from now on is stored and not handled, until `wait for webhooks`. */
  | { do: 'hold webhooks' }
  /** Answers once everything that came is handled: how much that was, and how long it took. */
  | { do: 'wait for webhooks' }
  /** Connections whose syncs have an hour until they are due. */
  | { do: 'schedules'; count: number };

async function obey(order: Order): Promise<unknown> {
  const environmentId = environment?.id as number;
  const { credentials, connections, integrations, connect } = hawser.services;
  if (order.do === 'sweep') {
    const startedAtMs = performance.now();
    await credentials.sweep();
    await connect.sweep();
    return { ms: performance.now() - startedAtMs };
  }
  if (order.do === 'commit pairs') return commitPairs(platform.db, order);
  if (order.do === 'commit rows') return commitRows(platform.db, order);
  if (order.do === 'webhooks') return openWebhooks(environmentId);
  if (order.do === 'hold webhooks') {
    await holdEvents(platform.db, true);
    return {};
  }
  if (order.do === 'wait for webhooks') {
    await holdEvents(platform.db, false);
    const since = await releaseEvents(platform.db);
    while (await isWaiting(platform.db)) await sleep(100);
    return countHandled(platform.db, since);
  }
  if (order.do === 'upsert raw') return upsertRawBatches(platform.db, order);
  const integration = await integrations.byKey(environmentId, Object.keys(upstreams)[0] as string);
  if (integration === undefined) throw new Error('there is no integration to grow');
  if (order.do === 'schedules') {
    await growSchedules(bulk, { environmentId, integrationId: integration.id, count: order.count });
    return {};
  }
  const sampled = await growTo(bulk, { environmentId, integrationId: integration.id, ...order });
  for (const id of sampled) {
    const connection = await connections.byId(environmentId, id);
    if (connection === undefined) throw new Error('a connection is gone');
    await platform.db.transaction((tx) =>
      credentials.write(tx, {
        connection,
        credential: { type: 'API_KEY', apiKey: 'the-key' },
        facts: { scope: undefined, expiresAt: undefined },
      }),
    );
  }
  return { ids: sampled.map((id) => `grown-${id}`) };
}

async function openWebhooks(environmentId: number): Promise<{ path: string; secret: string }> {
  const secret = 'the client secret';
  await hawser.services.integrations.create(environmentId, {
    provider: 'checkr-partner',
    uniqueKey: 'checks',
    client: { type: 'OAUTH2', clientId: 'id', clientSecret: secret, scopes: [], webhookSecret: undefined },
  });
  const imported = await fetch(`${hawser.url}/connections`, {
    method: 'POST',
    headers: { authorization, 'content-type': 'application/json' },
    body: JSON.stringify({
      provider_config_key: 'checks',
      connection_id: 'checked',
      credentials: { type: 'OAUTH2', access_token: 'the token' },
      connection_config: { checkr_account_id: 'acct' },
    }),
  });
  if (!imported.ok) throw new Error(`the connection was not made: ${imported.status} ${await imported.text()}`);
  return { path: `/webhook/${environment?.uuid}/checks`, secret };
}

process.on('message', (order: Order) => {
  obey(order).then(
    (answer) => process.send?.(answer as object),
    (error: unknown) => {
      console.error(error);
      process.exit(1);
    },
  );
});
process.send?.({ url: hawser.url.replace('localhost', '127.0.0.1'), headers });
