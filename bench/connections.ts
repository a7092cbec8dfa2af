/** Reading one connection with its credential, and lists of them, beside the upstream that answers 1 KB from a file. */
import { startChild, type Child } from './support/child.ts';
import { processTree, readCpu, spentUs } from './support/cpu.ts';
import type { LoadOrder, LoadResult } from './support/load.ts';
import { startNginx } from './support/nginx.ts';
import { median, numbers, printTable, shown, verdict, type Report } from './support/report.ts';

const CLIENTS = 16;
const WARM_UP_MS = 2_000;

/** How many connections stand beside the one that is read, so that a list is one. */
const CONNECTIONS = 1_000;

export async function benchConnections(args: string[]): Promise<Report> {
  const { seconds, rounds } = numbers(args, { seconds: 1, rounds: 3 });
  const open: { close(): Promise<void> }[] = [];
  try {
    const nginx = await startNginx();
    if (nginx === undefined) console.log('nginx is not installed: the upstream is a plain Node server.');
    else open.push(nginx);
    const plain: Child<{ url: string }> = await startChild('upstream.ts');
    open.push(plain);
    const upstream = nginx?.upstreamUrl ?? plain.ready.url;
    const hawser: Child<{ url: string; headers: Record<string, Record<string, string>> }> = await startChild(
      'hawser.ts',
      { fast: upstream },
    );
    open.push(hawser);
    const load: Child<unknown> = await startChild('load.ts');
    open.push(load);
    await hawser.ask({ do: 'grow', connections: CONNECTIONS, samples: 1 });

    const headers = { authorization: hawser.ready.headers['fast']?.['authorization'] as string };
    const common = { connections: CLIENTS, durationMs: seconds * 1000 };
    const orders: Record<string, LoadOrder> = {
      direct: { ...common, url: `${upstream}/1k`, headers: {} },
      'GET /connections/:id': {
        ...common,
        url: `${hawser.ready.url}/connections/fast?provider_config_key=fast`,
        headers,
      },
      'GET /connections?connectionId=': {
        ...common,
        url: `${hawser.ready.url}/connections?connectionId=fast`,
        headers,
      },
      'GET /connections?limit=100': { ...common, url: `${hawser.ready.url}/connections?limit=100`, headers },
    };
    const rates: Record<string, number[]> = {};
    const latencies: Record<string, number[]> = {};
    const spent: Record<string, number[]> = {};
    for (const order of Object.values(orders).slice(1)) {
      await load.ask<LoadResult>({ ...order, durationMs: WARM_UP_MS / 3 });
    }
    for (let round = 0; round <= rounds; round++) {
      for (const [name, order] of Object.entries(orders)) {
        const pids = (): number[] => (name === 'direct' ? [] : processTree(hawser.pid));
        const before = readCpu(pids());
        const result = await load.ask<LoadResult>(order);
        const cpuUs = spentUs(before, readCpu(pids()));
        if (result.errors > 0) throw new Error(`${name}: ${result.errors} calls failed`);
        if (round === 0) continue;
        (rates[name] ??= []).push((result.requests / result.elapsedMs) * 1000);
        (latencies[name] ??= []).push(median(result.latenciesMs) ?? NaN);
        if (cpuUs !== undefined) (spent[name] ??= []).push(cpuUs / result.requests);
      }
    }
    const direct = median(rates['direct'] ?? []) ?? NaN;
    const results = Object.fromEntries(
      Object.keys(orders).map((name) => [
        name,
        {
          requestsPerSecond: median(rates[name] ?? []),
          ofDirect: (median(rates[name] ?? []) ?? NaN) / direct,
          p50Ms: median(latencies[name] ?? []),
          cpuUsPerRequest: median(spent[name] ?? []),
        },
      ]),
    );
    printTable(
      [`${CLIENTS} clients`, 'requests/s', 'of direct', 'p50 ms', 'CPU µs/request'],
      Object.entries(results).map(([name, one]) => [
        name,
        shown(one.requestsPerSecond, 0),
        shown(one.ofDirect),
        shown(one.p50Ms),
        shown(one.cpuUsPerRequest, 0),
      ]),
    );
    return {
      bench: 'connections',
      results,
      verdicts: [
        verdict(
          'GET connection, 16 clients: of the direct call',
          results['GET /connections/:id']?.ofDirect,
          'at least',
          0.15,
        ),
      ],
    };
  } finally {
    for (const one of open.toReversed()) await one.close();
  }
}
