/**
 * Kills nodes in the middle of refreshes and compares what providers gave and callers got with what is stored
 * afterwards. Two nodes take turns at being the victim; the other one stays.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Intervention } from './front.ts';
import { judge, settle, type Verdict } from './judge.ts';
import { STRICT_KINDS, type Kind } from './providers.ts';
import { chanceFrom, type Chance } from './seeded.ts';
import type { Answer, Seat, Subject, World } from './world.ts';

const NAMED = Array.from({ length: 12 }, (_, index) => `K${index + 1}`);
/** The same two as seen from the provider: it has decided and has sent nothing, or half. */
const AT_PROVIDER = ['K4 at provider', 'K5 at provider'];
export const POINTS = [...NAMED, ...AT_PROVIDER, 'random'];
/** Of ten kills three are at random. */
const NAMED_SHARE = 0.7;
const SUBJECTS_PER_KIND = 1;
/** A point that is not reached by then is never reached. */
const REACH_TIMEOUT_MS = 20_000;

export interface Tally {
  kills: number;
  /** Connections by what became of them. */
  verdicts: Record<Verdict, number>;
}

export interface Campaign {
  seed: number;
  kills: number;
  /** Token requests that providers served. */
  requests: number;
  byPoint: Map<string, Tally>;
  lostByKind: Map<Kind, number>;
  /** What must not happen, in words. Empty when all is well. */
  violations: string[];
}

export interface CampaignOptions {
  rounds: number;
  seed: number;
  onRound?: (round: number, point: string) => void;
}

export async function runCampaign(world: World, { rounds, seed, onRound }: CampaignOptions): Promise<Campaign> {
  const chance = chanceFrom(seed);
  const campaign: Campaign = {
    seed,
    kills: 0,
    requests: 0,
    byPoint: new Map(),
    lostByKind: new Map(),
    violations: [],
  };
  const subjects: Subject[] = [];
  for (const kind of world.providers.keys()) {
    for (let each = 0; each < SUBJECTS_PER_KIND; each += 1) subjects.push(await world.connect(kind));
  }
  // The provider's own pace is not what is tested here.
  const launch = (name: string) => world.launch(name, { startsPerSecond: 500 });
  const seats: Seat[] = await Promise.all(['node-a', 'node-b'].map(launch));
  const spanMs = await warmUp(world, seats, subjects);

  const points = pointsOf(rounds, chance);
  let restarting: Promise<unknown> = Promise.resolve();
  for (const [index, point] of points.entries()) {
    const round = index + 1;
    onRound?.(round, point);
    await restarting;
    const victim = seats[index % 2] as Seat;
    const survivor = seats[(index + 1) % 2] as Seat;
    const dead = victim.node;
    const eventId = await world.lastEventId();
    const from = world.front.served.length;
    const before = await Promise.all(subjects.map(async (subject) => (await world.now(subject)).gen));

    const answers = new Map<Subject, Answer[]>(subjects.map((subject) => [subject, []]));
    const calls: Promise<unknown>[] = [];
    const call = (seat: Seat, some: readonly Subject[]): void => {
      for (const subject of some) {
        calls.push(world.read(seat.node, subject).then((answer) => answers.get(subject)?.push(answer)));
      }
    };
    victim.node.progress.clear();
    const reached = await killAt(point, { world, victim, survivor, subjects, chance, spanMs, call });
    if (!reached)
      campaign.violations.push(`round ${round}: ${point} was not reached\n${victim.node.log.slice(-2_000)}`);
    campaign.kills += 1;

    // Answers on a dead node's disk are found by its next start.
    const hasSpool = (await world.spooled(victim)) > 0;
    restarting = launch(victim.name);
    if (hasSpool) {
      await restarting;
      // Before its lease ends, or the survivor would have to ask without knowing of them.
      await until(async () => (await world.spooled(victim)) === 0);
    }
    const verdicts = await withTimePassing(world, victim.name, async () => {
      await Promise.all(calls);
      await until(() => world.front.pending === 0);
      await world.endIn(point === 'K12' ? subjects : [], -1_000);
      const finals = await Promise.all(subjects.map((subject) => settle(world, survivor.node, subject)));
      record(world, from, subjects);
      return Promise.all(
        subjects.map((subject, at) =>
          judge(world, {
            subject,
            where: `round ${round}, ${point}, ${subject.kind} ${subject.connection.connectionId}`,
            generation: before[at] as number,
            eventId,
            served: world.front.served.slice(from).filter(({ used }) => subject.refreshTokens.has(used)),
            victim: victim.name,
            reached: dead.progress.get(subject.connection.id),
            answers: answers.get(subject) as Answer[],
            final: finals[at] as Answer,
            violations: campaign.violations,
          }),
        ),
      );
    });
    const tally = campaign.byPoint.get(point) ?? { kills: 0, verdicts: emptyVerdicts() };
    campaign.byPoint.set(point, tally);
    tally.kills += 1;
    for (const [at, verdict] of verdicts.entries()) {
      tally.verdicts[verdict] += 1;
      const subject = subjects[at] as Subject;
      if (verdict !== 'lost') continue;
      campaign.lostByKind.set(subject.kind, (campaign.lostByKind.get(subject.kind) ?? 0) + 1);
      if (!STRICT_KINDS.includes(subject.kind)) campaign.violations.push(`round ${round}: ${subject.kind} was lost`);
      await world.reconnect(subject);
    }
  }
  await restarting;
  await finish(world, seats, subjects, campaign);
  campaign.requests = world.front.served.length;
  return campaign;
}

