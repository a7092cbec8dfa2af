import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../../../test/support/database.ts';
import { StartupError } from '../../base/errors.ts';
import type { Clock } from '../../base/clock.ts';
import { silentLog, type Log } from '../../base/log.ts';
import { systemClock } from '../clock.ts';
import { startFakeServer, startProxy } from './fakes.test-support.ts';
import {
  afterCommit,
  isForeignKeyViolation,
  isUniqueViolation,
  openDatabase,
  type Database,
  type Session,
} from './index.ts';

let test: TestDatabase;
const opened: Database[] = [];

beforeAll(async () => {
  test = await createTestDatabase({ migrated: false });
  await test.db.query('CREATE TABLE item (id bigint PRIMARY KEY, name text)');
});

afterAll(async () => {
  await test.drop();
});

afterEach(async () => {
  for (const db of opened.splice(0)) await db.close();
  await test.db.query('TRUNCATE item');
});

async function open(options: { poolSize?: number; url?: string; log?: Log; clock?: Clock } = {}): Promise<Database> {
  const db = await openDatabase({ url: test.url, log: silentLog, clock: systemClock, ...options });
  opened.push(db);
  return db;
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await systemClock.sleep(5);
}

/** The backend's pid of whoever asks. */
async function backendPid(sql: Pick<Session, 'query'>): Promise<number> {
  const rows = await sql.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
  return rows[0]!.pid;
}

function advisoryLocks(): Promise<object[]> {
  return test.db.query(
    `SELECT 1 FROM pg_locks JOIN pg_database ON pg_database.oid = database
     WHERE locktype = 'advisory' AND granted AND datname = current_database()`,
  );
}

async function openingError(url: string): Promise<StartupError> {
  const error = await openDatabase({ url, log: silentLog, clock: systemClock, waitMs: 0 }).then(
    () => undefined,
    (caught: unknown) => caught,
  );
  expect(error).toBeInstanceOf(StartupError);
  return error as StartupError;
}

function changed(edit: (url: URL) => void): string {
  const url = new URL(test.url);
  edit(url);
  return url.href;
}

/** The machine's clock, but what should take a second takes a tenth. */
const hurriedClock: Clock = {
  ...systemClock,
  sleep: (ms, signal) => systemClock.sleep(ms / 10, signal),
  every: (ms, tick) => systemClock.every(ms / 10, tick),
};

describe('values', () => {
  it('reads bigint as a number when safe, timestamptz as a date, jsonb parsed, date as text', async () => {
    const rows = await test.db.query(
      `SELECT 9007199254740991::int8 AS safe, 9223372036854775807::int8 AS big, count(*) AS n,
              '2026-02-03T04:05:06Z'::timestamptz AS at, '{"a":[1]}'::jsonb AS doc, '2026-02-03'::date AS day,
              '\\x00ff'::bytea AS raw
       FROM item`,
    );
    expect(rows).toEqual([
      {
        safe: Number.MAX_SAFE_INTEGER,
        big: '9223372036854775807',
        n: 0,
        at: new Date(Date.UTC(2026, 1, 3, 4, 5, 6)),
        doc: { a: [1] },
        day: '2026-02-03',
        raw: Buffer.from([0, 255]),
      },
    ]);
  });

  it('prepares a named statement once per connection', async () => {
    const db = await open({ poolSize: 1 });
    for (const id of [1, 2, 3]) {
      expect(await db.query('SELECT $1::int AS id', [id], 'probe')).toEqual([{ id }]);
    }
    expect(await db.query('SELECT name FROM pg_prepared_statements')).toEqual([{ name: 'probe' }]);
  });
});

