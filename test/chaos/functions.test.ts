/** Kills in the middle of syncs, actions and deploys; `npm run chaos -- --functions --rounds N` does more. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { FUNCTION_POINTS, functionTableOf, runFunctionCampaign, type FunctionCampaign } from './functions-campaign.ts';
import { createFunctionsWorld, type FunctionsWorld } from './functions-world.ts';

/** Every named point once, and random ones; CI asks for more than anybody wants to wait for. */
const ROUNDS = Number(process.env['KILL_ROUNDS'] ?? FUNCTION_POINTS.length);
const SEED = 20_261_122;

let database: TestDatabase;
let world: FunctionsWorld;
let campaign: FunctionCampaign;

beforeAll(async () => {
  database = await createTestDatabase();
  world = await createFunctionsWorld({ databaseUrl: database.url });
  campaign = await runFunctionCampaign(world, { rounds: ROUNDS, seed: SEED });
}, 600_000);

afterAll(async () => {
  await world?.close();
  await database?.drop();
});

describe(`fault 9: ${ROUNDS} kills -9 in the middle of syncs, actions and deploys, at two nodes`, () => {
  it('happen at every named point and at random', () => {
    expect(campaign.kills).toBe(ROUNDS);
    expect([...campaign.byPoint.keys()].toSorted()).toEqual(FUNCTION_POINTS.toSorted());
  });

  it('break no promise: records, checkpoints, payments, deploys and answers agree', () => {
    expect(campaign.violations, `seed ${SEED}\n${functionTableOf(campaign)}`).toEqual([]);
  });

  it('strike where it hurts: work was taken over, and some was not repeated because it may have paid', () => {
    const tallies = [...campaign.byPoint.values()];
    for (const column of ['takenOver', 'endedAsLost', 'broken'] as const) {
      const sum = tallies.reduce((total, tally) => total + tally[column], 0);
      expect(sum, `${column}\n${functionTableOf(campaign)}`).toBeGreaterThan(0);
    }
  });
});
