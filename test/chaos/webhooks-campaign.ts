/**
 * Kills nodes while a provider sends webhooks, and compares what was answered 2xx with what is stored and told. Two nodes
 * take turns at being the victim; the provider sends again, to either, what was not answered well.
 */
import { createHmac } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { silentLog } from '../../src/base/log.ts';
import { createEnvironments } from '../../src/features/environments/index.ts';
import { createIntegrations } from '../../src/features/integrations/index.ts';
import { createProviders } from '../../src/features/providers/index.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { generateKey, keyringFrom, type Keyring } from '../../src/platform/keyring/index.ts';
import { openDatabase } from '../../src/platform/postgres/index.ts';
import { createUpstream } from '../../src/platform/upstream/index.ts';
import { startEventApp } from './event-app.ts';
import { until } from './functions-world.ts';
import type { NodeOptions } from './node.ts';
import { launchNode, type ChaosNode } from './process.ts';
import { chanceFrom } from './seeded.ts';

const KEY = 'checks';
const SECRET = 'client secret of the chaos';
/** Each of them has two connections: an event is told twice, and a kill may come between. */
export const ACCOUNTS = ['acct-a', 'acct-b', 'acct-c'];
const SENDERS = 4;
/** The provider's patience; then it sends again. */
const SEND_TIMEOUT_MS = 3_000;
const REACH_TIMEOUT_MS = 20_000;
/** A random kill comes within this time. */
const SPAN_MS = 400;

const NAMED = ['W1', 'W2', 'W3', 'W4', 'W5'] as const;
export const WEBHOOK_POINTS: readonly string[] = [...NAMED, 'random'];

export interface WebhookCampaign {
  seed: number;
  kills: number;
  byPoint: Map<string, { kills: number; unanswered: number; stored: number }>;
  /** Events answered 2xx. */
  acknowledged: number;
  /** Tries that were not answered well. */
  unanswered: number;
  /** What must not happen, in words. */
  violations: string[];
}

export type WebhooksWorld = Awaited<ReturnType<typeof createWebhooksWorld>>;

/** What the app knows a forwarded event by. */
export function forwardedName(connectionId: string, id: string): string {
  return `${connectionId} ${id}`;
}

