/** A node that stands still beyond its lease, as in a long garbage collection or a moved virtual machine. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { until } from './campaign.ts';
import { settle } from './judge.ts';
import type { Kind } from './providers.ts';
import { createWorld, type Seat, type Subject, type World } from './world.ts';

const KINDS: readonly Kind[] = ['grace', 'strict'];
/** After the claim; before and after the request; before and after the journal; before and after the commit. */
const STEPS = ['K1', 'K2', 'K3', 'K6', 'K7', 'K8', 'K9'];
/** Long enough to be reached by the slowest machine, short enough to be waited for. */
const LEASE_MS = 8_000;

let database: TestDatabase;
let world: World;
let paused: Map<string, Seat>;
let survivor: Seat;

beforeAll(async () => {
  database = await createTestDatabase();
  world = await createWorld({ databaseUrl: database.url, kinds: KINDS });
  survivor = await world.launch('survivor', { startsPerSecond: 500 });
  paused = new Map();
  for (const step of STEPS) {
    paused.set(step, await world.launch(`paused-${step}`, { startsPerSecond: 500, leaseMs: LEASE_MS }));
  }
});

afterAll(async () => {
  await world?.close();
  await database?.drop();
});

interface Round {
  step: string;
  subject: Subject;
  seat: Seat;
  /** The refresh token before. */
  first: string;
  generation: number;
  late: ReturnType<World['read']>;
}

describe('fault 3: a node that is stopped beyond its lease, at every step', () => {
  it.each(KINDS)(
    'fault 3: %s: its late answer overwrites nothing, and a strict provider sees no second use',
    async (kind) => {
      const eventId = await world.lastEventId();
      const rounds: Round[] = [];
      const subjects = await Promise.all(STEPS.map(() => world.connect(kind)));
      // Before anybody is stopped: this waits until all nodes have heard.
      await world.endIn(subjects, -1_000);
      for (const [at, [step, seat]] of [...paused].entries()) {
        const subject = subjects[at] as Subject;
        const [first] = subject.refreshTokens;
        const { gen: generation } = await world.now(subject);
        seat.node.tell({ do: 'arm', point: step, nth: 1, signal: 'SIGSTOP' });
        const late = world.read(seat.node, subject);
        expect(await seat.node.reached()).toBe(step);
        rounds.push({ step, seat, subject, first: first as string, generation, late });
      }
      for (const { subject } of rounds) await until(async () => (await world.now(subject)).leaseEnded);

      // Others want the token now. A strict provider's is kept by the session of the node that stands still.
      const isStrict = kind !== 'grace';
      let asked = 0;
      survivor.relay.onRequest = () => {
        asked += 1;
        return 'pass';
      };
      const others = rounds.map(({ subject }) => world.read(survivor.node, subject));
      if (isStrict) await until(() => asked > STEPS.length * 6);
      else await Promise.all(others);
      survivor.relay.onRequest = undefined;
      const between = new Map(
        await Promise.all(rounds.map(async ({ step, subject }) => [step, await world.now(subject)] as const)),
      );
      for (const { seat } of rounds) seat.node.signal('SIGCONT');
      const lateAnswers = await Promise.all(rounds.map(({ late }) => late));
      const otherAnswers = await Promise.all(others);

      for (const [at, { step, subject, first, generation }] of rounds.entries()) {
        const where = `${kind} at ${step}`;
        const served = world.front.served.filter(({ used }) => used === first);
        for (const { issued } of world.front.served.filter(({ used }) => subject.refreshTokens.has(used))) {
          if (issued !== undefined) subject.refreshTokens.add(issued.refreshToken);
        }
        const final = await settle(world, survivor.node, subject);
        const now = await world.now(subject);
        const provider = world.providerOf(kind);
        expect([where, final.status]).toEqual([where, 200]);
        expect([where, await provider.isAlive(final.accessToken ?? '')]).toEqual([where, true]);
        expect([where, await world.statesAfter(subject, eventId)]).toEqual([where, []]);
        if (isStrict) {
          expect([where, served.length]).toEqual([where, 1]);
          expect([where, now.gen]).toEqual([where, generation + 1]);
          const stored = (await world.storedRefreshToken(subject)) ?? '';
          expect([where, await provider.isCurrent(stored)]).toEqual([where, true]);
          continue;
        }
        // The other node did not wait, but at K9: there the commit was on its way to the database already.
        const answer = otherAnswers[at];
        expect([where, answer?.status]).toEqual([where, 200]);
        const committed = between.get(step);
        expect([where, committed?.gen]).toEqual([where, generation + 1]);
        // What it stored is what everybody gets, the late holder's own caller too.
        expect([where, now.gen, final.accessToken]).toEqual([where, generation + 1, answer?.accessToken]);
        const late = lateAnswers[at];
        if (late?.status === 200) expect([where, late.accessToken]).toEqual([where, answer?.accessToken]);
        else expect([where, late?.cause]).toEqual([where, 'connection_refresh_backoff']);
      }
    },
  );
});
