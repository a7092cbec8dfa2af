import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ClientBase, DatabaseError } from 'pg';
import type { Log } from '../../base/log.ts';
import { StartupError } from '../../base/errors.ts';
import type { Clock } from '../../base/clock.ts';
import { connectFirst, describeUrl } from './client.ts';
import { errorCode, explainPrepareFailure } from './errors.ts';

/** Any fixed number; held while migrating so that N nodes can start at once. ("hawser" in hex, shortened) */
export const LOCK_KEY = 0x68617773;
/** A node that waits longer for another's migration is better restarted by whoever runs it. */
const LOCK_TIMEOUT_MS = 300_000;

/** Which files a database has had. */
const HISTORY_TABLE =
  'CREATE TABLE IF NOT EXISTS hawser_migration (name text PRIMARY KEY, checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())';

const FILE_NAME = /^(\d{4})_[a-z0-9_]+\.sql$/;
/** A line of a file: code that knows the migrations up to this number runs on its schema too, so deploys can roll. */
const COMPATIBLE_FROM = /^-- compatible-from: (\d{4})$/m;
/** Came later than the table. */
const COMPATIBLE_COLUMN = 'ALTER TABLE hawser_migration ADD COLUMN IF NOT EXISTS compatible_from text';

export interface MigrateOptions {
  url: string;
  /** Folder of `0001_name.sql` files; files that do not start with a digit are not migrations. */
  directory: string;
  log: Log;
  clock: Clock;
}

/** A file of the schema's history. */
export interface Migration {
  name: string;
  sql: string;
  checksum: string;
  /** Number of the oldest code that runs on the schema with this file; undefined: only code that has the file. */
  compatibleFrom: string | undefined;
}

/**
 * Brings the schema up to date: every file not applied yet, in order of its number, each in a transaction of its own.
 * Any number of nodes may call it at once. Resolves to the names applied by this call.
 *
 * A schema that is newer than the code is accepted when each file more says `-- compatible-from: NNNN` and the code knows
 * NNNN: nodes of two versions then run side by side while a deploy rolls.
 *
 * Errors: StartupError when a file fails, an applied file has changed or is missing (the schema is newer than the
 * code), or a new file's number lies below an applied one; and those of {@link connectFirst}.
 */
export async function migrate(options: MigrateOptions): Promise<{ applied: string[] }> {
  const { url, directory, log } = options;
  const migrations = await readMigrations(directory);
  const client = await connectFirst(options);
  try {
    await lock(client, describeUrl(url), log);
    await ensureHistory(client);
    const pending = await selectPending(client, migrations, log);
    const isNew = pending.length === migrations.length;
    for (const migration of pending) {
      await apply(client, migration);
      if (!isNew) log.info('migration applied', { migration: migration.name });
    }
    // On an empty database a line for each would only stand above what a first start has to say.
    if (isNew) log.info('the tables were made', { migrations: pending.length });
    return { applied: pending.map((migration) => migration.name) };
  } catch (error) {
    throw explainPrepareFailure(error, describeUrl(url), client.user ?? '');
  } finally {
    // Ending the connection frees the lock.
    await client.end();
  }
}

/** Makes the table of applied files where it is missing. */
export async function ensureHistory(client: { query(text: string): Promise<unknown> }): Promise<void> {
  await client.query(HISTORY_TABLE);
  await client.query(COMPATIBLE_COLUMN);
}

/** All files in order. Errors: StartupError for names that cannot be ordered. */
export async function readMigrations(directory: string): Promise<Migration[]> {
  const names = (await readdir(directory)).filter((name) => /^\d.*\.sql$/.test(name)).toSorted();
  const numbers = new Set<string>();
  const migrations: Migration[] = [];
  for (const name of names) {
    const number = FILE_NAME.exec(name)?.[1];
    if (number === undefined) {
      throw new StartupError(`"${name}" is no name for a migration.`, 'Call it like 0007_add_budget.sql.');
    }
    if (numbers.has(number)) {
      throw new StartupError(`Two migrations have the number ${number}.`, `Give "${name}" the next free number.`);
    }
    numbers.add(number);
    // A checkout with Windows line ends holds the same migration.
    const sql = (await readFile(join(directory, name), 'utf8')).replaceAll('\r\n', '\n');
    const checksum = createHash('sha256').update(sql).digest('hex');
    migrations.push({ name, sql, checksum, compatibleFrom: COMPATIBLE_FROM.exec(sql)?.[1] });
  }
  return migrations;
}