/** `databaseUrl`: migrated and empty. `outboundLimits`: of every node. */
export async function createWebhooksWorld({
  databaseUrl,
  outboundLimits,
}: {
  databaseUrl: string;
  outboundLimits?: NodeOptions['outboundLimits'];
}) {
  const directory = await mkdtemp(join(tmpdir(), 'hawser-chaos-webhooks-'));
  const encryptionKey = generateKey();
  const app = await startEventApp((body) => {
    const { connectionId, payload } = body as { connectionId: string; payload: { id: string } };
    return forwardedName(connectionId, payload.id);
  });
  const db = await openDatabase({ url: databaseUrl, poolSize: 4, log: silentLog, clock: systemClock });
  const shared = { db, clock: systemClock, log: silentLog };
  const environments = await createEnvironments({ ...shared, keyring: keyringFrom(encryptionKey) as Keyring });
  const environment = await environments.create({ name: 'chaos', isProduction: false });
  const { secret } = await environments.createKey({ environmentId: environment.id, displayName: 'chaos' });
  const upstream = createUpstream({ policy: () => ({ allow: [] }), clock: systemClock, userAgent: 'hawser/observer' });
  const integrations = await createIntegrations({ ...shared, vault: environments.vault, upstream, providers: createProviders(), emulatorUrl: () => undefined }); // prettier-ignore
  await integrations.create(environment.id, {
    provider: 'checkr-partner',
    uniqueKey: KEY,
    client: { type: 'OAUTH2', clientId: 'id', clientSecret: SECRET, scopes: [], webhookSecret: undefined },
  });
  await upstream.close();
  const nodes: ChaosNode[] = [];

  return {
    db,
    app,
    /** From now on the app is told of what providers send. */
    register: (node: ChaosNode) => app.register(node, secret, ['forward']),
    async launch(): Promise<ChaosNode> {
      const name = `node-${nodes.length + 1}`;
      const node = await launchNode({
        name,
        outboundLimits,
        settings: {
          HAWSER_PORT: '0',
          HAWSER_DATA_DIR: join(directory, name),
          HAWSER_ENCRYPTION_KEY: encryptionKey,
          HAWSER_RATE_LIMIT_PER_MINUTE: '0',
          DATABASE_URL: databaseUrl,
          HAWSER_EGRESS_ALLOW: app.pair,
          HAWSER_LOG_LEVEL: 'info',
          HAWSER_POOL_SIZE: '6',
        },
      });
      nodes.push(node);
      return node;
    },

    async connect(node: ChaosNode): Promise<void> {
      for (const account of ACCOUNTS) {
        for (const copy of ['one', 'two']) {
          const response = await fetch(`${node.url}/connections`, {
            method: 'POST',
            headers: { authorization: `Bearer ${secret}`, 'content-type': 'application/json' },
            body: JSON.stringify({
              provider_config_key: KEY,
              connection_id: `${account}-${copy}`,
              credentials: { type: 'OAUTH2', access_token: `token of ${account}-${copy}` },
              connection_config: { checkr_account_id: account },
            }),
          });
          if (response.status !== 201) throw new Error(`no connection: ${response.status} ${await response.text()}`);
        }
      }
    },

    /** One delivery as the provider makes it; 0: no answer. */
    async send(node: ChaosNode, id: string, account: string): Promise<number> {
      const body = JSON.stringify({ id, object: 'event', type: 'report.completed', account_id: account });
      try {
        const response = await fetch(`${node.url}/webhook/${environment.uuid}/${KEY}`, {
          method: 'POST',
          headers: { 'x-checkr-signature': createHmac('sha256', SECRET).update(body).digest('hex') },
          body,
          signal: AbortSignal.timeout(SEND_TIMEOUT_MS),
        });
        await response.arrayBuffer();
        return response.status;
      } catch {
        return 0; // the node is gone, or was too slow
      }
    },

    /** The stored event of this id: how often it is there, in which state, and when. */
    async stored(): Promise<Map<string, string[]>> {
      const rows = await db.query<{ uuid: string; state: string; body_sealed: Buffer }>(
        'SELECT uuid, state, body_sealed FROM inbound_event',
      );
      const place = { environmentId: environment.id, table: 'inbound_event', column: 'body_sealed' };
      const bodies = await environments.vault.openMany(place, rows.map((row) => ({ row: row.uuid, sealed: row.body_sealed }))); // prettier-ignore
      const states = new Map<string, string[]>();
      bodies.forEach((body, index) => {
        const { id } = JSON.parse(body.toString('utf8')) as { id: string };
        states.set(id, [...(states.get(id) ?? []), rows[index]?.state as string]);
      });
      return states;
    },

    /** Gives what a dead node has taken up back at once: its lease would take a minute. */
    async leasesEnd(): Promise<void> {
      await db.query("UPDATE inbound_event SET due_at = statement_timestamp() WHERE state = 'received'");
    },

    async open(): Promise<number> {
      return (await db.query("SELECT 1 FROM inbound_event WHERE state <> 'routed'")).length;
    },

    /** Deliveries that the app has not got, and events of which there are none yet. */
    async undelivered(): Promise<number> {
      const rows = await db.query<{ count: number }>(
        `SELECT (SELECT count(*) FROM event WHERE NOT is_handled)
           + (SELECT count(*) FROM delivery WHERE state <> 'delivered') AS count`,
      );
      return Number(rows[0]?.count);
    },

    /** How often each connection was told. */
    async told(): Promise<Map<string, number>> {
      const rows = await db.query<{ name: string; count: number }>(
        `SELECT c.connection_id AS name, count(*)::integer AS count FROM event e
         JOIN connection c ON c.environment_id = e.environment_id AND c.id = e.connection_id
         WHERE e.type = 'forward' GROUP BY 1`,
      );
      return new Map(rows.map(({ name, count }) => [name, count]));
    },

    async close(): Promise<void> {
      for (const node of nodes) {
        if (!node.gone) node.signal('SIGKILL');
        await node.exited;
      }
      await db.close();
      await app.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

export async function runWebhookCampaign(
  world: WebhooksWorld,
  { rounds, seed, onRound }: { rounds: number; seed: number; onRound?: (round: number, point: string) => void },
): Promise<WebhookCampaign> {
  const chance = chanceFrom(seed);
  const campaign: WebhookCampaign = { seed, kills: 0, byPoint: new Map(), acknowledged: 0, unanswered: 0, violations: [] }; // prettier-ignore
  const seats = await Promise.all([world.launch(), world.launch()]);
  await world.connect(seats[0]);
  const points = chance.shuffle(
    Array.from({ length: rounds }, (_, at) => WEBHOOK_POINTS[at % WEBHOOK_POINTS.length] as string),
  );
  const acknowledged = new Map<string, string>();
  for (const [index, point] of points.entries()) {
    const round = index + 1;
    onRound?.(round, point);
    const seat = index % 2;
    const victim = seats[seat] as ChaosNode;
    const tally = campaign.byPoint.get(point) ?? { kills: 0, unanswered: 0, stored: 0 };
    campaign.byPoint.set(point, tally);
    const load = new AbortController();
    const pending = new Map<string, string>();
    let serial = 0;
    const sender = async (): Promise<void> => {
      while (!load.signal.aborted) {
        serial += 1;
        const id = `${round}-${serial}`;
        const account = ACCOUNTS[serial % ACCOUNTS.length] as string;
        pending.set(id, account);
        // Most go to the victim; a load balancer would find out later.
        const node = chance.next() < 0.8 ? victim : (seats[1 - seat] as ChaosNode);
        const status = await world.send(node, id, account);
        if (status >= 200 && status < 300) {
          pending.delete(id);
          acknowledged.set(id, account);
        } else {
          tally.unanswered += 1;
          campaign.unanswered += 1;
          if (status !== 0 && status !== 503) campaign.violations.push(`round ${round}, ${point}: answered ${status}`);
        }
      }
    };
    const senders = Array.from({ length: SENDERS }, sender);
    if (point !== 'random') victim.tell({ do: 'arm', point, nth: chance.whole(1, 8), signal: 'SIGKILL' });
    else void sleep(chance.next() * SPAN_MS).then(() => victim.signal('SIGKILL'));
    const died = await Promise.race([victim.exited.then(() => true), sleep(REACH_TIMEOUT_MS).then(() => false)]);
    if (!died) {
      campaign.violations.push(`round ${round}, ${point}: was not reached`);
      victim.signal('SIGKILL');
      await victim.exited;
    }
    load.abort();
    await Promise.all(senders);
    campaign.kills += 1;
    tally.kills += 1;
    const before = await world.stored();
    tally.stored += [...pending.keys()].filter((id) => before.has(id)).length;
    seats[seat] = await world.launch();
    // The provider sends again what it has heard nothing good of.
    for (const [id, account] of pending) {
      const status = await world.send(chance.pick(seats), id, account);
      if (status === 200) acknowledged.set(id, account);
      else campaign.violations.push(`round ${round}, ${point}: sent again, answered ${status}`);
    }
    await world.leasesEnd();
    await until(async () => (await world.open()) === 0);
    await judge(world, acknowledged, (text) => campaign.violations.push(`round ${round}, ${point}: ${text}`));
  }
  campaign.acknowledged = acknowledged.size;
  return campaign;
}

/** What was acknowledged is there once and routed; each connection was told of each of its events exactly once. */
export async function judge(
  world: WebhooksWorld,
  acknowledged: ReadonlyMap<string, string>,
  broken: (text: string) => void,
): Promise<void> {
  const stored = await world.stored();
  for (const id of acknowledged.keys()) {
    const states = stored.get(id) ?? [];
    if (states.length !== 1 || states[0] !== 'routed') broken(`the event ${id} was answered 2xx and is [${states}]`);
  }
  const told = await world.told();
  for (const account of ACCOUNTS) {
    const events = [...acknowledged.values()].filter((one) => one === account).length;
    for (const copy of ['one', 'two']) {
      const count = told.get(`${account}-${copy}`) ?? 0;
      if (count !== events) broken(`${account}-${copy} was told ${count} of ${events} events`);
    }
  }
}

/** What became of the kills, by point. */
export function webhookTableOf(campaign: WebhookCampaign): string {
  const lines = [...campaign.byPoint].map(
    ([point, { kills, unanswered, stored }]) =>
      `${point.padEnd(8)} ${String(kills).padStart(5)} ${String(unanswered).padStart(11)} ${String(stored).padStart(18)}`,
  );
  return [
    'point    kills  unanswered  stored unanswered',
    ...lines.toSorted(),
    `${campaign.acknowledged} events were acknowledged, ${campaign.unanswered} tries were not.`,
  ].join('\n');
}
