/** Commands that work on the database itself, beside a running server or without one. */
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { StartupError } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import { readClientConfig, readConfig, type Config } from '../../config.ts';
import { systemClock } from '../../platform/clock.ts';
import { createLog } from '../../platform/log/index.ts';
import { findRunningPostgres, openDatabase, type Database } from '../../platform/postgres/index.ts';
import { openPlatformDatabase } from '../start/platform.ts';

/** A command is one caller. */
const POOL_SIZE = 4;

export interface CliDatabase {
  db: Database;
  url: string;
  config: Config;
  log: Log;
  close(): Promise<void>;
}

/**
 * Opens the database of DATABASE_URL, else the embedded one of the data folder: through the server that runs it, or,
 * when none does, by running it for the time of the command.
 *
 * Errors: {@link StartupError}.
 */
export async function openCliDatabase(): Promise<CliDatabase> {
  const config = { ...readConfig('start'), poolSize: POOL_SIZE };
  // A command says what it did itself; the log is for what went wrong on the way.
  const log = createLog({ level: config.logLevel === 'info' ? 'warn' : config.logLevel, format: 'json' });
  const clock = systemClock;
  config.dataDir = (await findDataDir()) ?? config.dataDir;
  if (config.databaseUrl === undefined && !(await exists(join(config.dataDir, 'postgres.json')))) {
    throw new StartupError(
      `There is no database: DATABASE_URL is not set, and ${config.dataDir} holds none.`,
      'Set DATABASE_URL, or HAWSER_DATA_DIR to the data folder of the server.',
    );
  }
  const url = config.databaseUrl ?? (await findRunningPostgres({ dataDir: config.dataDir, log, clock }));
  if (url !== undefined) {
    const db = await openDatabase({ url, poolSize: POOL_SIZE, log, clock });
    return { db, url, config, log, close: () => db.close() };
  }
  const own = await openPlatformDatabase({
    config,
    log,
    clock,
    onLost: (error) => log.error('the embedded PostgreSQL ended', { error: error.message }),
  });
  return { db: own.db, url: own.url, config, log, close: () => own.close() };
}

/** The first of the usual folders that a server has used. */
async function findDataDir(): Promise<string | undefined> {
  for (const folder of readClientConfig().dataDirs) {
    for (const file of ['postgres.json', 'hawser.json', 'encryption.key']) {
      if (await exists(join(folder, file))) return folder;
    }
  }
  return undefined;
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false, // missing, or not ours to see
  );
}
