import { spawn } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { StartupError } from '../../../base/errors.ts';
import type { Clock } from '../../../base/clock.ts';
import type { Log } from '../../../base/log.ts';
import { errorCode } from '../errors.ts';
import { CHILD_ENV, type Account } from './account.ts';
import { processCommand } from './identity.ts';
import type { Binaries } from './package.ts';
import { startWatchdog } from './watchdog.ts';

/** Crash recovery replays at most max_wal_size; ten minutes is a very slow disk. */
const READY_TIMEOUT_MS = 600_000;
/** Backends of a killed postmaster end by themselves within moments. */
const REMAINS_TIMEOUT_MS = 20_000;
/** How long a fast shutdown (checkpoint included) may take before it is made an immediate one. */
const FAST_STOP_MS = 20_000;
const IMMEDIATE_STOP_MS = 5_000;
const PORT_TRIES = 5;
/** Lines of its output kept for the error message. */
const TAIL_LINES = 8;

/**
 * Small, quiet and safe: durability stays as PostgreSQL ships it. Terse errors without statements, because both may
 * hold customer data, and this output goes to our log.
 */
const SETTINGS: Record<string, string> = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  ssl: 'off',
  max_connections: '60',
  shared_buffers: '32MB',
  max_wal_size: '256MB',
  // One process instead of three I/O workers; our database fits the page cache.
  io_method: 'sync',
  max_parallel_workers_per_gather: '0',
  max_worker_processes: '2',
  autovacuum_max_workers: '2',
  autovacuum_worker_slots: '2',
  max_wal_senders: '2',
  max_logical_replication_workers: '0',
  jit: 'off',
  logging_collector: 'off',
  log_destination: 'stderr',
  log_line_prefix: '',
  log_min_messages: 'log',
  log_min_error_statement: 'panic',
  log_error_verbosity: 'terse',
  log_checkpoints: 'off',
  log_timezone: 'UTC',
};

export interface LaunchOptions {
  binaries: Binaries;
  /** The data directory. */
  cluster: string;
  account: Account;
  /** Port to try first. */
  port: number | undefined;
  /** Replaces or adds settings. */
  settings?: Record<string, string>;
  log: Log;
  clock: Clock;
}

export interface Postmaster {
  pid: number;
  port: number;
  /** Resolves when the process has ended, to how. */
  exited: Promise<string>;
  readonly ended: boolean;
  /** Fast shutdown, then harder ones; resolves when it has ended. */
  stop(): Promise<void>;
}

/**
 * Starts PostgreSQL and waits until it takes connections.
 *
 * States: spawned → ready (its pid file says so) → exited. A lost port or leftovers of a killed predecessor are tried
 * again; every other early end is an error.
 *
 * Errors: StartupError with PostgreSQL's last words.
 */
export async function launchPostmaster(options: LaunchOptions): Promise<Postmaster> {
  const { log, clock } = options;
  const remainsUntil = clock.monotonicMs() + REMAINS_TIMEOUT_MS;
  let portTries = 0;
  for (let wanted = options.port; ; wanted = undefined) {
    const port = await freePort(wanted);
    const { postmaster, tail } = spawnPostmaster(options, port);
    if (await becomesReady(postmaster, options)) return postmaster;
    const words = tail.join('\n');
    if (/could not bind|could not create any TCP/.test(words) && ++portTries < PORT_TRIES) {
      log.debug('the port was taken meanwhile, trying another', { port });
      continue;
    }
    if (/is still in use|postmaster.pid" already exists/.test(words) && clock.monotonicMs() < remainsUntil) {
      log.debug('remains of the previous PostgreSQL are still ending');
      await clock.sleep(200);
      continue;
    }
    throw new StartupError(
      `PostgreSQL did not start (${await postmaster.exited}). It said: ${tail.join(' / ') || 'nothing'}`,
      `Its files are in ${options.cluster}. Restore a backup of that directory, or set DATABASE_URL.`,
    );
  }
}

function spawnPostmaster(options: LaunchOptions, port: number): { postmaster: Postmaster; tail: string[] } {
  const { binaries, cluster, account, log, clock } = options;
  const settings = { ...SETTINGS, ...options.settings, port: String(port) };
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const child = spawn(binaries.postgres, ['-D', cluster, ...flags], {
    ...account.spawnAs,
    cwd: '/',
    env: CHILD_ENV,
    stdio: ['ignore', 'ignore', 'pipe'],
    // A session of its own: Ctrl-C in our terminal must not stop the database before we have drained.
    detached: true,
  });
  const tail: string[] = [];
  const state = { ended: false, stopping: false };
  createInterface({ input: child.stderr }).on('line', (line) => {
    tail.push(line);
    if (tail.length > TAIL_LINES) tail.shift();
    // While we stop it, connections that are still closing are told so: no news.
    if (/^(FATAL|PANIC):/.test(line) && !state.stopping) log.warn('postgres', { line });
    else log.debug('postgres', { line });
  });
  const { promise: exited, resolve } = Promise.withResolvers<string>();
  child.once('error', (error) => resolve(`it could not be run: ${errorCode(error) ?? error.message}`));
  child.once('exit', (code, signal) => resolve(signal === null ? `exit code ${code}` : `signal ${signal}`));
  const dismissWatchdog = child.pid === undefined ? () => {} : startWatchdog(child.pid, account, log);
  const settle = async () => {
    await exited;
    state.ended = true;
    dismissWatchdog();
  };
  void settle();
  const endsWithin = async (ms: number): Promise<boolean> => {
    const until = clock.monotonicMs() + ms;
    while (!state.ended && clock.monotonicMs() < until) await clock.sleep(10);
    return state.ended;
  };
  const stop = async (): Promise<void> => {
    state.stopping = true;
    // PostgreSQL's fast, immediate and no shutdown. Source: PostgreSQL 18, "Shutting Down the Server".
    if (!state.ended) child.kill('SIGINT');
    if (await endsWithin(FAST_STOP_MS)) return;
    log.warn('PostgreSQL does not stop; stopping it at once, it will recover at the next start');
    child.kill('SIGQUIT');
    if (await endsWithin(IMMEDIATE_STOP_MS)) return;
    child.kill('SIGKILL');
    await exited;
  };
  const postmaster: Postmaster = {
    pid: child.pid ?? 0,
    port,
    exited,
    get ended() {
      return state.ended;
    },
    stop,
  };
  return { postmaster, tail };
}