const emptyVerdicts = (): Record<Verdict, number> => ({
  answered: 0,
  finished: 0,
  'asked again': 0,
  'not begun': 0,
  lost: 0,
});

/** Every named point comes up in turn; where chance strikes is drawn. */
function pointsOf(rounds: number, chance: Chance): string[] {
  const named = [...NAMED, ...AT_PROVIDER];
  const count = Math.max(Math.min(rounds, named.length), Math.round(rounds * NAMED_SHARE));
  const points = Array.from({ length: rounds }, (_, index) =>
    index < count ? (named[index % named.length] as string) : 'random',
  );
  return chance.shuffle(points);
}

/** Refreshes without kills. Resolves to how long one of everything takes at most: the span that random kills hit. */
async function warmUp(world: World, seats: readonly Seat[], subjects: readonly Subject[]): Promise<number> {
  let spanMs = Number.POSITIVE_INFINITY;
  for (const { node } of [...seats, ...seats]) {
    await world.endIn(subjects, -1_000);
    const startedMs = performance.now();
    const answers = await Promise.all(subjects.map((subject) => world.read(node, subject)));
    spanMs = Math.min(spanMs, performance.now() - startedMs);
    if (answers.some(({ status }) => status !== 200)) throw new Error(`no refresh works at all:\n${node.log}`);
  }
  record(world, 0, subjects);
  return spanMs;
}

/** Brings the ledger up to date: which tokens belong to whom. */
function record(world: World, from: number, subjects: readonly Subject[]): void {
  for (const { used, issued } of world.front.served.slice(from)) {
    const subject = subjects.find(({ refreshTokens }) => refreshTokens.has(used));
    if (subject === undefined || issued === undefined) continue;
    subject.given.push(issued.accessToken);
    if (issued.refreshToken !== '') subject.refreshTokens.add(issued.refreshToken);
  }
}

/** Waits for a condition, but not for ever: what then follows finds that it never came. */
export async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  const giveUpAtMs = performance.now() + REACH_TIMEOUT_MS;
  while (!(await isSo()) && performance.now() < giveUpAtMs) await sleep(10);
}

interface KillScene {
  world: World;
  victim: Seat;
  survivor: Seat;
  subjects: readonly Subject[];
  chance: Chance;
  spanMs: number;
  call(seat: Seat, subjects: readonly Subject[]): void;
}

