/** The database ends at once, again and again, while a provider sends webhooks to two nodes. */
import { setTimeout as sleep } from 'node:timers/promises';
import { until } from './campaign.ts';
import type { RestartablePostgres } from './restartable.ts';
import { chanceFrom } from './seeded.ts';
import { ACCOUNTS, judge, type WebhooksWorld } from './webhooks-campaign.ts';

export interface RestartCampaign {
  restarts: number;
  /** Events answered 2xx. */
  acknowledged: number;
  /** Tries answered 503, or not at all. */
  refused: number;
  /** From the return of the database to the first event that was taken again, each time. */
  recoveriesMs: number[];
  /** What must not happen, in words. */
  violations: string[];
}

const SENDERS = 4;
/** Between two events of a sender: the load is there to be met, not to be large. */
const PAUSE_MS = 10;

/** `everyMs`: how long the database stays up, between the first and the second number. */
export async function runRestartCampaign(
  world: WebhooksWorld,
  postgres: Pick<RestartablePostgres, 'restartAtOnce'>,
  { restarts, everyMs, seed }: { restarts: number; everyMs: readonly [number, number]; seed: number },
): Promise<RestartCampaign> {
  const chance = chanceFrom(seed);
  const nodes = await Promise.all([world.launch(), world.launch()]);
  await world.connect(nodes[0]);
  const acknowledged = new Map<string, string>();
  const violations: string[] = [];
  const load = new AbortController();
  let refused = 0;
  const sender = async (name: number): Promise<void> => {
    for (let serial = 0; !load.signal.aborted; serial += 1) {
      const account = chance.pick(ACCOUNTS);
      const id = `${name}-${serial}`;
      // As a provider does: again, to whichever node, until it hears something good.
      for (;;) {
        const status = await world.send(chance.pick(nodes), id, account);
        if (status >= 200 && status < 300) break;
        refused += 1;
        if (status !== 0 && status !== 503) violations.push(`an event was answered ${status}`);
        await sleep(PAUSE_MS);
      }
      acknowledged.set(id, account);
      await sleep(PAUSE_MS);
    }
  };
  const senders = Array.from({ length: SENDERS }, (_, name) => sender(name));
  const recoveriesMs: number[] = [];
  for (let restart = 0; restart < restarts; restart += 1) {
    const before = acknowledged.size;
    await until(() => acknowledged.size > before + SENDERS);
    await sleep(chance.whole(...everyMs));
    await postgres.restartAtOnce();
    const backAtMs = performance.now();
    const taken = acknowledged.size;
    await until(() => acknowledged.size > taken);
    recoveriesMs.push(Math.round(performance.now() - backAtMs));
  }
  load.abort();
  await Promise.all(senders);
  await world.leasesEnd();
  await until(async () => (await world.open()) === 0);
  await judge(world, acknowledged, (text) => violations.push(text));
  return { restarts, acknowledged: acknowledged.size, refused, recoveriesMs, violations };
}
