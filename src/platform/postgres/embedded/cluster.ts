import { spawn } from 'node:child_process';
import { chown, mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { StartupError } from '../../../base/errors.ts';
import { randomSecret } from '../../../base/ids.ts';
import { errorText, type Log } from '../../../base/log.ts';
import { errorCode } from '../errors.ts';
import { CHILD_ENV, type Account } from './account.ts';
import type { Binaries } from './package.ts';
import { syncFolder } from './secret-file.ts';

export interface ClusterOptions {
  cluster: string;
  account: Account;
  binaries: Binaries;
  user: string;
  password: string;
  log: Log;
}

/** Owner of the data directory; undefined when there is none. */
export async function clusterOwner(cluster: string): Promise<number | undefined> {
  try {
    return (await stat(cluster)).uid;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** Errors: StartupError when the files are of another major version, which only dump and restore can bring over. */
export async function refuseOtherMajor(cluster: string, binaries: Binaries): Promise<void> {
  const major = await readFile(join(cluster, 'PG_VERSION'), 'utf8').then(
    (text) => text.trim(),
    (error: unknown) => {
      if (errorCode(error) === 'ENOENT') return undefined;
      throw error;
    },
  );
  if (major === String(binaries.major)) return;
  if (major === undefined) {
    throw new StartupError(
      `${cluster} exists but holds no PostgreSQL database.`,
      'Restore its files, or move the directory away to begin with an empty database.',
    );
  }
  throw new StartupError(
    `The database files in ${cluster} are of PostgreSQL ${major}; this version of Hawser brings PostgreSQL ${binaries.major}.`,
    `Dump them with the version of Hawser that made them (pg_dump), move the directory away, start, and restore the dump.`,
  );
}

/**
 * Makes a data directory: into a draft beside it, then renamed, so that a kill at any moment leaves either nothing or
 * everything. Drafts of earlier kills are removed.
 *
 * Errors: StartupError with initdb's last words.
 */
export async function initCluster(options: ClusterOptions): Promise<void> {
  const { cluster, account, binaries, user, password, log } = options;
  const parent = dirname(cluster);
  await removeDrafts(cluster, log);
  const draft = join(parent, `${basename(cluster)}.init-${randomSecret().slice(0, 8)}`);
  const passwordFile = `${draft}.pw`;
  try {
    await mkdir(draft, { mode: 0o700 });
    await writeFile(passwordFile, password, { mode: 0o600, flag: 'wx' });
    if (account.spawnAs.uid !== undefined) {
      await chown(draft, account.uid, account.gid);
      await chown(passwordFile, account.uid, account.gid);
    }
    // The built-in locale: the same order on every machine and for ever, unlike the system's or ICU's.
    const locale = ['--locale-provider=builtin', '--locale=C.UTF-8', '--encoding=UTF8'];
    // Iterations slow down the guessing of passwords. Ours is 256 random bits, and they are 5 ms of every connection.
    const flags = [...locale, '--auth=scram-sha-256', '--set', 'scram_iterations=1'];
    const output = await runTool(
      binaries.initdb,
      ['-D', draft, '-U', user, '--pwfile', passwordFile, '--no-instructions', ...flags],
      account,
    );
    if (output.failed) throw initFailed(output.text, account);
    await rename(draft, cluster);
    await syncFolder(parent);
  } catch (error) {
    if (error instanceof StartupError) throw error;
    throw new StartupError(
      `The database files could not be made in ${parent} (${errorText(error)}).`,
      'Check free space and rights there (a network share may refuse the change of owner), or set DATABASE_URL.',
      error,
    );
  } finally {
    await rm(passwordFile, { force: true });
    await rm(draft, { recursive: true, force: true });
  }
}

function initFailed(output: string, account: Account): StartupError {
  if (output.includes('could not look up effective user ID')) {
    return new StartupError(
      `PostgreSQL needs a line for the user with id ${account.uid} in /etc/passwd.`,
      'Add the user, start as one that exists, or set DATABASE_URL.',
    );
  }
  return new StartupError(
    `The database files could not be made. initdb said: ${output.split('\n').slice(-6).join(' / ')}`,
    'Check free space and rights of the data directory, or set DATABASE_URL.',
  );
}

async function removeDrafts(cluster: string, log: Log): Promise<void> {
  const parent = dirname(cluster);
  for (const name of await readdir(parent)) {
    if (!name.startsWith(`${basename(cluster)}.init-`)) continue;
    try {
      await rm(join(parent, name), { recursive: true, force: true, maxRetries: 3 });
    } catch (error) {
      // The killed start's initdb may still be writing; its draft goes at the next first start.
      log.debug('cannot remove the remains of a first start yet', { name, error: errorText(error) });
    }
  }
}

/** Sets a new password without knowing the old one: PostgreSQL's single-user mode on the stopped files. */
export async function resetPassword(options: ClusterOptions): Promise<void> {
  const { cluster, account, binaries, user, password } = options;
  const statement = `ALTER ROLE "${user}" PASSWORD '${password}'\n`;
  const output = await runTool(binaries.postgres, ['--single', '-D', cluster, 'postgres'], account, statement);
  if (!output.failed && !/^(ERROR|FATAL|PANIC):/m.test(output.text)) return;
  throw new StartupError(
    'The password of the database was lost with postgres.json and could not be set anew.',
    'Restore postgres.json from a backup.',
  );
}

async function runTool(
  command: string,
  args: string[],
  account: Account,
  input = '',
): Promise<{ failed: boolean; text: string }> {
  const child = spawn(command, args, { ...account.spawnAs, cwd: '/', env: CHILD_ENV, stdio: 'pipe' });
  let text = '';
  const keep = (chunk: Buffer) => {
    text = (text + chunk.toString()).slice(-4_000);
  };
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  const { promise, resolve } = Promise.withResolvers<boolean>();
  child.once('error', (error) => {
    text += `\n${command} could not be run (${errorCode(error) ?? ''})`;
    resolve(true);
  });
  child.once('close', (code) => resolve(code !== 0));
  child.stdin.on('error', () => {
    // It ended without reading; its exit code says why.
  });
  child.stdin.end(input);
  const failed = await promise;
  return { failed, text: text.trim() };
}