describe('errors', () => {
  it("leaves PostgreSQL's own errors readable and the connection usable", async () => {
    const db = await open({ poolSize: 1 });
    const pid = await backendPid(db);
    await db.query("INSERT INTO item VALUES (1, 'a')");
    const error = await db.query("INSERT INTO item VALUES (1, 'b')").catch((caught: unknown) => caught);
    expect(isUniqueViolation(error)).toBe(true);
    expect(isUniqueViolation(error, 'item_pkey')).toBe(true);
    expect(isUniqueViolation(error, 'other')).toBe(false);
    expect(isForeignKeyViolation(error)).toBe(false);
    expect(await backendPid(db)).toBe(pid);
  });

  it('fails the running call, not the process, when the server cuts a connection, and connects anew', async () => {
    const db = await open({ poolSize: 1 });
    const pid = await backendPid(db);
    const cut = db.query('SELECT pg_sleep(60)').catch((caught: unknown) => caught);
    await until(async () => {
      const rows = await test.db.query<{ cut: boolean }>(
        "SELECT pg_terminate_backend(pid) AS cut FROM pg_stat_activity WHERE pid = $1 AND query LIKE '%pg_sleep%'",
        [pid],
      );
      return rows[0]?.cut === true;
    });
    expect(await cut).toMatchObject({ code: 'database_unavailable', status: 503, retryable: true });
    expect(await backendPid(db)).not.toBe(pid);
  });

  it('survives the loss of an idle connection', async () => {
    const db = await open({ poolSize: 1 });
    const pid = await backendPid(db);
    await test.db.query('SELECT pg_terminate_backend($1)', [pid]);
    // The pool may hand out the dead connection once; the call after that finds a new one.
    await until(async () => (await db.query('SELECT 1').catch(() => [])).length === 1);
    expect(await backendPid(db)).not.toBe(pid);
  });

  it('answers database_busy when no connection is free within the queue deadline', async () => {
    const db = await open({ poolSize: 2 });
    const hold = Promise.withResolvers<void>();
    const held = [1, 2].map(() => db.transaction(() => hold.promise));
    const waiting = Array.from({ length: 500 }, () => db.query('SELECT 1').catch((caught: unknown) => caught));
    for (const error of await Promise.all(waiting)) {
      expect(error).toMatchObject({ code: 'database_busy', status: 503, retryable: true });
    }
    expect(await db.ping(2_000)).toBe(true);
    hold.resolve();
    await Promise.all(held);
    expect(await db.query('SELECT 1 AS one')).toEqual([{ one: 1 }]);
  });
});

describe('transaction', () => {
  it('commits what it did and returns the result', async () => {
    const result = await test.db.transaction(async (tx) => {
      await tx.query("INSERT INTO item VALUES (1, 'a')");
      return 'done';
    });
    expect(result).toBe('done');
    expect(await test.db.query('SELECT id FROM item')).toEqual([{ id: 1 }]);
  });

  it('rolls back and rethrows the very error', async () => {
    const reason = new Error('no');
    const failing = test.db.transaction(async (tx) => {
      await tx.query("INSERT INTO item VALUES (1, 'a')");
      throw reason;
    });
    await expect(failing).rejects.toBe(reason);
    expect(await test.db.query('SELECT id FROM item')).toEqual([]);
  });

  it('does not report a commit when a swallowed error had spoilt the transaction', async () => {
    const spoilt = test.db.transaction(async (tx) => {
      await tx.query("INSERT INTO item VALUES (1, 'a')");
      await tx.query("INSERT INTO item VALUES (1, 'b')").catch(() => 'swallowed');
      return 'looks fine';
    });
    await expect(spoilt).rejects.toMatchObject({ code: '23505' });
    expect(await test.db.query('SELECT id FROM item')).toEqual([]);
  });

  it('tells those who wait for its commit, once it has happened, and never of a rollback', async () => {
    const rows = async () => (await test.db.query('SELECT 1 FROM item')).length;
    const seen: Promise<number>[] = [];
    await test.db.transaction(async (tx) => {
      afterCommit(tx, () => seen.push(rows()));
      await tx.query('INSERT INTO item VALUES (1)');
      expect(seen).toEqual([]);
    });
    const broken = test.db.transaction((tx) => {
      afterCommit(tx, () => seen.push(rows()));
      return Promise.reject(new Error('no'));
    });
    await expect(broken).rejects.toThrow('no');
    afterCommit(test.db, () => seen.push(rows()));
    expect(await Promise.all(seen)).toEqual([1, 1]);
  });

  it('goes on after a savepoint was rolled back', async () => {
    await test.db.transaction(async (tx) => {
      await tx.query("INSERT INTO item VALUES (1, 'a')");
      await tx.query('SAVEPOINT before');
      await tx.query("INSERT INTO item VALUES (1, 'b')").catch(() => tx.query('ROLLBACK TO before'));
    });
    expect(await test.db.query('SELECT name FROM item')).toEqual([{ name: 'a' }]);
  });

  it('runs statements asked for in parallel one after the other', async () => {
    await test.db.transaction(async (tx) => {
      const ids = Array.from({ length: 20 }, (_, index) => index);
      await Promise.all(ids.map((id) => tx.query('INSERT INTO item VALUES ($1, $2)', [id, `n${id}`])));
    });
    expect(await test.db.query('SELECT count(*) AS n FROM item')).toEqual([{ n: 20 }]);
  });

  it('refuses statements after its end', async () => {
    let late: Promise<unknown> | undefined;
    await test.db.transaction(async (tx) => {
      late = systemClock.sleep(0).then(() => tx.query('SELECT 1'));
      late.catch(() => 'awaited below');
    });
    await expect(late).rejects.toThrow('is over');
  });

  it('tells an unknown commit from a failed one', async () => {
    const db = await open({ poolSize: 1 });
    await test.db.query(
      `CREATE OR REPLACE FUNCTION cut_me() RETURNS trigger LANGUAGE plpgsql AS
       $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$`,
    );
    await test.db.query(
      'CREATE CONSTRAINT TRIGGER cut AFTER INSERT ON item DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION cut_me()',
    );
    try {
      const broken = db.transaction((tx) => tx.query("INSERT INTO item VALUES (7, 'x')"));
      await expect(broken).rejects.toMatchObject({ code: 'database_commit_unknown', retryable: true });
    } finally {
      await test.db.query('DROP TRIGGER cut ON item');
    }
    expect(await db.query('SELECT id FROM item')).toEqual([]);
  });
});

