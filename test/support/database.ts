import { randomBytes } from 'node:crypto';
import { inject } from 'vitest';
import { silentLog, type Log } from '../../src/base/log.ts';
import type { Clock } from '../../src/base/clock.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { openDatabase, type Database } from '../../src/platform/postgres/index.ts';

export interface TestDatabase {
  url: string;
  db: Database;
  /** Closes `db` and removes the database, whoever is still connected. */
  drop(): Promise<void>;
}

export interface TestDatabaseOptions {
  /** Connections of the pool. Default 4. */
  poolSize?: number;
  log?: Log;
  clock?: Clock;
  /** False: an empty database instead of a migrated one. Default true. */
  migrated?: boolean;
}

/** A database of one's own, cloned from the migrated template. */
export async function createTestDatabase(options: TestDatabaseOptions = {}): Promise<TestDatabase> {
  const { poolSize = 4, log = silentLog, clock = systemClock, migrated = true } = options;
  const server = inject('testServer');
  if (migrated && server.problem !== undefined) throw new Error(`no migrated template: ${server.problem}`);
  const name = `hawser_test_${randomBytes(6).toString('hex')}`;
  // A copy of files: through the log, as by default, it costs more than twice as much.
  const template = migrated ? server.template : 'template0';
  await asAdmin(server.url, `CREATE DATABASE ${name} TEMPLATE ${template} STRATEGY FILE_COPY`);
  const target = new URL(server.url);
  target.pathname = `/${name}`;
  const db = await openDatabase({ url: target.href, poolSize, log, clock });
  return {
    url: target.href,
    db,
    async drop() {
      await db.close();
      await asAdmin(server.url, `DROP DATABASE ${name} WITH (FORCE)`);
    },
  };
}

let admin: Promise<Database> | undefined;

/** One connection for all files of a worker; it ends with the process, or is closed when nobody has used it for long. */
async function asAdmin(url: string, statement: string): Promise<void> {
  admin ??= openDatabase({ url, poolSize: 1, log: silentLog, clock: systemClock });
  await (await admin).query(statement);
}
