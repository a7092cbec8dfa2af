import { execFile, spawn } from 'node:child_process';
import { chmod, chown, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { silentLog } from '../../../base/log.ts';
import { systemClock } from '../../clock.ts';
import { openDatabase } from '../open.ts';
import { processCommand, processStart } from './identity.ts';
import { startEmbeddedPostgres, type EmbeddedOptions } from './start.ts';

const PROGRAM = fileURLToPath(new URL('node.test-support.ts', import.meta.url));

export type Options = Partial<Omit<EmbeddedOptions, 'log' | 'clock' | 'onExit'>> & { dataDir: string };

export interface Line {
  url?: string;
  pid?: number;
  cluster?: string;
  error?: string;
  hint?: string;
  exit?: string;
  closed?: boolean;
  log?: string;
}

export interface Node {
  pid: number;
  /** The line that says it is up, or why not. */
  up: Promise<Line>;
  /** Resolves to the first line that fits, now or later. */
  line(fits: (line: Line) => boolean): Promise<Line>;
  exited: Promise<number | null>;
  kill(): Promise<void>;
  close(): Promise<void>;
}

export interface Scratch {
  path: string;
  startNode(options: Options, as?: { uid: number; gid: number }, env?: Record<string, string>): Node;
  remove(): Promise<void>;
}

/** A folder outside the tree that every user may pass through, and the processes started on it. */
export async function makeScratch(): Promise<Scratch> {
  const path = await mkdtemp(join(tmpdir(), 'hawser-embedded-'));
  await chmod(path, 0o755);
  const nodes: Node[] = [];
  return {
    path,
    startNode(options, as, env = {}) {
      const node = startNode(options, as, env);
      nodes.push(node);
      return node;
    },
    async remove() {
      for (const node of nodes) await node.kill();
      // A failed test may leave one running.
      for (const pid of await postmastersBelow(path)) process.kill(pid, 'SIGQUIT');
      await until(async () => (await postmastersBelow(path)).length === 0);
      await rm(path, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

function startNode(options: Options, as: { uid: number; gid: number } | undefined, env: Record<string, string>): Node {
  const child = spawn(process.execPath, [PROGRAM, JSON.stringify(options)], {
    ...as,
    cwd: '/',
    env,
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines: Line[] = [];
  const waiting = new Set<() => void>();
  const wake = () => {
    for (const look of waiting) look();
  };
  createInterface({ input: child.stdout }).on('line', (text) => {
    lines.push(JSON.parse(text) as Line);
    wake();
  });
  const { promise: exited, resolve } = Promise.withResolvers<number | null>();
  child.once('exit', resolve);
  child.stdin.on('error', () => {
    // It was killed; the exit tells.
  });
  const line = (fits: (line: Line) => boolean) =>
    new Promise<Line>((found) => {
      const look = () => {
        const hit = lines.find(fits);
        if (hit === undefined) return;
        waiting.delete(look);
        found(hit);
      };
      waiting.add(look);
      look();
    });
  return {
    pid: child.pid!,
    up: line((candidate) => candidate.url !== undefined || candidate.error !== undefined),
    line,
    exited,
    async kill() {
      child.kill('SIGKILL');
      await exited;
    },
    async close() {
      child.stdin.write('close\n');
      await exited;
    },
  };
}

/** Makes a data directory once, for tests that are not about the first start; they take copies with `copySeed`. */
export async function makeSeed(scratch: Scratch): Promise<string> {
  const dataDir = join(scratch.path, 'seed');
  const postgres = await startEmbeddedPostgres({ dataDir, log: silentLog, clock: systemClock });
  await query(postgres.url, "CREATE TABLE kept AS SELECT 'here' AS word");
  await postgres.close();
  return dataDir;
}

/** Copies with owners and modes, which Node's own copy loses. */
export async function copySeed(seed: string, dataDir: string): Promise<void> {
  await promisify(execFile)('cp', ['-a', seed, dataDir]);
}

export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await systemClock.sleep(5);
}

export async function isAlive(pid: number): Promise<boolean> {
  return (await processStart(pid)) !== undefined;
}

/** Pids of processes whose command line fits. Linux only. */
export async function findProcesses(fits: (command: string) => boolean): Promise<number[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
  const commands = await Promise.all(pids.map((pid) => processCommand(pid)));
  return pids.filter((_, index) => fits(commands[index] ?? ''));
}

function postmastersBelow(path: string): Promise<number[]> {
  return findProcesses((command) => command.includes('/postgres -D') && command.includes(`${path}/`));
}

export async function query<R extends object>(url: string, text: string, values?: unknown[]): Promise<R[]> {
  const db = await openDatabase({ url, poolSize: 1, log: silentLog, clock: systemClock });
  try {
    return await db.query<R>(text, values);
  } finally {
    await db.close();
  }
}

export async function readJson(path: string): Promise<Record<string, unknown>> {
  return JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>;
}

export async function giveTo(path: string, uid: number): Promise<void> {
  await chown(path, uid, uid);
}
