import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../../../test/support/database.ts';
import { silentLog } from '../../base/log.ts';
import { systemClock } from '../../platform/clock.ts';
import { generateKey, keyringFrom, type Keyring } from '../../platform/keyring/index.ts';
import type { Database, Sql } from '../../platform/postgres/index.ts';
import { createEnvironments, type Vault } from '../environments/index.ts';
import { createEventWriter, eventPlace, type NewEvent } from './write-event.ts';

let database: TestDatabase;
let db: Database;
let vault: Vault;
let environmentIds: number[];
beforeAll(async () => {
  database = await createTestDatabase();
  db = database.db;
  const keyring = keyringFrom(generateKey()) as Keyring;
  const environments = await createEnvironments({ db, keyring, clock: systemClock, log: silentLog });
  vault = environments.vault;
  const made = await Promise.all(['one', 'other'].map((name) => environments.create({ name, isProduction: false })));
  environmentIds = made.map(({ id }) => id);
});
afterAll(() => database?.drop());
beforeEach(() => db.query('DELETE FROM event'));

/** A transaction whose statements are counted. */
const counted = (tx: Sql, statements: string[]): Sql => ({
  query(text, ...more) {
    statements.push(text);
    return tx.query(text, ...more);
  },
});

const eventOf = (place: number, more: Partial<NewEvent> = {}): NewEvent => ({
  environmentId: environmentIds[place % environmentIds.length] as number,
  type: 'forward',
  payload: { place, text: `"\\{},NULL\n€` },
  ...more,
});

it('events asked for in one turn of a transaction are one statement, in their order, and what is private is sealed', async () => {
  const statements: string[] = [];
  const write = createEventWriter(vault);
  const events = [
    ...Array.from({ length: 5 }, (_, place) => eventOf(place)),
    eventOf(5, { type: 'sync', connectionId: 7, providerHeaders: { 'x-github-event': 'push' } }),
    eventOf(6, { providerHeaders: {} }),
  ];
  await db.transaction(async (tx) => {
    const sql = counted(tx, statements);
    await Promise.all(events.map((event) => write(sql, event)));
    expect(statements).toHaveLength(1);
    await write(sql, eventOf(7));
    expect(statements).toHaveLength(2);
  });
  const rows = await db.query<{ uuid: string; sealed: Buffer | null; payload: object } & Record<string, unknown>>(
    'SELECT environment_id, uuid, type, connection_id, payload, sealed, provider_headers FROM event ORDER BY id',
  );
  const written = [...events, eventOf(7)];
  expect(rows).toHaveLength(written.length);
  for (const [index, row] of rows.entries()) {
    const { environmentId, type, connectionId = null, payload, providerHeaders = null } = written[index] as NewEvent;
    expect(row).toMatchObject({ environment_id: environmentId, type, connection_id: connectionId, provider_headers: providerHeaders }); // prettier-ignore
    const isPrivate = type === 'forward';
    expect([row.sealed === null, row.payload]).toEqual([!isPrivate, isPrivate ? {} : payload]);
    if (row.sealed !== null) {
      expect(JSON.parse(await vault.open(eventPlace(environmentId, row.uuid), row.sealed))).toEqual(payload);
    }
  }
});

it('in a transaction they fail together; outside of one the failure of one is nobody else’s', async () => {
  const write = createEventWriter(vault);
  const nowhere = eventOf(0, { environmentId: 2_000_000, type: 'sync' });
  const outcomes = (sql: Sql) =>
    Promise.allSettled([eventOf(0), nowhere, eventOf(1)].map((event) => write(sql, event)));
  const inside = db.transaction(async (tx) => {
    const ends = await outcomes(tx);
    expect(ends.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
  });
  await expect(inside).rejects.toMatchObject({ code: '23503' });
  expect(await db.query('SELECT FROM event')).toEqual([]);
  expect((await outcomes(db)).map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  expect(await db.query('SELECT FROM event')).toHaveLength(2);
});
