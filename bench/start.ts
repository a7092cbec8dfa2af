/** The program as a person starts it: how long until it is ready, and what it costs while nobody calls. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { memoryMb, processTree, readCpu, spentUs } from './support/cpu.ts';
import { freePort } from './support/nginx.ts';
import { median, numbers, printTable, shown, verdict, type Report } from './support/report.ts';

const program = fileURLToPath(new URL('../bin/hawser.js', import.meta.url));
const POLL_MS = 10;
const READY_TIMEOUT_MS = 60_000;
/** Until the work of the start has settled. */
const SETTLE_MS = 3_000;

export async function benchStart(args: string[]): Promise<Report> {
  const { starts, idle } = numbers(args, { starts: 3, idle: 10 });
  const first: Started[] = [];
  const warm: Started[] = [];
  let memory: number | undefined;
  let nodeMemory: number | undefined;
  let idleShare: number | undefined;
  for (let round = 0; round < starts; round++) {
    const folder = await mkdtemp(join(tmpdir(), 'hawser-bench-'));
    try {
      const dataDir = join(folder, 'data');
      first.push(await timed(dataDir, async () => {}));
      warm.push(
        await timed(dataDir, async (child) => {
          if (round > 0) return;
          await sleep(SETTLE_MS);
          const before = readCpu(processTree(child.pid as number));
          await sleep(idle * 1000);
          const cpuUs = spentUs(before, readCpu(processTree(child.pid as number)));
          if (cpuUs !== undefined) idleShare = cpuUs / (idle * 1_000_000);
          memory = memoryMb(processTree(child.pid as number));
          nodeMemory = memoryMb([child.pid as number]);
        }),
      );
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }
  const results = {
    firstMs: median(first.map(({ readyMs }) => readyMs)),
    firstCpuMs: median(first.flatMap(({ cpuMs }) => cpuMs ?? [])),
    warmMs: median(warm.map(({ readyMs }) => readyMs)),
    warmCpuMs: median(warm.flatMap(({ cpuMs }) => cpuMs ?? [])),
    idleMemoryMb: memory,
    idleNodeMemoryMb: nodeMemory,
    idleCpuShare: idleShare,
    starts,
  };
  printTable(
    ['hawser dev (emulators, seed)', ''],
    [
      ['first start to ready', `${shown(results.firstMs, 0)} ms`],
      ['  CPU time of it', `${shown(results.firstCpuMs, 0)} ms`],
      ['warm start to ready', `${shown(results.warmMs, 0)} ms`],
      ['  CPU time of it', `${shown(results.warmCpuMs, 0)} ms`],
      ['idle memory (PSS), with PostgreSQL', `${shown(memory, 0)} MB`],
      ['  of which Node', `${shown(nodeMemory, 0)} MB`],
      ['idle CPU of one core', `${shown(idleShare === undefined ? undefined : idleShare * 100)} %`],
    ],
  );
  return {
    bench: 'start',
    results,
    verdicts: [
      verdict('first start to ready, in ms', results.firstMs, 'at most', 3_000),
      verdict('warm start to ready, in ms', results.warmMs, 'at most', 1_000),
      verdict('idle memory with PostgreSQL, in MB', memory, 'at most', 200),
    ],
  };
}

interface Started {
  /** From the start of the process to the first good answer of `/ready`. */
  readyMs: number;
  /** CPU time until then, of the processes that still live: what a busy machine does not change. */
  cpuMs: number | undefined;
}

/** `then` runs before the program is stopped. */
async function timed(dataDir: string, then: (child: ChildProcess) => Promise<void>): Promise<Started> {
  const port = await freePort();
  const emulatorPort = await freePort();
  const startedAtMs = performance.now();
  const child = spawn(process.execPath, [program, 'dev'], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: {
      PATH: process.env['PATH'],
      HAWSER_PORT: String(port),
      HAWSER_EMULATOR_PORT: String(emulatorPort),
      HAWSER_DATA_DIR: dataDir,
      HAWSER_LOG_LEVEL: 'error',
    },
  });
  const gone = once(child, 'exit');
  try {
    for (;;) {
      const ready = await fetch(`http://127.0.0.1:${port}/ready`).then(
        (response) => response.status === 200,
        () => false, // it does not listen yet
      );
      const tookMs = performance.now() - startedAtMs;
      if (ready) {
        const cpuUs = spentUs(new Map(), readCpu(processTree(child.pid as number)));
        await then(child);
        return { readyMs: tookMs, cpuMs: cpuUs === undefined ? undefined : cpuUs / 1000 };
      }
      if (child.exitCode !== null || tookMs > READY_TIMEOUT_MS) throw new Error('hawser did not become ready');
      await sleep(POLL_MS);
    }
  } finally {
    child.kill('SIGTERM');
    await gone;
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
