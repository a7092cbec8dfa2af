/** What processes have used, as Linux counts it. Elsewhere every reading is undefined. */
import { readdirSync, readFileSync } from 'node:fs';

/** A process and everything it started, by process id. */
export function processTree(pid: number): number[] {
  const parents = new Map<number, number>();
  for (const name of listed('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const stat = text(`/proc/${name}/stat`);
    // The program's name stands in brackets and may hold anything.
    const parent = stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[1];
    if (parent !== undefined) parents.set(Number(name), Number(parent));
  }
  const tree = [pid];
  for (const one of tree) for (const [child, parent] of parents) if (parent === one) tree.push(child);
  return tree;
}

/** CPU time by process id, in microseconds. */
export type CpuReading = ReadonlyMap<number, number>;

/** CPU time of these processes so far, with all their threads. */
export function readCpu(pids: readonly number[]): CpuReading {
  const reading = new Map<number, number>();
  for (const pid of pids) {
    for (const thread of listed(`/proc/${pid}/task`)) {
      const spent = text(`/proc/${pid}/task/${thread}/schedstat`)?.split(' ')[0];
      if (spent !== undefined) reading.set(pid, (reading.get(pid) ?? 0) + Number(spent) / 1000);
    }
  }
  return reading;
}

/** CPU time of these processes together, in microseconds; for processes that live on. */
export function cpuUs(pids: readonly number[]): number | undefined {
  const reading = readCpu(pids);
  return reading.size === 0 ? undefined : [...reading.values()].reduce((sum, us) => sum + us, 0);
}

/** Microseconds between two readings; what ended in between is not known and left out. */
export function spentUs(before: CpuReading, after: CpuReading): number | undefined {
  if (after.size === 0) return undefined;
  let sum = 0;
  // A thread that ended takes its time with it.
  for (const [pid, us] of after) sum += Math.max(0, us - (before.get(pid) ?? 0));
  return sum;
}

/** Memory of these processes in MB, with shared pages split among those that share them (PSS). */
export function memoryMb(pids: readonly number[]): number | undefined {
  let kilobytes = 0;
  for (const pid of pids) {
    const pss = /^Pss:\s+(\d+) kB/m.exec(text(`/proc/${pid}/smaps_rollup`) ?? '')?.[1];
    kilobytes += Number(pss ?? 0);
  }
  return kilobytes === 0 ? undefined : kilobytes / 1024;
}

function listed(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return []; // it has ended, or this is no Linux
  }
}

function text(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined; // the same
  }
}
