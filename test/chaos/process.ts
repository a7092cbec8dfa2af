/** Starts, arms, stops and kills node processes. */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build, type Plugin } from 'esbuild';
import { isFresh, MADE_FROM } from '../../bin/fresh.js';
import type { Command, NodeOptions, Saying } from './node.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** Beside the packages it needs; ignored by git, and written anew by every run: all workers of vitest share one. */
const BUNDLES = join(ROOT, 'node_modules/.cache/hawser-chaos');
const SHARED = process.env['VITEST'] !== undefined;
/** It takes a second; a machine may be busy. */
const BUILT_TIMEOUT_MS = 60_000;

const RUNNER = join(ROOT, 'src/platform/sandbox/build-runner.ts');

/** Sources that look for files beside themselves go on finding them, but for the program that makes the runner. */
const keepPlaces = (runner: string): Plugin => ({
  name: 'keep places',
  setup({ onLoad }) {
    onLoad({ filter: /\/src\/.*\.ts$/ }, async ({ path }) => ({
      loader: 'ts',
      contents: (await readFile(path, 'utf8'))
        .replaceAll('import.meta.url', JSON.stringify(pathToFileURL(path).href))
        .replaceAll("'./build-runner.ts'", JSON.stringify(pathToFileURL(runner).href)),
    }));
  },
});

/** A program that says what `build-runner.ts` says, which is run by the first node that asks and by no other. */
function writeRunner(directory: string): string {
  const program = join(directory, 'runner.cjs');
  const text = JSON.stringify(join(directory, 'runner.json'));
  writeFileSync(
    program,
    `const fs = require('node:fs');
    if (!fs.existsSync(${text})) {
      const made = require('node:child_process').execFileSync(
        process.execPath, ['--no-warnings', ${JSON.stringify(RUNNER)}], { maxBuffer: 32 << 20 });
      fs.writeFileSync(${text} + process.pid, made);
      fs.renameSync(${text} + process.pid, ${text});
    }
    process.stdout.write(fs.readFileSync(${text}));`,
  );
  return program;
}

let program: Promise<string> | undefined;

/**
 * The sources of a node as one file: starting the same program again and again is what these tests do most, and a third
 * of a start is the reading of 400 files.
 */
function bundled(): Promise<string> {
  program ??= (async () => {
    const directory = join(BUNDLES, String(SHARED ? process.ppid : process.pid));
    const file = join(directory, 'node.mjs');
    // Not when it never came, nor when it is old: a watching vitest goes on for long, and sources are edited meanwhile.
    if (!isFirst(directory) && (await isThere(file)) && isFresh(file, SOURCES)) return file;
    if (!SHARED) process.once('exit', () => rmSync(directory, { recursive: true, force: true }));
    const outfile = join(directory, `node.${process.pid}.mjs`);
    await build({
      entryPoints: [fileURLToPath(new URL('./node.ts', import.meta.url))],
      outfile,
      bundle: true,
      platform: 'node',
      target: 'node24',
      format: 'esm',
      logLevel: 'error',
      plugins: [keepPlaces(writeRunner(directory))],
      // Packages in the old module format ask for their parts while they run.
      banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
    });
    renameSync(outfile, file);
    return file;
  })();
  return program;
}

/** Removes what workers of this process shared. */
export function forgetBundles(): void {
  rmSync(join(BUNDLES, String(process.pid)), { recursive: true, force: true });
}

