import { execFile, spawn, type ChildProcess, type ExecFileException } from 'node:child_process';
import { existsSync, openSync } from 'node:fs';
import { join } from 'node:path';
import type { Duplex, Readable } from 'node:stream';
import type { Log } from '../../base/log.ts';
import type { SandboxLimits } from './limits.ts';
import { BOOT } from './runner-text.ts';

export interface Spawned {
  child: ChildProcess;
  /** Whom it runs as, when that is not us. */
  as: { uid?: number; gid?: number };
  /** What limits it, where there is one. */
  prlimit: string | undefined;
  pipe: Duplex;
  stderr: Readable;
}

/**
 * User ids that no system hands out (systemd, "Users, Groups, UIDs and GIDs": 65520…65533 are unused), so that a process
 * shares its files, signals and memory with nobody, not even with PostgreSQL under `nobody`.
 * Source: https://systemd.io/UIDS-GIDS/ (read 2026-11).
 */
const UID_FIRST = 65_520;
export const UID_COUNT = 14;
/** Where `prlimit` is looked for. */
const TOOLS = ['/usr/bin', '/bin', '/usr/local/bin'];
/** Of the child; closed before anything else runs in it. */
const PROGRAM_FD = 4;

/** The user of an environment's processes: one of few, so two environments share one now and then. */
export function slotOf(environmentId: number): number {
  return Math.abs(environmentId) % UID_COUNT;
}

let cannotDrop = false;
let program: { path: string; fd: number | undefined } | undefined;

export interface SpawnOptions {
  /** {@link findPrlimit}. */
  prlimit: string | undefined;
  /** For a long sync: it may use the processor longer. */
  isLong: boolean;
}

/**
 * Starts a child that waits for its program. Errors: through the child's `error` event.
 *
 * One start, not two: a process is made by copying the table of our memory, and everything waits meanwhile, 7 ms for
 * every 100 MB that we hold.
 */
export function spawnChild(slot: number, limits: SandboxLimits, { prlimit, isLong }: SpawnOptions): Spawned {
  const as = userOf(slot);
  program ??= ownProgram();
  const flags = [
    '--permission',
    '--disallow-code-generation-from-strings',
    '--zero-fill-buffers',
    '--no-addons',
    '--no-warnings',
    '--disable-sigusr1',
    `--max-old-space-size=${limits.heapMegabytes}`,
    '-e',
    program.fd === undefined ? BOOT : `require('node:fs').closeSync(${PROGRAM_FD});${BOOT}`,
  ];
  const [command, args] =
    prlimit === undefined ? [program.path, flags] : [prlimit, [...optionsOf(limits, isLong), program.path, ...flags]];
  const child = spawn(command, args, {
    stdio: ['ignore', 'ignore', 'pipe', 'pipe', ...(program.fd === undefined ? [] : [program.fd])],
    // Nothing of ours; scripts count in UTC everywhere.
    env: { TZ: 'UTC' },
    cwd: '/',
    ...as,
  });
  return { child, as, prlimit, pipe: child.stdio[3] as Duplex, stderr: child.stderr as Readable };
}

function userOf(slot: number): Spawned['as'] {
  const isRoot = process.getuid?.() === 0 && !cannotDrop;
  return isRoot ? { uid: UID_FIRST + slot, gid: UID_FIRST + slot } : {};
}

/** Another user may not be allowed to walk to our Node; through an open file it need not. */
function ownProgram(): { path: string; fd: number | undefined } {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return { path: process.execPath, fd: undefined };
  return { path: `/proc/self/fd/${PROGRAM_FD}`, fd: openSync('/proc/self/exe', 'r') };
}

/** A child that cannot change its user failed to start: further ones stay who we are. True when that was the reason. */
export function noteSpawnError(error: unknown, log: Log): boolean {
  const code = (error as NodeJS.ErrnoException).code;
  if (cannotDrop || process.getuid?.() !== 0 || (code !== 'EPERM' && code !== 'EINVAL')) return false;
  cannotDrop = true;
  log.warn('functions run as root: this container may not change the user of a process', { code });
  return true;
}

let found: Promise<string | undefined> | undefined;

/** Short of something for a moment: says nothing about what may be. */
const PASSING: ReadonlySet<unknown> = new Set(['EAGAIN', 'ENOMEM', 'EMFILE', 'ENFILE']);

/**
 * Path of `prlimit` of util-linux, when it may do what {@link spawnChild} asks of it; found out once. Errors: of a system
 * that is short of processes, memory or files at this moment.
 */
export function findPrlimit(limits: SandboxLimits, log: Log): Promise<string | undefined> {
  found ??= tryPrlimit(limits, log).catch((error: unknown) => {
    found = undefined;
    throw error;
  });
  return found;
}

async function tryPrlimit(limits: SandboxLimits, log: Log): Promise<string | undefined> {
  if (process.platform !== 'linux') return undefined;
  const path = TOOLS.map((folder) => join(folder, 'prlimit')).find((each) => existsSync(each));
  if (path === undefined) {
    log.info('no prlimit on this system: memory of functions outside of the heap is not limited');
    return undefined;
  }
  return (await mayLimit(path, limits, log)) ? path : undefined;
}

/**
 * True when the user of our processes may have these limits: root may raise one that we were started under, it may not.
 * Errors: those of {@link findPrlimit}.
 */
export async function mayLimit(path: string, limits: SandboxLimits, log: Log, run = runTool): Promise<boolean> {
  const error = await run(path, [...optionsOf(limits, false), path, '--version'], userOf(0));
  if (error === null) return true;
  if (noteSpawnError(error, log)) return mayLimit(path, limits, log, run);
  if (PASSING.has(error.code)) throw error;
  log.warn('limits of the operating system could not be set for functions', { code: String(error.code) });
  return false;
}

/** A process that was started for any run gets a long sync. */
export async function allowLong({ child, as, prlimit }: Spawned, limits: SandboxLimits, log: Log): Promise<void> {
  const { pid } = child;
  if (pid === undefined || prlimit === undefined) return;
  const error = await runTool(prlimit, ['--pid', String(pid), cpuOf(limits, true)], as);
  if (error !== null && isAlive(pid))
    log.warn('a long sync may not use the processor longer', { code: String(error.code) });
}

function optionsOf(limits: SandboxLimits, isLong: boolean): string[] {
  return [`--data=${limits.dataBytes}`, '--core=0', '--fsize=0', `--nofile=${limits.openFiles}`, cpuOf(limits, isLong)];
}

function cpuOf({ cpuSeconds, cpuSecondsAlone }: SandboxLimits, isLong: boolean): string {
  return `--cpu=${isLong ? cpuSecondsAlone : cpuSeconds}:${cpuSecondsAlone}`;
}

/**
 * Resolves to what went wrong, or null. `as`: the child's own user; root without CAP_SYS_RESOURCE, as in most containers,
 * may not limit processes of others.
 */
function runTool(path: string, args: string[], as: Spawned['as']): Promise<ExecFileException | null> {
  return new Promise((resolve) => {
    try {
      execFile(path, args, { env: {}, cwd: '/', ...as }, resolve);
    } catch (error) {
      // Node throws some failures to start, such as a change of the user that is not allowed, and tells others.
      resolve(error as ExecFileException);
    }
  });
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false; // ended meanwhile, and needs no limits
  }
}
