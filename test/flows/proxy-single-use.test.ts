/** The one write of a single-use grant (Checkbook): real database, two nodes, a provider that answers as told. */
import { fastify } from 'fastify';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { HawserError } from '../../src/base/errors.ts';
import { silentLog } from '../../src/base/log.ts';
import { registerProxy, type ProxyLimits } from '../../src/features/proxy/index.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { aConnection, buildCore, eventually, type Core, type CoreNode } from '../support/build.ts';
import { answer, createEvil, until, type Evil, type EvilScript } from '../support/evil.ts';
import { aProvider, callProxy, handClock, type Answer } from '../support/proxy.ts';

const KEY = 'pay';
/** One request per connection, so that the script of the moment answers. */
const closes = { connection: 'close' };
const ok = answer(201, '{"id":"check-1"}', { 'content-type': 'application/json', ...closes });

let evil: Evil;
let script: EvilScript;
let received: string[];
let core: Core;
let other: CoreNode;
const closing: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  evil = await createEvil((connection, index) => script(connection, index));
  const provider = {
    ...aProvider(`http://${evil.pair}`, {
      spentAfterWriteWithScope: 'single-use',
      idempotencyHeader: 'Idempotency-Key',
    }),
    name: 'test-pay',
    authMode: 'API_KEY' as const,
  };
  provider.api.auth = { in: 'header', name: 'Authorization', value: '${apiKey}' };
  core = await buildCore({ allow: [evil.pair], providers: [provider] });
  await core.node.integrations.create(core.environment.id, { provider: 'test-pay', uniqueKey: KEY });
  other = await core.startNode();
});
afterAll(async () => {
  await core.close();
  await evil.close();
});
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

/** Answers every request with the same bytes. */
function answering(bytes: string | Buffer): EvilScript {
  received = [];
  return async (connection) => {
    const request = await connection.request();
    if (request === undefined) return;
    received.push(request.method);
    await connection.send(bytes);
  };
}

async function serve(node: CoreNode, options: { limits?: Partial<ProxyLimits>; clock?: typeof systemClock } = {}) {
  const app = fastify({ forceCloseConnections: true });
  app.setErrorHandler((error, _request, reply) =>
    reply
      .code(error instanceof HawserError ? error.status : 500)
      .send({ error: { code: error instanceof HawserError ? error.code : 'server_error' } }),
  );
  registerProxy(app, {
    db: node.db,
    integrations: node.integrations,
    credentials: node.credentials,
    connections: node.connections,
    activity: node.activity,
    upstream: node.upstream,
    clock: options.clock ?? systemClock,
    log: silentLog,
    limits: options.limits ?? {},
    baseUrlOverride: { allow: [] },
    principalOf: () => ({ kind: 'key', environment: core.environment, keyId: 'k', scopes: ['environment:*'] }),
  });
  await app.listen({ port: 0, host: '127.0.0.1' });
  closing.push(() => app.close());
  return { app, port: (app.server.address() as AddressInfo).port };
}

let serial = 0;
/** A connection of its own for each test. */
async function connect(scope = 'single-use') {
  const integration = await core.node.integrations.byKey(core.environment.id, KEY);
  serial += 1;
  const connectionId = `customer-${serial}`;
  const credential = { type: 'API_KEY', apiKey: `key-${serial}` } as const;
  const connection = await aConnection(core.node, integration!, credential, { connectionId, scope });
  const headers = { 'provider-config-key': KEY, 'connection-id': connectionId };
  return {
    headers,
    id: connection.id,
    write: (port: number, more: Record<string, string> = {}): Promise<Answer> =>
      callProxy(port, '/proxy/v3/check', { method: 'POST', body: '{"amount":1}', headers: { ...headers, ...more } }),
    read: (port: number) => callProxy(port, '/proxy/v3/check', { headers }),
    async state() {
      const now = await core.node.connections.byId(core.environment.id, connection.id);
      return [now?.state, now?.stateReason];
    },
    claims: () => core.db.query('SELECT settled_at FROM single_use_write WHERE connection_id = $1', [connection.id]),
    events: async () =>
      (
        await core.db.query<{ payload: { state: string } }>(
          `SELECT payload FROM event WHERE connection_id = $1 AND type = 'connection.state' ORDER BY id`,
          [connection.id],
        )
      ).map(({ payload }) => payload.state),
    async reconnect() {
      await aConnection(core.node, integration!, { ...credential, apiKey: `again-${serial}` }, { connectionId, scope });
    },
  };
}

