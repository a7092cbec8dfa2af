/** Two kinds of work that take turns: what each of them came to. */
import { processTree, readCpu, spentUs } from './cpu.ts';
import { median } from './report.ts';

/** One kind of work, over all rounds. */
export interface Side {
  perSecond: number[];
  p50Ms: number[];
  cpuUs: number[];
}

export const newSide = (): Side => ({ perSecond: [], p50Ms: [], cpuUs: [] });

export interface Turn {
  count: number;
  elapsedMs: number;
  latenciesMs: number[];
  cpuUs: number | undefined;
}

export function addTurn(side: Side, { count, elapsedMs, latenciesMs, cpuUs }: Turn): void {
  side.perSecond.push((count / elapsedMs) * 1_000);
  side.p50Ms.push(median(latenciesMs) ?? Number.NaN);
  if (cpuUs !== undefined) side.cpuUs.push(cpuUs / count);
}

/** Does the work and tells what it cost this process and its children. */
export async function metered<T>(
  pid: number,
  work: () => Promise<T>,
): Promise<{ answer: T; cpuUs: number | undefined }> {
  const pids = processTree(pid);
  const before = readCpu(pids);
  const answer = await work();
  return { answer, cpuUs: spentUs(before, readCpu(pids)) };
}