describe('session', () => {
  it('keeps advisory locks apart from queries and frees them on release', async () => {
    const db = await open({ poolSize: 1 });
    const sessions = await Promise.all(Array.from({ length: 8 }, () => db.session()));
    for (const [index, session] of sessions.entries()) {
      await session.query('SELECT pg_advisory_lock(1, $1)', [index]);
    }
    expect(await db.query('SELECT 1 AS one')).toEqual([{ one: 1 }]);
    expect(await advisoryLocks()).toHaveLength(8);
    for (const session of sessions) {
      session.release();
      session.release();
    }
    expect(sessions[0]!.alive).toBe(false);
    await expect(sessions[0]!.query('SELECT 1')).rejects.toThrow('is over');
    await until(async () => (await advisoryLocks()).length === 0);
  });

  it('knows when it has died', async () => {
    const db = await open();
    const session = await db.session();
    expect(session.alive).toBe(true);
    await test.db.query('SELECT pg_terminate_backend($1)', [await backendPid(session)]);
    await until(() => !session.alive);
    await expect(session.query('SELECT 1')).rejects.toMatchObject({ code: 'database_unavailable' });
    session.release();
    const next = await db.session();
    expect(await next.query('SELECT 1 AS one')).toEqual([{ one: 1 }]);
    next.release();
  });
});

describe('notifications', () => {
  it('delivers to every subscriber of the channel until it leaves', async () => {
    const db = await open();
    expect(db.listening).toBe(false);
    const seen: string[] = [];
    const leaveA = await db.listen('Odd "channel"', (payload) => seen.push(`a:${payload}`));
    const leaveB = await db.listen('Odd "channel"', (payload) => seen.push(`b:${payload}`));
    await db.listen('fence', (payload) => seen.push(payload));
    expect(db.listening).toBe(true);
    const tell = async (payload: string, fence: string) => {
      await test.db.query('SELECT pg_notify($1, $2)', ['Odd "channel"', payload]);
      await test.db.query('SELECT pg_notify($1, $2)', ['fence', fence]);
      await until(() => seen.includes(fence));
    };
    await tell('1', 'f1');
    await leaveA();
    await tell('2', 'f2');
    await leaveB();
    await tell('3', 'f3');
    expect(seen).toEqual(['a:1', 'b:1', 'f1', 'b:2', 'f2', 'f3']);
  });

  it('says so at once when the session is lost, and again when every channel is back', async () => {
    const db = await open();
    const seen: string[] = [];
    const states: boolean[] = [];
    await db.listen('one', (payload) => seen.push(payload));
    await db.listen('two', (payload) => seen.push(payload));
    db.onListenState((healthy) => states.push(healthy));
    await test.db.query(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'hawser listen' AND datname = current_database()",
    );
    await until(() => states.length === 2);
    expect(states).toEqual([false, true]);
    expect(db.listening).toBe(true);
    await test.db.query("SELECT pg_notify('one', 'x'), pg_notify('two', 'y')");
    await until(() => seen.length === 2);
    expect(seen).toEqual(['x', 'y']);
  });

  it('notices a peer that vanished without closing, and does not answer pings meanwhile', async () => {
    const proxy = await startProxy(test.url);
    const db = await open({ url: proxy.url, clock: hurriedClock });
    const lost = Promise.withResolvers<void>();
    await db.listen('one', () => {});
    expect(await db.ping(2_000)).toBe(true);
    db.onListenState((healthy) => {
      if (!healthy) lost.resolve();
    });
    proxy.freeze();
    expect(await db.ping(50)).toBe(false);
    await lost.promise;
    expect(db.listening).toBe(false);
    proxy.thaw();
    await until(() => db.listening);
    expect(await db.ping(2_000)).toBe(true);
    await db.close();
    proxy.close();
  });

  it('keeps going when a handler throws', async () => {
    const logged: string[] = [];
    const db = await open({ log: { ...silentLog, error: (text) => logged.push(text) } });
    const seen: string[] = [];
    await db.listen('one', () => {
      throw new Error('handler');
    });
    await db.listen('one', (payload) => seen.push(payload));
    await test.db.query("SELECT pg_notify('one', 'x')");
    await until(() => seen.length === 1);
    expect(logged).toEqual(['a notification handler failed']);
  });
});

