import { link, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { StartupError } from '../../../base/errors.ts';
import type { Clock } from '../../../base/clock.ts';
import { randomSecret } from '../../../base/ids.ts';
import { errorText, type Log } from '../../../base/log.ts';
import { errorCode } from '../errors.ts';
import { ownIdentity, processStart, type ProcessIdentity } from './identity.ts';

/** How often the holder touches its file. */
const HEARTBEAT_MS = 1_500;
/** How long we watch for a touch when the pid tells nothing (another container or machine on the same volume). */
const OBSERVE_MS = 5_000;

export interface LockOptions {
  path: string;
  /** What is locked, for the message. */
  what: string;
  log: Log;
  clock: Clock;
}

/**
 * Takes the lock file `path`, or replaces it when its holder is gone; resolves to the function that gives it back.
 *
 * States: free → held (link) → free (release); held by the dead → taken over. The file is made elsewhere and linked
 * into place, so nobody ever sees half of it.
 *
 * Errors: StartupError naming the living holder's pid.
 */
export async function takeLock(options: LockOptions): Promise<() => Promise<void>> {
  const { path, log, clock } = options;
  const own = await ownIdentity();
  const content = JSON.stringify({ ...own, token: randomSecret() });
  const draft = `${path}.${process.pid}.${randomSecret().slice(0, 8)}`;
  await writeFile(draft, content, { mode: 0o644 });
  try {
    while (!(await linkOnce(draft, path))) {
      const found = await readLock(path);
      if (found === undefined) continue; // given back meanwhile
      if (await isHolderAlive(found, own, path, clock)) throw inUse(options, found);
      log.info('taking over the lock of a Hawser that is gone', { path, pid: parse(found)?.pid });
      await removeStale(path, found, options);
    }
  } finally {
    await rm(draft, { force: true });
  }
  const stopHeartbeat = clock.every(HEARTBEAT_MS, () => {
    const now = new Date(clock.now());
    utimes(path, now, now).catch((error: unknown) =>
      log.warn('cannot touch the lock file', { error: errorText(error) }),
    );
  });
  return async () => {
    stopHeartbeat();
    if ((await readLock(path)) === content) await rm(path, { force: true });
  };
}

async function linkOnce(draft: string, path: string): Promise<boolean> {
  try {
    await link(draft, path);
    return true;
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return false;
    throw error;
  }
}

async function readLock(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

function parse(content: string): ProcessIdentity | undefined {
  try {
    const value = JSON.parse(content) as Partial<ProcessIdentity>;
    return typeof value.pid === 'number' && typeof value.startedAt === 'string'
      ? (value as ProcessIdentity)
      : undefined;
  } catch {
    return undefined; // cut short by a power loss
  }
}

async function isHolderAlive(content: string, own: ProcessIdentity, path: string, clock: Clock): Promise<boolean> {
  const holder = parse(content);
  if (holder !== undefined && holder.host === own.host) {
    if (holder.bootId !== own.bootId) return false;
    if (holder.pidNamespace === own.pidNamespace) return (await processStart(holder.pid)) === holder.startedAt;
  }
  return isTouched(path, clock);
}

/** The clocks of two machines may differ, so the file's own time is compared only with itself. */
async function isTouched(path: string, clock: Clock): Promise<boolean> {
  const before = await mtimeMs(path);
  const until = clock.monotonicMs() + OBSERVE_MS;
  while (clock.monotonicMs() < until) {
    await clock.sleep(100);
    if ((await mtimeMs(path)) !== before) return true;
  }
  return false;
}

async function mtimeMs(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).mtimeMs;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** Moves the stale file away and looks at what it really got: another starter may have been faster. */
async function removeStale(path: string, expected: string, options: LockOptions): Promise<void> {
  const aside = `${path}.stale.${process.pid}.${randomSecret().slice(0, 8)}`;
  try {
    await rename(path, aside);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return;
    throw error;
  }
  try {
    const got = await readFile(aside, 'utf8');
    if (got === expected) return;
    await linkOnce(aside, path);
    throw inUse(options, got);
  } finally {
    await rm(aside, { force: true });
  }
}

function inUse(options: LockOptions, content: string): StartupError {
  const holder = parse(content);
  return new StartupError(
    `Another Hawser (pid ${holder?.pid ?? 'unknown'}${holder ? ` on ${holder.host}` : ''}) uses ${options.what}.`,
    'Stop it first, or give this one a data directory of its own. To run several nodes on one database, set DATABASE_URL.',
  );
}
