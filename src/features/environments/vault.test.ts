import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../../../test/support/database.ts';
import { eventually } from '../../../test/support/build.ts';
import type { Clock } from '../../base/clock.ts';
import { silentLog } from '../../base/log.ts';
import { systemClock } from '../../platform/clock.ts';
import { generateKey, keyIdOf, keyringFrom, type Keyring } from '../../platform/keyring/index.ts';
import type { Database } from '../../platform/postgres/index.ts';
import { createEnvironments } from './service.ts';
import { insertDataKey } from './store.ts';
import { createVault } from './vault.ts';
import { createDataKeyReader, newDataKey } from './vault-keys.ts';

const [key, other] = [generateKey(), generateKey()];
const ringOf = (...keys: [string, ...string[]]): Keyring => keyringFrom(keys[0], keys.slice(1)) as Keyring;

let database: TestDatabase;
let db: Database;
let environmentId: number;
let rounds = 0;
beforeAll(async () => {
  database = await createTestDatabase();
  db = database.db;
});
afterAll(() => database?.drop());
beforeEach(async () => {
  await db.query('DELETE FROM environment');
  const environments = await start(db);
  rounds += 1;
  environmentId = (await environments.create({ name: `e${rounds}`, isProduction: false })).id;
});

function start(on: Database, options: { keyring?: Keyring; clock?: Clock } = {}) {
  return createEnvironments({ db: on, keyring: ringOf(key), clock: systemClock, log: silentLog, ...options });
}

const place = () => ({ environmentId, table: 't', row: 1, column: 'c' });

/** A new data key, as a rotation makes it, without telling anybody. */
async function addKey(keyring: Keyring): Promise<string> {
  const row = await newDataKey(keyring, environmentId, 'seal');
  await insertDataKey(db, row);
  return row.id;
}

/** Counts the readings of data keys. */
function counting(on: Database): { db: Database; reads: () => number } {
  let reads = 0;
  return {
    db: {
      ...on,
      query(text, ...more) {
        if (text.includes('FROM data_key')) reads += 1;
        return on.query(text, ...more);
      },
    },
    reads: () => reads,
  };
}

describe('a new environment', () => {
  it('has its signing key from the moment others see it, also when its maker is killed then', async () => {
    let isCommitted = false;
    const dying: Database = {
      ...db,
      async transaction(run) {
        const result = await db.transaction(run);
        isCommitted = true;
        return result;
      },
      query: (text, ...more) => (isCommitted ? Promise.reject(new Error('killed')) : db.query(text, ...more)),
    };
    const name = `new${rounds}`;
    await (await start(dying)).create({ name, isProduction: false }).catch(() => undefined);
    const survivor = await start(db);
    const { id } = (await survivor.byName(name)) ?? { id: 0 };
    expect(await survivor.webhookSigningKey(id)).toMatch(/^[0-9a-f]{64}$/);
  });
});

describe('rotations of the signing key at once', () => {
  it('one after the other: the key before the last one is one that was given out, too', async () => {
    const nodes = [await start(db), await start(db)] as const;
    const rotations = Array.from({ length: 8 }, (_, index) =>
      nodes[index % 2 === 0 ? 0 : 1].rotateWebhookSigningKey(environmentId, 60_000),
    );
    const given = await Promise.all(rotations);
    const { current, previous } = await nodes[0].webhookSigningKeys(environmentId);
    expect(given).toContain(current);
    expect(given).toContain(previous);
  });
});

