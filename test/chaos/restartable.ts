/** A PostgreSQL that ends at once and comes back, at one address. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { silentLog } from '../../src/base/log.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { migrate, startEmbeddedPostgres } from '../../src/platform/postgres/index.ts';
import { migrationsDir } from '../../src/shell/start/platform.ts';
import { isAlive, scratchDir } from '../support/process.ts';
import { startRelay } from '../support/relay.ts';
import { until } from './campaign.ts';

export interface RestartablePostgres {
  url: string;
  /** `pg_ctl stop -m immediate`: no checkpoint, no goodbye. Then the same files again. */
  restartAtOnce(): Promise<void>;
  close(): Promise<void>;
}

/** Migrated and empty. It writes through, as an operator's does: what it said was committed must be there. */
export async function startRestartablePostgres(): Promise<RestartablePostgres> {
  const folder = await scratchDir();
  const start = () => startEmbeddedPostgres({ dataDir: folder.path, log: silentLog, clock: systemClock });
  let postgres = await start();
  await migrate({ url: postgres.url, directory: migrationsDir(), log: silentLog, clock: systemClock });
  const url = new URL(postgres.url);
  const relay = await startRelay({ host: url.hostname, port: Number(url.port) });
  url.hostname = '127.0.0.1';
  url.port = String(relay.port);
  return {
    url: url.href,
    async restartAtOnce() {
      const pid = Number((await readFile(join(postgres.cluster, 'postmaster.pid'), 'utf8')).split('\n')[0]);
      process.kill(pid, 'SIGQUIT');
      await until(() => !isAlive(pid));
      await postgres.close();
      postgres = await start();
      const { hostname, port } = new URL(postgres.url);
      relay.retarget({ host: hostname, port: Number(port) });
    },
    async close() {
      await relay.close();
      await postgres.close();
      await folder.remove();
    },
  };
}
