/**
 * Kills nodes in the middle of syncs, actions and deploys, and compares the provider's listing and payments with what
 * is stored and what callers got. Two nodes take turns at being the victim; a new one takes its place.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { FINAL, ITEMS, PAY, until, type FunctionsWorld, type Reply } from './functions-world.ts';
import type { ChaosNode } from './process.ts';
import { chanceFrom, type Chance } from './seeded.ts';

/** What the victim does when it is killed. */
type Work = 'sync' | 'action' | 'later' | 'deploy' | 'all';

interface Point {
  title: string;
  /** Undefined: at any moment. */
  armed: string | undefined;
  work: Work;
  /** The point is reached this often in one go, at most. */
  timesMax: number;
}

const point = (armed: string, work: Work, timesMax: number): Point => ({
  title: work === 'later' ? `${armed} queued` : armed,
  armed,
  work,
  timesMax,
});
const NAMED: readonly Point[] = [
  point('S1', 'sync', 5),
  point('S2', 'sync', 5),
  point('S3', 'sync', 5),
  point('S4', 'sync', 5),
  point('S5', 'sync', 2),
  point('S6', 'sync', 2),
  point('A1', 'action', 3),
  point('A2', 'action', 3),
  point('A3', 'action', 3),
  point('A4', 'action', 3),
  point('A1', 'later', 1),
  point('A2', 'later', 1),
  point('A3', 'later', 1),
  point('A4', 'later', 1),
  point('F1', 'deploy', 1),
  point('F2', 'deploy', 1),
];
const RANDOM: Point = { title: 'random', armed: undefined, work: 'all', timesMax: 1 };
/** Of the kills beyond the first of every named point. */
const NAMED_SHARE = 0.5;
export const FUNCTION_POINTS = [...NAMED, RANDOM].map(({ title }) => title);
const CUSTOMERS = ['ada', 'grace', 'edsger'];
/** Work is asked for again while the other node has taken all of it. */
const AGAIN_MS = 400;
const REACH_TIMEOUT_MS = 20_000;

export interface FunctionTally {
  kills: number;
  /** Runs of the dead node that another one finished. */
  takenOver: number;
  /** Runs of the dead node that ended as lost, because they may have paid. */
  endedAsLost: number;
  /** Callers whose connection broke. */
  broken: number;
}

export interface FunctionCampaign {
  seed: number;
  kills: number;
  byPoint: Map<string, FunctionTally>;
  runs: number;
  payments: number;
  /** What must not happen, in words. */
  violations: string[];
}

/** What callers were told in a round. */
interface Ledger {
  /** Customers whose sync was promised to run. */
  promised: Set<string>;
  now: { key: string; reply: Reply }[];
  later: { key: string; retries: number; reply: Reply }[];
  deploys: { note: string; reply: Reply }[];
}

