/** Kills while providers send webhooks; `npm run chaos -- --webhooks --rounds N` does more. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import {
  createWebhooksWorld,
  runWebhookCampaign,
  WEBHOOK_POINTS,
  webhookTableOf,
  type WebhookCampaign,
  type WebhooksWorld,
} from './webhooks-campaign.ts';

const ROUNDS = 6;
const SEED = 20_261_123;

let database: TestDatabase;
let world: WebhooksWorld;
let campaign: WebhookCampaign;

beforeAll(async () => {
  database = await createTestDatabase();
  world = await createWebhooksWorld({ databaseUrl: database.url });
  campaign = await runWebhookCampaign(world, { rounds: ROUNDS, seed: SEED });
}, 600_000);

afterAll(async () => {
  await world?.close();
  await database?.drop();
});

describe(`fault 10: ${ROUNDS} kills -9 between a provider's webhook and the telling of it`, () => {
  it('happen at every named point and at random', () => {
    expect(campaign.kills).toBe(ROUNDS);
    expect([...campaign.byPoint.keys()].toSorted()).toEqual([...WEBHOOK_POINTS].toSorted());
  });

  it('fault 10: lose nothing that was answered 2xx, and tell each connection once of each event', () => {
    expect(campaign.violations, `seed ${SEED}\n${webhookTableOf(campaign)}`).toEqual([]);
    expect(campaign.acknowledged).toBeGreaterThan(ROUNDS);
  });

  it('strike where it hurts: some were stored and not answered, and came again', () => {
    const tallies = [...campaign.byPoint.values()];
    expect(
      tallies.reduce((sum, { stored }) => sum + stored, 0),
      webhookTableOf(campaign),
    ).toBeGreaterThan(0);
    expect(campaign.unanswered).toBeGreaterThan(0);
  });
});
