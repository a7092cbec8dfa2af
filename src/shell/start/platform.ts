import { fileURLToPath } from 'node:url';
import type { Clock } from '../../base/clock.ts';
import { StartupError } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import type { Config } from '../../config.ts';
import { migrate, openDatabase, startEmbeddedPostgres, type Database } from '../../platform/postgres/index.ts';

/** The folder of this package, from the sources as from the build. */
export function packageDir(): string {
  const here = fileURLToPath(import.meta.url);
  return here.replace(/(\/dist)?\/src\/shell\/start\/platform\.[tj]s$/, '');
}

/** Opens the database, the embedded one or the operator's, with the newest schema. */
export async function openPlatformDatabase(options: {
  config: Config;
  log: Log;
  clock: Clock;
  /** Called when the embedded PostgreSQL ends by itself. */
  onLost: (error: StartupError) => void;
}): Promise<{ db: Database; url: string; embedded: boolean; close(): Promise<void> }> {
  const { config, log, clock } = options;
  const embedded =
    config.databaseUrl === undefined
      ? await startEmbeddedPostgres({
          dataDir: config.dataDir,
          log,
          clock,
          onExit: (sentence) =>
            options.onLost(
              new StartupError(sentence, 'Start Hawser again: it recovers by itself. The log above tells why.'),
            ),
        })
      : undefined;
  try {
    const url = config.databaseUrl ?? (embedded as { url: string }).url;
    await migrate({ url, directory: migrationsDir(), log, clock });
    const db = await openDatabase({ url, poolSize: config.poolSize, log, clock });
    return {
      db,
      url,
      embedded: embedded !== undefined,
      async close() {
        await db.close();
        await embedded?.close();
      },
    };
  } catch (error) {
    await embedded?.close();
    throw error;
  }
}

export function migrationsDir(): string {
  return `${packageDir()}/migrations`;
}
