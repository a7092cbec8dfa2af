/** Events that wait to be handled: what taking the next ones costs, counted by the database. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { aConnectionNowhere, buildCore, type Core } from '../../../test/support/build.ts';
import { costsOf, KNOWLEDGE } from '../../../test/support/query-cost.ts';
import type { Sql } from '../../platform/postgres/index.ts';
import type { Connection } from '../connections/index.ts';
import { claimDue, holdEvents, markRouted } from './store-work.ts';

let core: Core;
let connection: Connection;

beforeAll(async () => {
  core = await buildCore();
  ({ connection } = await aConnectionNowhere(core));
});
afterAll(() => core?.close());

const receive = (count: number) =>
  core.db.query(
    `INSERT INTO inbound_event (environment_id, uuid, integration_id, connection_id, dedupe_hash, trust, headers,
       body_kind, body_bytes, body_sealed)
     SELECT $1, gen_random_uuid(), $2, $3, uuid_send(gen_random_uuid()), 'none', '{}', 'json', 2, '\\x00'
     FROM generate_series(1, $4::int)`,
    [connection.environmentId, connection.integrationId, connection.id, count],
  );

/** Takes 50 events, holds them and marks them handled. */
async function handle(tx: Sql): Promise<void> {
  const due = await claimDue(tx, 50, 60_000);
  expect(due).toHaveLength(50);
  expect((await holdEvents(tx, due)).size).toBe(50);
  const routed = due.map((event) => ({ event, matched: 1 }));
  await markRouted(tx, routed);
}

it.each(KNOWLEDGE)(
  'fault 27: taking 50 of 20,000 events costs as little as 50 of 500, in a table %s',
  async (known) => {
    await core.db.query('TRUNCATE inbound_event');
    const fill = { short: () => receive(500), long: () => receive(19_500) };
    const { short, long } = await costsOf(core.db, known, ['inbound_event'], fill, handle);
    expect(short).toBeGreaterThan(50);
    expect(long).toBeLessThanOrEqual(short * 1.5);
    expect(long).toBeLessThan(2_000);
  },
);

it('parked events are woken by a connection that comes or changes, and not by each token that is renewed', async () => {
  const { id, environmentId, integrationId } = connection;
  await core.db.query('TRUNCATE inbound_event');
  await receive(1);
  await core.db.query("UPDATE inbound_event SET state = 'parked', reason = 'no_match', due_at = NULL");
  const heard: string[] = [];
  const stop = await core.db.listen('hawser_inbound', (payload) => void heard.push(payload));
  await core.db.query('UPDATE credential SET access_hash = $1 WHERE connection_id = $2', [Buffer.alloc(32, 7), id]);
  await core.db.query("UPDATE connection SET metadata = '{}' WHERE id = $1", [id]);
  await core.db.query("SELECT pg_notify('hawser_inbound', '0:0')");
  await expect.poll(() => heard).toContain('0:0');
  await stop();
  expect(heard).toEqual([`${environmentId}:${integrationId}`, '0:0']);
});
