/** A process that dies at each named place: a kill point that throws stands for it, and the lease then runs out. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { eventually, type CoreNode } from '../../../test/support/build.ts';
import { accessOf, useStage, type Stage, type Subject } from '../../../test/support/credentials.ts';
import { startRelay, type Relay } from '../../../test/support/relay.ts';
import type { RotationHabit } from '../../../test/support/token-server.ts';
import type { LiveConnection } from './index.ts';
import type { KillPoints } from '../../platform/kill-points.ts';

class Killed extends Error {}

/** Throws once at the armed place; remembers every place that was reached. */
function armable(): KillPoints & { armed: string | undefined; reached: Set<string> } {
  return {
    armed: undefined,
    reached: new Set(),
    reach(name) {
      this.reached.add(name);
      if (this.armed !== name) return;
      this.armed = undefined;
      throw new Killed(name);
    },
  };
}

const kill = armable();
let stage: Stage;
let server: Stage['server'];
/** The node that dies. */
let mortal: CoreNode;
/** The node that finds what the dead one left. */
let survivor: CoreNode;

useStage(async (made) => {
  stage = made;
  ({ server } = made);
  mortal = await stage.core.startNode({ killPoints: kill });
  survivor = stage.core.node;
});

beforeEach(() => {
  kill.armed = undefined;
});

async function dieAt(place: string, subject: Subject): Promise<void> {
  kill.armed = place;
  await expect(stage.read(mortal, subject)).rejects.toBeInstanceOf(Killed);
  await stage.expireLease(subject.connection);
}

const before = ['K1', 'K2'];
const between = ['K3', 'K4', 'K5', 'K6'];
const after = ['K7', 'K8', 'K9'];
const classes: [string, RotationHabit][] = [
  ['none', 'same'],
  ['overlap', 'grace'],
  ['strict', 'family'],
  ['unknown', 'rotate'],
];

describe.each(classes)('fault 1: killed while refreshing at a provider of class %s (habit %s)', (rotation, habit) => {
  async function ended(): Promise<Subject> {
    server.habit = habit;
    const subject = await stage.connected({ rotation });
    await stage.endsIn(subject.connection, -1_000);
    return subject;
  }

  it.each(before)('%s: nothing was used up, the next one refreshes', async (place) => {
    const subject = await ended();
    await dieAt(place, subject);
    expect((await stage.read(survivor, subject)).generation).toBe(2);
    expect(server.requests.map(({ outcome }) => outcome)).toEqual(['issued']);
    expect(await stage.events(subject.connection)).toEqual([]);
  });

  it.each(after)('%s: the journalled answer is adopted, nobody is called', async (place) => {
    const subject = await ended();
    await dieAt(place, subject);
    expect(server.requests).toHaveLength(1);
    const [first] = await Promise.all([stage.read(survivor, subject), stage.read(stage.other, subject)]);
    expect(first.generation).toBe(2);
    expect(server.requests).toHaveLength(1);
    expect(server.isAlive(accessOf(first) as string)).toBe(true);
    expect((await stage.read(survivor, subject, true)).generation).toBe(3);
    expect(server.requests.map(({ outcome }) => outcome)).toEqual(['issued', 'issued']);
    expect(await stage.events(subject.connection)).toEqual([]);
    expect((await stage.journal(subject.connection)).every(({ closed }) => closed)).toBe(true);
  });

  it('K10: the commit holds, the next one sees it', async () => {
    const subject = await ended();
    await dieAt('K10', subject);
    expect((await stage.read(survivor, subject)).generation).toBe(2);
    expect(server.requests).toHaveLength(1);
  });

  it.each(between)('%s: the answer is gone; lost only where the provider leaves no way back', async (place) => {
    const subject = await ended();
    await dieAt(place, subject);
    await eventually(
      () => server.requests.length,
      (count) => count === 1,
    );
    const result = await stage.read(survivor, subject).catch((error: unknown) => error as { code: string });
    // K3 throws as soon as the bytes are out: the provider may or may not have seen them whole.
    const used = server.requests[0]?.outcome === 'issued';
    const states = (await stage.events(subject.connection)).filter(({ type }) => type === 'connection.state');
    if (used && (habit === 'family' || habit === 'rotate')) {
      expect(result).toMatchObject({ code: 'connection_needs_reauth' });
      expect(states.map(({ payload }) => payload)).toEqual([{ state: 'needs_reauth', reason: 'lost_rotation' }]);
    } else {
      expect(result).toMatchObject({ generation: 2 });
      expect(states).toEqual([]);
    }
  });
});

