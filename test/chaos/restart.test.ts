/** The database ends at once, again and again, while callers write and tokens are refreshed. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { until } from './campaign.ts';
import { settle } from './judge.ts';
import { STRICT_KINDS } from './providers.ts';
import { startRestartablePostgres, type RestartablePostgres } from './restartable.ts';
import { chanceFrom } from './seeded.ts';
import { createWebhooksWorld } from './webhooks-campaign.ts';
import { runRestartCampaign } from './webhooks-restarts.ts';
import { createWorld, type Seat, type Subject, type World } from './world.ts';

/** CI asks for more. */
const RESTARTS = Number(process.env['RESTART_ROUNDS'] ?? 2);
/** What was taken and never heard of shall not be waited for. */
const LEASE_MS = 2_000;

let postgres: RestartablePostgres;
let world: World;
let seats: Seat[];
let subjects: Subject[];

beforeAll(async () => {
  postgres = await startRestartablePostgres();
  world = await createWorld({ databaseUrl: postgres.url, kinds: ['same', 'grace', 'strict', 'family'] });
  subjects = [];
  for (const kind of world.providers.keys()) subjects.push(await world.connect(kind), await world.connect(kind));
  seats = await Promise.all(['node-a', 'node-b'].map((name) => world.launch(name, { startsPerSecond: 500 })));
});

afterAll(async () => {
  await world?.close();
  await postgres?.close();
});

describe('fault 16: a database that is restarted -m immediate under load', () => {
  it(`fault 16: ${RESTARTS} times: nothing that was acknowledged is lost, no token either, and every node recovers`, async () => {
    const chance = chanceFrom(16);
    const eventId = await world.lastEventId();
    const acknowledged = new Map<Subject, number>();
    /** The last that was sent and not answered: it may have been stored or not. */
    const unknown = new Map<Subject, number>();
    let serial = 0;
    let refused = 0;
    const load = new AbortController();
    const writer = async (subject: Subject): Promise<void> => {
      while (!load.signal.aborted) {
        serial += 1;
        const number = serial;
        unknown.set(subject, number);
        const response = await fetch(`${chance.pick(seats).node.url}/connections/metadata`, {
          method: 'PATCH',
          headers: { authorization: `Bearer ${world.apiKey}`, 'content-type': 'application/json' },
          body: JSON.stringify({
            connection_id: subject.connection.connectionId,
            provider_config_key: subject.integration.uniqueKey,
            metadata: { number },
          }),
        });
        await response.text();
        if (response.status === 200) {
          acknowledged.set(subject, number);
          unknown.delete(subject);
        } else {
          refused += 1;
          expect(response.status).toBe(503);
        }
        await sleep(chance.whole(10, 60));
      }
    };
    const reader = async (): Promise<void> => {
      while (!load.signal.aborted) {
        const answer = await world.read(chance.pick(seats).node, chance.pick(subjects));
        expect([200, 424, 429, 503], answer.cause).toContain(answer.status);
        await sleep(chance.whole(10, 60));
      }
    };
    const time = (async () => {
      while (!load.signal.aborted) {
        // The observer has no database either.
        await world.moveEnd([chance.pick(subjects)], -1_000).catch(() => {});
        await sleep(60);
      }
    })();
    const callers = [...subjects.map(writer), reader(), reader(), reader()];

    for (let restart = 0; restart < RESTARTS; restart += 1) {
      const before = serial;
      const served = world.front.served.length;
      await until(() => serial > before + 60 && world.front.served.length > served + 3);
      await postgres.restartAtOnce();
      for (const { node } of seats) {
        const ready = async () => expect((await fetch(`${node.url}/ready`)).status, `${node.name} is ready`).toBe(200);
        await vi.waitFor(ready, { timeout: 60_000, interval: 100 });
      }
    }
    load.abort();
    await Promise.all([...callers, time]);

    expect(refused).toBeGreaterThan(0);
    for (const subject of subjects) {
      const { node } = chance.pick(seats);
      await world.leasesEnd('node-a');
      await world.leasesEnd('node-b');
      expect([subject.kind, (await settle(world, node, subject)).status]).toEqual([subject.kind, 200]);
      expect([subject.kind, await world.statesAfter(subject, eventId)]).toEqual([subject.kind, []]);
      const response = await fetch(
        `${node.url}/connections/${subject.connection.connectionId}?provider_config_key=${subject.integration.uniqueKey}`,
        { headers: { authorization: `Bearer ${world.apiKey}` } },
      );
      const { metadata } = (await response.json()) as { metadata: { number?: number } };
      const allowed = [acknowledged.get(subject), unknown.get(subject)];
      expect(allowed, `${subject.kind}: ${metadata.number}`).toContain(metadata.number);
    }
    const used = new Map<string, number>();
    for (const { kind, used: token } of world.front.served) {
      if (STRICT_KINDS.some((strict) => strict === kind)) used.set(token, (used.get(token) ?? 0) + 1);
    }
    expect([...used.values()].filter((times) => times > 1)).toEqual([]);
    for (const seat of seats) expect(await world.spooled(seat)).toBe(0);
  });
});

describe('fault 16: a database that is restarted -m immediate while webhooks come', () => {
  it(`fault 16: ${RESTARTS} times: what was answered 2xx is stored once and told, and every node recovers`, async () => {
    const own = await startRestartablePostgres();
    const webhooks = await createWebhooksWorld({ databaseUrl: own.url, outboundLimits: { leaseMs: LEASE_MS } });
    try {
      const campaign = await runRestartCampaign(webhooks, own, { restarts: RESTARTS, everyMs: [50, 400], seed: 16 });
      expect(campaign.violations).toEqual([]);
      expect(campaign.refused).toBeGreaterThan(0);
      expect(campaign.acknowledged).toBeGreaterThan(RESTARTS * 5);
      // Each account has two connections; what was refused and stored all the same is told as well.
      expect(campaign.delivered).toBeGreaterThanOrEqual(2 * campaign.acknowledged);
    } finally {
      await webhooks.close();
      await own.close();
    }
  });
});
