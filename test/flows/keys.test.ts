/** What seals what: every sealed column, every place, every key. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isHawserError, StartupError } from '../../src/base/errors.ts';
import { silentLog } from '../../src/base/log.ts';
import { createEnvironments, readKeysStatus, rotateKeys } from '../../src/features/environments/index.ts';
import { SEALED_COLUMNS } from '../../src/features/environments/keys-columns.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { createKeyring, generateKey, keyIdOf, type Keyring } from '../../src/platform/keyring/index.ts';
import { startFakeKms } from '../../src/platform/keyring/kms.test-support.ts';
import { noKillPoints } from '../../src/platform/kill-points.ts';
import type { Hawser } from '../../src/shell/node.ts';
import { createTestDatabase } from '../support/database.ts';
import { fill, ringOf, startKeyStage, storedValues, tokenOf, type Filled, type KeyStage } from './keys-stage.ts';

const right = generateKey();
let stage: KeyStage;
let hawser: Hawser;
let environments: Filled[];
beforeAll(async () => {
  stage = await startKeyStage();
  hawser = await stage.startNode(right);
  environments = [await fill(hawser, stage, 'one', 3), await fill(hawser, stage, 'two', 3)];
});
afterAll(() => stage?.close());

const rotation = (keyring: Keyring) => ({ db: stage.db, keyring, clock: systemClock, killPoints: noKillPoints });

describe('sealed columns', () => {
  it('the list of rotation is the database’s own', async () => {
    const columns = await stage.db.query<{ name: string }>(
      `SELECT table_name || '.' || column_name AS name FROM information_schema.columns
       WHERE table_schema = 'public' AND data_type = 'bytea' AND column_name ~ '(^|_)sealed$' ORDER BY 1`,
    );
    const listed = SEALED_COLUMNS.map(({ table, column }) => `${table}.${column}`).toSorted();
    expect(columns.map(({ name }) => name)).toEqual(listed);
    // No other bytes are ciphertext: hashes, wrapped data keys.
    const others = await stage.db.query<{ name: string }>(
      `SELECT table_name || '.' || column_name AS name FROM information_schema.columns
       WHERE table_schema = 'public' AND data_type = 'bytea' AND column_name !~ '(^|_)(sealed|hash)$' ORDER BY 1`,
    );
    expect(others.map(({ name }) => name)).toEqual(['data_key.wrapped']);
  });

  it('every column of every environment holds a value that opens in the place the list says', async () => {
    const values = await storedValues(stage.db);
    const kinds = new Set(values.map(({ place }) => `${place.environmentId} ${place.table}.${place.column}`));
    expect(kinds.size).toBe(environments.length * SEALED_COLUMNS.length);
    for (const { place, sealed } of values) {
      await expect(hawser.services.environments.vault.open(place, sealed), JSON.stringify(place)).resolves.toBeTypeOf(
        'string',
      );
    }
  });

  it('abuse 26: no value opens in the place of another one: rows, columns, tables, environments', async () => {
    const { vault } = hawser.services.environments;
    const values = await storedValues(stage.db);
    let pairs = 0;
    for (const from of values) {
      for (const to of values) {
        if (from === to) continue;
        pairs += 1;
        const opened = await vault.open(to.place, from.sealed).catch((error: unknown) => error);
        if (!isHawserError(opened, 'sealed')) {
          throw new Error(`${JSON.stringify(from.place)} opens as ${JSON.stringify(to.place)}`);
        }
      }
    }
    expect(pairs).toBe(values.length * (values.length - 1));
    expect(values.length).toBeGreaterThanOrEqual(22);
  });

  it('abuse 26: credentials swapped in the table are refused, for one connection only', async () => {
    const { credentials } = hawser.services;
    const [one, two] = environments as [Filled, Filled];
    const swap = () =>
      stage.db.query(
        `UPDATE credential c SET sealed = o.sealed FROM credential o, connection nc, connection no
         WHERE nc.environment_id = c.environment_id AND nc.id = c.connection_id
           AND no.environment_id = o.environment_id AND no.id = o.connection_id
           AND nc.connection_id = 'customer-1' AND no.connection_id = 'customer-1'
           AND c.environment_id <> o.environment_id`,
      );
    await swap();
    for (const { environmentId, integrationKey } of [one, two]) {
      const read = (id: string) => credentials.live(environmentId, integrationKey, id, { force: true });
      await expect(read('customer-1')).rejects.toMatchObject({ code: 'sealed' });
      await expect(credentials.live(environmentId, integrationKey, 'customer-2')).resolves.toMatchObject({
        credential: { access_token: tokenOf(2, 0) },
      });
    }
    await swap();
    await expect(credentials.live(one.environmentId, one.integrationKey, 'customer-1')).resolves.toMatchObject({
      credential: { access_token: tokenOf(1, 0) },
    });
  });

  it('abuse 26: two values of the same text differ, and hold none of it', async () => {
    const { vault } = hawser.services.environments;
    const place = { environmentId: (environments[0] as Filled).environmentId, table: 't', row: 1, column: 'c' };
    const [first, second] = [await vault.seal(place, 'same text'), await vault.seal(place, 'same text')];
    expect(first).not.toEqual(second);
    expect(first.toString('latin1')).not.toContain('same');
    for (const { sealed } of await storedValues(stage.db)) {
      expect(sealed.toString('latin1')).not.toMatch(/access-\d|refresh-\d|client-secret|secret of/);
    }
  });
});

describe('a start with the wrong key', () => {
  const start = (keyring: Keyring) => createEnvironments({ db: stage.db, keyring, clock: systemClock, log: silentLog });

  it('fault 30: is refused, names the key that is missing, and writes nothing', async () => {
    const before = await stage.db.query('SELECT * FROM data_key ORDER BY id');
    const values = await storedValues(stage.db);
    const wrong = ringOf(generateKey(), generateKey());
    const failure = await start(wrong).catch((error: unknown) => error as StartupError);
    expect(failure).toBeInstanceOf(StartupError);
    expect((failure as StartupError).message).toContain(ringOf(right).activeId);
    for (const id of wrong.ids) expect((failure as StartupError).message).toContain(id);
    expect((failure as StartupError).hint).toContain('Nothing was changed');
    await expect(stage.startNode(generateKey())).rejects.toThrow(StartupError);
    await expect(rotateKeys(rotation(wrong), { dataKeys: true })).rejects.toThrow(StartupError);
    expect(await stage.db.query('SELECT * FROM data_key ORDER BY id')).toEqual(before);
    expect(await storedValues(stage.db)).toEqual(values);
  });

  it('fault 30: a data key moved to another environment or changed by one byte is told as damage', async () => {
    const own = await startKeyStage();
    try {
      const node = await own.startNode(right);
      await fill(node, own, 'one', 1);
      await own.db.query(`UPDATE data_key SET wrapped = set_byte(wrapped, 60, get_byte(wrapped, 60) # 1)
                          WHERE purpose = 'lookup'`);
      await expect(own.startNode(right)).rejects.toThrow(/lookup_[0-9a-f]+ does not open/);
    } finally {
      await own.close();
    }
  });

  it('status answers without the right key: it says which one is missing', async () => {
    const status = await readKeysStatus(stage.db, ringOf(generateKey()));
    expect(status.keks).toContainEqual(
      expect.objectContaining({ id: ringOf(right).activeId, atHand: false, dataKeys: 4, nodes: 1 }),
    );
    expect((await readKeysStatus(stage.db, undefined)).keks).toHaveLength(1);
  });
});

describe('keys in a key service', () => {
  it('start, reads without asking, rotation; a service that is away stops a start, not what runs', async () => {
    const database = await createTestDatabase();
    const { db } = database;
    try {
      const kms = startFakeKms();
      const [first, second] = [kms.createKey('kms:prod/1'), kms.createKey('kms:prod/2')];
      const deps = { db, clock: systemClock, log: silentLog };
      const { vault, create } = await createEnvironments({ ...deps, keyring: createKeyring(first) });
      const { id: environmentId } = await create({ name: 'one', isProduction: false });
      const place = { environmentId, table: 't', row: 1, column: 'c' };
      const sealed = await vault.seal(place, 'text');
      const calls = kms.calls.unwrap;
      for (let round = 0; round < 100; round += 1) await vault.open(place, sealed);
      // Unwrapped once: a read does not wait for a service.
      expect(kms.calls.unwrap).toBe(calls);

      const rotated = await rotateKeys(
        { ...deps, keyring: createKeyring(second, [first]), killPoints: noKillPoints },
        { dataKeys: true },
      );
      expect(rotated).toMatchObject({ activeKek: 'kms:prod/2', wrapped: 2, unfinished: undefined });
      const after = await createEnvironments({ ...deps, keyring: createKeyring(second) });
      expect(await after.vault.open(place, sealed)).toBe('text');
      kms.up = false;
      await expect(createEnvironments({ ...deps, keyring: createKeyring(second) })).rejects.toThrow(
        /kms:prod\/2 does not answer/,
      );
      // What is in memory goes on.
      expect(await after.vault.open(place, await after.vault.seal(place, 'new'))).toBe('new');
    } finally {
      await database.drop();
    }
  });
});

describe('learning new data keys', () => {
  it('a node opens what another one sealed under a key it has never seen, and seals with it when told', async () => {
    const other = await stage.startNode(right);
    const { environmentId } = environments[0] as Filled;
    const place = { environmentId, table: 't', row: 9, column: 'c' };
    const sealedBefore = await other.services.environments.vault.seal(place, 'before');
    const result = await rotateKeys(rotation(ringOf(right)), { dataKeys: true });
    expect(result).toMatchObject({ wrapped: 0, unfinished: undefined, unreadable: [] });
    expect(result.made).toHaveLength(2);
    expect(result.retired).toHaveLength(2);
    // Both running nodes have read the new keys before the old ones were retired.
    for (const node of [hawser, other]) {
      const { vault } = node.services.environments;
      const sealed = await vault.seal(place, 'after');
      expect(result.made).toContain(keyIdOf(sealed));
      expect(await vault.open(place, sealed)).toBe('after');
      // Retired, not gone: an answer spooled on a disk may still come.
      expect(await vault.open(place, sealedBefore)).toBe('before');
    }
    for (const { sealed } of await storedValues(stage.db)) expect(result.made).toContain(keyIdOf(sealed));
  });

  it('hashes stay: the lookup key is never replaced', async () => {
    const { environmentId } = environments[0] as Filled;
    const before = await hawser.services.environments.vault.lookupHash(environmentId, 'a token');
    await rotateKeys(rotation(ringOf(right)), { dataKeys: true });
    const fresh = await stage.startNode(right);
    expect(await fresh.services.environments.vault.lookupHash(environmentId, 'a token')).toEqual(before);
  });
});
