/** The queue with much in it: what taking the next run costs, counted in rows that are read. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { aConnection, anIntegration, buildCore, type Core } from '../../../test/support/build.ts';
import type { Connection } from '../connections/index.ts';
import { claimRuns, lockLate, lockLost, selectDueEnvironments } from './store-queue.ts';

const LANES = 20_000;
const EACH = 5;

let core: Core;
let connection: Connection;

beforeAll(async () => {
  core = await buildCore();
  const nowhere = 'https://provider.test';
  const integration = await anIntegration(core, { url: nowhere, tokenUrl: `${nowhere}/t`, revokeUrl: `${nowhere}/r` });
  const credential = { type: 'OAUTH2', access_token: 'token', raw: {} } as const;
  connection = await aConnection(core.node, integration, credential, { connectionId: 'acme' });
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
  await core.db.query('ANALYZE run');
}

/** Rows of `run` that one look for work reads. */
async function rowsRead(after: string): Promise<number> {
  return core.db.transaction(async (tx) => {
    const count = async (): Promise<number> => {
      const rows = await tx.query<{ count: number }>(
        `SELECT seq_tup_read + idx_tup_fetch AS count FROM pg_stat_xact_user_tables WHERE relname = 'run'`,
      );
      return Number(rows[0]?.count ?? 0);
    };
    const before = await count();
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
    return (await count()) - before;
  });
}

describe('fault 27: a long queue', () => {
  it(
    `fault 27: taking 32 of ${LANES * EACH} runs reads as few rows as taking 32 of 500`,
    { timeout: 120_000 },
    async () => {
      await queue(100, 5);
      const few = await rowsRead('');
      await core.db.query('DELETE FROM run');
      await queue(LANES, EACH);
      const many = await rowsRead('');
      expect(few).toBeGreaterThan(32);
      expect(many).toBeLessThanOrEqual(few * 1.5);
      // In the middle of the lanes it is the same.
      expect(await rowsRead(`lane-${String(LANES / 2).padStart(6, '0')}`)).toBeLessThanOrEqual(few * 1.5);
    },
  );
});