export async function runFunctionCampaign(
  world: FunctionsWorld,
  { rounds, seed, onRound }: { rounds: number; seed: number; onRound?: (round: number, title: string) => void },
): Promise<FunctionCampaign> {
  const chance = chanceFrom(seed);
  const campaign: FunctionCampaign = { seed, kills: 0, byPoint: new Map(), runs: 0, payments: 0, violations: [] };
  const nodes = await Promise.all([world.launch(), world.launch()]);
  const spanMs = await warmUp(world, nodes);
  let note = 'first';
  for (const [index, at] of pointsOf(rounds, chance).entries()) {
    const round = index + 1;
    onRound?.(round, at.title);
    const seat = index % 2;
    const victim = nodes[seat] as ChaosNode;
    const survivor = nodes[1 - seat] as ChaosNode;
    const broken = (text: string): void => {
      campaign.violations.push(`round ${round}, ${at.title}: ${text}`);
    };
    world.provider.change(chance);
    const runsBefore = new Set((await world.runs()).map(({ uuid }) => uuid));
    const ledger: Ledger = { promised: new Set(), now: [], later: [], deploys: [] };
    const calls: Promise<unknown>[] = [];
    const begin = (turn: number): void => {
      calls.push(...ask({ world, victim, survivor, ledger, name: `r${round}.${turn}`, work: at.work, chance }));
    };
    if (at.armed !== undefined) {
      victim.tell({ do: 'arm', point: at.armed, nth: chance.whole(1, at.timesMax), signal: 'SIGKILL' });
    }
    if (!(await killed(victim, at, chance.next() * spanMs, begin)))
      broken(`was not reached\n${victim.log.slice(-2_000)}`);
    await Promise.all(calls);
    campaign.kills += 1;
    // Before its leases end nobody goes on with its work.
    for (const customer of CUSTOMERS) await judgeCheckpoint(world, survivor, customer, broken);
    const held = new Set((await world.runs('r.lease_owner = $1', victim.name)).map(({ uuid }) => uuid));
    const [next] = await Promise.all([world.launch(), world.leasesEnd(victim.name)]);
    nodes[seat] = next;
    await until(async () => {
      // Its last statement may have taken one more run.
      await world.leasesEnd(victim.name);
      return (await world.open()) === 0;
    });
    note = await judgeDeploys(world, ledger, note, broken);
    for (const customer of CUSTOMERS.filter((name) => !ledger.promised.has(name))) {
      await world.trigger(survivor, customer);
    }
    await until(async () => (await world.open()) === 0);
    const runs = (await world.runs()).filter(({ uuid }) => !runsBefore.has(uuid));
    judgeActions(world, ledger, runs, broken);
    for (const { uuid, kind, state } of runs) {
      if (!FINAL.includes(state)) broken(`the ${kind} run ${uuid} did not end: ${state}`);
    }
    for (const failed of runs.filter(({ kind, state }) => kind === 'sync' && state !== 'succeeded')) {
      broken(`the sync run ${failed.uuid} ended as ${failed.state} (${failed.errorCode})`);
    }
    for (const customer of CUSTOMERS) {
      const stored = await world.records(survivor, customer);
      if (!isSame(stored, world.provider.items)) {
        broken(`records of ${customer} differ: ${difference(stored, world.provider.items)}`);
      }
    }
    const tally = campaign.byPoint.get(at.title) ?? { kills: 0, takenOver: 0, endedAsLost: 0, broken: 0 };
    campaign.byPoint.set(at.title, tally);
    const ofVictim = runs.filter(({ uuid }) => held.has(uuid));
    tally.kills += 1;
    tally.takenOver += ofVictim.filter(({ lost, state }) => lost > 0 && state === 'succeeded').length;
    tally.endedAsLost += ofVictim.filter(({ state }) => state === 'failed').length;
    tally.broken += [...ledger.now, ...ledger.later, ...ledger.deploys].filter(
      ({ reply }) => reply.status === 0,
    ).length;
    campaign.runs += runs.length;
  }
  campaign.payments = [...world.provider.paid.values()].reduce((sum, count) => sum + count, 0);
  return campaign;
}

/** Everything once without kills. Resolves to how long one of everything takes: the span that random kills hit. */
async function warmUp(world: FunctionsWorld, nodes: readonly ChaosNode[]): Promise<number> {
  const [first] = nodes as [ChaosNode];
  const deployed = await world.deploy(first, [ITEMS('first'), PAY('first')]);
  if (deployed.status !== 200) throw new Error(`nothing can be deployed: ${JSON.stringify(deployed.body)}`);
  for (const customer of CUSTOMERS) await world.connect(first, customer);
  await until(async () => (await world.runs("r.state = 'succeeded'")).length === CUSTOMERS.length);
  let spanMs = 0;
  for (const node of nodes) {
    const startedMs = performance.now();
    const { status, body } = await world.pay(node, CUSTOMERS[0] as string, `warm ${node.name}`);
    if (status !== 200) throw new Error(`no action works at all: ${JSON.stringify(body)}\n${node.log}`);
    for (const customer of CUSTOMERS) await world.trigger(node, customer);
    await until(async () => (await world.open()) === 0);
    spanMs = performance.now() - startedMs;
  }
  return spanMs;
}

