/** Kills while events are sent; `npm run chaos -- --deliveries --rounds N` does more. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import {
  createDeliveriesWorld,
  DELIVERY_POINTS,
  deliveryTableOf,
  runDeliveryCampaign,
  type DeliveriesWorld,
  type DeliveryCampaign,
} from './deliveries-campaign.ts';

const ROUNDS = DELIVERY_POINTS.length;
const SEED = 20_261_122;

let database: TestDatabase;
let world: DeliveriesWorld;
let campaign: DeliveryCampaign;

beforeAll(async () => {
  database = await createTestDatabase();
  world = await createDeliveriesWorld({ databaseUrl: database.url });
  campaign = await runDeliveryCampaign(world, { rounds: ROUNDS, seed: SEED });
}, 300_000);

afterAll(async () => {
  await world?.close();
  await database?.drop();
});

describe(`fault 11: ${ROUNDS} kills -9 while events are sent, at two nodes`, () => {
  it('happen at every named point and at random', () => {
    expect(campaign.kills).toBe(ROUNDS);
    expect([...campaign.byPoint.keys()].toSorted()).toEqual(DELIVERY_POINTS.toSorted());
  });

  it('lose nothing: every committed event comes, under one id, with one body, twice at most', () => {
    expect(campaign.violations, `seed ${SEED}\n${deliveryTableOf(campaign)}`).toEqual([]);
    expect(campaign.events).toBeGreaterThan(ROUNDS * 8);
  });

  it('strike where it hurts: something was sent again because nobody could know', () => {
    expect(campaign.twice, deliveryTableOf(campaign)).toBeGreaterThan(0);
  });
});
