/**
 * Many users over few accounts connect, connect again, refuse and disconnect, here and at the provider, alone and at the
 * same moment. Once things are quiet, what we hold is what the provider has granted, whatever the policy.
 */
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { EmulatorHandle } from '../../emulators/index.ts';
import { startTestApp, type TestApp } from '../support/app.ts';
import { beginFlow, sessionToken } from '../support/connect.ts';

const RUNS = 8;
const STEPS_MAX = 12;
/** A failing run prints its own seed; put it here to see it again. */
const SEED = 20_261_122;
const KEY = 'xref';
const POLICIES = ['separate', 'share', 'replace', 'refuse'] as const;

let app: TestApp;
let xref: EmulatorHandle;

beforeAll(async () => {
  app = await startTestApp({ webhooks: true });
  xref = app.emulators.get(KEY);
});
afterAll(() => app?.close());

type Step =
  | { do: 'connect' | 'deny'; user: number }
  | { do: 'reconnect'; user: number; which: number }
  | { do: 'disconnect' | 'revoke'; which: number }
  /** Two that meet. */
  | { do: 'both'; first: Step; second: Step };

const user = fc.nat(4);
const which = fc.nat(9);
const single: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('connect' as const), user }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('deny' as const), user }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('reconnect' as const), user, which }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('disconnect' as const), which }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('revoke' as const), which }) },
);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: single },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('both' as const), first: single, second: single }) },
);

interface Held {
  id: number;
  connection_id: string;
  state: string;
  account_id: string;
  grant_row: number;
  secrets: number;
}

/** Living connections, and whether they have a credential. */
const held = () =>
  app.db.query<Held>(
    `SELECT c.id, c.connection_id, c.state, c.account_id, coalesce(c.grant_of, c.id) AS grant_row,
       (SELECT count(*)::int FROM credential k WHERE k.environment_id = c.environment_id
          AND k.connection_id = coalesce(c.grant_of, c.id)) AS secrets
     FROM connection c WHERE c.deleted_at IS NULL ORDER BY c.id`,
  );

const granted = () => xref.grants().filter(({ state }) => state === 'active');

/** Follows a flow as a browser does. A policy may refuse at its end; anything but that and success is a fault. */
async function follow(token: string, userIndex: number, decision: 'allow' | 'deny'): Promise<void> {
  const flow = await beginFlow(app.url, KEY, token);
  const users = xref.users();
  const back = xref.consent(flow.location, { user: users[userIndex % users.length]?.id ?? '', decision });
  const answer = await fetch(back, { headers: { cookie: flow.cookie }, redirect: 'manual' });
  const text = await answer.text();
  const refusals = ['connected already', 'another account', 'refused', 'is gone'];
  if (answer.status !== 200 && !refusals.some((words) => text.includes(words))) {
    throw new Error(`${answer.status} ${text.slice(0, 500)}`);
  }
}

async function carryOut(todo: Step): Promise<void> {
  switch (todo.do) {
    case 'connect':
    case 'deny': {
      const token = await sessionToken(app, KEY, { end_user: { id: `user-${todo.user}` } });
      return follow(token, todo.user, todo.do === 'deny' ? 'deny' : 'allow');
    }
    case 'reconnect': {
      const all = await held();
      const one = all[todo.which % Math.max(all.length, 1)];
      if (one === undefined) return undefined;
      const { status, body } = await app.api('POST', '/connect/sessions/reconnect', {
        connection_id: one.connection_id,
        integration_id: KEY,
      });
      // Somebody else may have let go of it meanwhile.
      return status === 201 ? follow(body.data.token, todo.user, 'allow').catch(gone) : undefined;
    }
    case 'disconnect': {
      const all = await held();
      const one = all[todo.which % Math.max(all.length, 1)];
      if (one !== undefined) await app.api('DELETE', `/connections/${one.connection_id}?provider_config_key=${KEY}`);
      return undefined;
    }
    case 'revoke': {
      const all = granted();
      const one = all[todo.which % Math.max(all.length, 1)];
      if (one !== undefined) await xref.revokeGrant(one.id);
      return undefined;
    }
    case 'both':
      await Promise.all([carryOut(todo.first), carryOut(todo.second)]);
  }
}