function pointsOf(rounds: number, chance: Chance): Point[] {
  const points: Point[] = NAMED.slice(0, rounds);
  while (points.length < rounds) points.push(chance.next() < NAMED_SHARE ? chance.pick(NAMED) : RANDOM);
  return chance.shuffle(points);
}

interface Asked {
  world: FunctionsWorld;
  victim: ChaosNode;
  survivor: ChaosNode;
  ledger: Ledger;
  /** Of this round and turn. */
  name: string;
  work: Work;
  chance: Chance;
}

/** Asks for work, and notes what was asked and answered. */
function ask({ world, victim, survivor, ledger, name, work, chance }: Asked): Promise<unknown>[] {
  const asked: Promise<unknown>[] = [];
  const does = (...kinds: Work[]): boolean => work === 'all' || kinds.includes(work);
  if (does('sync')) {
    for (const customer of CUSTOMERS) {
      asked.push(world.trigger(victim, customer).then(({ status }) => status === 200 && ledger.promised.add(customer)));
    }
  }
  if (does('action')) {
    for (const [index, node] of [victim, survivor, victim, victim].entries()) {
      const key = `${name}.now.${index}`;
      const customer = CUSTOMERS[index % CUSTOMERS.length] as string;
      asked.push(world.pay(node, customer, key).then((reply) => ledger.now.push({ key, reply })));
    }
  }
  if (does('later')) {
    for (const [index, retries] of [0, 0, 2].entries()) {
      const key = `${name}.later.${index}`;
      const paid = world.pay(victim, CUSTOMERS[index] as string, key, { retries });
      asked.push(paid.then((reply) => ledger.later.push({ key, retries, reply })));
    }
  }
  if (work === 'deploy' || (work === 'all' && chance.next() < 0.4)) {
    asked.push(
      world.deploy(victim, [ITEMS(name), PAY(name)]).then((reply) => ledger.deploys.push({ note: name, reply })),
    );
  }
  return asked;
}

/** Resolves when the victim is dead; to false when the point was not reached. */
async function killed(victim: ChaosNode, at: Point, afterMs: number, begin: (turn: number) => void): Promise<boolean> {
  begin(0);
  if (at.armed === undefined) {
    await sleep(afterMs);
    victim.signal('SIGKILL');
  }
  const giveUpAtMs = performance.now() + REACH_TIMEOUT_MS;
  for (let turn = 1; !victim.gone && performance.now() < giveUpAtMs; turn += 1) {
    await Promise.race([victim.exited, sleep(AGAIN_MS)]);
    if (!victim.gone && (at.work === 'sync' || at.work === 'later')) begin(turn);
  }
  const reached = victim.gone;
  victim.signal('SIGKILL');
  await victim.exited;
  return reached;
}

/** Whoever goes on behind a page finds everything before it stored. */
async function judgeCheckpoint(
  world: FunctionsWorld,
  survivor: ChaosNode,
  customer: string,
  broken: (text: string) => void,
): Promise<void> {
  const page = await world.checkpoint(survivor, customer);
  if (page === undefined) return;
  const stored = await world.records(survivor, customer);
  const ahead = world.provider.idsBefore(page).filter((id) => stored.get(id) !== world.provider.items.get(id));
  if (ahead.length > 0) broken(`the checkpoint of ${customer} is ahead of its data: page ${page}, ${ahead.join()}`);
}

