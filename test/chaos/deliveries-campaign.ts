/**
 * Kills nodes while they send events to the app, and compares what was committed with what the app got. Two nodes take
 * turns at being the victim.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { silentLog } from '../../src/base/log.ts';
import { createEnvironments } from '../../src/features/environments/index.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { generateKey, keyringFrom, type Keyring } from '../../src/platform/keyring/index.ts';
import { openDatabase } from '../../src/platform/postgres/index.ts';
import { startEventApp } from './event-app.ts';
import { until } from './functions-world.ts';
import { launchNode, type ChaosNode } from './process.ts';
import { chanceFrom, type Chance } from './seeded.ts';

/** The request is with the app, and no answer has left it. */
const AT_APP = 'W6 at the app';
export const DELIVERY_POINTS: readonly string[] = ['W5b', AT_APP, 'W7', 'random'];
/** Events written while a kill is waited for come in bursts of so many, each with a commit of its own. */
const BURST = 8;
const REACH_TIMEOUT_MS = 20_000;
/** A random kill comes within this time. */
const SPAN_MS = 300;
const LEASE_MS = 1_500;

export interface DeliveryCampaign {
  seed: number;
  kills: number;
  byPoint: Map<string, { kills: number; twice: number }>;
  events: number;
  /** Events that the app got twice. */
  twice: number;
  /** What must not happen, in words. */
  violations: string[];
}

export type DeliveriesWorld = Awaited<ReturnType<typeof createDeliveriesWorld>>;

