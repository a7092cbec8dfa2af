/**
 * Events to the app: a backlog that is drained while another endpoint goes on getting its own, and an endpoint that is
 * down for three days of a moved clock.
 */
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { startChild, type Child } from './support/child.ts';
import type { Order } from './support/deliveries-node.ts';
import { numbers, printTable, shown, verdict, type Report } from './support/report.ts';

const BODY_BYTES = 500;
/** The other endpoint gets an event so often. */
const BEAT_MS = 50;
const BEATS_ALONE = 60;
const HOURS = 72;

type Node = Omit<Child<unknown>, 'ask'> & { ask<A>(order: Order): Promise<A> };

export async function benchDeliveries(args: string[]): Promise<Report> {
  const { events, down } = numbers(args, { events: 50_000, down: 10_000 });
  const app = await startApp();
  const node: Node = await startChild('deliveries-node.ts', { pair: app.pair });
  try {
    await node.ask({ do: 'endpoint', url: `${app.url}/backlog`, kinds: ['sync'] });
    await node.ask({ do: 'endpoint', url: `${app.url}/other`, kinds: ['async_action'] });
    const alone = await beats(node, app, () => app.latenciesMs.length < BEATS_ALONE);

    const startedMs = performance.now();
    await node.ask({ do: 'events', kind: 'sync', count: events, bytes: BODY_BYTES });
    const beside = await beats(node, app, () => app.count('/backlog') < events);
    const elapsedMs = performance.now() - startedMs;
    const { waiting } = await node.ask<{ waiting: number }>({ do: 'settle' });
    const peakMb = await peakMbOf(node.pid);
    const sent = app.count('/backlog');

    app.isDown = true;
    app.forget();
    for (let hour = 0; hour < HOURS; hour += 1) {
      await node.ask({ do: 'events', kind: 'sync', count: Math.ceil(down / HOURS), bytes: BODY_BYTES });
      await node.ask({ do: 'events', kind: 'async_action', count: 1, bytes: 0 });
      await node.ask({ do: 'settle' });
      if (app.count('/other') !== hour + 1) throw new Error(`hour ${hour}: the other endpoint is late`);
      await node.ask({ do: 'move', ms: 3_600_000 });
    }
    const tries = app.count('/backlog');
    app.isDown = false;
    app.forget();
    const backMs = performance.now();
    const left = await node.ask<{ waiting: number }>({ do: 'settle' });
    const backElapsedMs = performance.now() - backMs;
    const total = Math.ceil(down / HOURS) * HOURS;

    printTable(
      ['', 'events', 'a second', 'other p50 ms', 'other p99 ms'],
      [
        ['nothing else to do', '-', '-', shown(percentile(alone, 0.5)), shown(percentile(alone, 0.99))],
        [
          'backlog',
          String(sent),
          shown((sent / elapsedMs) * 1_000),
          shown(percentile(beside, 0.5)),
          shown(percentile(beside, 0.99)),
        ],
        ['after 3 days down', String(app.ids.size), shown((app.ids.size / backElapsedMs) * 1_000), '-', '-'],
      ],
    );
    console.log(`  ${tries} tries in the 3 days; ${shown(peakMb, 0)} MB at most`);
    return {
      bench: 'deliveries',
      results: { events: sent, elapsedMs, peakMb, alone, beside, down: { total, tries, left: left.waiting } },
      verdicts: [
        verdict('backlog delivered', sent - waiting, 'at least', events),
        verdict('memory while a backlog is drained, MB', peakMb, 'at most', 512),
        verdict('after 3 days down, delivered', app.ids.size - left.waiting, 'at least', total),
      ],
    };
  } finally {
    await node.close();
    await app.close();
  }
}

/** Gives the other endpoint its events, one at a time, as long as `isOn`. Resolves to how long each took. */
async function beats(node: Node, app: App, isOn: () => boolean): Promise<number[]> {
  app.latenciesMs.length = 0;
  do {
    await node.ask({ do: 'event', kind: 'async_action' });
    const committedMs = performance.now();
    await app.next('/other');
    app.latenciesMs.push(performance.now() - committedMs);
    await sleep(BEAT_MS);
  } while (isOn());
  return [...app.latenciesMs];
}

type App = Awaited<ReturnType<typeof startApp>>;

/** The app: counts what comes by path, and may be down. */
async function startApp() {
  const counts = new Map<string, number>();
  const ids = new Set<string>();
  let arrived: { path: string; done: () => void } | undefined;
  const server = createServer((request, response) => {
    const path = request.url ?? '';
    const isDown = app.isDown && path === '/backlog';
    counts.set(path, (counts.get(path) ?? 0) + 1);
    if (!isDown && path === '/backlog') ids.add(String(request.headers['webhook-id']));
    request.resume();
    request.on('end', () => response.writeHead(isDown ? 503 : 200).end());
    if (arrived?.path === path) {
      arrived.done();
      arrived = undefined;
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const pair = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  let seen = 0;
  const app = {
    url: `http://${pair}`,
    pair,
    isDown: false,
    ids,
    latenciesMs: [] as number[],
    count: (path: string): number => counts.get(path) ?? 0,
    /** Resolves when one has come that this was not called for before. */
    next(path: string): Promise<void> {
      seen += 1;
      if (app.count(path) >= seen) return Promise.resolve();
      return new Promise((done) => (arrived = { path, done }));
    },
    forget(): void {
      counts.clear();
      ids.clear();
    },
    async close(): Promise<void> {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return app;
}

/** Linux only; elsewhere undefined. */
async function peakMbOf(pid: number): Promise<number | undefined> {
  const text = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  const kb = /VmHWM:\s+(\d+) kB/.exec(text)?.[1];
  return kb === undefined ? undefined : Number(kb) / 1_024;
}

function percentile(values: readonly number[], share: number): number | undefined {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}