/** All of a deploy, or nothing. Resolves to the note of the code that is deployed. */
async function judgeDeploys(
  world: FunctionsWorld,
  { deploys }: Ledger,
  before: string,
  broken: (text: string) => void,
): Promise<string> {
  const rows = await world.db.query<{ note: string }>(
    `SELECT substring(c.js FROM '// (.*)$') AS note FROM function f
     JOIN function_code c ON c.environment_id = f.environment_id AND c.hash = f.code_hash
     WHERE f.deleted_at IS NULL`,
  );
  const notes = [...new Set(rows.map(({ note }) => note))];
  const [now = before] = notes;
  if (rows.length !== 2 || notes.length !== 1) broken(`half a deploy: ${rows.length} functions, ${notes.join()}`);
  if (now !== before && !deploys.some(({ note }) => note === now)) broken(`nobody deployed ${now}`);
  for (const { note, reply } of deploys) {
    if (reply.status === 200 && now !== note) broken(`the deploy ${note} was acknowledged, but ${now} is there`);
    if (reply.status !== 200 && reply.status !== 0) broken(`the deploy ${note} failed: ${JSON.stringify(reply.body)}`);
  }
  return now;
}

function judgeActions(
  { provider }: FunctionsWorld,
  { now, later }: Ledger,
  runs: Awaited<ReturnType<FunctionsWorld['runs']>>,
  broken: (text: string) => void,
): void {
  const byId = new Map(runs.map((run) => [run.uuid, run]));
  for (const { key, reply } of now) {
    const paid = provider.paid.get(key) ?? 0;
    if (paid > 1) broken(`${key} was paid ${paid} times`);
    if (reply.status === 200 && (reply.body?.paid !== key || paid !== 1)) broken(`${key} was acknowledged, not paid`);
    if (reply.status === 200 && byId.get(reply.runId ?? '')?.state !== 'succeeded') broken(`${key} has no ended run`);
    if (reply.status !== 200 && reply.status !== 0) broken(`${key}: ${reply.status} ${JSON.stringify(reply.body)}`);
  }
  for (const { key, retries, reply } of later) {
    const paid = provider.paid.get(key) ?? 0;
    if (paid > 1 + retries) broken(`${key} with ${retries} retries was paid ${paid} times`);
    if (reply.status === 0) continue;
    const run = byId.get(String(reply.body?.id));
    if (reply.status !== 202 || run === undefined) {
      broken(`${key} was not taken: ${reply.status} ${JSON.stringify(reply.body)}`);
      continue;
    }
    if (run.attempts > 1 + retries) broken(`${key} with ${retries} retries was tried ${run.attempts} times`);
    if (run.state === 'succeeded' && paid === 0) broken(`${key} has succeeded without a payment`);
    if (run.state === 'failed' && run.errorCode !== 'script_aborted') broken(`${key} failed: ${run.errorCode}`);
    if (retries > 0 && run.state !== 'succeeded') broken(`${key} had tries left and ended as ${run.state}`);
  }
}

function isSame(stored: Map<string, number>, listed: Map<string, number>): boolean {
  return stored.size === listed.size && [...listed].every(([id, value]) => stored.get(id) === value);
}

function difference(stored: Map<string, number>, listed: Map<string, number>): string {
  const missing = [...listed].filter(([id, value]) => stored.get(id) !== value).map(([id]) => id);
  const extra = [...stored.keys()].filter((id) => !listed.has(id));
  return `missing or old ${missing.join()}; not at the provider ${extra.join()}`;
}

export function functionTableOf({ byPoint, kills, runs, payments, seed }: FunctionCampaign): string {
  const rows = [['killed at', 'kills', 'taken over', 'ended as lost', 'callers cut off']];
  for (const title of FUNCTION_POINTS) {
    const tally = byPoint.get(title);
    if (tally !== undefined) {
      rows.push([title, ...[tally.kills, tally.takenOver, tally.endedAsLost, tally.broken].map(String)]);
    }
  }
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => (row[column] as string).length)));
  const lines = rows.map((row) => row.map((cell, column) => cell.padStart(widths[column] as number)).join('  '));
  return [...lines, `${kills} kills, ${runs} runs, ${payments} payments, seed ${seed}`].join('\n');
}
