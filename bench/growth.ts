/**
 * The same work with 10^3 connections and with more. Two nodes, each with a database of its own: one stays small, one
 * grows. They are asked in turn, one request at a time, so that a busy machine slows both; the ratio of the medians is
 * what counts.
 */
import { Agent, request } from 'node:http';
import { startChild, type Child } from './support/child.ts';
import { processTree, readCpu, spentUs } from './support/cpu.ts';
import { median, numbers, printTable, shown, verdict, type Report } from './support/report.ts';

const SMALL = 1_000;

interface Node {
  child: Child<{ url: string; headers: Record<string, Record<string, string>> }>;
  ids: string[];
}

/** One kind of request: its path for the n-th sampled connection. */
interface Work {
  name: string;
  /** Held to the budget: the lookup of one connection. */
  isLookup: boolean;
  path(id: string): string;
  /** Always the same connection, so that it is in memory. */
  same: boolean;
  proxied: boolean;
}

const works: Work[] = [
  {
    name: 'GET connection, cold',
    isLookup: true,
    path: (id) => `/connections/${id}?provider_config_key=fast`,
    same: false,
    proxied: false,
  },
  {
    name: 'GET connection, warm',
    isLookup: true,
    path: (id) => `/connections/${id}?provider_config_key=fast`,
    same: true,
    proxied: false,
  },
  { name: 'proxy call, cold', isLookup: true, path: () => '/proxy/1k', same: false, proxied: true },
  {
    name: 'list by connection id',
    isLookup: true,
    path: (id) => `/connections?connectionId=${id}`,
    same: false,
    proxied: false,
  },
  { name: 'list, first page of 100', isLookup: true, path: () => '/connections?limit=100', same: true, proxied: false },
];

export async function benchGrowth(args: string[]): Promise<Report> {
  const { max, samples, idle } = numbers(args, { max: 1_000_000, samples: 300, idle: 20 });
  if (max <= SMALL) throw new Error(`--max takes more than ${SMALL}`);
  const open: { close(): Promise<void> }[] = [];
  const agent = new Agent({ keepAlive: true, maxSockets: 8 });
  try {
    const upstream: Child<{ url: string }> = await startChild('upstream.ts');
    open.push(upstream);
    const start = async (): Promise<Node> => {
      const child: Node['child'] = await startChild('hawser.ts', { fast: upstream.ready.url });
      open.push(child);
      return { child, ids: [] };
    };
    const small = await start();
    const large = await start();
    await grow(small, SMALL, samples);
    const results: Record<string, unknown>[] = [];
    const verdicts: Report['verdicts'] = [];
    const sizes = [10_000, 100_000, 1_000_000].filter((size) => size < max).concat(max);
    for (const size of sizes) {
      const startedAtMs = performance.now();
      await grow(large, size, samples);
      console.log(
        `${size.toLocaleString('en')} connections (made in ${shown((performance.now() - startedAtMs) / 1000, 1)} s)`,
      );
      // Compiled, prepared and in the page cache alike.
      for (const node of [small, large]) for (const work of works) await ask(agent, node, work, 0);
      const rows: string[][] = [];
      const measured: Record<string, { smallMs: number; largeMs: number; ratio: number }> = {};
      for (const work of works) {
        const times: [number[], number[]] = [[], []];
        for (let n = 1; n < Math.min(samples, small.ids.length, large.ids.length); n++) {
          const turn = n % 2 === 0 ? [0, 1] : [1, 0];
          for (const which of turn) {
            times[which as 0 | 1].push(await ask(agent, which === 0 ? small : large, work, n));
          }
        }
        const smallMs = median(times[0]) ?? NaN;
        const largeMs = median(times[1]) ?? NaN;
        measured[work.name] = { smallMs, largeMs, ratio: largeMs / smallMs };
        rows.push([work.name, shown(smallMs, 3), shown(largeMs, 3), shown(largeMs / smallMs)]);
        await renew(small, large, samples, size);
      }
      const sweeps = await sweepTimes(small, large);
      rows.push(['sweeps, nothing due', shown(sweeps[0], 1), shown(sweeps[1], 1), shown(sweeps[1] / sweeps[0])]);
      printTable(['p50 in ms', `${SMALL}`, `${size}`, 'ratio'], rows);
      const idleShare = await idleCpu(large, idle);
      console.log(`  idle CPU of one core: ${shown(idleShare === undefined ? undefined : idleShare * 100)} %`);
      results.push({
        connections: size,
        measured,
        sweepMs: { small: sweeps[0], large: sweeps[1] },
        idleCpuShare: idleShare,
      });
      if (size !== max) continue;
      for (const { name, isLookup } of works) {
        if (!isLookup) continue;
        verdicts.push(verdict(`${max} connections: ${name}, of ${SMALL}`, measured[name]?.ratio, 'at most', 1.2));
      }
      verdicts.push(
        verdict(
          `${max} connections: idle CPU, in % of a core`,
          idleShare === undefined ? undefined : idleShare * 100,
          'at most',
          2,
        ),
      );
    }
    return { bench: 'growth', results: { small: SMALL, samples, sizes: results }, verdicts };
  } finally {
    agent.destroy();
    for (const one of open.toReversed()) await one.close();
  }
}

async function grow(node: Node, connections: number, samples: number): Promise<void> {
  ({ ids: node.ids } = await node.child.ask<{ ids: string[] }>({ do: 'grow', connections, samples }));
}

/** Writing the sampled credentials again throws them out of memory: the next work finds them cold. */
async function renew(small: Node, large: Node, samples: number, size: number): Promise<void> {
  await grow(small, SMALL, samples);
  await grow(large, size, samples);
}

async function sweepTimes(small: Node, large: Node): Promise<[number, number]> {
  const times: [number[], number[]] = [[], []];
  for (let round = 0; round < 10; round++) {
    for (const [which, node] of [small, large].entries()) {
      times[which as 0 | 1].push((await node.child.ask<{ ms: number }>({ do: 'sweep' })).ms);
    }
  }
  return [median(times[0]) ?? NaN, median(times[1]) ?? NaN];
}

async function idleCpu({ child }: Node, seconds: number): Promise<number | undefined> {
  const before = readCpu(processTree(child.pid));
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  const cpuUs = spentUs(before, readCpu(processTree(child.pid)));
  return cpuUs === undefined ? undefined : cpuUs / (seconds * 1_000_000);
}

/** Milliseconds of one request. */
function ask(agent: Agent, { child, ids }: Node, work: Work, n: number): Promise<number> {
  const id = ids[work.same ? 0 : n] as string;
  const { authorization } = child.ready.headers['fast'] as { authorization: string };
  const headers = {
    authorization,
    ...(work.proxied && { 'provider-config-key': 'fast', 'connection-id': id }),
  };
  return new Promise((resolve, reject) => {
    const startedAtMs = performance.now();
    request(child.ready.url + work.path(id), { agent, headers }, (response) => {
      response.resume();
      response.on('end', () => {
        if (response.statusCode === 200) resolve(performance.now() - startedAtMs);
        else reject(new Error(`${work.name}: ${response.statusCode}`));
      });
    })
      .on('error', reject)
      .end();
  });
}
