/** Rotation while nodes read and write, with the rotating process killed at every named point and at random. */
import { afterEach, describe, expect, it } from 'vitest';
import type { LiveConnection } from '../../src/features/credentials/index.ts';
import { readKeysStatus, rotateKeys, type RotateResult } from '../../src/features/environments/index.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { generateKey, keyIdOf, type Keyring } from '../../src/platform/keyring/index.ts';
import { noKillPoints } from '../../src/platform/kill-points.ts';
import type { Hawser } from '../../src/shell/node.ts';
import { eventually } from '../support/build.ts';
import { startProgram } from '../support/process.ts';
import {
  credentialOf,
  fill,
  refreshOf,
  ringOf,
  startKeyStage,
  storedValues,
  tokenOf,
  type Filled,
  type KeyStage,
} from './keys-stage.ts';

/** Each process takes a second to start, ten on a busy machine. */
const LONG_MS = 300_000;
const CONNECTIONS = 600;

const stages: KeyStage[] = [];
afterEach(async () => {
  for (const stage of stages.splice(0)) await stage.close();
});

async function newStage(): Promise<KeyStage> {
  const stage = await startKeyStage();
  stages.push(stage);
  return stage;
}

/** The same numbers in every run. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_664_525 + 1_013_904_223) % 4_294_967_296;
    return state / 4_294_967_296;
  };
}

interface Load {
  reads(): number;
  failures: string[];
  /** Newest version written, by environment and connection. */
  versions: Map<string, number>;
  stop(): Promise<void>;
}

/** Readers and a writer on every node, until stopped. */
function startLoad(nodes: Hawser[], environments: Filled[], apiKeys: Map<number, string>): Load {
  const random = seeded(7);
  const versions = new Map<string, number>();
  const failures: string[] = [];
  let reads = 0;
  const stopping = new AbortController();
  const pick = () => {
    const filled = environments[Math.floor(random() * environments.length)] as Filled;
    const index = Math.floor(random() * CONNECTIONS);
    return { filled, index, name: `${filled.environmentId}:${index}` };
  };
  const expectToken = (text: string | undefined, index: number): void => {
    if (text?.startsWith(`access-${index}-`) !== true) failures.push(`${index}: ${text}`);
  };
  const tokenIn = (live: Pick<LiveConnection, 'credential'>) =>
    live.credential.type === 'OAUTH2' ? live.credential.access_token : undefined;

  async function loop(work: () => Promise<void>): Promise<void> {
    while (!stopping.signal.aborted) {
      try {
        await work();
      } catch (error) {
        failures.push(error instanceof Error ? `${error.message} ${(error as { code?: string }).code}` : String(error));
      }
      await systemClock.sleep(8);
    }
  }

  const loops = nodes.flatMap(({ url, services: { credentials, connections, integrations, db } }) => [
    // As the proxy does it: from memory where it can.
    loop(async () => {
      const { filled, index } = pick();
      const id = filled.connectionIds[index] as string;
      expectToken(tokenIn(await credentials.live(filled.environmentId, filled.integrationKey, id)), index);
      reads += 1;
    }),
    // Always from the table.
    loop(async () => {
      const { filled, index } = pick();
      const integration = await integrations.byKey(filled.environmentId, filled.integrationKey);
      const id = filled.connectionIds[index] as string;
      const connection = await connections.byPublicId(filled.environmentId, integration?.id ?? 0, id);
      const stored = connection && (await credentials.open(connection));
      expectToken(stored && tokenIn(stored), index);
      reads += 1;
    }),
    loop(async () => {
      const { filled, index } = pick();
      const response = await fetch(
        `${url}/connections/${filled.connectionIds[index]}?provider_config_key=${filled.integrationKey}`,
        { headers: { authorization: `Bearer ${apiKeys.get(filled.environmentId)}` } },
      );
      const body = (await response.json()) as { credentials?: { access_token?: string } };
      expectToken(body.credentials?.access_token ?? `${response.status} ${JSON.stringify(body)}`, index);
      reads += 1;
    }),
    // New grants, sealed with whatever key the node holds.
    loop(async () => {
      const { filled, index, name } = pick();
      const integration = await integrations.byKey(filled.environmentId, filled.integrationKey);
      const id = filled.connectionIds[index] as string;
      const connection = await connections.byPublicId(filled.environmentId, integration?.id ?? 0, id);
      if (connection === undefined) throw new Error('the connection is gone');
      await db.transaction(async (tx) => {
        // One writer per connection at a time, so that the test knows which version is the last.
        await tx.query('SELECT 1 FROM connection WHERE environment_id = $1 AND id = $2 FOR UPDATE', [
          filled.environmentId,
          connection.id,
        ]);
        const version = (versions.get(name) ?? 0) + 1;
        const credential = credentialOf(index, version);
        await credentials.write(tx, { connection, credential, facts: { scope: undefined, expiresAt: undefined } });
        versions.set(name, version);
      });
    }),
  ]);
  return {
    reads: () => reads,
    failures,
    versions,
    async stop() {
      stopping.abort();
      await Promise.all(loops);
    },
  };
}