/** The flow of a connection that was let go of before it began. */
function gone(error: unknown): void {
  if (!(error instanceof Error) || !/did not start|invalid_connection/.test(error.message)) throw error;
}

/** Nothing is on its way any more: no webhook, no event to route, no grant to let go of. */
async function quiet(): Promise<void> {
  await expect
    .poll(
      async () => {
        await app.services.disconnect.sweep();
        await app.db.query(`UPDATE inbound_event SET due_at = clock_timestamp() WHERE state = 'parked'`);
        const [waiting] = await app.db.query<{ events: number; tasks: number }>(
          `SELECT (SELECT count(*)::int FROM inbound_event WHERE state = 'received') AS events,
             (SELECT count(*)::int FROM disconnect_task WHERE outcome = 'pending') AS tasks`,
        );
        const sent = xref.webhooks().every(({ state }) => state === 'delivered');
        return sent && waiting?.events === 0 && waiting.tasks === 0;
      },
      { timeout: 20_000, interval: 20 },
    )
    .toBe(true);
}

async function judge(policy: (typeof POLICIES)[number]): Promise<void> {
  const connections = await held();
  const usable = connections.filter(({ state }) => state === 'active');
  // Who lost the grant has no secret; who has a secret can use it.
  for (const one of connections) expect([one.state, one.secrets]).toEqual([one.state, one.state === 'active' ? 1 : 0]);
  const calls = usable.map(({ connection_id: id }) =>
    app.api('POST', '/proxy/auth', undefined, { 'connection-id': id, 'provider-config-key': KEY }),
  );
  const answers = await Promise.all(calls);
  expect(answers.map(({ status, body }) => [status, body.xref_account_id])).toEqual(
    usable.map(({ account_id: account }) => [200, account]),
  );
  // As many grants as the provider knows, account by account; nothing is left behind on either side.
  const ours = new Map<string, Set<number>>();
  for (const one of usable) ours.set(one.account_id, (ours.get(one.account_id) ?? new Set()).add(one.grant_row));
  for (const { id } of xref.accounts()) {
    const theirs = granted().filter(({ accountId }) => accountId === id).length;
    expect([id, ours.get(id)?.size ?? 0]).toEqual([id, theirs]);
    if (policy !== 'separate') expect(theirs).toBeLessThan(2);
  }
  const stray = await app.db.query(
    `SELECT 1 FROM credential k WHERE NOT EXISTS (SELECT 1 FROM connection c WHERE c.environment_id = k.environment_id
       AND (c.id = k.connection_id OR c.grant_of = k.connection_id) AND c.deleted_at IS NULL)`,
  );
  expect(stray).toEqual([]);
  // Each disconnect at the provider is told once.
  const told = await app.db.query<{ events: number; moves: number }>(
    `SELECT count(*) FILTER (WHERE type = 'connection.deauthorized')::int AS events,
       count(*) FILTER (WHERE type = 'connection.state' AND payload ->> 'state' = 'revoked_by_provider')::int AS moves
     FROM event`,
  );
  expect(told[0]?.events).toBe(told[0]?.moves);
}

async function startOver(policy: string, change: string): Promise<void> {
  for (const { connection_id: id } of await held()) {
    await app.api('DELETE', `/connections/${id}?provider_config_key=${KEY}`);
  }
  await quiet();
  xref.reset();
  const [first] = xref.accounts();
  xref.addUser({ accountId: first?.id ?? '', fullName: 'Third User', email: 'third@bluegum.example' });
  xref.addUser({ accountId: first?.id ?? '', fullName: 'Fourth User', email: 'fourth@bluegum.example' });
  const custom = { emulated: 'true', account_policy: policy, account_change: change };
  expect((await app.api('PATCH', `/integrations/${KEY}`, { custom })).status).toBe(200);
}

it('our state is the provider’s once things are quiet', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...POLICIES),
      fc.constantFrom('refuse', 'allow'),
      fc.array(step, { minLength: 4, maxLength: STEPS_MAX }),
      async (policy, change, steps) => {
        await startOver(policy, change);
        for (const todo of steps) await carryOut(todo);
        await quiet();
        await judge(policy);
      },
    ),
    { numRuns: RUNS, seed: SEED, endOnFailure: true },
  );
});
