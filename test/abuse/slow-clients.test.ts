/** Clients that take their time, come in crowds, or send more than anybody needs (threats 2.6, case 34). */
import { z } from 'zod';
import { afterEach, describe, expect, it } from 'vitest';
import { defineRoute, type Route } from '../../src/base/route.ts';
import { EDGE_LIMITS } from '../../src/shell/http/limits.ts';
import { rememberingLog } from '../flows/connect-helpers.ts';
import { handClock, turns, until } from '../support/evil.ts';
import { exchange, KEY, openRaw, startEdge, type RawSocket, type TestEdge } from './edge.ts';

let edge: TestEdge | undefined;
const sockets: RawSocket[] = [];
afterEach(async () => {
  for (const raw of sockets.splice(0)) raw.socket.destroy();
  await edge?.close();
  edge = undefined;
});

const open = async (): Promise<RawSocket> => {
  const raw = await openRaw((edge as TestEdge).port);
  sockets.push(raw);
  return raw;
};

const isPublic = { by: 'public', why: 'a test' } as const;

/** Answers what it was sent. */
const echo = defineRoute({
  method: 'POST',
  path: '/echo',
  summary: 'Echo',
  auth: isPublic,
  body: z.unknown(),
  errors: [],
  handle: ({ body }) => ({ body: { got: body ?? null } }),
});

const form = defineRoute({
  method: 'POST',
  path: '/form',
  summary: 'Form',
  auth: isPublic,
  body: z.looseObject({}),
  form: true,
  errors: [],
  handle: ({ body }) => ({ body }),
});

const closed: Route = {
  method: 'GET',
  path: '/closed',
  summary: 'For keys',
  auth: { by: 'key', anyOf: [] },
  errors: [],
  handle: () => ({ body: {} }),
};

const big: Route = {
  method: 'GET',
  path: '/big',
  summary: 'More than any socket buffer',
  auth: isPublic,
  errors: [],
  handle: () => ({ body: Buffer.alloc(64 * 1024 ** 2) }),
};

function post(path: string, length: number, type = 'application/json'): string {
  return `POST ${path} HTTP/1.1\r\nHost: h\r\nContent-Type: ${type}\r\nContent-Length: ${length}\r\n\r\n`;
}

describe('abuse 34: slow clients', () => {
  it('abuse 34: the limits are those of the design, on the server that runs', async () => {
    edge = await startEdge([]);
    expect(EDGE_LIMITS).toMatchObject({ headersTimeoutMs: 10_000, bodyTimeoutMs: 15_000, waitingPerAddressMax: 50 });
    const { server } = edge.app;
    expect(server.headersTimeout).toBe(10_000);
    expect(server.keepAliveTimeout).toBe(72_000);
    expect(server.maxConnections).toBe(10_000);
    // Node would cut off headers beyond its own number silently.
    expect(server.maxHeadersCount).toBe(0);
  });

  it.each([
    ['nothing at all', ''],
    ['half a request line', 'GET /hea'],
    ['a head without its end', 'GET /health HTTP/1.1\r\nHost: h\r\nX-A: b\r\n'],
  ])('abuse 34: a socket with %s is answered 408 and closed', async (_name, bytes) => {
    edge = await startEdge([], { limits: { headersTimeoutMs: 50 } });
    const raw = await open();
    if (bytes !== '') raw.send(bytes);
    await raw.closed;
    expect(raw.replies().map(({ status, body }) => [status, JSON.parse(body).error.code])).toEqual([
      [408, 'request_timeout'],
    ]);
  });

  it.each([
    ['a JSON route', '/echo', 'application/json'],
    ['a form', '/form', 'application/x-www-form-urlencoded'],
  ])('abuse 34: a body that drips into %s is given up after 15 s', async (_name, path, type) => {
    const clock = handClock();
    edge = await startEdge([echo, form], { clock });
    const raw = await open();
    raw.send(post(path, 100, type));
    const startMs = clock.monotonicMs();
    await until(() => {
      clock.advance(500);
      raw.send('1');
      return raw.replies().length > 0 || raw.isClosed;
    });
    expect(clock.monotonicMs() - startMs).toBeGreaterThan(15_000);
    const [reply] = raw.replies();
    expect([reply?.status, reply?.headers.get('connection')]).toEqual([408, 'close']);
    expect(JSON.parse(reply?.body ?? '')).toMatchObject({ error: { code: 'request_timeout' } });
    await raw.closed;
  });

  it('abuse 34: a body in time is not disturbed, and its deadline is forgotten', async () => {
    const clock = handClock();
    edge = await startEdge([echo], { clock });
    const raw = await open();
    raw.send(post('/echo', 7));
    await turns();
    clock.advance(14_500);
    raw.send('{"a":1}');
    await until(() => raw.replies().length === 1);
    clock.advance(60_000);
    raw.send(post('/echo', 2) + '{}');
    await until(() => raw.replies().length === 2);
    expect(raw.replies().map(({ status, body }) => [status, body])).toEqual([
      [200, '{"got":{"a":1}}'],
      [200, '{"got":{}}'],
    ]);
  });

  it('abuse 34: a caller that does not read its answer is cut after 60 s', async () => {
    const clock = handClock();
    edge = await startEdge([big], { clock });
    const raw = await open();
    raw.socket.pause();
    const startMs = clock.monotonicMs();
    raw.send('GET /big HTTP/1.1\r\nHost: h\r\n\r\n');
    const connections = (): Promise<number> =>
      new Promise((resolve, reject) => {
        (edge as TestEdge).app.server.getConnections((error, count) => (error ? reject(error) : resolve(count)));
      });
    await expect.poll(connections).toBe(1);
    await expect
      .poll(
        () => {
          clock.advance(500);
          return connections();
        },
        { interval: 2, timeout: 30_000 },
      )
      .toBe(0);
    expect(clock.monotonicMs() - startMs).toBeGreaterThan(60_000);
  });
});

