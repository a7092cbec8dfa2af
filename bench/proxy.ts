/**
 * The proxy beside what it could be: the upstream asked directly, and nginx with an injected header. The three take
 * turns within one run, so that a busy machine slows all of them; ratios are what counts. CPU per request is what the
 * subject's own processes used, database included: a busy machine changes it less than it changes requests per second.
 */
import { startChild, type Child } from './support/child.ts';
import { memoryMb, processTree, readCpu, spentUs } from './support/cpu.ts';
import type { LoadOrder, LoadResult } from './support/load.ts';
import { startNginx } from './support/nginx.ts';
import { median, numbers, printTable, shown, verdict, type Report } from './support/report.ts';

interface Cell {
  name: string;
  path: string;
  connections: number;
}

const cells: Cell[] = [
  { name: '1 KB, c=1', path: '/1k', connections: 1 },
  { name: '1 KB, c=16', path: '/1k', connections: 16 },
  { name: '1 KB, c=64', path: '/1k', connections: 64 },
  { name: '1 MB, c=1', path: '/1m', connections: 1 },
  { name: '1 MB, c=16', path: '/1m', connections: 16 },
  { name: '1 KB after 20 ms, c=16', path: '/slow', connections: 16 },
];

/** Before the first cell: the compilers of the subject finish their work. */
const WARM_UP_MS = 3_000;

interface Round extends LoadResult {
  cpuUs: number | undefined;
}

interface Measured {
  requestsPerSecond: number;
  p50Ms: number;
  p99Ms: number;
  /** CPU time of the subject per request, in microseconds; of Hawser's with its database. */
  cpuUsPerRequest: number | undefined;
}

/** Who is measured: how to call it, and whose CPU time counts. */
interface Subject {
  order(cell: Cell): LoadOrder | undefined;
  pids: number[];
}

interface HawserReady {
  url: string;
  headers: Record<string, Record<string, string>>;
}

export async function benchProxy(args: string[]): Promise<Report> {
  const { seconds, rounds } = numbers(args, { seconds: 1, rounds: 3 });
  const open: { close(): Promise<void> }[] = [];
  try {
    const nginx = await startNginx();
    if (nginx === undefined) console.log('nginx is not installed: compared with the direct call only.');
    else open.push(nginx);
    const slow: Child<{ url: string }> = await startChild('upstream.ts');
    open.push(slow);
    const fastUrl = nginx?.upstreamUrl ?? slow.ready.url;
    const hawser: Child<HawserReady> = await startChild('hawser.ts', { fast: fastUrl, slow: slow.ready.url });
    open.push(hawser);
    const load: Child<{ ready: true }> = await startChild('load.ts');
    open.push(load);

    const durationMs = seconds * 1000;
    const common = ({ connections }: Cell) => ({ connections, durationMs, headers: {} });
    const subjects: Record<string, Subject> = {
      direct: {
        order: (cell) => ({
          ...common(cell),
          url: (cell.path === '/slow' ? slow.ready.url : fastUrl) + cell.path,
        }),
        pids: [],
      },
      nginx: {
        order: (cell) =>
          nginx === undefined || cell.path === '/slow'
            ? undefined
            : { ...common(cell), url: nginx.proxyUrl + cell.path },
        pids: nginx === undefined ? [] : processTree(nginx.proxyPid),
      },
      hawser: {
        order: (cell) => ({
          ...common(cell),
          url: `${hawser.ready.url}/proxy${cell.path}`,
          headers: hawser.ready.headers[cell.path === '/slow' ? 'slow' : 'fast'] as Record<string, string>,
        }),
        pids: [hawser.pid],
      },
    };
    const warmUp = subjects['hawser']?.order(cells[2] as Cell) as LoadOrder;
    await load.ask<LoadResult>({ ...warmUp, durationMs: WARM_UP_MS });

    const results: Record<string, Record<string, Measured>> = {};
    for (const cell of cells) {
      const measured = await measureCell(load, cell, subjects, rounds);
      results[cell.name] = measured;
      print(cell, measured);
    }
    const memory = memoryMb(processTree(hawser.pid));
    const nodeMemory = memoryMb([hawser.pid]);
    console.log(`memory after the load: ${shown(memory, 0)} MB, of which Node ${shown(nodeMemory, 0)} MB`);
    const at64 = results['1 KB, c=64'] ?? {};
    const ratio = (to: string): number | undefined => {
      const [own, other] = [at64['hawser']?.requestsPerSecond, at64[to]?.requestsPerSecond];
      return own === undefined || other === undefined ? undefined : own / other;
    };
    const slowCell = results['1 KB after 20 ms, c=16'] ?? {};
    return {
      bench: 'proxy',
      results: {
        cells: results,
        memoryMb: memory,
        nodeMemoryMb: nodeMemory,
        nginx: nginx?.version,
        durationMs,
        rounds,
      },
      verdicts: [
        verdict('proxy, 1 KB, 64 clients: of nginx', ratio('nginx'), 'at least', 0.6),
        verdict('proxy, 1 KB, 64 clients: of the direct call', ratio('direct'), 'at least', 0.225),
        verdict(
          'proxy: added p50 over 20 ms, in ms',
          (slowCell['hawser']?.p50Ms ?? NaN) - (slowCell['direct']?.p50Ms ?? NaN),
          'at most',
          0.5,
        ),
      ],
    };
  } finally {
    for (const one of open.toReversed()) await one.close();
  }
}

