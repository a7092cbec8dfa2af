import { access, chmod, mkdir, realpath, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { Client } from 'pg';
import { StartupError } from '../../../base/errors.ts';
import type { Clock } from '../../../base/clock.ts';
import { randomSecret } from '../../../base/ids.ts';
import { errorText, type Log } from '../../../base/log.ts';
import { clientConfig } from '../client.ts';
import { errorCode } from '../errors.ts';
import { canTraverse, chooseAccount } from './account.ts';
import { clusterOwner, initCluster, refuseOtherMajor, resetPassword } from './cluster.ts';
import { takeLock } from './lock.ts';
import { findPackage, locateBinaries, makeOpenFolder } from './package.ts';
import { launchPostmaster, stopOrphan, type Postmaster } from './postmaster.ts';
import { readSecretFile, writeSecretFile, type SecretFile } from './secret-file.ts';

const USER = 'hawser';
export const DATABASE = 'hawser';
/** Where root keeps what its unprivileged PostgreSQL user must reach. */
const SYSTEM_DIR = '/var/lib/hawser';
const CLUSTER = 'pg';

export interface EmbeddedOptions {
  /** Hawser's own folder; made when missing. */
  dataDir: string;
  log: Log;
  clock: Clock;
  /** Called once, with a public sentence, when PostgreSQL ends without `close`. The program should then exit. */
  onExit?: (sentence: string) => void;
  /** Replaces or adds server settings; for tests. */
  settings?: Record<string, string>;
  /** Folder of the platform package. Default: where Node finds it. */
  packageDir?: string;
  /** Default `/var/lib/hawser`; used only as root. */
  systemDir?: string;
}

export interface EmbeddedPostgres {
  url: string;
  /** Where the database files lie. */
  cluster: string;
  /** Pid of the postmaster. */
  pid: number;
  /** Stops PostgreSQL and gives the lock back. Close the pools first. Safe to call twice. */
  close(): Promise<void>;
}

/**
 * Starts the PostgreSQL that comes with Hawser on `dataDir`; the first time it makes the database files.
 *
 * Works as root (PostgreSQL then runs as `postgres` or `nobody`) and as an ordinary user. Files: `postgres.json`
 * (password, 0600), `hawser.lock`, and `pg/`, which lies under {@link EmbeddedOptions.systemDir} instead when its user
 * cannot reach `dataDir`.
 *
 * Errors: StartupError for everything a person can repair: lock held, wrong version, no binaries, no rights.
 */
export async function startEmbeddedPostgres(options: EmbeddedOptions): Promise<EmbeddedPostgres> {
  const { log, clock } = options;
  const packageDir = await findPackage(options.packageDir);
  const dataDir = await openDataDir(options.dataDir);
  const releases: (() => Promise<void>)[] = [];
  const release = async () => {
    for (const give of releases.splice(0).toReversed()) await give();
  };
  try {
    const what = `the data directory ${dataDir}`;
    releases.push(await takeLock({ path: join(dataDir, 'hawser.lock'), what, log, clock }));
    const known = await readSecretFile(dataDir);
    const cluster = known === undefined ? await placeCluster(dataDir, options) : resolve(dataDir, known.cluster);
    if (dirname(cluster) !== dataDir) {
      await makeOpenFolder(dirname(cluster));
      // Two copies of a data directory point to the same files; a lock beside the files sees that.
      releases.push(await takeLock({ path: join(dirname(cluster), 'hawser.lock'), what, log, clock }));
      // For a person who has lost postgres.json, or wonders whose files these are.
      await writeFile(join(dirname(cluster), 'data-directory.txt'), `${dataDir}\n`);
    }
    const { postmaster, secret } = await run({ ...options, packageDir }, dataDir, cluster, known);
    let closing = false;
    const watch = async () => {
      const how = await postmaster.exited;
      if (closing) return;
      log.error('PostgreSQL ended by itself', { how });
      options.onExit?.(`The database ended unexpectedly (${how}). Start Hawser again; it recovers by itself.`);
    };
    void watch();
    let closed: Promise<void> | undefined;
    return {
      url: urlOf(secret, postmaster.port, DATABASE),
      cluster,
      pid: postmaster.pid,
      close() {
        closing = true;
        closed ??= postmaster.stop().finally(release);
        return closed;
      },
    };
  } catch (error) {
    await release();
    throw error;
  }
}

async function openDataDir(path: string): Promise<string> {
  try {
    const made = await mkdir(path, { recursive: true });
    // As root another user runs PostgreSQL in it: let it pass through, but not look around.
    if (made !== undefined) await chmod(path, process.getuid?.() === 0 ? 0o711 : 0o700);
    const real = await realpath(path);
    await access(real, 7);
    return real;
  } catch (error) {
    throw new StartupError(
      `The data directory ${path} cannot be used (${errorCode(error) ?? errorText(error)}).`,
      'Give this user the right to write there, or choose another directory.',
      error,
    );
  }
}

/** Beside our other files, or, when PostgreSQL's user could not reach them there, in the system's place for such. */
async function placeCluster(dataDir: string, { systemDir = SYSTEM_DIR, log }: EmbeddedOptions): Promise<string> {
  const inside = join(dataDir, CLUSTER);
  if (process.getuid?.() !== 0) return inside;
  const account = await chooseAccount(await clusterOwner(inside));
  if (await canTraverse(dataDir, account)) return inside;
  // Never derived from the path: a data directory that was removed and made anew must not meet the old files.
  const key = randomSecret().slice(0, 16);
  const outside = join(systemDir, key, CLUSTER);
  log.info('the database files go elsewhere, because their user cannot reach the data directory', {
    user: account.name,
    path: outside,
  });
  return outside;
}

async function run(
  options: EmbeddedOptions & { packageDir: string },
  dataDir: string,
  cluster: string,
  known: SecretFile | undefined,
): Promise<{ postmaster: Postmaster; secret: SecretFile }> {
  const { log, clock, packageDir, settings, systemDir = SYSTEM_DIR } = options;
  const owner = await clusterOwner(cluster);
  if (owner === undefined && known?.initialized === true) {
    throw new StartupError(
      `The database files are gone from ${cluster}.`,
      `Restore them from a backup. To begin with an empty database, remove ${join(dataDir, 'postgres.json')}.`,
    );
  }
  const account = await chooseAccount(owner);
  await refuseForeignFiles(cluster, owner, account.uid);
  if (!(await canTraverse(dirname(cluster), account))) {
    throw new StartupError(
      `The user "${account.name}" cannot reach the database files in ${cluster}.`,
      `Let it pass: chmod o+x on ${dirname(cluster)} and every folder above.`,
    );
  }
  const runtimeParents = [account.spawnAs.uid === undefined ? dataDir : systemDir];
  const binaries = await locateBinaries({ account, runtimeParents, packageDir, log });

  const secret: SecretFile = known ?? {
    cluster: dirname(cluster) === dataDir ? CLUSTER : cluster,
    user: USER,
    password: randomSecret(),
    initialized: false,
  };
  const files = { cluster, account, binaries, user: secret.user, password: secret.password, log };
  if (owner === undefined) {
    // First the password, then the files: the other way round a kill between them would lock us out.
    await writeSecretFile(dataDir, secret);
    await initCluster(files);
  } else {
    await refuseOtherMajor(cluster, binaries);
    await stopOrphan(cluster, log, clock);
    if (known === undefined) {
      log.warn('postgres.json is missing; setting a new database password');
      await resetPassword(files);
    }
  }
  const postmaster = await launchPostmaster({ binaries, cluster, account, port: secret.port, settings, log, clock });
  try {
    if (!secret.initialized) await createDatabase(urlOf(secret, postmaster.port, 'postgres'));
    if (!secret.initialized || secret.port !== postmaster.port) {
      await writeSecretFile(dataDir, { ...secret, port: postmaster.port, initialized: true });
    }
  } catch (error) {
    await postmaster.stop();
    throw error;
  }
  return { postmaster, secret };
}

async function refuseForeignFiles(cluster: string, owner: number | undefined, uid: number): Promise<void> {
  if (owner === undefined || owner === uid) return;
  throw new StartupError(
    `The database files in ${cluster} belong to the user with id ${owner}, not to ${uid}.`,
    'Start Hawser as the user that made them (or as root), or change their owner.',
  );
}

async function createDatabase(url: string): Promise<void> {
  const client = new Client(clientConfig(url));
  await client.connect();
  try {
    const { rows } = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [DATABASE]);
    if (rows.length === 0) await client.query(`CREATE DATABASE ${DATABASE}`);
  } finally {
    await client.end();
  }
}

function urlOf(secret: SecretFile, port: number, database: string): string {
  return `postgres://${secret.user}:${secret.password}@127.0.0.1:${port}/${database}`;
}
