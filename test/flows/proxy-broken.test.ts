/** Calls that end too early, on either side, or not at all, and answers that are none. */
import { connect } from 'node:net';
import type { Principal } from '../../src/base/route.ts';
import { afterEach, describe, expect, it } from 'vitest';
import { always, answer, createEvil, until } from '../support/evil.ts';
import {
  aLive,
  anIntegration,
  aProvider,
  callHeaders,
  callProxy,
  handClock,
  startProxy,
  TOKEN,
} from '../support/proxy.ts';
import { createOpenList, openCall, startProxyOverEvil } from '../support/proxy-evil.ts';

const list = createOpenList();
afterEach(() => list.close());

const MIB = 1024 * 1024;
const ok = answer(200, 'ok');

describe('a caller that leaves', () => {
  it('before the answer closes the call to the provider', async () => {
    const { proxy, evil } = await startProxyOverEvil(list, async (connection) => void (await connection.request()));
    const { request } = openCall(proxy.port);
    request.on('error', () => undefined).end();
    await until(() => evil.connections.length === 1);
    await until(() => evil.connections[0]?.received().includes('\r\n\r\n') === true);
    request.destroy();
    await evil.connections[0]?.closed;
    await until(() => proxy.entries.length === 1);
    expect(proxy.entries[0]).toMatchObject({ ok: false, detail: { code: 'client_closed' } });
    expect(proxy.goodCalls).toEqual([]);
  });

  it('while its key is looked up makes no call at all', async () => {
    const asked = Promise.withResolvers<void>();
    const known = Promise.withResolvers<Principal>();
    const { proxy, evil } = await startProxyOverEvil(list, always(ok), {
      deps: {
        principalOf() {
          asked.resolve();
          return known.promise;
        },
      },
    });
    const { request } = openCall(proxy.port);
    request.on('error', () => undefined).end();
    await asked.promise;
    const gone = new Promise((resolve) => proxy.app.server.once('connection', resolve));
    request.destroy();
    // Another connection is served only after the first one's end was seen.
    await callProxy(proxy.port, '/elsewhere');
    await gone;
    known.resolve({
      kind: 'key',
      environment: { id: 1, uuid: 'u', name: 'dev', isProduction: false, callbackUrl: undefined },
      keyId: 'k',
      scopes: ['environment:*'],
    });
    await proxy.close();
    expect([evil.connections.length, proxy.entries]).toEqual([0, []]);
  });

  it('within the answer closes the call to the provider', async () => {
    const { proxy, evil } = await startProxyOverEvil(list, async (connection) => {
      await connection.request();
      await connection.send('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf');
    });
    const { request, response } = openCall(proxy.port);
    request.end();
    (await response).on('error', () => undefined);
    request.destroy();
    await evil.connections[0]?.closed;
    await until(() => proxy.entries.length === 1);
    expect(proxy.entries[0]?.detail).toMatchObject({ code: 'client_closed', status: 200 });
  });

  it('within its own body closes the call to the provider', async () => {
    const { proxy, evil } = await startProxyOverEvil(list, async (connection) => void (await connection.head()));
    const { request } = openCall(proxy.port, { method: 'POST', headers: { 'content-length': '200000' } });
    request.on('error', () => undefined);
    request.write(Buffer.alloc(100_000));
    await until(() => evil.connections.length === 1);
    await until(() => (evil.connections[0]?.received().length ?? 0) > 1000);
    request.destroy();
    await evil.connections[0]?.closed;
    await until(() => proxy.entries.length === 1);
    expect(proxy.entries[0]?.detail?.['code']).toBe('client_closed');
  });
});

