/**
 * Whole syncs: pages of 1,000 records over the proxy into the sandbox and from there, sealed, into the database, for the
 * first time and again without news; beside ready rows upserted into the same table. Then schedules that wait.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { startChild, type Child } from './support/child.ts';
import { processTree, readCpu, spentUs } from './support/cpu.ts';
import { callNode, deployOne, type BenchNode } from './support/functions.ts';
import { median, numbers, printTable, shown, verdict, type Report } from './support/report.ts';

const PAGE = 1_000;
const POLL_MS = 100;
/** What an hour of nothing is judged by: checkpoints of the database and collections of garbage come and go. */
const SETTLE_MS = 5_000;

const LISTING = `
exports.default = {
  type: 'sync',
  async exec(nango) {
    for (let page = 0; ; page += 1) {
      const { data } = await nango.get({ endpoint: '/items?page=' + page });
      await nango.batchSave(data.items, 'Thing');
      if (data.isLast) return;
    }
  },
};`;

interface Spent {
  perSecond: number;
  cpuUs: number | undefined;
}

export async function benchSync(args: string[]): Promise<Report> {
  const { records, rounds, schedules, idle } = numbers(args, {
    records: 100_000,
    rounds: 2,
    schedules: 100_000,
    idle: 20,
  });
  const open: { close(): Promise<void> }[] = [];
  try {
    const upstream: Child<{ url: string }> = await startChild('upstream-records.ts', { records });
    open.push(upstream);
    const names = Array.from({ length: rounds + 1 }, (_, round) => `list-${round}`);
    const hawser: Child<BenchNode> = await startChild(
      'hawser.ts',
      Object.fromEntries(names.map((name) => [name, upstream.ready.url])),
    );
    open.push(hawser);
    const node = hawser.ready;
    const first: Spent[] = [];
    const unchanged: Spent[] = [];
    const raw: Spent[] = [];
    const rawUnchanged: Spent[] = [];
    for (const [round, name] of names.entries()) {
      await deployOne(node, { integration: name, type: 'sync', name: 'listing', js: LISTING });
      const batches = Math.ceil(records / PAGE);
      const limit = () =>
        metered(hawser.pid, records, async () => {
          const { elapsedMs } = await hawser.ask<{ elapsedMs: number }>({
            do: 'upsert raw',
            batches,
            version: round + 1,
          });
          return elapsedMs;
        });
      const ours = () => metered(hawser.pid, records, () => runSync(node, name, records));
      const measured = [await ours(), await limit(), await ours(), await limit()] as const;
      // The first round compiles and fills caches.
      if (round === 0) continue;
      first.push(measured[0]);
      raw.push(measured[1]);
      unchanged.push(measured[2]);
      rawUnchanged.push(measured[3]);
    }
    const rows = { 'first sync': [first, raw], 'sync, unchanged': [unchanged, rawUnchanged] } as const;
    printTable(
      ['', 'records/s', 'raw upsert', 'ratio', 'us CPU each', 'of the limit'],
      Object.entries(rows).map(([name, [ours, limit]]) => [
        name,
        shown(rateOf(ours), 0),
        shown(rateOf(limit), 0),
        shown(rateOf(ours) / rateOf(limit)),
        shown(cpuOf(ours), 1),
        shown(cpuOf(limit), 1),
      ]),
    );
    const waiting = await idleWith(hawser, schedules, idle);
    console.log(`  ${schedules} schedules that wait: ${shown(waiting)} % of a core`);
    return {
      bench: 'sync',
      results: { first, unchanged, raw, rawUnchanged, schedules, idlePercent: waiting },
      verdicts: [
        verdict('first sync, records/s', rateOf(first), 'at least', 25_000),
        verdict('unchanged sync, records/s', rateOf(unchanged), 'at least', 40_000),
        verdict(`${schedules} schedules idle, % of a core`, waiting, 'at most', 2),
      ],
    };
  } finally {
    for (const one of open.toReversed()) await one.close();
  }
}

const rateOf = (side: readonly Spent[]): number => median(side.map(({ perSecond }) => perSecond)) ?? Number.NaN;

function cpuOf(side: readonly Spent[]): number | undefined {
  return median(side.flatMap(({ cpuUs }) => (cpuUs === undefined ? [] : [cpuUs])));
}

/** `work` resolves to how long it took, in milliseconds. */
async function metered(pid: number, records: number, work: () => Promise<number>): Promise<Spent> {
  const before = readCpu(processTree(pid));
  const ms = await work();
  // Sandboxes may have come meanwhile.
  const cpuUs = spentUs(before, readCpu(processTree(pid)));
  return { perSecond: (records / ms) * 1_000, cpuUs: cpuUs === undefined ? undefined : cpuUs / records };
}

interface RunOnWire {
  id: string;
  state: string;
  started_at: string | null;
  duration_ms: number | null;
  error: { message: string } | null;
}

/** One run from its start to its end, in milliseconds; the way there is the queue's matter. */
async function runSync(node: BenchNode, name: string, records: number): Promise<number> {
  const newest = async (): Promise<RunOnWire | undefined> => {
    const path = `/runs?limit=1&provider_config_key=${name}&connection_id=${name}`;
    const { runs } = (await callNode(node, name, 'GET', path)) as { runs: RunOnWire[] };
    return runs[0];
  };
  const before = (await newest())?.id;
  await callNode(node, name, 'POST', '/sync/trigger', {
    syncs: ['listing'],
    provider_config_key: name,
    connection_id: name,
  });
  for (;;) {
    await sleep(POLL_MS);
    const run = await newest();
    if (run === undefined || run.id === before || run.state === 'queued' || run.state === 'running') continue;
    if (run.state !== 'succeeded') throw new Error(`the sync of ${records} records failed: ${run.error?.message}`);
    return run.duration_ms as number;
  }
}

/** CPU of the node and its database in percent of a core while nothing is due. */
async function idleWith(hawser: Child<BenchNode>, schedules: number, seconds: number): Promise<number | undefined> {
  await hawser.ask({ do: 'schedules', count: schedules });
  await sleep(SETTLE_MS);
  const before = readCpu(processTree(hawser.pid));
  const startedAtMs = performance.now();
  await sleep(seconds * 1_000);
  const cpuUs = spentUs(before, readCpu(processTree(hawser.pid)));
  return cpuUs === undefined ? undefined : (cpuUs / 1_000 / (performance.now() - startedAtMs)) * 100;
}
