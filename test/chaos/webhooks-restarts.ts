/** The database ends at once, again and again, while a provider sends webhooks to two nodes and they tell the app. */
import { setTimeout as sleep } from 'node:timers/promises';
import { until } from './campaign.ts';
import type { RestartablePostgres } from './restartable.ts';
import { chanceFrom } from './seeded.ts';
import { ACCOUNTS, forwardedName, judge, type WebhooksWorld } from './webhooks-campaign.ts';

export interface RestartCampaign {
  restarts: number;
  /** Events answered 2xx. */
  acknowledged: number;
  /** Tries answered 503, or not at all. */
  refused: number;
  /** From the return of the database to the first event that was taken again, each time. */
  recoveriesMs: number[];
  /** Events that the app got: one for each connection. */
  delivered: number;
  /** Of them, those that came again. */
  twice: number;
  /** What must not happen, in words. */
  violations: string[];
}

const SENDERS = 4;
/** Between two events of a sender: the load is there to be met, not to be large. */
const PAUSE_MS = 10;
/** Being sent or stored by one node for one endpoint: 8 and 32. */
const UNDER_WAY_MAX = 40;
/** Longer than a lease: its taking may have been committed while nobody heard of it. */
const DELIVERED_TIMEOUT_MS = 90_000;

/** `everyMs`: how long the database stays up, between the first and the second number. */
export async function runRestartCampaign(
  world: WebhooksWorld,
  postgres: Pick<RestartablePostgres, 'restartAtOnce'>,
  { restarts, everyMs, seed }: { restarts: number; everyMs: readonly [number, number]; seed: number },
): Promise<RestartCampaign> {
  const chance = chanceFrom(seed);
  const nodes = await Promise.all([world.launch(), world.launch()]);
  await world.connect(nodes[0]);
  await world.register(nodes[0]);
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
    world.app.epoch += 1;
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
  const giveUpAtMs = performance.now() + DELIVERED_TIMEOUT_MS;
  while ((await world.undelivered()) > 0 && performance.now() < giveUpAtMs) await sleep(20);
  const { delivered, twice } = judgeDeliveries(world, acknowledged, nodes.length, (text) => violations.push(text));
  return { restarts, acknowledged: acknowledged.size, refused, recoveriesMs, delivered, twice, violations };
}

/**
 * The app got every event that was acknowledged, each under one id with one body; between two of the same lies a restart,
 * and after each of them come no more again than the nodes had under way.
 */
function judgeDeliveries(
  { app }: Pick<WebhooksWorld, 'app'>,
  acknowledged: ReadonlyMap<string, string>,
  nodes: number,
  broken: (text: string) => void,
): { delivered: number; twice: number } {
  for (const [id, account] of acknowledged) {
    for (const copy of ['one', 'two']) {
      const name = forwardedName(`${account}-${copy}`, id);
      if (!app.got.has(name)) broken(`the app was never told of ${name}`);
    }
  }
  let twice = 0;
  const again = new Map<number, number>();
  for (const [name, copies] of app.got) {
    const epochs = copies.map(({ epoch }) => epoch);
    if (new Set(copies.map(({ id }) => id)).size > 1) broken(`${name} came under two ids`);
    if (new Set(copies.map(({ body }) => body)).size > 1) broken(`${name} came with two bodies`);
    if (new Set(epochs).size < epochs.length) broken(`${name} came twice with no restart between, after ${epochs}`);
    if (copies.length > 1) twice += 1;
    for (const epoch of epochs.slice(1)) again.set(epoch, (again.get(epoch) ?? 0) + 1);
  }
  for (const [epoch, count] of again) {
    if (count > nodes * UNDER_WAY_MAX) broken(`after restart ${epoch} ${count} events came again`);
  }
  return { delivered: app.got.size, twice };
}
