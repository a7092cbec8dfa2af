import { StartupError } from '../../../base/errors.ts';
import type { Clock } from '../../../base/clock.ts';
import type { Log } from '../../../base/log.ts';
import { connectFirst } from '../client.ts';
import { readSecretFile } from './secret-file.ts';
import { DATABASE } from './start.ts';

/**
 * Where the embedded PostgreSQL of a data directory listens now; undefined when it does not run. For commands beside a
 * running server: the password in `postgres.json` makes sure that it is the right one. Errors: StartupError when that
 * file is damaged.
 */
export async function findRunningPostgres(options: {
  dataDir: string;
  log: Log;
  clock: Clock;
}): Promise<string | undefined> {
  const secret = await readSecretFile(options.dataDir);
  if (secret?.port === undefined || !secret.initialized) return undefined;
  const url = `postgres://${secret.user}:${secret.password}@127.0.0.1:${secret.port}/${DATABASE}`;
  try {
    const client = await connectFirst({ ...options, url, waitMs: 0 });
    await client.end();
    return url;
  } catch (error) {
    // Nobody there, or another server on that port: not running.
    if (error instanceof StartupError) return undefined;
    throw error;
  }
}