describe('close', () => {
  it('cuts what does not end by itself and then refuses work', async () => {
    const db = await openDatabase({ url: test.url, log: silentLog, clock: hurriedClock });
    const stuck = db.query('SELECT pg_sleep(60)').catch((caught: unknown) => caught);
    await until(
      async () =>
        (await test.db.query("SELECT 1 FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)'")).length > 0,
    );
    await db.close();
    await db.close();
    expect(await stuck).toMatchObject({ code: 'database_unavailable' });
    await expect(db.query('SELECT 1')).rejects.toMatchObject({ code: 'database_unavailable' });
    await expect(db.listen('one', () => {})).rejects.toMatchObject({ code: 'database_unavailable' });
  });
});

describe('opening', () => {
  it.each([
    ['a wrong password', () => changed((url) => (url.password = 'hunter2-hunter2')), /refused the user "/],
    ['a missing database', () => changed((url) => (url.pathname = '/nowhere')), /has no such database/],
    ['nobody there', () => changed((url) => (url.port = '1')), /cannot be reached \(ECONNREFUSED\)/],
    ['an unknown host', () => changed((url) => (url.host = 'nowhere.invalid')), /is not known here|cannot be reached/],
    ['a server without TLS', () => changed((url) => (url.search = '?sslmode=verify-full')), /does not speak TLS/],
    ['another kind of URL', () => 'mysql://root:hunter2@localhost/x', /is not a PostgreSQL URL/],
    [
      'a certificate that is not there',
      () => 'postgres://a:hunter2@localhost/x?sslrootcert=/nofile.crt',
      /names a file that cannot be read \(ENOENT\)/,
    ],
    ['a password that breaks the URL', () => 'postgres://a:hunter2#/@x:5432/x', /is not a PostgreSQL URL/],
  ])('explains %s in one sentence without the password', async (_name, url, sentence) => {
    const target = url();
    const error = await openingError(target);
    expect(error.message).toMatch(sentence);
    const everything = JSON.stringify([error.message, error.hint, String(error.cause), error.stack, error.cause]);
    const password = /:([^:@/]+)@/.exec(target)?.[1] ?? 'hunter2';
    expect(everything).not.toContain(password);
    expect(everything).not.toContain('hunter2');
  });

  it('leaves no connection behind where a password is missing', async () => {
    const proxy = await startProxy(test.url);
    const url = new URL(proxy.url);
    url.password = '';
    expect((await openingError(url.href)).message).toMatch(/wants a password for the user/);
    await expect.poll(proxy.open, { timeout: 10_000 }).toBe(0);
    proxy.close();
  });

  it('refuses a server that is too old', async () => {
    const old = await startFakeServer('130004');
    const error = await openingError(`postgres://x@127.0.0.1:${old.port}/x`);
    old.close();
    expect(error.message).toMatch(/is PostgreSQL 13; 14 or newer is needed/);
  });

  it('waits for a server that is about to start', async () => {
    const proxy = await startProxy(test.url, { refuseFirst: 2 });
    const db = await open({ url: proxy.url });
    expect(await db.query('SELECT 1 AS one')).toEqual([{ one: 1 }]);
    expect(proxy.connections()).toBeGreaterThan(2);
    await db.close();
    proxy.close();
  });
});
