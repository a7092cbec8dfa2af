/** Events that are routed together: what the app is told is written together, and in which order. */
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import type { WebhooksSpec } from '../../../catalogue/_spec/index.ts';
import { aConnection, anIntegration, buildCore, NOWHERE, type Core } from '../../../test/support/build.ts';
import { randomId } from '../../base/ids.ts';
import { noKillPoints } from '../../platform/kill-points.ts';
import type { Database } from '../../platform/postgres/index.ts';
import { eventPlace, type Connection } from '../connections/index.ts';
import type { Integration } from '../integrations/index.ts';
import { LOOKS_MAX } from './limits.ts';
import { bodyPlace } from './receive.ts';
import { routeEvents, type RouteDeps } from './route-event.ts';
import { insertEvents, type NewEvent } from './store.ts';
import { claimDue } from './store-work.ts';

let core: Core;
let integration: Integration;
let connections: Connection[];
/** Statements that tell the app, and places where a kill may come. */
let happened: string[];
beforeAll(async () => {
  core = await buildCore();
  const made = await anIntegration(core, NOWHERE);
  const webhooks: WebhooksSpec = {
    verify: { kind: 'none' },
    route: 'all',
    meanings: { ready: 'account_ready' },
    setup: '',
  };
  integration = { ...made, provider: { ...made.provider, webhooks } };
  const credential = { type: 'OAUTH2', access_token: 'token', raw: {} } as const;
  connections = [];
  for (const connectionId of ['one', 'two']) {
    connections.push(await aConnection(core.node, made, credential, { connectionId }));
  }
});
afterAll(() => core?.close());
beforeEach(async () => {
  happened = [];
  await core.db.query('TRUNCATE inbound_event, event CASCADE');
});

/** Stores events of these types and routes them together. */
async function route(types: readonly string[], more: Partial<RouteDeps> = {}, text = 'x'): Promise<void> {
  const { db } = core.node;
  const { vault } = core.node.environments;
  const { environmentId, id: integrationId } = integration;
  const events = types.map(async (type): Promise<NewEvent> => {
    const uuid = randomId();
    const body = JSON.stringify({ type, text });
    return {
      environmentId,
      uuid,
      integrationId,
      connectionId: undefined,
      dedupeHash: Buffer.from(uuid),
      trust: 'signature',
      type,
      headers: {},
      bodyKind: 'json',
      bodyBytes: body.length,
      bodySealed: await vault.seal(bodyPlace(environmentId, uuid), body),
    };
  });
  await insertEvents(db, await Promise.all(events));
  const counting: Database = {
    ...db,
    listening: db.listening,
    transaction: (run) =>
      db.transaction((tx) =>
        run({
          query(sql, ...rest) {
            if (sql.startsWith('INSERT INTO event ')) happened.push('insert');
            if (sql.includes("SET state = 'parked'")) happened.push('park');
            return tx.query(sql, ...rest);
          },
        }),
      ),
  };
  const deps: RouteDeps = {
    db: counting,
    vault,
    killPoints: noKillPoints,
    integrations: { byId: async () => integration },
    connections: core.node.connections,
    readJson: JSON.parse,
    hooks: [],
    runFunctions: async () => undefined,
    hasSubscribers: async () => false,
    recordHolders: async () => [],
    ...more,
  };
  await routeEvents(deps, await claimDue(db, 100, 60_000));
}

/** What the app will be told, in order. */
async function told(): Promise<string[]> {
  const rows = await core.db.query<{ uuid: string; type: string; sealed: Buffer | null; connection_id: number | null }>(
    'SELECT uuid, type, sealed, connection_id FROM event ORDER BY id',
  );
  return Promise.all(
    rows.map(async ({ uuid, type, sealed, connection_id }) => {
      const to = connections.find(({ id }) => id === connection_id)?.connectionId ?? 'nobody';
      if (sealed === null) return `${type} to ${to}`;
      const place = eventPlace(integration.environmentId, uuid);
      const payload = JSON.parse(await core.node.environments.vault.open(place, sealed)) as Record<string, unknown>;
      // To nobody it is told as it came.
      const { type: name } = (connection_id === null ? payload : payload['payload']) as { type: string };
      return `${name} to ${to}`;
    }),
  );
}

