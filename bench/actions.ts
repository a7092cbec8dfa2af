/**
 * An action that returns a constant, called and waited for over HTTP, beside the least that a durable record of it
 * costs: two single-row commits of the same database. Both take turns, so that a busy machine slows both.
 */
import { startChild, type Child } from './support/child.ts';
import { deployOne, type BenchNode } from './support/functions.ts';
import type { LoadOrder, LoadResult } from './support/load.ts';
import { median, numbers, printTable, shown, verdict, type Report } from './support/report.ts';
import { addTurn, metered, newSide, type Side } from './support/side.ts';

const CLIENTS = [1, 16, 64];
const WARM_UP_MS = 4_000;
const CONSTANT = "exports.default = { type: 'action', exec: async () => ({ ok: true }) };";

export async function benchActions(args: string[]): Promise<Report> {
  const { seconds, rounds } = numbers(args, { seconds: 2, rounds: 3 });
  const open: { close(): Promise<void> }[] = [];
  try {
    const upstream: Child<{ url: string }> = await startChild('upstream.ts');
    open.push(upstream);
    const hawser: Child<BenchNode> = await startChild('hawser.ts', { fast: upstream.ready.url });
    open.push(hawser);
    const load: Child<unknown> = await startChild('load.ts');
    open.push(load);
    await deployOne(hawser.ready, { integration: 'fast', type: 'action', name: 'constant', js: CONSTANT });

    const durationMs = seconds * 1_000;
    const order: Omit<LoadOrder, 'connections'> = {
      url: `${hawser.ready.url}/action/trigger`,
      headers: hawser.ready.headers['fast'] as Record<string, string>,
      body: JSON.stringify({ action_name: 'constant', input: { name: 'value' } }),
      durationMs,
    };
    const sides = new Map(CLIENTS.map((clients) => [clients, { action: newSide(), commits: newSide() }]));
    await load.ask<LoadResult>({ ...order, connections: 16, durationMs: WARM_UP_MS });
    for (let round = 0; round < rounds; round += 1) {
      for (const clients of CLIENTS) {
        const { action, commits } = sides.get(clients) as { action: Side; commits: Side };
        const ours = await metered(hawser.pid, () => load.ask<LoadResult>({ ...order, connections: clients }));
        if (ours.answer.errors > 0) throw new Error(`${ours.answer.errors} of ${ours.answer.requests} actions failed`);
        addTurn(action, { ...ours.answer, count: ours.answer.requests, cpuUs: ours.cpuUs });
        const limit = await metered(hawser.pid, () =>
          hawser.ask<{ pairs: number; elapsedMs: number; latenciesMs: number[] }>({
            do: 'commit pairs',
            clients,
            durationMs,
          }),
        );
        addTurn(commits, { ...limit.answer, count: limit.answer.pairs, cpuUs: limit.cpuUs });
      }
    }
    const cells = [...sides].map(([clients, { action, commits }]) => ({
      clients,
      perSecond: median(action.perSecond),
      p50Ms: median(action.p50Ms),
      cpuUs: median(action.cpuUs),
      limitPerSecond: median(commits.perSecond),
      limitP50Ms: median(commits.p50Ms),
      limitCpuUs: median(commits.cpuUs),
    }));
    printTable(
      ['clients', 'actions/s', 'p50 ms', 'us CPU each', 'commit pairs/s', 'p50 ms', 'us CPU each', 'ratio'],
      cells.map((cell) => [
        String(cell.clients),
        shown(cell.perSecond, 0),
        shown(cell.p50Ms),
        shown(cell.cpuUs, 0),
        shown(cell.limitPerSecond, 0),
        shown(cell.limitP50Ms),
        shown(cell.limitCpuUs, 0),
        shown((cell.perSecond ?? NaN) / (cell.limitPerSecond ?? NaN)),
      ]),
    );
    const best = Math.max(...cells.map(({ perSecond }) => perSecond ?? 0));
    return {
      bench: 'actions',
      results: cells,
      verdicts: [
        verdict('action returning a constant, p50 ms at one client', cells[0]?.p50Ms, 'at most', 3),
        verdict('action returning a constant, per second', best, 'at least', 1_000),
      ],
    };
  } finally {
    for (const one of open.toReversed()) await one.close();
  }
}
