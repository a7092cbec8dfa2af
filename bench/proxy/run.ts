/**
 * The proxy beside what it could be: the upstream asked directly, and nginx with an injected header. The three take
 * turns within one run, so that a busy machine slows all of them; ratios are what counts.
 */
import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { startChild, type Child } from './child.ts';
import type { LoadOrder, LoadResult } from './load.ts';
import { startNginx } from './nginx.ts';

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

interface Measured {
  requestsPerSecond: number;
  p50Ms: number;
  p99Ms: number;
}

export async function benchProxy(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      seconds: { type: 'string', default: '1' },
      rounds: { type: 'string', default: '2' },
      json: { type: 'string' },
    },
  });
  const durationMs = Number(values.seconds) * 1000;
  const rounds = Number(values.rounds);
  if (!(durationMs >= 100) || !(rounds >= 1)) throw new Error('--seconds takes 0.1 or more, --rounds 1 or more');
  const open: { close(): Promise<void> }[] = [];
  try {
    const nginx = await startNginx();
    if (nginx === undefined) console.log('nginx is not installed: compared with the direct call only.');
    else open.push(nginx);
    const slow: Child<{ url: string }> = await startChild('upstream.ts');
    open.push(slow);
    const upstream = nginx?.upstreamUrl ?? slow.ready.url;
    const hawser: Child<{ url: string; headers: Record<string, Record<string, string>> }> = await startChild(
      'hawser.ts',
      {
        fast: upstream,
        slow: slow.ready.url,
      },
    );
    open.push(hawser);
    const load: Child<{ ready: true }> = await startChild('load.ts');
    open.push(load);

    const orderFor = (cell: Cell, subject: string): LoadOrder | undefined => {
      const isSlow = cell.path === '/slow';
      const common = { connections: cell.connections, durationMs };
      if (subject === 'direct')
        return { ...common, url: (isSlow ? slow.ready.url : upstream) + cell.path, headers: {} };
      if (subject === 'nginx') {
        return nginx === undefined || isSlow ? undefined : { ...common, url: nginx.proxyUrl + cell.path, headers: {} };
      }
      const headers = hawser.ready.headers[isSlow ? 'slow' : 'fast'] as Record<string, string>;
      return { ...common, url: `${hawser.ready.url}/proxy${cell.path}`, headers };
    };

    const results: Record<string, Record<string, Measured>> = {};
    for (const cell of cells) {
      const taken: Record<string, LoadResult[]> = { direct: [], nginx: [], hawser: [] };
      for (let round = 0; round <= rounds; round++) {
        for (const subject of Object.keys(taken)) {
          const order = orderFor(cell, subject);
          if (order === undefined) continue;
          const result = await load.ask<LoadResult>(order);
          if (result.errors > 0) throw new Error(`${subject}, ${cell.name}: ${result.errors} calls failed`);
          // The first round warms up.
          if (round > 0) taken[subject]?.push(result);
        }
      }
      const measured: Record<string, Measured> = {};
      for (const [subject, list] of Object.entries(taken)) if (list.length > 0) measured[subject] = summarize(list);
      results[cell.name] = measured;
      print(cell.name, measured);
    }
    if (values.json !== undefined) {
      const report = { bench: 'proxy', node: process.version, durationMs, rounds, nginx: nginx?.version, results };
      await writeFile(values.json, `${JSON.stringify(report, undefined, 2)}\n`);
    }
  } finally {
    for (const one of open.toReversed()) await one.close();
  }
}

function summarize(list: LoadResult[]): Measured {
  const latencies = list.flatMap(({ latenciesMs }) => latenciesMs).toSorted((a, b) => a - b);
  const at = (share: number): number =>
    latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? 0;
  const seconds = list.reduce((sum, { elapsedMs }) => sum + elapsedMs, 0) / 1000;
  const requests = list.reduce((sum, one) => sum + one.requests, 0);
  return { requestsPerSecond: requests / seconds, p50Ms: at(0.5), p99Ms: at(0.99) };
}

function print(name: string, measured: Record<string, Measured>): void {
  const direct = measured['direct']?.requestsPerSecond ?? 0;
  const nginx = measured['nginx']?.requestsPerSecond;
  console.log(name);
  for (const [subject, { requestsPerSecond, p50Ms, p99Ms }] of Object.entries(measured)) {
    const ratios = [`${(requestsPerSecond / direct).toFixed(2)} of direct`];
    if (nginx !== undefined) ratios.push(`${(requestsPerSecond / nginx).toFixed(2)} of nginx`);
    const rate = Math.round(requestsPerSecond).toLocaleString('en').padStart(8);
    console.log(
      `  ${subject.padEnd(7)}${rate}/s  ${ratios.join(', ')}  p50 ${p50Ms.toFixed(2)} ms  p99 ${p99Ms.toFixed(2)} ms`,
    );
  }
  const added = (measured['hawser']?.p50Ms ?? 0) - (measured['direct']?.p50Ms ?? 0);
  console.log(`  added p50 ${added.toFixed(2)} ms`);
}