describe('fault 1: killed, with time left on the access token', () => {
  it('serves it from every node and sends nothing until it ends (strict)', async () => {
    server.habit = 'family';
    const subject = await stage.connected({ rotation: 'strict' });
    await stage.endsIn(subject.connection, 20_000);
    kill.armed = 'K1';
    // The refresh dies, the caller is served.
    expect(accessOf(await stage.read(mortal, subject))).toBe(subject.tokens.access_token);
    await stage.expireLease(subject.connection);
    for (const node of [survivor, stage.other]) {
      expect(accessOf(await stage.read(node, subject))).toBe(subject.tokens.access_token);
    }
    expect(server.requests).toHaveLength(0);
    await stage.endsIn(subject.connection, -1);
    await stage.forgetFailure(subject.connection);
    expect((await stage.read(survivor, subject)).generation).toBe(2);
  });

  it('is repaired by the sweep when nobody asks', async () => {
    server.habit = 'family';
    const subject = await stage.connected({ rotation: 'strict' });
    await stage.endsIn(subject.connection, -1_000);
    await dieAt('K7', subject);
    expect(await survivor.credentials.sweep()).toBeGreaterThanOrEqual(1);
    expect((await stage.row(subject.connection))?.gen).toBe(2);
    expect(server.requests).toHaveLength(1);
  });
});

describe('a dead refresh token and an answer that nobody adopted', () => {
  it.each(['the late answer', 'the refusal'])(
    'ends with the token that works, whichever comes first: %s (I3)',
    async (first) => {
      // Declared with a grace that the provider does not grant: the second send of the same token is refused.
      server.habit = 'rotate';
      const subject = await stage.connected({ rotation: 'overlap' });
      await stage.endsIn(subject.connection, -1_000);
      const answer = Promise.withResolvers<void>();
      const refusal = Promise.withResolvers<void>();
      server.fault({ kind: 'held', gate: answer.promise }, { kind: 'held', gate: refusal.promise });
      const paused = stage.read(survivor, subject);
      await eventually(
        () => server.requests.length,
        (count) => count === 1,
      );
      await stage.expireLease(subject.connection);
      const second = stage.read(stage.other, subject).catch((error: unknown) => error);
      await eventually(
        () => server.requests.length,
        (count) => count === 2,
      );
      if (first === 'the refusal') {
        refusal.resolve();
        expect(await second).toMatchObject({ code: 'connection_needs_reauth' });
        answer.resolve();
      } else {
        answer.resolve();
        await eventually(
          () => stage.journal(subject.connection),
          (answers) => answers.length === 1,
        );
        refusal.resolve();
        expect(server.isAlive(accessOf((await second) as LiveConnection) as string)).toBe(true);
      }
      expect(server.isAlive(accessOf(await paused) as string)).toBe(true);
      const now = await stage.read(survivor, subject);
      expect(now.connection.state).toBe('active');
      expect((await stage.read(survivor, subject, true)).generation).toBe(now.generation + 1);
      const states = (await stage.events(subject.connection)).filter(({ type }) => type === 'connection.state');
      expect(states.map(({ payload }) => payload['state'])).toEqual(
        first === 'the refusal' ? ['needs_reauth', 'active'] : [],
      );
    },
  );

  it('never adopts an answer of an earlier grant after a reconnect', async () => {
    server.habit = 'family';
    const subject = await stage.connected({ rotation: 'strict' });
    await stage.endsIn(subject.connection, -1_000);
    const gate = Promise.withResolvers<void>();
    server.fault({ kind: 'held', gate: gate.promise });
    const late = stage.read(survivor, subject);
    await eventually(
      () => server.requests.length,
      (count) => count === 1,
    );
    const again = server.grant();
    await survivor.db.transaction((tx) =>
      survivor.credentials.write(tx, {
        connection: subject.connection,
        credential: { type: 'OAUTH2', access_token: again.access_token, refresh_token: again.refresh_token, raw: {} },
        facts: { scope: undefined, expiresAt: new Date(Date.now() + 3_600_000) },
      }),
    );
    gate.resolve();
    expect(accessOf(await late)).toBe(again.access_token);
    expect(await stage.refreshTokenOf(subject.connection)).toBe(again.refresh_token);
    server.revoke(again.refresh_token);
    await expect(stage.read(survivor, subject, true)).rejects.toMatchObject({ code: 'connection_needs_reauth' });
    expect(await stage.refreshTokenOf(subject.connection)).toBe(again.refresh_token);
  });
});