describe('vault', () => {
  it('reads the data keys once, and again for a value under a key it does not know: one reading for many', async () => {
    const seen = counting(db);
    const vault = createVault(seen.db, createDataKeyReader(ringOf(key)));
    const sealed = await vault.seal(place(), 'first');
    for (let round = 0; round < 20; round += 1) await vault.open(place(), sealed);
    expect(seen.reads()).toBe(1);
    const added = await addKey(ringOf(key));
    const fresh = await createVault(db, createDataKeyReader(ringOf(key))).seal(place(), 'second');
    expect(keyIdOf(fresh)).toBe(added);
    const opened = await Promise.all(Array.from({ length: 50 }, () => vault.open(place(), fresh)));
    expect(new Set(opened)).toEqual(new Set(['second']));
    expect(seen.reads()).toBe(2);
  });

  it('a newer key that this node cannot open closes nothing: it goes on with the older one', async () => {
    const unseen = await addKey(ringOf(other));
    const vault = createVault(db, createDataKeyReader(ringOf(key)));
    const sealed = await vault.seal(place(), 'text');
    expect(keyIdOf(sealed)).not.toBe(unseen);
    expect(await vault.open(place(), sealed)).toBe('text');
    const both = createVault(db, createDataKeyReader(ringOf(key, other)));
    const fresh = await both.seal(place(), 'for others');
    expect(keyIdOf(fresh)).toBe(unseen);
    await expect(vault.open(place(), fresh)).rejects.toMatchObject({ code: 'sealed' });
    expect(await both.open(place(), sealed)).toBe('text');
  });

  it('seals with no retired key; without any other it is sealed', async () => {
    const vault = createVault(db, createDataKeyReader(ringOf(key)));
    const sealed = await vault.seal(place(), 'text');
    const added = await addKey(ringOf(key));
    await db.query('UPDATE data_key SET retired_at = now() WHERE id = $1', [added]);
    await vault.reload();
    expect(keyIdOf(await vault.seal(place(), 'text'))).toBe(keyIdOf(sealed));
    await db.query(`UPDATE data_key SET retired_at = now() WHERE purpose = 'seal'`);
    await expect(vault.reload()).rejects.toMatchObject({ code: 'sealed' });
    // What was in memory stays.
    expect(await vault.open(place(), sealed)).toBe('text');
  });

  it('many values at once: the same bytes as one by one, each bound to its row, under keys old and new', async () => {
    const { vault } = await start(db);
    const column = { environmentId, table: 't', column: 'c' };
    const texts = ['a', '', '€'.repeat(1_000), 'd'];
    const rows = texts.map((plaintext, index) => ({ row: String(index), plaintext }));
    const sealed = await vault.sealMany(column, rows);
    for (const [index, text] of texts.entries()) {
      expect(await vault.open({ ...column, row: index }, sealed[index] as Buffer)).toBe(text);
    }
    await addKey(ringOf(key));
    const { vault: newer } = await start(db);
    const mixed = await newer.sealMany(column, [{ row: '4', plaintext: Buffer.from('new') }]);
    const all = [...sealed, ...mixed].map((value, row) => ({ row: String(row), sealed: value }));
    // The first vault has not heard of the new key.
    expect((await vault.openMany(column, all)).map(String)).toEqual([...texts, 'new']);
    const moved = all.map(({ row }) => ({ row, sealed: sealed[0] as Buffer }));
    await expect(vault.openMany(column, moved)).rejects.toMatchObject({ code: 'sealed' });
    const cut = [{ row: '0', sealed: (sealed[0] as Buffer).subarray(0, 25) }];
    await expect(vault.openMany(column, cut)).rejects.toMatchObject({ code: 'sealed' });
  });

  it('hashes of contents: equal for equal ones, others in another environment', async () => {
    const environments = await start(db);
    const { id: elsewhere } = await environments.create({ name: `other${rounds}`, isProduction: false });
    const { vault } = environments;
    const [a, b, again] = await vault.contentHashes(environmentId, ['a', 'b', 'a']);
    expect(a).toMatch(/^[0-9a-f]{32}$/);
    expect(again).toBe(a);
    expect(b).not.toBe(a);
    expect(await vault.contentHashes(elsewhere, ['a'])).not.toContain(a);
    expect(await (await start(db)).vault.contentHashes(environmentId, ['b'])).toEqual([b]);
  });

  it('readings do not overtake each other', async () => {
    let gate: Promise<void> | undefined;
    const slow: Database = {
      ...db,
      async query<R extends object>(text: string, values?: readonly unknown[], name?: string): Promise<R[]> {
        const rows = await db.query<R>(text, values, name);
        await gate;
        return rows;
      },
    };
    const vault = createVault(slow, createDataKeyReader(ringOf(key)));
    await vault.seal(place(), 'text');
    const held = Promise.withResolvers<void>();
    gate = held.promise;
    const older = vault.reload();
    gate = undefined;
    const added = await addKey(ringOf(key));
    const newer = vault.reload();
    held.resolve();
    await Promise.all([older, newer]);
    expect(keyIdOf(await vault.seal(place(), 'text'))).toBe(added);
  });
});

