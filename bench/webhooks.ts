/**
 * Providers' webhooks, proven and stored before they are answered, beside the least that a durable one costs: single-row
 * commits of the same database. Both take turns, so that a busy machine slows both. First what comes is only stored, as
 * on a node whose events another one handles; then it is handled; then both at the same time.
 */
import { startChild, type Child } from './support/child.ts';
import type { LoadOrder, LoadResult } from './support/load.ts';
import { median, numbers, printTable, shown, verdict, type Report } from './support/report.ts';
import { addTurn, metered, newSide, type Side } from './support/side.ts';

const CLIENTS = [1, 16, 64];
const WARM_UP_MS = 3_000;
/** A webhook of usual size. */
const BODY_BYTES = 1_000;

interface Sides {
  stored: Side;
  both: Side;
  commits: Side;
}

interface Ready {
  url: string;
}

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
    const handled = (): Promise<{ events: number; ms: number }> => hawser.ask({ do: 'wait for webhooks' });

    await load.ask<LoadResult>({ ...order, connections: 16, durationMs: WARM_UP_MS });
    await handled();
    const durationMs = seconds * 1_000;
    const sides = new Map(
      CLIENTS.map((clients) => [clients, { stored: newSide(), both: newSide(), commits: newSide() }]),
    );
    const drains: number[] = [];
    for (let round = 0; round < rounds; round += 1) {
      for (const clients of CLIENTS) {
        const { stored, both, commits } = sides.get(clients) as Sides;
        const send = async (side: Side): Promise<void> => {
          const ours = await metered(hawser.pid, () =>
            load.ask<LoadResult>({ ...order, connections: clients, durationMs }),
          );
          if (ours.answer.errors > 0) throw new Error(`${ours.answer.errors} of ${ours.answer.requests} were refused`);
          addTurn(side, { ...ours.answer, count: ours.answer.requests, cpuUs: ours.cpuUs });
        };
        await hawser.ask({ do: 'hold webhooks' });
        await send(stored);
        const rest = await handled();
        if (rest.events > 0) drains.push((rest.events / rest.ms) * 1_000);
        await send(both);
        await handled();
        const limit = await metered(hawser.pid, () =>
          hawser.ask<{ rows: number; elapsedMs: number; latenciesMs: number[] }>({
            do: 'commit rows',
            clients,
            durationMs,
            bytes: BODY_BYTES,
          }),
        );
        addTurn(commits, { ...limit.answer, count: limit.answer.rows, cpuUs: limit.cpuUs });
      }
    }
    const cells = [...sides].map(([clients, { stored, both, commits }]) => ({
      clients,
      perSecond: median(stored.perSecond),
      p50Ms: median(stored.p50Ms),
      cpuUs: median(stored.cpuUs),
      bothPerSecond: median(both.perSecond),
      bothCpuUs: median(both.cpuUs),
      limitPerSecond: median(commits.perSecond),
      limitP50Ms: median(commits.p50Ms),
      limitCpuUs: median(commits.cpuUs),
      ratio: (median(stored.perSecond) ?? NaN) / (median(commits.perSecond) ?? NaN),
    }));
    printTable(
      ['clients', 'stored/s', 'p50 ms', 'us CPU', 'and handled/s', 'us CPU', 'commits/s', 'p50 ms', 'us CPU', 'ratio'],
      cells.map((cell) => [
        String(cell.clients),
        shown(cell.perSecond, 0),
        shown(cell.p50Ms),
        shown(cell.cpuUs, 0),
        shown(cell.bothPerSecond, 0),
        shown(cell.bothCpuUs, 0),
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