/** Values that a rotation now under way has sealed anew. */
async function sealedAnew(stage: KeyStage): Promise<number> {
  const { dataKeys } = await readKeysStatus(stage.db, undefined);
  if (!dataKeys.some((key) => key.state === 'reading')) return 0;
  return dataKeys.filter((key) => key.state === 'sealing').reduce((sum, key) => sum + key.valuesTotal, 0);
}

describe('rotation under load', () => {
  it(
    'fault 30: killed at every named point and at random, no read fails, no write is lost, a rerun finishes',
    async () => {
      const stage = await newStage();
      const [old, fresh] = [generateKey(), generateKey()];
      const seeding = await stage.startNode(old);
      const environments = [
        await fill(seeding, stage, 'one', CONNECTIONS),
        await fill(seeding, stage, 'two', CONNECTIONS),
      ];
      const apiKeys = new Map<number, string>();
      for (const { environmentId } of environments) {
        const { secret } = await seeding.services.environments.createKey({ environmentId, displayName: 'load' });
        apiKeys.set(environmentId, secret);
      }
      await seeding.close();
      // As in production: every node restarted with both keys, the new one active.
      const nodes = [await stage.startNode(fresh, old), await stage.startNode(fresh, old)];
      const load = startLoad(nodes, environments, apiKeys);
      const rotate = (settings: Record<string, string> = {}) =>
        startProgram(['keys', 'rotate', '--data-keys', '--json'], {
          DATABASE_URL: stage.databaseUrl,
          HAWSER_DATA_DIR: stage.dataDir,
          HAWSER_ENCRYPTION_KEY: fresh,
          HAWSER_ENCRYPTION_KEYS_OLD: old,
          ...settings,
        });

      // R2 between two wrappings (twice), R3 new keys made, R1 in mid batch.
      for (const point of ['R2', 'R2', 'R3', 'R1']) {
        const { signal, stderr } = await rotate({ HAWSER_KILL_AT: point }).exited;
        expect(signal, `${point}: ${stderr}`).toBe('SIGKILL');
      }
      const mixed = new Set((await storedValues(stage.db)).map(({ sealed }) => keyIdOf(sealed)));
      const kekIds = await stage.db.query<{ kek_id: string }>('SELECT DISTINCT kek_id FROM data_key');
      expect(kekIds.map((row) => row.kek_id)).toEqual([ringOf(fresh).activeId]);
      expect(mixed.size).toBeGreaterThanOrEqual(2);
      expect(load.failures).toEqual([]);

      const random = seeded(30);
      for (let round = 0; round < 3; round += 1) {
        const before = await sealedAnew(stage);
        const program = rotate();
        const some = Math.floor(random() * CONNECTIONS);
        while (program.child.exitCode === null && (await sealedAnew(stage)) - before < some) {
          await systemClock.sleep(20);
        }
        program.child.kill('SIGKILL');
        await program.exited;
      }
      // Everything sealed, nothing retired. When a kill came too late, this is the second rotation.
      expect((await rotate({ HAWSER_KILL_AT: 'R4' }).exited).signal).toBe('SIGKILL');
      expect((await readKeysStatus(stage.db, undefined)).left).toMatchObject({ unfinished: true });
      const last = await rotate().exited;
      expect(last).toMatchObject({ code: 0, stderr: '' });
      const result = JSON.parse(last.stdout) as RotateResult;
      expect(result).toMatchObject({ wrapped: 0, made: [], unreadable: [] });
      expect(result.retired).toHaveLength(2);
      for (const key of [old, fresh]) expect(last.stdout).not.toContain(key);

      const readsAtEnd = load.reads();
      await eventually(load.reads, (reads) => reads >= readsAtEnd + 50);
      await load.stop();
      expect(load.failures).toEqual([]);
      expect(load.reads()).toBeGreaterThan(200);
      expect(load.versions.size).toBeGreaterThan(20);

      const status = await readKeysStatus(stage.db, ringOf(fresh, old));
      expect(status).toMatchObject({
        orphans: [],
        left: { dataKeysToWrap: 0, valuesToSeal: 0, unfinished: false },
        nodes: { total: 2, withoutActiveKek: 0 },
      });
      expect(status.keks).toContainEqual(expect.objectContaining({ id: ringOf(old).activeId, dataKeys: 0 }));

      // The old key can go, and with it alone nothing starts any more.
      await expect(stage.startNode(old)).rejects.toThrow(/sealed with encryption key/);
      const after = await stage.startNode(fresh);
      const { credentials, connections, integrations, environments: world } = after.services;
      for (const { place, sealed } of await storedValues(stage.db)) await world.vault.open(place, sealed);
      for (const filled of environments) {
        const integration = await integrations.byKey(filled.environmentId, filled.integrationKey);
        for (const [index, id] of filled.connectionIds.entries()) {
          const connection = await connections.byPublicId(filled.environmentId, integration?.id ?? 0, id);
          const stored = connection && (await credentials.open(connection));
          const version = load.versions.get(`${filled.environmentId}:${index}`) ?? 0;
          expect(stored?.credential).toMatchObject({
            access_token: tokenOf(index, version),
            refresh_token: refreshOf(index, version),
          });
        }
      }
    },
    LONG_MS,
  );
});