/** Resolves when the victim is dead: to false when it had to be killed because the point was not reached. */
async function killAt(point: string, scene: KillScene): Promise<boolean> {
  const { world, victim, survivor, subjects, chance, spanMs, call } = scene;
  const { node } = victim;
  const some = chance.shuffle(subjects);
  const contested = chance.whole(0, 3);
  // The survivor may be first at every contested one.
  const nth = chance.whole(1, Math.min(4, subjects.length - contested));
  const begin = (): void => {
    call(victim, some);
    call(survivor, some.slice(0, contested));
  };
  let served = 0;
  const atServed = (strike: () => Intervention | Promise<Intervention>) => {
    world.front.onServed = (entry) => {
      if (entry.node !== victim.name) return 'answer';
      served += 1;
      return served === nth ? strike() : 'answer';
    };
  };
  await world.endIn(subjects, point === 'K12' ? 600_000 : -1_000);
  switch (point) {
    case 'random':
      begin();
      await sleep(chance.next() * spanMs);
      node.signal('SIGKILL');
      break;
    case 'K4 at provider':
      atServed(() => {
        node.signal('SIGKILL');
        return 'drop';
      });
      begin();
      break;
    case 'K5 at provider':
      atServed(() => ({ half: () => node.signal('SIGKILL') }));
      begin();
      break;
    case 'K11':
      // The database goes when the provider has decided; the answer lands on disk; the database comes back.
      atServed(() => {
        victim.relay.cut();
        return 'answer';
      });
      node.tell({ do: 'arm', point, nth: 1, signal: 'SIGKILL' });
      begin();
      await until(async () => (await world.spooled(victim)) > 0 || node.gone);
      victim.relay.restore();
      break;
    case 'K12': {
      // Valid tokens: the refreshes run behind the callers' backs, and the drain finds them running.
      const gate = Promise.withResolvers<Intervention>();
      world.front.onServed = (entry) => (entry.node === victim.name ? gate.promise : 'answer');
      node.tell({ do: 'arm', point, nth: 1, signal: 'SIGKILL' });
      begin();
      await until(() => world.front.pending >= nth);
      node.signal('SIGTERM');
      await node.exited;
      gate.resolve('answer');
      break;
    }
    default:
      node.tell({ do: 'arm', point, nth, signal: 'SIGKILL' });
      begin();
  }
  const late = new AbortController();
  const reached = await Promise.race([
    node.exited.then((how) => how === 'SIGKILL'),
    sleep(REACH_TIMEOUT_MS, false, { signal: late.signal }).catch(() => false), // aborted: it is gone
  ]);
  late.abort();
  node.signal('SIGKILL');
  await node.exited;
  world.front.onServed = undefined;
  victim.relay.restore();
  return reached;
}

/** The leases of a dead node run out, also those that its last statement still brought about. */
async function withTimePassing<T>(world: World, name: string, work: () => Promise<T>): Promise<T> {
  const over = new AbortController();
  const passing = (async () => {
    while (!over.signal.aborted) {
      await world.leasesEnd(name);
      await sleep(50);
    }
  })();
  try {
    return await work();
  } finally {
    over.abort();
    await passing;
  }
}

/** At the end everything works from every node, and nothing is left open. */
async function finish(world: World, seats: readonly Seat[], subjects: readonly Subject[], campaign: Campaign) {
  const from = world.front.served.length;
  for (const { node } of seats) {
    await world.endIn(subjects, -1_000);
    for (const subject of subjects) {
      const answer = await settle(world, node, subject);
      if (answer.status !== 200) campaign.violations.push(`end: ${subject.kind} does not work (${answer.cause})`);
    }
    const ready = await fetch(`${node.url}/ready`);
    if (ready.status !== 200) campaign.violations.push(`end: ${node.name} is not ready`);
  }
  record(world, from, subjects);
  for (const subject of subjects) {
    const { intentOpen, leaseOwner } = await world.now(subject);
    if (intentOpen || leaseOwner !== null) campaign.violations.push(`end: ${subject.kind} is still leased`);
  }
  const secrets = subjects.flatMap(({ given, refreshTokens }) => [...given, ...refreshTokens]);
  for (const seat of seats) {
    if ((await world.spooled(seat)) > 0) campaign.violations.push(`end: ${seat.name} has answers on disk`);
    if (secrets.some((secret) => seat.node.log.includes(secret))) campaign.violations.push(`a token in a log`);
  }
}