describe('a node', () => {
  it('tells which keys it holds, reads the data keys when told and every 15 s, and is gone after its stop', async () => {
    let beat: (() => void) | undefined;
    let everyMs = 0;
    const clock: Clock = {
      ...systemClock,
      every(ms, run) {
        [everyMs, beat] = [ms, run];
        return () => (beat = undefined);
      },
    };
    const environments = await start(db, { keyring: ringOf(key, other), clock });
    await environments.vault.seal(place(), 'the keys are in use');
    const listed = () =>
      db.query<{ kek_ids: string[]; keys_read_at: Date }>('SELECT kek_ids, keys_read_at FROM node_keyring');
    expect(await listed()).toEqual([]);
    const stop = await environments.announce();
    const [first] = await listed();
    expect(first?.kek_ids).toEqual(ringOf(key, other).ids);
    expect(everyMs).toBe(15_000);

    const sealsWith = async () => keyIdOf(await environments.vault.seal(place(), 'text'));
    const told = await addKey(ringOf(key));
    expect(await sealsWith()).not.toBe(told);
    await db.query(`SELECT pg_notify('hawser_changed', 'data_key:')`);
    await eventually(sealsWith, (id) => id === told);

    // The notification may be lost; the beat is not.
    const beaten = await addKey(ringOf(key));
    beat?.();
    await eventually(sealsWith, (id) => id === beaten);
    await eventually(listed, ([row]) => (row?.keys_read_at.getTime() ?? 0) > (first?.keys_read_at.getTime() ?? 0));

    await stop();
    expect(beat).toBeUndefined();
    expect(await listed()).toEqual([]);
    // A late notification does not bring it back.
    const last = await addKey(ringOf(key));
    await db.query(`SELECT pg_notify('hawser_changed', 'data_key:')`);
    await eventually(sealsWith, (id) => id === last);
    expect(await listed()).toEqual([]);
  });

  it('a key deleted while it is being looked up is not kept in memory', async () => {
    let looked: PromiseWithResolvers<void> | undefined;
    const found = Promise.withResolvers<void>();
    const slow: Database = {
      ...db,
      get listening() {
        return db.listening;
      },
      async query<R extends object>(text: string, values?: readonly unknown[], name?: string): Promise<R[]> {
        const rows = await db.query<R>(text, values, name);
        if (name === 'api-key-by-hash' && looked !== undefined) {
          found.resolve();
          await looked.promise;
        }
        return rows;
      },
    };
    const environments = await start(slow);
    const { secret, key: made } = await environments.createKey({ environmentId, displayName: 'short-lived' });
    expect(await environments.byKey(secret)).toMatchObject({ keyId: made.id });
    expect(environments.peekKey(secret)).toMatchObject({ keyId: made.id });
    await db.query('UPDATE api_key SET scopes = scopes');
    await eventually(
      () => environments.peekKey(secret),
      (known) => known === undefined,
    );
    looked = Promise.withResolvers<void>();
    const lookup = environments.byKey(secret);
    const forgotten = new Promise<void>((resolve) => {
      void db.listen('hawser_changed', (payload) => {
        if (payload.includes(made.id)) resolve();
      });
    });
    await found.promise;
    await environments.apiKeys.remove(environmentId, made.id);
    await forgotten;
    looked.resolve();
    expect(await lookup).toMatchObject({ keyId: made.id });
    expect(environments.peekKey(secret)).toBeUndefined();
    expect(await environments.byKey(secret)).toBeUndefined();
  });
});