/** `databaseUrl`: migrated and empty. */
export async function createDeliveriesWorld({ databaseUrl }: { databaseUrl: string }) {
  const directory = await mkdtemp(join(tmpdir(), 'hawser-chaos-deliveries-'));
  const encryptionKey = generateKey();
  const app = await startEventApp((body) => String((body as { data: { n: number } }).data.n));
  const db = await openDatabase({ url: databaseUrl, poolSize: 4, log: silentLog, clock: systemClock });
  const keyring = keyringFrom(encryptionKey) as Keyring;
  const environments = await createEnvironments({ db, clock: systemClock, log: silentLog, keyring });
  const environment = await environments.create({ name: 'chaos', isProduction: false });
  const { secret } = await environments.createKey({ environmentId: environment.id, displayName: 'chaos' });
  const nodes = new Set<ChaosNode>();
  let launched = 0;
  let written = 0;

  return {
    app,
    get written() {
      return written;
    },
    async launch(): Promise<ChaosNode> {
      launched += 1;
      const name = `node-${launched}`;
      const node = await launchNode({
        name,
        outboundLimits: { pollMs: 20, leaseMs: LEASE_MS },
        settings: {
          HAWSER_PORT: '0',
          HAWSER_DATA_DIR: join(directory, name),
          HAWSER_ENCRYPTION_KEY: encryptionKey,
          HAWSER_RATE_LIMIT_PER_MINUTE: '0',
          DATABASE_URL: databaseUrl,
          HAWSER_EGRESS_ALLOW: app.pair,
          HAWSER_LOG_LEVEL: 'warn',
          HAWSER_POOL_SIZE: '6',
        },
      });
      nodes.add(node);
      return node;
    },
    register: (node: ChaosNode) => app.register(node, secret),
    /** Each is committed when this resolves. */
    async write(count: number): Promise<void> {
      for (let each = 0; each < count; each += 1) {
        await db.query(`INSERT INTO event (environment_id, type, payload) VALUES ($1, 'connection.state', $2)`, [
          environment.id,
          { n: written + 1 },
        ]);
        written += 1;
      }
    },
    async isQuiet(): Promise<boolean> {
      const rows = await db.query(
        `SELECT 1 WHERE EXISTS (SELECT FROM event WHERE NOT is_handled)
           OR EXISTS (SELECT FROM delivery WHERE state <> 'delivered')`,
      );
      return rows.length === 0;
    },
    async close(): Promise<void> {
      for (const node of nodes) node.signal('SIGKILL');
      await Promise.all([...nodes].map((node) => node.exited));
      await db.close();
      await app.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

export async function runDeliveryCampaign(
  world: DeliveriesWorld,
  options: { rounds: number; seed: number; onRound?: (round: number, point: string) => void },
): Promise<DeliveryCampaign> {
  const { rounds, seed, onRound } = options;
  const chance = chanceFrom(seed);
  const campaign: DeliveryCampaign = { seed, kills: 0, byPoint: new Map(), events: 0, twice: 0, violations: [] };
  const seats = [await world.launch(), await world.launch()];
  await world.register(seats[0] as ChaosNode);
  for (let round = 1; round <= rounds; round += 1) {
    const point = DELIVERY_POINTS[(round - 1) % DELIVERY_POINTS.length] as string;
    onRound?.(round, point);
    const from = world.written;
    const victim = seats[round % 2] as ChaosNode;
    if (!(await killAt(point, world, victim, chance))) {
      campaign.violations.push(`round ${round}: ${point} was not reached\n${victim.log.slice(-2_000)}`);
    }
    campaign.kills += 1;
    // The other one takes over; a node that is there again only helps.
    const next = round < rounds ? world.launch() : undefined;
    await until(() => world.isQuiet());
    if (next !== undefined) seats[round % 2] = await next;
    const twice = judge(world, from, `round ${round}, ${point}`, campaign.violations);
    const tally = campaign.byPoint.get(point) ?? { kills: 0, twice: 0 };
    campaign.byPoint.set(point, { kills: tally.kills + 1, twice: tally.twice + twice });
    campaign.twice += twice;
  }
  campaign.events = world.written;
  return campaign;
}

/** Writes events until the victim is gone. False when it had to be ended otherwise. */
async function killAt(point: string, world: DeliveriesWorld, victim: ChaosNode, chance: Chance): Promise<boolean> {
  const kill = (): void => victim.signal('SIGKILL');
  if (point === AT_APP) world.app.hold(victim.name, kill);
  else if (point !== 'random') {
    victim.tell({ do: 'arm', point, nth: chance.whole(1, 3), signal: 'SIGKILL' });
  }
  const endMs = chance.whole(0, SPAN_MS);
  const startedMs = performance.now();
  while (!victim.gone) {
    const nowMs = performance.now() - startedMs;
    if (point === 'random' && nowMs > endMs) kill();
    if (nowMs > REACH_TIMEOUT_MS) {
      kill();
      await victim.exited;
      return false;
    }
    await world.write(BURST);
    await sleep(10);
  }
  return true;
}

/** Every event since `from` has come, under one id, with one body, and twice at most. Resolves to how many came twice. */
function judge(world: DeliveriesWorld, from: number, where: string, violations: string[]): number {
  let twice = 0;
  for (let n = from + 1; n <= world.written; n += 1) {
    const copies = world.app.got.get(String(n)) ?? [];
    if (copies.length === 0) violations.push(`${where}: event ${n} never came`);
    if (copies.length > 2) violations.push(`${where}: event ${n} came ${copies.length} times after one kill`);
    if (new Set(copies.map(({ id }) => id)).size > 1) violations.push(`${where}: event ${n} has two ids`);
    if (new Set(copies.map(({ body }) => body)).size > 1) violations.push(`${where}: event ${n} has two bodies`);
    if (copies.length === 2) twice += 1;
  }
  return twice;
}

export function deliveryTableOf(campaign: DeliveryCampaign): string {
  const lines = [...campaign.byPoint].map(
    ([point, { kills, twice }]) => `${point.padEnd(16)} ${String(kills).padStart(5)} kills ${String(twice).padStart(6)} sent twice`, // prettier-ignore
  );
  return [...lines, `${campaign.events} events, ${campaign.twice} of them twice`].join('\n');
}