describe('fault 14: an answer that breaks off is never a short success', () => {
  const half = 'half of it';
  const broken: [string, string, 'end' | 'reset'][] = [
    ['length, then end', `HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n${half}`, 'end'],
    ['length, then reset', `HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n${half}`, 'reset'],
    ['chunks, then end', `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\n${half}\r\n`, 'end'],
    ['half a chunk, then end', `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n${half}`, 'end'],
    ['broken chunk size', `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\n${half}\r\nzz\r\n`, 'end'],
    ['no length, then reset', `HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n${half}`, 'reset'],
    ['length, no body at all', 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n', 'end'],
  ];

  it.each(broken)('fault 14: %s', async (_name, bytes, how) => {
    const { proxy } = await startProxyOverEvil(list, async (connection) => {
      await connection.request();
      await connection.send(bytes);
      // The head has gone through before the end comes.
      await until(() => connection.socket.writableLength === 0);
      connection[how]();
    });
    await expect(callProxy(proxy.port, '/proxy/x')).rejects.toThrow();
    await until(() => proxy.entries.length === 1);
    expect(proxy.entries[0]).toMatchObject({ ok: false, detail: { status: 200 } });
    expect(proxy.goodCalls).toEqual([]);
  });

  it('fault 14: also for an HTTP/1.0 caller, whose body ends with the connection', async () => {
    const { proxy } = await startProxyOverEvil(list, async (connection) => {
      await connection.request();
      await connection.send(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\n${half}\r\n`);
      await until(() => seen.includes(half));
      connection.reset();
    });
    let seen = '';
    const ended = await new Promise<string>((resolve) => {
      const socket = connect(proxy.port, '127.0.0.1', () => {
        const lines = Object.entries(callHeaders).map(([name, value]) => `${name}: ${value}\r\n`);
        socket.write(`GET /proxy/x HTTP/1.0\r\n${lines.join('')}\r\n`);
      });
      socket.on('data', (chunk) => (seen += chunk.toString()));
      socket.on('error', (error) => resolve((error as NodeJS.ErrnoException).code ?? 'error'));
      socket.on('end', () => resolve('a clean end'));
    });
    expect(ended).toBe('ECONNRESET');
  });

  it('after the limit of bytes', async () => {
    const { proxy } = await startProxyOverEvil(list, always(answer(200, Buffer.alloc(5000))), {
      deps: { limits: { responseBytesMax: 1000 } },
    });
    const got = await callProxy(proxy.port, '/proxy/x');
    expect([got.status, got.json()]).toMatchObject([500, { code: 'ERR_BODY_TOO_LARGE', status: 500 }]);
  });
});

describe('slow sides', () => {
  it('fault 14: a provider without an answer in time gives 500 ETIMEDOUT', async () => {
    const { proxy } = await startProxyOverEvil(list, async (connection) => void (await connection.request()), {
      deps: { limits: { headersTimeoutMs: 1000 } },
    });
    const got = await callProxy(proxy.port, '/proxy/x');
    expect([got.status, got.json()]).toMatchObject([500, { code: 'ETIMEDOUT', method: 'GET', status: 500 }]);
  });

  it('fault 14: a provider that stops in the middle cuts the answer', async () => {
    const { proxy } = await startProxyOverEvil(
      list,
      async (connection) => {
        await connection.request();
        await connection.send('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf');
      },
      { deps: { limits: { bodyIdleTimeoutMs: 1000 } } },
    );
    await expect(callProxy(proxy.port, '/proxy/x')).rejects.toThrow();
  });

  it('a caller that stops sending gets 408, and the provider is let go', async () => {
    const hand = handClock();
    const { proxy, evil } = await startProxyOverEvil(list, async (connection) => void (await connection.head()), {
      clock: hand.clock,
    });
    const { request, response } = openCall(proxy.port, { method: 'POST', headers: { 'content-length': '200000' } });
    request.write(Buffer.alloc(100_000));
    await until(() => (evil.connections[0]?.received().length ?? 0) >= 100_000);
    hand.advance(5_000);
    hand.advance(60_000);
    const got = await response;
    expect([got.statusCode, got.headers.connection]).toEqual([408, 'close']);
    await evil.connections[0]?.closed;
  });

  it('a caller that stops sending a small body gets 408, and nothing is sent', async () => {
    const hand = handClock();
    const { proxy, evil } = await startProxyOverEvil(list, always(ok), { clock: hand.clock });
    const { request, response } = openCall(proxy.port, { method: 'POST', headers: { 'content-length': '10' } });
    let taken = false;
    proxy.app.server.on('request', () => (taken = true));
    request.write('12345');
    await until(() => taken);
    hand.advance(5_000);
    hand.advance(60_000);
    expect((await response).statusCode).toBe(408);
    expect(evil.connections.length).toBe(0);
  });

  it('a caller that stops reading is cut off', async () => {
    const hand = handClock();
    const { proxy, evil } = await startProxyOverEvil(list, always(answer(200, Buffer.alloc(64 * MIB))), {
      clock: hand.clock,
    });
    const { request, response } = openCall(proxy.port);
    request.end();
    const got = await response;
    const failed = new Promise((resolve) => got.on('error', resolve));
    let gone = false;
    void evil.connections[0]?.closed.then(() => (gone = true));
    await until(() => {
      hand.advance(30_000);
      return gone;
    });
    got.resume();
    await failed;
    expect(proxy.entries[0]?.detail?.['code']).toBe('client_stalled');
  });
});

describe('a caller that reads the head and no more', () => {
  it('is cut off although the provider has long finished', async () => {
    const hand = handClock();
    const { proxy } = await startProxyOverEvil(list, always(answer(200, Buffer.alloc(12 * MIB))), {
      clock: hand.clock,
    });
    const { request, response } = openCall(proxy.port);
    request.end();
    const got = await response;
    const failed = new Promise((resolve) => got.on('error', resolve));
    let open = 1;
    await until(() => {
      hand.advance(30_000);
      proxy.app.server.getConnections((_error, count) => (open = count));
      return open === 0;
    });
    got.resume();
    await failed;
  });
});

describe('a call without an answer', () => {
  it('says so as the wire contract does: 500, Node’s code, the method', async () => {
    const gone = await createEvil(() => undefined);
    await gone.close();
    const live = aLive(anIntegration(aProvider(`http://${gone.pair}`)));
    const proxy = list.add(await startProxy({ allow: [gone.pair], live }));
    const got = await callProxy(proxy.port, '/proxy/x', { method: 'PATCH', body: 'x' });
    expect(got.status).toBe(500);
    expect(got.json()).toEqual({ message: expect.any(String), code: 'ECONNREFUSED', status: 500, method: 'PATCH' });
    expect(got.headers['content-type']).toBe('application/json; charset=utf-8');
    expect(got.body.toString()).not.toContain(TOKEN);
    expect(proxy.entries).toMatchObject([{ ok: false, summary: 'PATCH /x → ECONNREFUSED', detail: { status: 500 } }]);
  });

  const nonsense: [string, string][] = [
    ['no HTTP', 'SSH-2.0-OpenSSH_9.2\r\n'],
    ['a header without a colon', 'HTTP/1.1 200 OK\r\nbroken header\r\nContent-Length: 2\r\n\r\nok'],
    ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok'],
    [
      'length and chunks',
      'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n',
    ],
    ['a NUL in a header', 'HTTP/1.1 200 OK\r\nX-A: a\0b\r\nContent-Length: 2\r\n\r\nok'],
    ['a bare CR in a header', 'HTTP/1.1 200 OK\r\nX-A: a\rSet-Cookie: x=1\r\nContent-Length: 2\r\n\r\nok'],
    ['a negative length', 'HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nok'],
    [
      'a head without end',
      `HTTP/1.1 200 OK\r\n${'X-A: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n'.repeat(2000)}`,
    ],
    ['nothing', ''],
  ];
  it.each(nonsense)('because the provider sent %s', async (_name, bytes) => {
    const { proxy } = await startProxyOverEvil(list, async (connection) => {
      await connection.request();
      await connection.send(bytes);
      connection.end();
    });
    const got = await callProxy(proxy.port, '/proxy/x');
    expect([got.status, got.json()]).toMatchObject([500, { status: 500, method: 'GET' }]);
    expect(got.headers['set-cookie']).toBeUndefined();
    // The next call is not touched by it.
    expect((await callProxy(proxy.port, '/proxy/x')).status).toBe(500);
  });

  it('because the provider answered with a status that does not exist', async () => {
    const { proxy } = await startProxyOverEvil(list, always('HTTP/1.1 999 No\r\nContent-Length: 2\r\n\r\nno'));
    const got = await callProxy(proxy.port, '/proxy/x');
    expect([999, 500]).toContain(got.status);
  });
});