describe('fault 4: database gone between answer and commit', () => {
  let relay: Relay;
  let node: CoreNode;

  beforeAll(async () => {
    const url = new URL(stage.core.databaseUrl);
    relay = await startRelay({ host: url.hostname, port: Number(url.port) });
    const through = new URL(url);
    through.hostname = '127.0.0.1';
    through.port = String(relay.port);
    node = await stage.core.startNode({ databaseUrl: through.href, killPoints: kill });
  });

  afterAll(() => relay.close());

  it('spools the answer, sealed, and commits it when the database is back', async () => {
    server.habit = 'family';
    const subject = await stage.connected({ rotation: 'strict' });
    await stage.endsIn(subject.connection, -1_000);
    server.onDecided = () => relay.cut();
    const caller = stage.read(node, subject);
    const files = await eventually(
      () => readdir(node.spoolDir).catch(() => []),
      (names) => names.some((name) => name.endsWith('.reply')),
    );
    expect(files).toHaveLength(1);
    const spooled = await readFile(join(node.spoolDir, files[0] as string), 'utf8');
    expect(spooled).toContain('replySealed');
    expect(
      Buffer.from((JSON.parse(spooled) as { replySealed: string }).replySealed, 'base64').toString('latin1'),
    ).not.toMatch(/access_token|rt_|at_/);
    expect(node.credentials.unflushed).toBe(1);
    const drained = node.credentials.drain().then(() => 'drained');
    server.onDecided = undefined;
    relay.restore();
    expect((await caller).generation).toBe(2);
    expect(await drained).toBe('drained');
    expect(node.credentials.unflushed).toBe(0);
    expect(await readdir(node.spoolDir)).toEqual([]);
    expect(server.requests).toHaveLength(1);
    expect((await stage.read(survivor, subject, true)).generation).toBe(3);
  });

  it('finds the spool of a dead process at the next start, also when that one dies in the flush', async () => {
    server.habit = 'family';
    const doomed = await stage.core.startNode({ databaseUrl: withPort(stage.core.databaseUrl, relay.port) });
    const subject = await stage.connected({ rotation: 'strict' });
    await stage.endsIn(subject.connection, -1_000);
    server.onDecided = () => relay.cut();
    const caller = stage.read(doomed, subject).catch((error: unknown) => error);
    await eventually(
      () => readdir(doomed.spoolDir).catch(() => []),
      (names) => names.some((name) => name.endsWith('.reply')),
    );
    server.onDecided = undefined;
    // Its successor on the same disk, with a database that is there.
    const successor = await stage.core.startNode({ spoolDir: doomed.spoolDir, killPoints: kill });
    kill.armed = 'K11';
    await expect(successor.credentials.sweep()).rejects.toBeInstanceOf(Killed);
    await stage.expireLease(subject.connection);
    await successor.credentials.sweep();
    expect((await stage.row(subject.connection))?.gen).toBe(2);
    expect(await readdir(doomed.spoolDir)).toEqual([]);
    expect(server.requests).toHaveLength(1);
    relay.restore();
    await caller;
    expect((await stage.row(subject.connection))?.gen).toBe(2);
    expect(await stage.journal(subject.connection)).toHaveLength(1);
  });

  it('does not call the provider when the database cannot take the intent', async () => {
    const subject = await stage.connected({ rotation: 'strict' });
    const cutOff = await stage.core.startNode({ databaseUrl: withPort(stage.core.databaseUrl, relay.port) });
    await stage.endsIn(subject.connection, -1_000);
    relay.cut();
    await expect(stage.read(cutOff, subject)).rejects.toMatchObject({ status: 503 });
    expect(server.requests).toHaveLength(0);
    relay.restore();
    expect(
      (
        await eventually(
          // Refused until the database is back.
          () => stage.read(cutOff, subject).catch(() => undefined),
          (live) => live !== undefined,
        )
      )?.generation,
    ).toBe(2);
  });
});

describe('kill points', () => {
  it('are all reached by name', async () => {
    const node = await stage.core.startNode({ killPoints: kill });
    const subject = await stage.connected();
    await stage.endsIn(subject.connection, -1_000);
    await stage.read(node, subject);
    await node.credentials.drain();
    const names = Array.from({ length: 12 }, (_, index) => `K${index + 1}`);
    // K11 is in the flush above.
    expect([...kill.reached].toSorted()).toEqual(names.toSorted());
  });
});

function withPort(url: string, port: number): string {
  const changed = new URL(url);
  changed.hostname = '127.0.0.1';
  changed.port = String(port);
  return changed.href;
}