describe('abuse 34: crowds', () => {
  const limits = { waitingPerAddressMax: 5, strangersPerAddressMax: 12 };
  const living = (): number => sockets.filter((raw) => !raw.isClosed).length;

  it('abuse 34: of sockets that only wait, five of an address stay, the newest', async () => {
    const clock = handClock();
    edge = await startEdge([], { clock, limits });
    for (let count = 0; count < 10; count += 1) {
      (await open()).send('GET /health HTTP/1.1\r\n');
      await turns();
      clock.advance(10);
    }
    expect(living()).toBe(10);
    clock.advance(2_000);
    await until(() => living() === 5);
    expect(sockets.map((raw) => raw.isClosed)).toEqual([...Array(5).fill(true), ...Array(5).fill(false)]);
  });

  it('abuse 34: more than twelve strangers of an address are not let in', async () => {
    edge = await startEdge([], { limits });
    for (let count = 0; count < 20; count += 1) await open();
    await until(() => living() === 12);
  });

  it('abuse 34: who showed a key is no stranger; nor is a trusted proxy', async () => {
    const clock = handClock();
    edge = await startEdge([closed], { clock, limits });
    for (let count = 0; count < 30; count += 1) {
      const raw = await open();
      raw.send(`GET /closed HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer ${KEY}\r\n\r\n`);
      await until(() => raw.replies().length === 1);
      expect(raw.replies()[0]?.status).toBe(200);
    }
    clock.advance(5_000);
    await turns();
    expect(living()).toBe(30);
    await edge.close();
    sockets.splice(0);

    edge = await startEdge([], { clock, limits, trustedProxies: ['127.0.0.0/8'] });
    for (let count = 0; count < 30; count += 1) await open();
    clock.advance(5_000);
    await turns();
    expect(living()).toBe(30);
  });

  it('abuse 34: a request that we work on keeps its socket', async () => {
    const clock = handClock();
    const release = Promise.withResolvers<void>();
    const slow: Route = {
      ...closed,
      path: '/slow',
      auth: isPublic,
      async handle() {
        await release.promise;
        return { body: {} };
      },
    };
    edge = await startEdge([slow], { clock, limits: { ...limits, waitingPerAddressMax: 0 } });
    const busy = await open();
    busy.send('GET /slow HTTP/1.1\r\nHost: h\r\n\r\n');
    const idle = await open();
    await turns(20);
    await until(() => {
      clock.advance(1_000);
      return idle.isClosed;
    });
    expect(busy.isClosed).toBe(false);
    release.resolve();
    await until(() => busy.replies().length === 1);
  });
});