it('is one statement for all of them, in the order in which they came', async () => {
  await route(['a', 'b', 'c']);
  expect(happened).toEqual(['insert']);
  expect(await told()).toEqual(['a to one', 'a to two', 'b to one', 'b to two', 'c to one', 'c to two']);
  expect(await core.db.query("SELECT FROM inbound_event WHERE state = 'routed' AND matched = 2")).toHaveLength(3);
});

it('what a handler makes of an event stands behind what came before it', async () => {
  const [one] = connections as [Connection];
  await route(['a', 'ready', 'b'], {
    hooks: [
      async ({ environmentId, meaning }, _connections, tx) => {
        if (meaning === undefined) return undefined;
        const event = { environmentId, type: 'account.ready', connectionId: one.id, payload: {} };
        await core.node.connections.writeEvent(tx, event);
        return undefined;
      },
    ],
  });
  expect(happened).toEqual(['insert', 'insert', 'insert']);
  expect(await told()).toEqual([
    'a to one',
    'a to two',
    'account.ready to one',
    'ready to one',
    'ready to two',
    'b to one',
    'b to two',
  ]);
});

it('a megabyte of bodies is written before the next comes', async () => {
  await route(['a', 'b'], {}, 'x'.repeat(600_000));
  expect(happened).toEqual(['insert', 'insert']);
  expect(await told()).toEqual(['a to one', 'a to two', 'b to one', 'b to two']);
});

it('a kill may come between the first and the others', async () => {
  await route(['a', 'b'], { killPoints: { reach: (place) => void happened.push(place) } });
  expect(happened).toEqual(['insert', 'W5', 'insert']);
  expect(await told()).toHaveLength(4);
});

/** Whose events name an account. */
const naming = () => {
  const webhooks: WebhooksSpec = {
    verify: { kind: 'none' },
    route: [{ by: 'account', from: { paths: ['text'] } }],
    setup: '',
  };
  return { byId: async () => ({ ...integration, provider: { ...integration.provider, webhooks } }) };
};

it('those that nobody matches are told after ten seconds, however many other connections have come meanwhile', async () => {
  const integrations = naming();
  await route(['early'], { integrations }, 'nobody');
  // Each connection that comes makes them due.
  for (let times = 0; times < 4; times += 1) {
    await core.db.query('UPDATE inbound_event SET due_at = statement_timestamp(), received_at = statement_timestamp()');
    await route([], { integrations });
  }
  expect(await told()).toEqual([]);
  const [event] = await core.db.query<{ isSoon: boolean }>(
    `SELECT due_at - received_at <= interval '1 minute' AS "isSoon" FROM inbound_event`,
  );
  expect(event).toEqual({ isSoon: true });
  await core.db.query(
    "UPDATE inbound_event SET due_at = statement_timestamp(), received_at = statement_timestamp() - interval '10 s'",
  );
  await route([], { integrations });
  expect(await told()).toEqual(['early to nobody']);
});

it('those that nobody matches are parked by one statement, each with its own wait', async () => {
  const integrations = naming();
  await route(['old'], { integrations }, 'nobody');
  await core.db.query(
    `UPDATE inbound_event SET looks = $1, due_at = statement_timestamp(), received_at = statement_timestamp() - interval '1 day'`,
    [LOOKS_MAX],
  );
  happened = [];
  await route(['new'], { integrations }, 'nobody');
  expect(happened).toEqual(['insert', 'park']);
  expect(await told()).toEqual(['old to nobody']);
  const rows = await core.db.query(
    `SELECT type, state, reason, attempts, looks, is_told, due_at IS NOT NULL AS waits
     FROM inbound_event ORDER BY id`,
  );
  const parked = { state: 'parked', reason: 'no_match', attempts: 0 };
  expect(rows).toEqual([
    { ...parked, type: 'old', looks: LOOKS_MAX + 1, is_told: true, waits: false },
    { ...parked, type: 'new', looks: 1, is_told: false, waits: true },
  ]);
});

it('when one cannot be told, nobody has been told anything', async () => {
  const failing = route(['a', 'b'], {
    connections: {
      writeEvent: async (sql, event) => {
        if (event.connectionId === connections[1]?.id) throw new Error('killed');
        return core.node.connections.writeEvent(sql, event);
      },
    },
  });
  await expect(failing).rejects.toThrow('killed');
  expect(await told()).toEqual([]);
  expect(await core.db.query("SELECT FROM inbound_event WHERE state = 'received'")).toHaveLength(2);
});
