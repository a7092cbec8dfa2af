/** One grant, several connections: the refresh protocol sees one credential, whoever asks, comes or goes. */
import { expect, it } from 'vitest';
import { accessOf, useStage, type Stage, type Subject } from '../../../test/support/credentials.ts';
import { grantRowOf, type Connection } from '../connections/index.ts';

let stage: Stage;
let server: Stage['server'];
let core: Stage['core'];
let other: Stage['other'];

useStage((made) => {
  stage = made;
  ({ server, core, other } = made);
});

/** Two more connections that use the grant of the first. */
async function shared(): Promise<{ subject: Subject; members: Connection[] }> {
  const subject = await stage.connected();
  const { environmentId, id, integrationId } = subject.connection;
  const members = [subject.connection];
  for (const connectionId of ['customer-2', 'customer-3']) {
    const { connection } = await core.db.transaction(async (tx) => {
      const made = await core.node.connections.upsert(tx, {
        environmentId,
        integrationId,
        connectionId,
        connectionConfig: {},
      });
      await core.node.connections.useGrant(tx, environmentId, made.connection.id, id);
      return made;
    });
    members.push({ ...connection, grantOf: id });
  }
  return { subject, members };
}

const live = (subject: Subject, connectionId: string, node = core.node, force = false) =>
  node.credentials.live(core.environment.id, subject.key, connectionId, { force });

const statesOf = async (members: Connection[]) =>
  Promise.all(members.map(async ({ id }) => (await core.node.connections.byId(core.environment.id, id))?.state));

it('two nodes and three connections refresh it once, and each has its own connection with the new token', async () => {
  const { subject, members } = await shared();
  await stage.endsIn(subject.connection, -1_000);
  const asked = [core.node, other].flatMap((node) =>
    members.map(({ connectionId }) => live(subject, connectionId, node)),
  );
  const answers = await Promise.all(asked);
  expect(server.requests).toHaveLength(1);
  expect(new Set(answers.map(accessOf)).size).toBe(1);
  expect(answers.map(({ connection }) => connection.connectionId)).toEqual([
    ...members.map(({ connectionId }) => connectionId),
    ...members.map(({ connectionId }) => connectionId),
  ]);
});

it('a refresh through one of them drops what the nodes remember for the others', async () => {
  const { subject } = await shared();
  const before = accessOf(await live(subject, 'customer-3', other));
  await live(subject, 'customer-2', core.node, true);
  await expect
    .poll(async () => accessOf(await live(subject, 'customer-3', other)), { timeout: 5_000 })
    .not.toBe(before);
});

it('goes on when the one that keeps it has left, and ends with the last', async () => {
  const { subject, members } = await shared();
  const [first, second, third] = members as [Connection, Connection, Connection];
  const integration = await core.node.integrations.byKey(core.environment.id, subject.key);
  if (integration === undefined) throw new Error('no integration');
  const letGo = (connection: Connection) =>
    core.node.disconnect.connection(core.environment.id, connection, integration);
  expect(await letGo(first)).toMatchObject({ outcome: 'revoked', detail: expect.stringContaining('other members') });
  expect(server.revocations).toEqual([]);
  expect(grantRowOf(second)).toBe(first.id);

  const renewed = await live(subject, 'customer-2', other, true);
  expect(server.isAlive(accessOf(renewed) ?? '')).toBe(true);
  expect(renewed.connection.connectionId).toBe('customer-2');
  await stage.endsIn(first, -1_000);
  // Nobody asks: the sweep keeps it alive all the same.
  await core.db.query(`UPDATE credential SET sweep_at = now(), refreshed_at = now() - interval '2 days'`);
  await core.node.credentials.sweep();
  expect(server.requests).toHaveLength(2);

  await letGo(second);
  expect(server.revocations).toEqual([]);
  await letGo(third);
  expect(server.revocations.length).toBeGreaterThan(0);
  expect(await core.db.query('SELECT 1 FROM credential WHERE connection_id = $1', [first.id])).toEqual([]);
});

it('a dead grant needs all of them again, each told once', async () => {
  const { subject, members } = await shared();
  server.revoke(subject.tokens.refresh_token);
  await expect(live(subject, 'customer-2', core.node, true)).rejects.toThrow();
  expect(await statesOf(members)).toEqual(['needs_reauth', 'needs_reauth', 'needs_reauth']);
  const told = await core.db.query<{ count: number }>(
    `SELECT count(*)::int AS count FROM event WHERE type = 'connection.state' AND connection_id = ANY ($1::bigint[])`,
    [members.map(({ id }) => id)],
  );
  expect(told).toEqual([{ count: 3 }]);
});