describe('abuse 34: sizes', () => {
  it('abuse 34: bodies above the limit of their route, announced or not', async () => {
    edge = await startEdge([echo, form, { ...echo, path: '/small', bodyBytesMax: 100 }]);
    const { port } = edge;
    const codes = async (bytes: string): Promise<unknown[]> =>
      (await exchange(port, bytes)).replies.map(({ status, body }) => [status, JSON.parse(body).error.code]);
    const tooLarge = [[413, 'request_too_large']];
    expect(await codes(post('/echo', 1_048_577))).toEqual(tooLarge);
    expect(await codes(post('/small', 101))).toEqual(tooLarge);
    expect(await codes(post('/form', 16_385, 'application/x-www-form-urlencoded'))).toEqual(tooLarge);
    expect(await codes(post('/echo', 1_099_511_627_776))).toEqual(tooLarge);
    const chunked =
      'POST /small HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n';
    expect(await codes(`${chunked}65\r\n${'1'.repeat(101)}\r\n0\r\n\r\n`)).toEqual(tooLarge);
    const fits = `"${'a'.repeat(1_048_574)}"`;
    expect((await exchange(port, post('/echo', fits.length) + fits)).replies[0]?.status).toBe(200);
  });

  it('abuse 34: a path that is not there reads no body', async () => {
    edge = await startEdge([]);
    const raw = await open();
    raw.send(post('/nothing', 1_000_000));
    await until(() => raw.replies().length === 1);
    expect(raw.replies()[0]?.status).toBe(404);
  });

  it('abuse 34: other kinds of body are refused unread', async () => {
    edge = await startEdge([echo]);
    for (const type of [
      'text/plain',
      'application/xml',
      'multipart/form-data; boundary=x',
      'application/jsonp',
      '',
      '{}',
    ]) {
      const raw = await open();
      raw.send(post('/echo', 1_000, type));
      await until(() => raw.replies().length === 1);
      expect([type, raw.replies()[0]?.status]).toEqual([type, 415]);
    }
  });

  it('abuse 34: half a million issues are told as twenty', async () => {
    const strict = defineRoute({
      ...echo,
      path: '/list',
      body: z.array(z.string().max(1)),
      handle: () => ({ body: {} }),
    });
    edge = await startEdge([strict]);
    const body = JSON.stringify(Array.from({ length: 9_000 }, () => 0));
    const { replies } = await exchange(edge.port, post('/list', body.length) + body);
    expect(replies[0]?.status).toBe(400);
    expect(JSON.parse(replies[0]?.body ?? '').error.errors).toHaveLength(20);
    const named = defineRoute({ ...echo, path: '/x', body: z.strictObject({}), handle: () => ({ body: {} }) });
    await edge.close();
    edge = await startEdge([named]);
    const long = JSON.stringify({ ['k'.repeat(100_000)]: 1 });
    const reply = (await exchange(edge.port, post('/x', long.length) + long)).replies[0];
    expect([reply?.status, (reply?.body.length ?? 0) < 1_500]).toEqual([400, true]);
  });

  it('abuse 34: a broken or endless path gets the envelope too', async () => {
    edge = await startEdge([{ ...closed, auth: isPublic, path: '/one/:id' }]);
    for (const [path, status, code] of [
      ['/one/%zz', 400, 'invalid_uri_params'],
      ['/one/%ff', 400, 'invalid_uri_params'],
      [`/one/${'a'.repeat(2_000)}`, 400, 'invalid_uri_params'],
      [`/one/${'a'.repeat(20_000)}`, 400, 'invalid_uri_params'],
      [`/one/a?${'a'.repeat(20_000)}`, 414, 'uri_too_long'],
      ['/one/x?%zz=%zz&%ff', 200, undefined],
    ] as const) {
      const reply = (await exchange(edge.port, `GET ${path} HTTP/1.1\r\nHost: h\r\n\r\n`)).replies[0];
      expect([path.slice(0, 20), reply?.status]).toEqual([path.slice(0, 20), status]);
      expect(JSON.parse(reply?.body ?? '').error?.code).toBe(code);
      expect(reply?.headers.get('cache-control')).toBe('no-store');
    }
  });

  it('abuse 34: what failed inside is told without a word of it', async () => {
    const memory = rememberingLog();
    const broken: Route = {
      ...closed,
      auth: isPublic,
      path: '/broken',
      handle() {
        throw new Error('password=canary');
      },
    };
    edge = await startEdge([broken, { ...broken, path: '/broken-page', html: true }], { log: memory.log });
    for (const path of ['/broken', '/broken-page']) {
      const { text } = await exchange(edge.port, `GET ${path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n`);
      expect(text).toContain('500 Internal Server Error');
      expect(text).not.toMatch(/canary|\.ts|node:|\bat /);
    }
    expect(memory.text()).toContain('request failed');
    expect(memory.text()).not.toContain('canary');
  });
});