async function measureCell(
  load: Child<unknown>,
  cell: Cell,
  subjects: Record<string, Subject>,
  rounds: number,
): Promise<Record<string, Measured>> {
  const taken: Record<string, Round[]> = {};
  for (let round = 0; round <= rounds; round++) {
    for (const [name, subject] of Object.entries(subjects)) {
      const order = subject.order(cell);
      if (order === undefined) continue;
      // Hawser's database opens processes as it needs them.
      const pids = (): number[] => subject.pids.flatMap((pid) => processTree(pid));
      const before = readCpu(pids());
      const result = await load.ask<LoadResult>(order);
      const spent = spentUs(before, readCpu(pids()));
      if (result.errors > 0) throw new Error(`${name}, ${cell.name}: ${result.errors} calls failed`);
      // The first round warms up.
      if (round > 0) (taken[name] ??= []).push({ ...result, cpuUs: spent });
    }
  }
  return Object.fromEntries(Object.entries(taken).map(([name, list]) => [name, summarize(list)]));
}

/** The median of the rounds; latencies of all of them together. */
function summarize(list: Round[]): Measured {
  const latencies = list.flatMap(({ latenciesMs }) => latenciesMs).toSorted((a, b) => a - b);
  const at = (share: number): number =>
    latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? 0;
  const spent = list.map((one) => one.cpuUs).filter((us) => us !== undefined);
  const requests = list.reduce((sum, one) => sum + one.requests, 0);
  return {
    requestsPerSecond: median(list.map((one) => (one.requests / one.elapsedMs) * 1000)) ?? 0,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    cpuUsPerRequest: spent.length === 0 ? undefined : spent.reduce((sum, us) => sum + us, 0) / requests,
  };
}

function print(cell: Cell, measured: Record<string, Measured>): void {
  const direct = measured['direct']?.requestsPerSecond ?? NaN;
  const nginx = measured['nginx']?.requestsPerSecond;
  console.log(cell.name);
  printTable(
    ['', 'requests/s', 'of direct', 'of nginx', 'p50 ms', 'p99 ms', 'CPU µs/request'],
    Object.entries(measured).map(([name, one]) => [
      name,
      shown(one.requestsPerSecond, 0),
      shown(one.requestsPerSecond / direct),
      nginx === undefined ? '-' : shown(one.requestsPerSecond / nginx),
      shown(one.p50Ms),
      shown(one.p99Ms),
      shown(one.cpuUsPerRequest, 0),
    ]),
  );
}