/** True for the one who made the folder. */
function isFirst(directory: string): boolean {
  mkdirSync(BUNDLES, { recursive: true });
  try {
    mkdirSync(directory);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

const SOURCES = [...MADE_FROM, 'test/chaos/node.ts'].map((path) => join(ROOT, path));

/** Waits for the one who makes it, who may have been killed in the middle. */
async function isThere(file: string): Promise<boolean> {
  const giveUpAtMs = performance.now() + BUILT_TIMEOUT_MS;
  while (!existsSync(file) && performance.now() < giveUpAtMs) await sleep(50);
  return existsSync(file);
}

export interface ChaosNode {
  name: string;
  pid: number;
  url: string;
  /** Resolves when the process is gone, to its exit code or its signal. */
  exited: Promise<number | NodeJS.Signals>;
  readonly gone: boolean;
  /** How far the last refresh of each connection came, by row id. */
  readonly progress: Map<number, string>;
  /** What it logged. */
  readonly log: string;
  tell(command: Command): void;
  /** Resolves when an armed point was reached; rejects when the process ends without. */
  reached(): Promise<string>;
  /** Resolves when the node has heard this mark of the database. */
  heard(mark: number): Promise<void>;
  swept(): Promise<void>;
  signal(signal: NodeJS.Signals): void;
}

export interface Launch extends NodeOptions {
  settings: Record<string, string>;
  /** Arguments of the runtime. */
  execArgv?: string[];
}

/** Resolves when the node serves calls. Rejects with what it said when it ended instead. */
export async function launchNode({ settings, execArgv = [], ...options }: Launch): Promise<ChaosNode> {
  const file = await bundled();
  const env: NodeJS.ProcessEnv = { ...settings, NODE_COMPILE_CACHE: join(file, '../cache') };
  for (const name of ['PATH', 'HOME', 'TMPDIR']) if (process.env[name] !== undefined) env[name] = process.env[name];
  // A node that is killed within seconds need not tidy up: a tenth of its work would be that.
  const child = spawn(process.execPath, ['--max-semi-space-size=64', ...execArgv, file, JSON.stringify(options)], {
    env,
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let log = '';
  let gone = false;
  let rest = '';
  let marked = 0;
  let sweeps = 0;
  const points: string[] = [];
  const progress = new Map<number, string>();
  const listeners = new Set<() => void>();
  const ready = Promise.withResolvers<string>();
  const told = (): void => {
    for (const listener of listeners) listener();
  };
  const take = (saying: Saying): void => {
    switch (saying.say) {
      case 'ready':
        ready.resolve(saying.url);
        break;
      case 'at':
        progress.set(saying.connection, saying.point);
        return;
      case 'reached':
        points.push(saying.point);
        break;
      case 'mark':
        marked = Math.max(marked, saying.number);
        break;
      case 'swept':
        sweeps += 1;
    }
    told();
  };
  child.stdout.on('data', (chunk: Buffer) => {
    const lines = (rest + chunk.toString()).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      if (line.startsWith('{"say":')) take(JSON.parse(line) as Saying);
      else log += `${line}\n`;
    }
  });
  child.stderr.on('data', (chunk: Buffer) => (log += chunk.toString()));
  child.stdin.on('error', () => {}); // a process that is being killed reads no more
  const exited = new Promise<number | NodeJS.Signals>((resolve) => {
    child.once('close', (code, signal) => {
      gone = true;
      ready.reject(new Error(`node ${options.name} ended before it was ready (${signal ?? code}):\n${log}`));
      resolve(signal ?? code ?? 0);
      told();
    });
  });
  ready.promise.catch(() => {}); // told to whoever launches

  /** Waits for something that the process says. */
  function until(what: string, isSo: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        if (!isSo() && !gone) return;
        listeners.delete(look);
        if (isSo()) resolve();
        else reject(new Error(`node ${options.name} ended before: ${what}\n${log}`));
      };
      listeners.add(look);
      look();
    });
  }

  return {
    name: options.name,
    pid: child.pid as number,
    url: await ready.promise,
    exited,
    get gone() {
      return gone;
    },
    progress,
    get log() {
      return log;
    },
    tell: (command) => void child.stdin.write(`${JSON.stringify(command)}\n`),
    async reached() {
      await until('an armed point', () => points.length > 0);
      return points.shift() as string;
    },
    heard: (mark) => until(`mark ${mark}`, () => marked >= mark),
    async swept() {
      const before = sweeps;
      await until('a sweep', () => sweeps > before);
    },
    signal: (signal) => void child.kill(signal),
  };
}