async function becomesReady(postmaster: Postmaster, { cluster, clock, log }: LaunchOptions): Promise<boolean> {
  const startedMs = clock.monotonicMs();
  let nextNoteMs = 5_000;
  while (!postmaster.ended) {
    const found = await readPidFile(cluster);
    if (found?.pid === postmaster.pid && found.status === 'ready') return true;
    const waitedMs = clock.monotonicMs() - startedMs;
    if (waitedMs > READY_TIMEOUT_MS) {
      await postmaster.stop();
      return false;
    }
    if (waitedMs > nextNoteMs) {
      log.info('PostgreSQL is starting, probably replaying its log after a crash', { waitedMs: Math.round(waitedMs) });
      nextNoteMs *= 2;
    }
    await clock.sleep(10);
  }
  return false;
}

/** First line: pid; eighth: status. Source: PostgreSQL 18, src/include/utils/pidfile.h. */
async function readPidFile(cluster: string): Promise<{ pid: number; status: string } | undefined> {
  try {
    const lines = (await readFile(join(cluster, 'postmaster.pid'), 'utf8')).split('\n');
    return { pid: Number(lines[0]), status: (lines[7] ?? '').trim() };
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/**
 * Stops the postmaster a killed Hawser has left behind on `cluster`. Call it only under the lock.
 *
 * Errors: StartupError when it belongs to a user we may not signal, or does not end.
 */
export async function stopOrphan(cluster: string, log: Log, clock: Clock): Promise<void> {
  const found = await readPidFile(cluster);
  if (found === undefined || !(found.pid > 1)) return;
  const command = await processCommand(found.pid);
  if (command === undefined) return; // dead: PostgreSQL sees that by itself
  const isOurs = async () => (await processCommand(found.pid))?.includes(cluster) === true;
  if (!command.includes(cluster)) return await disownPidFile(cluster);
  log.info('stopping the PostgreSQL of an earlier Hawser that ended without stopping it', { pid: found.pid });
  for (const [signal, waitMs] of [
    ['SIGINT', FAST_STOP_MS],
    ['SIGQUIT', IMMEDIATE_STOP_MS],
    ['SIGKILL', IMMEDIATE_STOP_MS],
  ] as const) {
    try {
      process.kill(found.pid, signal);
    } catch (error) {
      if (errorCode(error) === 'ESRCH') return;
      throw new StartupError(
        `A PostgreSQL (pid ${found.pid}) already runs on ${cluster} and may not be stopped by this user.`,
        'Stop it, or start Hawser as the user that started it.',
        error,
      );
    }
    const until = clock.monotonicMs() + waitMs;
    while (clock.monotonicMs() < until) {
      if (!(await isOurs())) return;
      await clock.sleep(20);
    }
  }
  throw new StartupError(`The PostgreSQL with pid ${found.pid} on ${cluster} does not end.`, 'Restart the machine.');
}

/**
 * Another process has the dead postmaster's number, and PostgreSQL would take it for a running one. With its own
 * parent's number there it goes on, and still checks the old shared memory for survivors, which it could not without
 * the file. Source: PostgreSQL 18, CreateLockFile in src/backend/utils/init/miscinit.c.
 */
async function disownPidFile(cluster: string): Promise<void> {
  const path = join(cluster, 'postmaster.pid');
  const [, ...rest] = (await readFile(path, 'utf8')).split('\n');
  await writeFile(path, [process.pid, ...rest].join('\n'));
}

async function freePort(wanted: number | undefined): Promise<number> {
  const server = createServer();
  const listens = (port: number) =>
    new Promise<number | undefined>((resolve) => {
      server.once('error', () => resolve(undefined)); // taken: the next try is any free port
      server.listen(port, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
    });
  const port = (wanted === undefined ? undefined : await listens(wanted)) ?? (await listens(0));
  await new Promise((resolve) => server.close(resolve));
  if (port === undefined) {
    throw new StartupError('No free port on 127.0.0.1 for PostgreSQL.', 'Free some ports, or set DATABASE_URL.');
  }
  return port;
}