describe('rotation and running nodes', () => {
  const rotation = (stage: KeyStage, ...keys: [string, ...string[]]) => ({
    db: stage.db,
    keyring: ringOf(...keys),
    clock: systemClock,
    killPoints: noKillPoints,
  });

  it('fault 30: is refused while a node lacks the active key; nothing is wrapped that it could not open', async () => {
    const stage = await newStage();
    const [old, fresh] = [generateKey(), generateKey()];
    const node = await stage.startNode(old);
    await fill(node, stage, 'one', 1);
    const refused = rotateKeys(rotation(stage, fresh, old), { dataKeys: true });
    await expect(refused).rejects.toMatchObject({ code: 'nodes_lack_key' });
    await expect(refused).rejects.toThrow(/1 of 1 running nodes do not have the encryption key kek_/);
    expect((await readKeysStatus(stage.db, ringOf(fresh, old))).left.dataKeysToWrap).toBe(2);
    // A node that stopped does not count.
    await node.close();
    const done = await rotateKeys(rotation(stage, fresh, old), { dataKeys: false });
    expect(done).toMatchObject({ wrapped: 2, made: [], unfinished: undefined });
  });

  it('retires no data key while a node may still seal with it, and says what goes on', async () => {
    const stage = await newStage();
    const key = generateKey();
    await fill(await stage.startNode(key), stage, 'one', 1);
    // A node that lives but reads nothing.
    const stuck = crypto.randomUUID();
    const beat = (readAt: string) =>
      stage.db.query(
        `INSERT INTO node_keyring (node_id, kek_ids, keys_read_at) VALUES ($1, $2, ${readAt}) ON CONFLICT (node_id)
         DO UPDATE SET keys_read_at = excluded.keys_read_at, seen_at = clock_timestamp()`,
        [stuck, [ringOf(key).activeId]],
      );
    await beat(`now() - interval '1 hour'`);
    const waits: string[] = [];
    let retiredMeanwhile: unknown[] = ['not looked at'];
    const result = await rotateKeys(rotation(stage, key), {
      dataKeys: true,
      onProgress: ({ phase, done, total }) => {
        if (phase === 'wait') waits.push(`${done}/${total}`);
        if (waits.length !== 5 || phase !== 'wait') return;
        void stage.db
          .query('SELECT id FROM data_key WHERE retired_at IS NOT NULL')
          .then((rows) => (retiredMeanwhile = rows))
          .then(() => beat(`clock_timestamp()`));
      },
    });
    expect(retiredMeanwhile).toEqual([]);
    expect(waits.slice(0, 5)).toContain('1/2');
    expect(waits.at(-1)).toBe('2/2');
    expect(result).toMatchObject({ unfinished: undefined });
    expect(result.retired).toHaveLength(1);
  });

  it('one at a time; stopped by a signal it says so, and the next one goes on with the same keys', async () => {
    const stage = await newStage();
    const key = generateKey();
    await fill(await stage.startNode(key), stage, 'one', 1_200);
    const stop = new AbortController();
    const inner = ringOf(key);
    const entered = Promise.withResolvers<void>();
    const gate = Promise.withResolvers<void>();
    const slow: Keyring = {
      ...inner,
      async wrap(...args) {
        entered.resolve();
        await gate.promise;
        return inner.wrap(...args);
      },
    };
    const first = rotateKeys(
      { ...rotation(stage, key), keyring: slow },
      {
        dataKeys: true,
        signal: stop.signal,
        onProgress: ({ phase }) => {
          if (phase === 'seal') stop.abort();
        },
      },
    );
    await entered.promise;
    const second = rotateKeys(rotation(stage, key), { dataKeys: true });
    await expect(second).rejects.toMatchObject({ code: 'rotation_running' });
    gate.resolve();
    const stopped = await first;
    expect(stopped).toMatchObject({ unfinished: 'stopped', retired: [] });
    const left = await readKeysStatus(stage.db, ringOf(key));
    expect(left.left.valuesToSeal).toBeGreaterThan(1_000);
    const resumed = await rotateKeys(rotation(stage, key), { dataKeys: true });
    expect(resumed).toMatchObject({ made: [], unfinished: undefined });
    expect(resumed.sealed).toBe(left.left.valuesToSeal);
    expect(stopped.made).toEqual([...new Set((await storedValues(stage.db)).map(({ sealed }) => keyIdOf(sealed)))]);
  });

  it('a row somebody holds is neither waited for nor forgotten', async () => {
    const stage = await newStage();
    const key = generateKey();
    const { environmentId } = await fill(await stage.startNode(key), stage, 'one', 20);
    const holder = await stage.db.session();
    await holder.query('BEGIN');
    await holder.query('SELECT 1 FROM credential WHERE environment_id = $1 ORDER BY connection_id LIMIT 5 FOR UPDATE', [
      environmentId,
    ]);
    let sealedWhileHeld = 0;
    const rotating = rotateKeys(rotation(stage, key), { dataKeys: true });
    await eventually(
      async () => (sealedWhileHeld = await sealedAnew(stage)),
      (sealed) => sealed >= 30,
    );
    // 20 connections with two values each, five of them held; and one value in each of 5 other columns.
    expect((await readKeysStatus(stage.db, undefined)).left.valuesToSeal).toBeGreaterThanOrEqual(10);
    await holder.query('COMMIT');
    holder.release();
    expect(await rotating).toMatchObject({ unfinished: undefined, unreadable: [] });
    expect(sealedWhileHeld).toBeGreaterThanOrEqual(30);
    expect((await readKeysStatus(stage.db, undefined)).left.valuesToSeal).toBe(0);
  });

  it('a damaged value is reported with its place, and stops neither the others nor the next rotation', async () => {
    const stage = await newStage();
    const key = generateKey();
    const { environmentId } = await fill(await stage.startNode(key), stage, 'one', 3);
    await stage.db.query(
      `UPDATE credential SET refresh_sealed = set_byte(refresh_sealed, 50, get_byte(refresh_sealed, 50) # 1)
       WHERE connection_id = (SELECT min(connection_id) FROM credential)`,
    );
    await stage.db.query(`UPDATE integration SET credentials_sealed = 'nonsense'`);
    const result = await rotateKeys(rotation(stage, key), { dataKeys: true });
    expect(result.unfinished).toBeUndefined();
    expect(result.unreadable).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ environmentId, table: 'credential', column: 'refresh_sealed' }),
        expect.objectContaining({ environmentId, table: 'integration', column: 'credentials_sealed' }),
      ]),
    );
    expect(result.unreadable).toHaveLength(2);
    expect(result.retired).toHaveLength(1);
    expect(await rotateKeys(rotation(stage, key), { dataKeys: true })).toMatchObject({ unfinished: undefined });
  });

  it('caches keep what they hold: sealing anew is no change of a value', async () => {
    const stage = await newStage();
    const key = generateKey();
    await fill(await stage.startNode(key), stage, 'one', 50);
    const changes: string[] = [];
    await stage.db.listen('hawser_changed', (payload) => void changes.push(payload));
    await rotateKeys(rotation(stage, key), { dataKeys: true });
    await stage.db.query(`SELECT pg_notify('hawser_changed', 'mark:')`);
    await eventually(
      () => changes,
      (seen) => seen.includes('mark:'),
    );
    expect(changes.filter((payload) => !/^(data_key|mark):/.test(payload))).toEqual([]);
    // The switch ends with the transaction: a true change is told.
    await stage.db.query('UPDATE credential SET sealed = sealed');
    await eventually(
      () => changes.filter((payload) => payload.startsWith('credential:')).length,
      (told) => told === 50,
    );
  });

  it('a retired data key is kept for 30 days and as long as anything needs it, then deleted', async () => {
    const stage = await newStage();
    const key = generateKey();
    const node = await stage.startNode(key);
    const { environmentId } = await fill(node, stage, 'one', 2);
    const [kept] = await storedValues(stage.db);
    const { retired } = await rotateKeys(rotation(stage, key), { dataKeys: true });
    const age = (days: number) =>
      stage.db.query(`UPDATE data_key SET retired_at = now() - $1 * interval '1 day' WHERE retired_at IS NOT NULL`, [
        days,
      ]);
    const wrapOnly = () => rotateKeys(rotation(stage, key), { dataKeys: false });
    await age(29);
    expect((await wrapOnly()).deleted).toEqual([]);
    // A value that came back, from a backup for example.
    await stage.db.query('UPDATE environment SET webhook_signing_key_sealed = $2 WHERE id = $1', [
      environmentId,
      kept?.sealed,
    ]);
    await age(31);
    expect((await wrapOnly()).deleted).toEqual([]);
    expect(await node.services.environments.webhookSigningKey(environmentId)).toMatch(/^[0-9a-f]{64}$/);
    const again = await rotateKeys(rotation(stage, key), { dataKeys: true });
    expect(again.deleted).toEqual(retired);
    expect(await stage.db.query('SELECT 1 FROM data_key WHERE id = $1', [retired[0]])).toEqual([]);
  });
});
