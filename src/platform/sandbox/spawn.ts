import { execFile, spawn, type ChildProcess } from 'node:child_process';
import type { Duplex, Readable } from 'node:stream';
import type { Log } from '../../base/log.ts';
import type { SandboxLimits } from './limits.ts';
import { BOOT } from './runner-text.ts';

export interface Spawned {
  child: ChildProcess;
  /** Whom it runs as, when that is not us. */
  as: { uid?: number; gid?: number };
  pipe: Duplex;
  stderr: Readable;
  /** Resolves when the limits of the operating system are on, or cannot be. */
  limited: Promise<void>;
}

/**
 * User ids that no system hands out (systemd, "Users, Groups, UIDs and GIDs": 65520…65533 are unused), so that a process
 * shares its files, signals and memory with nobody, not even with PostgreSQL under `nobody`.
 * Source: https://systemd.io/UIDS-GIDS/ (read 2026-11).
 */
const UID_FIRST = 65_520;
export const UID_COUNT = 14;

/** The user of an environment's processes: one of few, so two environments share one now and then. */
export function slotOf(environmentId: number): number {
  return Math.abs(environmentId) % UID_COUNT;
}

let cannotDrop = false;
let cannotLimit = false;

/** Starts a child that waits for its program. Errors: through the child's `error` event. */
export function spawnChild(slot: number, limits: SandboxLimits, log: Log): Spawned {
  const isRoot = process.getuid?.() === 0 && !cannotDrop;
  const as = isRoot ? { uid: UID_FIRST + slot, gid: UID_FIRST + slot } : {};
  const flags = [
    '--permission',
    '--disallow-code-generation-from-strings',
    '--zero-fill-buffers',
    '--no-addons',
    '--no-warnings',
    '--disable-sigusr1',
    `--max-old-space-size=${limits.heapMegabytes}`,
    '-e',
    BOOT,
  ];
  // The other user may not be allowed to walk to our Node; this link leads to the file itself.
  const program = isRoot && process.platform === 'linux' ? '/proc/self/exe' : process.execPath;
  const child = spawn(program, flags, {
    stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
    // Nothing of ours; scripts count in UTC everywhere.
    env: { TZ: 'UTC' },
    cwd: '/',
    ...as,
  });
  const pipe = child.stdio[3] as Duplex;
  return { child, as, pipe, stderr: child.stderr as Readable, limited: limit(child, as, limits, log) };
}

/** A child that cannot change its user failed to start: further ones stay who we are. True when that was the reason. */
export function noteSpawnError(error: unknown, log: Log): boolean {
  const code = (error as NodeJS.ErrnoException).code;
  if (cannotDrop || process.getuid?.() !== 0 || (code !== 'EPERM' && code !== 'EINVAL')) return false;
  cannotDrop = true;
  log.warn('functions run as root: this container may not change the user of a process', { code });
  return true;
}

/** Limits of the operating system, by `prlimit` of util-linux where it is. */
async function limit(child: ChildProcess, as: Spawned['as'], limits: SandboxLimits, log: Log): Promise<void> {
  if (process.platform !== 'linux' || cannotLimit || child.pid === undefined) return;
  const { dataBytes, openFiles, cpuSeconds, cpuSecondsAlone } = limits;
  await prlimit(
    child.pid,
    as,
    [`--data=${dataBytes}`, '--core=0', '--fsize=0', `--nofile=${openFiles}`, `--cpu=${cpuSeconds}:${cpuSecondsAlone}`],
    log,
  );
}

/** A long sync may use the processor longer. */
export async function allowLong({ child, as }: Spawned, limits: SandboxLimits, log: Log): Promise<void> {
  if (process.platform !== 'linux' || cannotLimit || child.pid === undefined) return;
  await prlimit(child.pid, as, [`--cpu=${limits.cpuSecondsAlone}:${limits.cpuSecondsAlone}`], log);
}

/** As the child's own user: root without CAP_SYS_RESOURCE, as in most containers, may not limit processes of others. */
function prlimit(pid: number, as: Spawned['as'], options: string[], log: Log): Promise<void> {
  const how = { env: { PATH: '/usr/bin:/bin:/usr/local/bin' }, cwd: '/', ...as };
  return new Promise((resolve) => {
    execFile('prlimit', ['--pid', String(pid), ...options], how, (error) => {
      if (error?.code === 'ENOENT') {
        if (!cannotLimit) log.info('no prlimit on this system: memory of functions outside of the heap is not limited');
        cannotLimit = true;
      } else if (error !== null && isAlive(pid)) {
        log.warn('limits of the operating system could not be set for functions', { code: String(error.code) });
      }
      resolve();
    });
  });
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false; // ended meanwhile, and needs no limits
  }
}