async function lock(client: ClientBase, where: string, log: Log): Promise<void> {
  const { rows } = await client.query<{ free: boolean }>('SELECT pg_try_advisory_lock($1) AS free', [LOCK_KEY]);
  if (rows[0]?.free === true) return;
  log.info('another node is migrating the database; waiting for it', { where });
  try {
    await client.query(`SET lock_timeout = ${LOCK_TIMEOUT_MS}`);
    await client.query('SELECT pg_advisory_lock($1)', [LOCK_KEY]);
    await client.query('SET lock_timeout = 0');
  } catch (error) {
    if (errorCode(error) !== '55P03') throw error;
    throw new StartupError(
      `Another node has been migrating the database at ${where} for more than ${LOCK_TIMEOUT_MS / 60_000} minutes.`,
      'Look at the other node, or for a forgotten session in pg_stat_activity, then start again.',
    );
  }
}

async function selectPending(client: ClientBase, migrations: Migration[], log: Log): Promise<Migration[]> {
  const { rows } = await client.query<{ name: string; checksum: string; compatible_from: string | null }>(
    'SELECT name, checksum, compatible_from FROM hawser_migration ORDER BY name',
  );
  const newest = migrations.at(-1)?.name ?? '';
  const known = new Map(migrations.map((migration) => [migration.name, migration]));
  for (const row of rows) {
    const migration = known.get(row.name);
    if (migration === undefined) {
      if (row.name > newest && row.compatible_from !== null && row.compatible_from <= newest.slice(0, 4)) {
        log.info('the database is newer than this version, and fit for it', { migration: row.name });
        continue;
      }
      throw new StartupError(
        `The database is newer than this version of Hawser: it has the migration "${row.name}", which is not known here.`,
        'Start the version that made it, or restore a backup from before.',
      );
    }
    if (migration.checksum !== row.checksum) {
      throw new StartupError(
        `The migration "${row.name}" was changed after it had been applied.`,
        'Restore the file and put the change into a new migration.',
      );
    }
  }
  const applied = new Set(rows.map((row) => row.name));
  const pending = migrations.filter((migration) => !applied.has(migration.name));
  const last = rows.at(-1)?.name;
  const first = pending[0]?.name;
  if (last !== undefined && first !== undefined && first < last) {
    throw new StartupError(
      `The migration "${first}" comes before "${last}", which has already been applied.`,
      'Give it the next free number.',
    );
  }
  return pending;
}

async function apply(client: ClientBase, migration: Migration): Promise<void> {
  try {
    await client.query('BEGIN');
    const before = await transactionId(client);
    await client.query(migration.sql);
    if ((await transactionId(client)) !== before) {
      throw new StartupError(
        `The migration "${migration.name}" ends its own transaction.`,
        'Take BEGIN, COMMIT and ROLLBACK out of the file, and repair what its first half has left.',
      );
    }
    await client.query('INSERT INTO public.hawser_migration (name, checksum, compatible_from) VALUES ($1, $2, $3)', [
      migration.name,
      migration.checksum,
      migration.compatibleFrom,
    ]);
    await client.query('COMMIT');
    // A file's SET must not reach the next one.
    await client.query('RESET ALL');
  } catch (error) {
    await client.query('ROLLBACK').catch(() => {
      // The connection is gone, and the server rolls back by itself; the first error says more.
    });
    if (error instanceof StartupError) throw error;
    throw new StartupError(
      `The migration "${migration.name}" failed${describeFailure(error, migration.sql)}. Nothing of it was kept.`,
      'Correct the cause and start again; earlier migrations stay applied.',
      error,
    );
  }
}

async function transactionId(client: ClientBase): Promise<string> {
  const { rows } = await client.query<{ id: string }>('SELECT pg_current_xact_id()::text AS id');
  return rows[0]?.id ?? '';
}

function describeFailure(error: unknown, sql: string): string {
  const { message, position } = error as DatabaseError;
  const line = position === undefined ? undefined : sql.slice(0, Number(position) - 1).split('\n').length;
  return `${line === undefined ? '' : ` at line ${line}`}: ${message}`;
}
