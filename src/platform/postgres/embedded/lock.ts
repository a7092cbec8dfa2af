import { link, mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
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
  /** A folder, made when missing. */
  path: string;
  /** What is locked, for the message. */
  what: string;
  log: Log;
  clock: Clock;
}

interface Claim {
  generation: number;
  /** Undefined when nobody holds it: never taken, given back, or unreadable after a power loss. */
  holder: ProcessIdentity | undefined;
  released: boolean;
}

/**
 * Takes the lock `path`, also from a holder that is gone; resolves to the function that gives it back.
 *
 * The folder holds one file per claim, named by its generation; the highest counts. Taking over means creating the next
 * number, which the file system grants to one only, and numbers never go back: so a slow starter that judged an old
 * claim can do no harm to a new one. Claims are linked into place whole.
 *
 * Errors: StartupError naming the living holder's pid.
 */
export async function takeLock(options: LockOptions): Promise<() => Promise<void>> {
  const { path, log, clock } = options;
  await mkdir(path, { recursive: true });
  const own = await ownIdentity();
  for (;;) {
    const current = await readClaim(path);
    if (current !== undefined) {
      if (await isHeld(current, own, path, clock)) throw inUse(options, current.holder);
      if (!current.released) log.info('taking over the lock of a Hawser that is gone', { pid: current.holder?.pid });
    }
    const generation = (current?.generation ?? 0) + 1;
    if (!(await writeClaim(path, generation, JSON.stringify(own), link))) continue;
    // We may have filled a gap below a newer claim, if we were slow.
    if ((await readClaim(path))?.generation === generation) {
      await removeOthers(path, generation);
      return holdClaim(path, generation, options);
    }
    await rm(join(path, String(generation)), { force: true });
  }
}

function holdClaim(path: string, generation: number, { log, clock }: LockOptions): () => Promise<void> {
  const file = join(path, String(generation));
  const stopHeartbeat = clock.every(HEARTBEAT_MS, () => {
    const now = new Date(clock.now());
    utimes(file, now, now).catch((error: unknown) => log.warn('cannot touch the lock', { error: errorText(error) }));
  });
  return async () => {
    stopHeartbeat();
    // Not removed: the next generation has to be a higher one.
    await writeClaim(path, generation, '{"released":true}', rename);
  };
}

async function writeClaim(
  path: string,
  generation: number,
  content: string,
  place: (from: string, to: string) => Promise<void>,
): Promise<boolean> {
  const draft = join(path, `draft-${randomSecret().slice(0, 16)}`);
  await writeFile(draft, content, { mode: 0o644 });
  try {
    await place(draft, join(path, String(generation)));
    return true;
  } catch (error) {
    // Somebody else has this generation, or has it and tidied our draft away.
    if (errorCode(error) === 'EEXIST' || errorCode(error) === 'ENOENT') return false;
    throw error;
  } finally {
    await rm(draft, { force: true });
  }
}

async function readClaim(path: string): Promise<Claim | undefined> {
  for (;;) {
    const generations = (await readdir(path)).filter((name) => /^\d+$/.test(name)).map(Number);
    if (generations.length === 0) return undefined;
    const generation = Math.max(...generations);
    try {
      return { generation, ...parse(await readFile(join(path, String(generation)), 'utf8')) };
    } catch (error) {
      // A newer claim has replaced it: look again.
      if (errorCode(error) !== 'ENOENT') throw error;
    }
  }
}

function parse(content: string): { holder: ProcessIdentity | undefined; released: boolean } {
  try {
    const value = JSON.parse(content) as Partial<ProcessIdentity> & { released?: boolean };
    const whole = typeof value.pid === 'number' && typeof value.startedAt === 'string';
    return { holder: whole ? (value as ProcessIdentity) : undefined, released: value.released === true };
  } catch {
    return { holder: undefined, released: false }; // cut short by a power loss
  }
}

async function isHeld(claim: Claim, own: ProcessIdentity, path: string, clock: Clock): Promise<boolean> {
  const { holder, released, generation } = claim;
  if (released) return false;
  if (holder !== undefined && holder.host === own.host) {
    if (holder.bootId !== own.bootId) return false;
    if (holder.pidNamespace === own.pidNamespace) return (await processStart(holder.pid)) === holder.startedAt;
  }
  return isTouched(join(path, String(generation)), clock);
}

/** The clocks of two machines may differ, so the file's time is compared only with itself. */
async function isTouched(file: string, clock: Clock): Promise<boolean> {
  const before = await mtimeMs(file);
  const until = clock.monotonicMs() + OBSERVE_MS;
  while (clock.monotonicMs() < until) {
    await clock.sleep(100);
    if ((await mtimeMs(file)) !== before) return true;
  }
  return false;
}

async function mtimeMs(file: string): Promise<number | undefined> {
  try {
    return (await stat(file)).mtimeMs;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

async function removeOthers(path: string, generation: number): Promise<void> {
  for (const name of await readdir(path)) {
    if (!/^\d+$/.test(name) || Number(name) < generation) await rm(join(path, name), { force: true });
  }
}

function inUse(options: LockOptions, holder: ProcessIdentity | undefined): StartupError {
  return new StartupError(
    `Another Hawser (pid ${holder?.pid ?? 'unknown'}${holder ? ` on ${holder.host}` : ''}) uses ${options.what}.`,
    'Stop it first, or give this one a data directory of its own. To run several nodes on one database, set DATABASE_URL.',
  );
}
