/** The queue with much in it: what taking the next run costs, counted by the database. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { aConnectionNowhere, buildCore, type Core } from '../../../test/support/build.ts';
import { costOf, costsOf, KNOWLEDGE } from '../../../test/support/query-cost.ts';
import type { Sql } from '../../platform/postgres/index.ts';
import type { Connection } from '../connections/index.ts';
import { claimRuns, lockLate, lockLost, selectDueEnvironments } from './store-queue.ts';

const LANES = 8_000;
const EACH = 5;

let core: Core;
let connection: Connection;

beforeAll(async () => {
  core = await buildCore();
  ({ connection } = await aConnectionNowhere(core));
});
afterAll(() => core?.close());

async function queue(lanes: number, each: number): Promise<void> {
  await core.db.query(
    `INSERT INTO run (environment_id, uuid, kind, trigger, function_id, function_name, version, integration_id, connection_id,
       lane, run_at, start_by, attempts_max, state)
     SELECT $1, gen_random_uuid(), 'action', 'api', 1, 'act', '1', $2, $3, 'lane-' || lpad(n::text, 6, '0'), now() - interval '1 minute',
       now() + interval '1 day', 1, 'queued'
     FROM generate_series(1, $4::int) n, generate_series(1, $5::int)`,
    [connection.environmentId, connection.integrationId, connection.id, lanes, each],
  );
}

/** One look for work. */
async function takeUp(tx: Sql, after: string): Promise<void> {
  expect(await selectDueEnvironments(tx)).toEqual([connection.environmentId]);
  const { claimed } = await claimRuns(tx, {
    environmentId: connection.environmentId,
    after,
    owner: 'node',
    leaseMs: 60_000,
    lanes: 48,
    limit: 32,
  });
  expect(claimed).toHaveLength(32);
  await lockLost(tx, 100);
  await lockLate(tx, 100);
}

describe('fault 27: a long queue', () => {
  // As long as that once: rows take seconds to insert, and a plan that reads them all shows with fewer.
  it.each(KNOWLEDGE.map((known) => [known === 'looked at since' ? LANES : LANES / 10, known] as const))(
    `fault 27: taking 32 runs of %i lanes with ${EACH} each costs as little as 32 of 500, in a table %s`,
    { timeout: 120_000 },
    async (lanes, known) => {
      await core.db.query('TRUNCATE run CASCADE');
      const fill = { short: () => queue(100, 5), long: () => queue(lanes, EACH) };
      const { short, long } = await costsOf(core.db, known, ['run'], fill, (tx) => takeUp(tx, ''));
      expect(short).toBeGreaterThan(32);
      expect(long).toBeLessThanOrEqual(short * 1.5);
      expect(long).toBeLessThan(2_000);
      // In the middle of the lanes it is the same.
      const middle = `lane-${String(lanes / 2).padStart(6, '0')}`;
      expect(await costOf(core.db, ['run'], (tx) => takeUp(tx, middle))).toBeLessThanOrEqual(short * 1.5);
    },
  );
});
