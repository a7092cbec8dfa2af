/**
 * One node as a process of its own for the chaos tests: the real server, with kill points that can be armed while it
 * runs. Settings come from the environment, `NodeOptions` as the first argument, commands as JSON lines on stdin; what it
 * says stands as JSON lines on stdout.
 */
import { writeSync } from 'node:fs';
import { flushCompileCache } from 'node:module';
import { createInterface } from 'node:readline';
import type { Clock } from '../../src/base/clock.ts';
import { readConfig } from '../../src/config.ts';
import { systemClock } from '../../src/platform/clock.ts';
import type { OutboundDeps } from '../../src/features/outbound/index.ts';
import type { RunLimits } from '../../src/features/runs/index.ts';
import type { KillPoints } from '../../src/platform/kill-points.ts';
import { createLog } from '../../src/platform/log/index.ts';
import { openDatabase } from '../../src/platform/postgres/index.ts';
import { startHawser } from '../../src/shell/node.ts';
import { loadKeyring } from '../../src/shell/start/data-dir.ts';

export interface NodeOptions {
  /** Named in leases and in the user agent. */
  name: string;
  leaseMs?: number;
  startsPerSecond?: number;
  runLimits?: Partial<RunLimits>;
  outboundLimits?: OutboundDeps['limits'];
  /** How far its clock is off. Default 0. */
  clockOffsetMs?: number;
}

/** `SIGCONT` does nothing to a process that runs: the point is only told. */
export type Strike = 'SIGKILL' | 'SIGSTOP' | 'SIGCONT';

export type Command =
  /** At the nth time that the point is reached the process gets the signal. */
  | { do: 'arm'; point: string; nth: number; signal: Strike }
  | { do: 'disarm' }
  /** Fills the heap until the engine gives up. */
  | { do: 'eat memory' }
  | { do: 'sweep' };

export type Saying =
  | { say: 'ready'; url: string }
  /** A refresh has come this far. */
  | { say: 'at'; point: string; connection: number }
  /** Right before the signal. */
  | { say: 'reached'; point: string }
  /** A notification of the database that the tests use to know that this node has heard everything before it. */
  | { say: 'mark'; number: number }
  | { say: 'swept' };

function say(saying: Saying): void {
  // Synchronous: the next thing may be a signal.
  writeSync(1, `${JSON.stringify(saying)}\n`);
}

let armed: { point: string; left: number; signal: Strike } | undefined;
const killPoints: KillPoints = {
  reach(name, connection) {
    if (connection !== undefined) say({ say: 'at', point: name, connection });
    if (armed?.point !== name) return;
    armed.left -= 1;
    if (armed.left > 0) return;
    const { signal } = armed;
    armed = undefined;
    say({ say: 'reached', point: name });
    process.kill(process.pid, signal);
    // A signal to oneself may take a moment; not one step of the program shall happen in it.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
  },
};

const options = JSON.parse(process.argv[2] ?? '{}') as NodeOptions;
const { clockOffsetMs = 0 } = options;
const clock: Clock = { ...systemClock, now: () => systemClock.now() + clockOffsetMs };
const config = readConfig('start');
const log = createLog({ level: config.logLevel, format: 'json' });
const { keyring } = await loadKeyring({ ...config, mayGenerate: false });
const db = await openDatabase({
  url: config.databaseUrl as string,
  poolSize: config.poolSize,
  log,
  clock,
});
const hawser = await startHawser({
  config,
  db,
  keyring,
  log,
  clock,
  version: options.name,
  runLimits: options.runLimits,
  outbound: { limits: options.outboundLimits },
  refresh: {
    killPoints,
    nodeId: options.name,
    times: {
      ...(options.leaseMs === undefined ? {} : { leaseMs: options.leaseMs }),
      ...(options.startsPerSecond === undefined ? {} : { startsPerSecond: options.startsPerSecond }),
    },
  },
});
await db.listen('hawser_changed', (payload) => {
  if (payload.startsWith('mark:')) say({ say: 'mark', number: Number(payload.slice(5)) });
});

process.once('SIGTERM', () => {
  void (async () => {
    await hawser.close();
    await db.close();
    process.exit(0);
  })();
});
// The test that started it is gone: nobody is left to end it.
process.stdin.on('end', () => process.exit(1));
createInterface({ input: process.stdin }).on('line', (line) => {
  const command = JSON.parse(line) as Command;
  switch (command.do) {
    case 'arm':
      armed = { point: command.point, left: command.nth, signal: command.signal };
      return;
    case 'disarm':
      armed = undefined;
      return;
    case 'eat memory':
      for (const eaten: number[][] = []; ;) eaten.push(Array.from({ length: 100_000 }, (_, index) => index));
    case 'sweep':
      void hawser.services.credentials.sweep().then(() => say({ say: 'swept' }));
  }
});
say({ say: 'ready', url: hawser.url });
// A process that is killed would never write what its successor starts faster with.
flushCompileCache();
