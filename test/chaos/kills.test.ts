import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { POINTS, runCampaign, type Campaign } from './campaign.ts';
import { STRICT_KINDS } from './providers.ts';
import { tableOf } from './table.ts';
import { createWorld, type World } from './world.ts';

/** Every named point once, and a random one or two; CI asks for more, and `npm run chaos -- --rounds N` does. */
const ROUNDS = Number(process.env['KILL_ROUNDS'] ?? 16);
const SEED = 20_260_901;

let database: TestDatabase;
let world: World;
let campaign: Campaign;

beforeAll(async () => {
  database = await createTestDatabase();
  world = await createWorld({ databaseUrl: database.url });
  campaign = await runCampaign(world, { rounds: ROUNDS, seed: SEED });
}, 600_000);

afterAll(async () => {
  await world?.close();
  await database?.drop();
});

describe(`fault 1: ${ROUNDS} kills -9 in the middle of refreshes, at two nodes and five kinds of providers`, () => {
  it('happen at every named point and at random', () => {
    expect(campaign.kills).toBe(ROUNDS);
    expect([...campaign.byPoint.keys()].toSorted()).toEqual(POINTS.toSorted());
  });

  it('break no promise: what providers gave, callers got and the database holds agree', () => {
    expect(campaign.violations, `seed ${SEED}\n${tableOf(campaign)}`).toEqual([]);
  });

  it('lose nothing at providers that keep, or forgive the use of, an old token', () => {
    expect(campaign.lostByKind.get('same') ?? 0).toBe(0);
    expect(campaign.lostByKind.get('grace') ?? 0).toBe(0);
  });

  it('strike where it hurts: some answers were on the wire, and those alone are lost', () => {
    const lost = [...campaign.lostByKind].filter(([kind]) => STRICT_KINDS.includes(kind));
    expect(
      lost.reduce((sum, [, count]) => sum + count, 0),
      tableOf(campaign),
    ).toBeGreaterThan(0);
    const all = [...campaign.byPoint.values()].map(({ verdicts }) => verdicts);
    for (const verdict of ['answered', 'finished', 'asked again', 'not begun'] as const) {
      expect(
        all.some((verdicts) => verdicts[verdict] > 0),
        `${verdict}\n${tableOf(campaign)}`,
      ).toBe(true);
    }
  });
});
