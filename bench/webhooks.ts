/**
 * Providers' webhooks, proven and stored before they are answered, beside the least that a durable one costs: single-row
 * commits of the same database. Both take turns, so that a busy machine slows both. Events are handled meanwhile, as
 * they are in life; how long the rest takes is told beside.
 */
import { startChild, type Child } from './support/child.ts';
import { readCpu, processTree, spentUs } from './support/cpu.ts';
import type { LoadOrder, LoadResult } from './support/load.ts';
import { median, numbers, printTable, shown, verdict, type Report } from './support/report.ts';

const CLIENTS = [1, 16, 64];
const WARM_UP_MS = 3_000;
/** A webhook of usual size. */
const BODY_BYTES = 1_000;

interface Ready {
  url: string;
}

interface Side {
  perSecond: number[];
  p50Ms: number[];
  cpuUs: number[];
}

const newSide = (): Side => ({ perSecond: [], p50Ms: [], cpuUs: [] });

export async function benchWebhooks(args: string[]): Promise<Report> {
  const { seconds, rounds } = numbers(args, { seconds: 2, rounds: 3 });
  const open: { close(): Promise<void> }[] = [];
  try {
    const hawser: Child<Ready> = await startChild('hawser.ts', {});
    open.push(hawser);
    const load: Child<unknown> = await startChild('load.ts');
    open.push(load);
    const { path, secret } = await hawser.ask<{ path: string; secret: string }>({ do: 'webhooks' });
    const tail = `","object":"event","type":"report.completed","account_id":"acct","data":{"object":{"note":"`;
    const after = `${tail}${'x'.repeat(BODY_BYTES - tail.length)}"}}}`;
    const order: Omit<LoadOrder, 'connections' | 'durationMs'> = {
      url: hawser.ready.url + path,
      headers: {},
      signed: { header: 'x-checkr-signature', secret, before: '{"id":"', after },
    };
    const metered = async <T>(work: () => Promise<T>): Promise<{ answer: T; cpuUs: number | undefined }> => {
      const pids = processTree(hawser.pid);
      const before = readCpu(pids);
      const answer = await work();
      return { answer, cpuUs: spentUs(before, readCpu(pids)) };
    };
    const handled = (): Promise<{ events: number; ms: number }> => hawser.ask({ do: 'wait for webhooks' });

    await load.ask<LoadResult>({ ...order, connections: 16, durationMs: WARM_UP_MS });
    await handled();
    const durationMs = seconds * 1_000;
    const sides = new Map(CLIENTS.map((clients) => [clients, { webhooks: newSide(), commits: newSide() }]));
    const drains: number[] = [];
    for (let round = 0; round < rounds; round += 1) {
      for (const clients of CLIENTS) {
        const { webhooks, commits } = sides.get(clients) as { webhooks: Side; commits: Side };
        const ours = await metered(() => load.ask<LoadResult>({ ...order, connections: clients, durationMs }));
        if (ours.answer.errors > 0) throw new Error(`${ours.answer.errors} of ${ours.answer.requests} were refused`);
        add(webhooks, ours.answer.requests, ours.answer.elapsedMs, ours.answer.latenciesMs, ours.cpuUs);
        const rest = await handled();
        if (rest.events > 0) drains.push((rest.events / rest.ms) * 1_000);
        const limit = await metered(() =>
          hawser.ask<{ rows: number; elapsedMs: number; latenciesMs: number[] }>({
            do: 'commit rows',
            clients,
            durationMs,
            bytes: BODY_BYTES,
          }),
        );
        add(commits, limit.answer.rows, limit.answer.elapsedMs, limit.answer.latenciesMs, limit.cpuUs);
      }
    }
    const cells = [...sides].map(([clients, { webhooks, commits }]) => ({
      clients,
      perSecond: median(webhooks.perSecond),
      p50Ms: median(webhooks.p50Ms),
      cpuUs: median(webhooks.cpuUs),
      limitPerSecond: median(commits.perSecond),
      limitP50Ms: median(commits.p50Ms),
      limitCpuUs: median(commits.cpuUs),
      ratio: (median(webhooks.perSecond) ?? NaN) / (median(commits.perSecond) ?? NaN),
    }));
    printTable(
      ['clients', 'webhooks/s', 'p50 ms', 'us CPU each', 'commits/s', 'p50 ms', 'us CPU each', 'ratio'],
      cells.map((cell) => [
        String(cell.clients),
        shown(cell.perSecond, 0),
        shown(cell.p50Ms),
        shown(cell.cpuUs, 0),
        shown(cell.limitPerSecond, 0),
        shown(cell.limitP50Ms),
        shown(cell.limitCpuUs, 0),
        shown(cell.ratio),
      ]),
    );
    const drained = median(drains);
    console.log(`  handled without new ones coming: ${shown(drained, 0)} events/s`);
    const best = Math.max(...cells.map(({ ratio }) => ratio));
    return {
      bench: 'webhooks',
      results: { cells, handledPerSecond: drained },
      verdicts: [verdict('webhook in, durable, of single-row commits', best, 'at least', 0.7)],
    };
  } finally {
    for (const one of open.toReversed()) await one.close();
  }
}

function add(side: Side, count: number, elapsedMs: number, latenciesMs: number[], cpuUs: number | undefined): void {
  side.perSecond.push((count / elapsedMs) * 1_000);
  side.p50Ms.push(median(latenciesMs) ?? Number.NaN);
  if (cpuUs !== undefined) side.cpuUs.push(cpuUs / count);
}