const down = () => Promise.reject(new HawserError('database_unavailable', { status: 503, message: 'No database.' }));

const codeOf = (got: Answer): unknown => (got.json() as { error?: { code: string } }).error?.code;

describe('a single-use grant', () => {
  it('makes one write; the connection is spent before the caller hears of it, and told once', async () => {
    script = answering(ok);
    const { port } = await serve(core.node);
    const grant = await connect();
    expect((await grant.read(port)).status).toBe(201);
    expect(await grant.state()).toEqual(['active', undefined]);
    expect((await grant.write(port)).status).toBe(201);
    expect(await grant.state()).toEqual(['spent', undefined]);
    const again = await grant.write(port);
    expect([again.status, codeOf(again)]).toEqual([424, 'connection_spent']);
    expect((await grant.read(port)).status).toBe(201);
    expect(received).toEqual(['GET', 'POST', 'GET']);
    expect(await grant.events()).toEqual(['spent']);
  });

  it.each(['PUT', 'PATCH', 'DELETE'])('is used up by %s too', async (method) => {
    script = answering(ok);
    const { port } = await serve(core.node);
    const grant = await connect();
    await callProxy(port, '/proxy/v3/check/1', { method, headers: grant.headers });
    expect(await grant.state()).toEqual(['spent', undefined]);
  });

  it('is used up by a GET that asks to be taken for a write', async () => {
    script = answering(ok);
    const { port } = await serve(core.node);
    const grant = await connect();
    const headers = { ...grant.headers, 'nango-proxy-x-http-method-override': 'POST' };
    await callProxy(port, '/proxy/v3/check', { headers });
    expect(await grant.state()).toEqual(['spent', undefined]);
  });

  it('of another scope writes as often as it likes', async () => {
    script = answering(ok);
    const { port } = await serve(core.node);
    const grant = await connect('check');
    for (let i = 0; i < 3; i++) expect((await grant.write(port)).status).toBe(201);
    expect(await grant.state()).toEqual(['active', undefined]);
    expect(await grant.claims()).toEqual([]);
  });

  it.each([400, 401, 403, 404, 409, 422, 429])('is not used up by a write refused with %i', async (status) => {
    script = answering(answer(status, 'no', closes));
    const { port } = await serve(core.node);
    const grant = await connect();
    expect((await grant.write(port, { retries: '3' })).status).toBe(status);
    expect(received).toEqual(['POST']);
    expect(await grant.claims()).toEqual([]);
    if (status !== 401) expect(await grant.state()).toEqual(['active', undefined]);
    script = answering(ok);
    if (status !== 401) expect((await grant.write(port)).status).toBe(201);
  });

  it.each([500, 502, 503, 504, 302, 408])(
    'counts as used up when the answer is %i: it may have paid',
    async (status) => {
      script = answering(answer(status, 'hm', closes));
      const { port } = await serve(core.node);
      const grant = await connect();
      expect((await grant.write(port, { retries: '5', 'nango-proxy-idempotency-key': 'k' })).status).toBe(status);
      expect(received).toEqual(['POST']);
      expect(await grant.state()).toEqual(['spent', 'outcome_unknown']);
      expect(codeOf(await grant.write(port))).toBe('connection_spent');
    },
  );

  it('counts as used up when the answer is lost', async () => {
    script = async (connection) => {
      await connection.request();
      connection.reset();
    };
    const { port } = await serve(core.node);
    const grant = await connect();
    const got = await grant.write(port, { retries: '5' });
    expect([got.status, got.json()]).toMatchObject([500, { code: 'ECONNRESET' }]);
    expect(await grant.state()).toEqual(['spent', 'outcome_unknown']);
  });

  it('is not used up when no connection was made', async () => {
    const grant = await connect();
    const gone = await createEvil(() => undefined);
    await gone.close();
    const { stream } = core.node.upstream;
    const nowhere: CoreNode = {
      ...core.node,
      upstream: {
        ...core.node.upstream,
        stream: (request, sink) => stream({ ...request, url: new URL(`http://${evil.pair.split(':')[0]}:1/x`) }, sink),
      },
    };
    const { port } = await serve(nowhere);
    const got = await grant.write(port);
    expect(got.status).toBe(400);
    expect(codeOf(got)).toBe('egress_refused');
    expect(await grant.claims()).toEqual([]);
    expect(await grant.state()).toEqual(['active', undefined]);
  });

  it('lets one of 40 writes at the same moment through, on two nodes', async () => {
    let go = Promise.withResolvers<void>();
    script = async (connection) => {
      const request = await connection.request();
      if (request === undefined) return;
      received.push(request.method);
      await go.promise;
      await connection.send(ok);
    };
    const ports = [(await serve(core.node)).port, (await serve(other)).port];
    for (let round = 0; round < 3; round++) {
      const grant = await connect();
      received = [];
      go = Promise.withResolvers();
      const calls = Array.from({ length: 40 }, (_, i) => grant.write(ports[i % 2] as number));
      const settled: Answer[] = [];
      for (const call of calls) void call.then((got) => settled.push(got));
      await until(() => settled.length === 39 && received.length > 0, '39 refusals');
      expect(new Set(settled.map(codeOf))).toEqual(new Set(['connection_write_in_flight']));
      expect(new Set(settled.map(({ status }) => status))).toEqual(new Set([409]));
      go.resolve();
      const answers = await Promise.all(calls);
      expect(answers.filter(({ status }) => status === 201).length).toBe(1);
      expect(received).toEqual(['POST']);
      expect(await grant.state()).toEqual(['spent', undefined]);
      expect(await grant.events()).toEqual(['spent']);
    }
  });

  it('writes again after the customer has connected again', async () => {
    script = answering(ok);
    const { port } = await serve(core.node);
    const grant = await connect();
    await grant.write(port);
    await grant.reconnect();
    expect(await grant.state()).toEqual(['active', undefined]);
    const got = await eventually(
      () => grant.write(port),
      ({ status }) => status !== 424,
    );
    expect(got.status).toBe(201);
    expect(await grant.state()).toEqual(['spent', undefined]);
    expect(received).toEqual(['POST', 'POST']);
  });

  it('learns the outcome although its caller has left', async () => {
    const arrived = Promise.withResolvers<void>();
    const go = Promise.withResolvers<void>();
    script = async (connection) => {
      await connection.request();
      arrived.resolve();
      await go.promise;
      await connection.send(ok);
    };
    const { app, port } = await serve(core.node);
    const grant = await connect();
    const left = new AbortController();
    const call = callProxy(port, '/proxy/v3/check', {
      method: 'POST',
      body: 'x',
      headers: grant.headers,
      signal: left.signal,
    });
    await arrived.promise;
    left.abort();
    await expect(call).rejects.toThrow();
    // Closing waits for the outcome.
    const closed = app.close();
    go.resolve();
    await closed;
    expect(await grant.state()).toEqual(['spent', undefined]);
  });

  it('is given up after its longest life, outcome unknown', async () => {
    const hand = handClock();
    const arrived = Promise.withResolvers<void>();
    script = async (connection) => {
      await connection.request();
      arrived.resolve();
    };
    const { port } = await serve(core.node, { clock: hand.clock });
    const grant = await connect();
    const call = grant.write(port);
    await arrived.promise;
    hand.advance(5 * 60_000 + 5_000);
    expect((await call).status).toBe(500);
    expect(await grant.state()).toEqual(['spent', 'outcome_unknown']);
  });

  it('blocked by a node that died counts as used up, and is free after a new connect', async () => {
    script = answering(ok);
    const { port } = await serve(core.node);
    const grant = await connect();
    await core.db.query(
      `INSERT INTO single_use_write (environment_id, connection_id, claim, claimed_at)
       VALUES ($1, $2, gen_random_uuid(), now() - interval '5 minutes')`,
      [core.environment.id, grant.id],
    );
    const early = await grant.write(port);
    expect([early.status, codeOf(early)]).toEqual([409, 'connection_write_in_flight']);
    await core.db.query(
      `UPDATE single_use_write SET claimed_at = now() - interval '11 minutes' WHERE connection_id = $1`,
      [grant.id],
    );
    // The connection was made long before that write.
    await core.db.query(`UPDATE connection SET state_since = now() - interval '1 day' WHERE id = $1`, [grant.id]);
    const late = await grant.write(port);
    expect([late.status, codeOf(late)]).toEqual([424, 'connection_spent']);
    expect(await grant.state()).toEqual(['spent', 'outcome_unknown']);
    expect(received).toEqual([]);
    await grant.reconnect();
    const got = await eventually(
      () => grant.write(port),
      ({ status }) => status !== 424,
    );
    expect(got.status).toBe(201);
  });

  it('left open by a dead node does not block the grant of a later connect', async () => {
    script = answering(ok);
    const { port } = await serve(core.node);
    const grant = await connect();
    await core.db.query(
      `INSERT INTO single_use_write (environment_id, connection_id, claim, claimed_at)
       VALUES ($1, $2, gen_random_uuid(), now() - interval '11 minutes')`,
      [core.environment.id, grant.id],
    );
    expect((await grant.write(port)).status).toBe(201);
    expect(await grant.state()).toEqual(['spent', undefined]);
  });

  it('left open by a dead node is swept after its longest life, and the app is told', async () => {
    script = answering(ok);
    const hand = handClock();
    await serve(core.node, { clock: hand.clock });
    const [lost, young, again] = [await connect(), await connect(), await connect()];
    const leave = (id: number, age: string) =>
      core.db.query(
        `INSERT INTO single_use_write (environment_id, connection_id, claim, claimed_at)
         VALUES ($1, $2, gen_random_uuid(), now() - $3::interval)`,
        [core.environment.id, id, age],
      );
    await leave(lost.id, '11 minutes');
    await leave(young.id, '9 minutes');
    await leave(again.id, '11 minutes'); // connected again just now
    await core.db.query(`UPDATE connection SET state_since = now() - interval '1 day' WHERE id = ANY ($1)`, [
      [lost.id, young.id],
    ]);
    hand.advance(60_000);
    expect(await eventually(lost.state, ([state]) => state === 'spent')).toEqual(['spent', 'outcome_unknown']);
    expect(await lost.events()).toEqual(['spent']);
    const open = ([claim]: { settled_at: unknown }[]) => claim?.settled_at === null;
    await eventually(again.claims as () => Promise<{ settled_at: unknown }[]>, (claims) => !open(claims));
    expect((await again.state())[0]).toBe('active');
    expect((await young.state())[0]).toBe('active');
    expect(open((await young.claims()) as { settled_at: unknown }[])).toBe(true);
  });

  it('sends nothing when the claim cannot be written', async () => {
    script = answering(ok);
    const grant = await connect();
    const { port } = await serve({ ...core.node, db: { ...core.node.db, query: down, transaction: down } });
    const got = await grant.write(port);
    expect([got.status, codeOf(got)]).toEqual([503, 'database_unavailable']);
    expect(received).toEqual([]);
  });

  it('passes a large streamed write too', async () => {
    script = answering(ok);
    const { port } = await serve(core.node);
    const grant = await connect();
    const got = await callProxy(port, '/proxy/v3/check', {
      method: 'POST',
      body: Buffer.alloc(300_000),
      headers: grant.headers,
    });
    expect(got.status).toBe(201);
    expect(await grant.state()).toEqual(['spent', undefined]);
  });

  it('keeps its write when the caller breaks off in the middle of it: nobody knows what arrived', async () => {
    script = async (connection) => void (await connection.head());
    const { port } = await serve(core.node);
    const grant = await connect();
    const request = http.request({
      port,
      method: 'POST',
      path: '/proxy/x',
      headers: { ...grant.headers, 'content-length': '200000' },
    });
    request.on('error', () => undefined);
    const before = evil.connections.length;
    request.write(Buffer.alloc(100_000));
    await until(() => evil.connections.slice(before).some((one) => one.received().length > 1000));
    request.destroy();
    const state = await eventually(grant.state, ([now]) => now === 'spent');
    expect(state).toEqual(['spent', 'outcome_unknown']);
  });
});
