/** A whole node on an embedded PostgreSQL in a temporary folder that sends events to the app, on a clock that is moved. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { silentLog } from '../../src/base/log.ts';
import { readConfig } from '../../src/config.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { generateKey, keyringFrom, type Keyring } from '../../src/platform/keyring/index.ts';
import { startHawser } from '../../src/shell/node.ts';
import { ensureEnvironments } from '../../src/shell/start/environments.ts';
import { openPlatformDatabase } from '../../src/shell/start/platform.ts';
import { countPending, insertEvents } from './store-deliveries.ts';

const { pair } = JSON.parse(process.argv[2] ?? '{}') as { pair: string };
const dataDir = await mkdtemp(join(tmpdir(), 'hawser-bench-'));
const config = readConfig('start', { HAWSER_PORT: '0', HAWSER_DATA_DIR: dataDir, HAWSER_EGRESS_ALLOW: pair });
const platform = await openPlatformDatabase({
  config,
  log: silentLog,
  clock: systemClock,
  onLost(error) {
    throw error;
  },
});
let shiftMs = 0;
const hawser = await startHawser({
  config,
  db: platform.db,
  keyring: keyringFrom(generateKey()) as Keyring,
  log: silentLog,
  version: 'bench',
  outbound: { shiftMs: () => shiftMs },
});
await ensureEnvironments(hawser.services.environments, undefined);
const environmentId = (await hawser.services.environments.byName('dev'))?.id as number;
process.on('SIGTERM', () => {
  void (async () => {
    await hawser.close();
    await platform.close();
    await rm(dataDir, { recursive: true, force: true });
    process.exit(0);
  })();
});

export type Order =
  | { do: 'endpoint'; url: string; kinds: string[] }
  /** Events of a kind, in one statement; answers when they are committed. This node only finds them when it looks. */
  | { do: 'events'; kind: string; count: number; bytes: number }
  /** One event as the product writes it. */
  | { do: 'event'; kind: string }
  /** Answers when nothing is pending, or was tried and waits: how many still do. */
  | { do: 'settle' }
  | { do: 'move'; ms: number };

async function obey(order: Order): Promise<unknown> {
  const { endpoints } = hawser.services.outbound;
  switch (order.do) {
    case 'endpoint':
      return endpoints.add(environmentId, order).then(({ endpoint }) => ({ id: endpoint.id }));
    case 'events':
      await insertEvents(platform.db, { environmentId, ...order });
      return {};
    case 'event':
      await hawser.services.connections.writeEvent(platform.db, { environmentId, type: order.kind, payload: {} });
      return {};
    case 'move':
      shiftMs += order.ms;
      return {};
    case 'settle':
      // Between the taking of a try and that of its delivery nothing is due for a moment.
      for (let quiet = 0; ;) {
        const { fresh, due, waiting } = await countPending(platform.db, shiftMs);
        quiet = fresh + due === 0 ? quiet + 1 : 0;
        if (quiet === 3) return { waiting };
        await sleep(25);
      }
  }
}

process.on('message', (order: Order) => void obey(order).then((answer) => process.send?.(answer)));
process.send?.({ url: hawser.url });
