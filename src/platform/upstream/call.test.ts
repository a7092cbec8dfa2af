import { setDefaultCACertificates, getCACertificates, type TLSSocket } from 'node:tls';
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import { afterEach, describe, expect, it, vi } from 'vitest';
import {
  always,
  answer,
  createEvil,
  handClock,
  selfSigned,
  turns,
  until,
  type Evil,
  type EvilScript,
} from '../../../test/support/evil.ts';
import { systemClock } from '../clock.ts';
import { createUpstream, type CallRequest, type CallResponse, type Upstream, type UpstreamFailure } from './index.ts';

const open: { evils: Evil[]; upstreams: Upstream[] } = { evils: [], upstreams: [] };

afterEach(async () => {
  await Promise.all(open.upstreams.splice(0).map((upstream) => upstream.destroy()));
  await Promise.all(open.evils.splice(0).map((evil) => evil.close()));
});

async function evilWith(script: EvilScript, options?: Parameters<typeof createEvil>[1]): Promise<Evil> {
  const evil = await createEvil(script, options);
  open.evils.push(evil);
  return evil;
}

function upstreamFor(evil: Evil, extra: { clock?: typeof systemClock; allow?: string[] } = {}): Upstream {
  const upstream = createUpstream({
    policy: () => ({ allow: extra.allow ?? [evil.pair] }),
    clock: extra.clock ?? systemClock,
    userAgent: 'hawser/test',
  });
  open.upstreams.push(upstream);
  return upstream;
}

async function callOnce(script: EvilScript, request: Partial<CallRequest> = {}): Promise<CallResponse> {
  const evil = await evilWith(script);
  return await upstreamFor(evil).call({ method: 'GET', url: evil.url(), headers: {}, ...request });
}

async function failureOf(script: EvilScript, request: Partial<CallRequest> = {}): Promise<UpstreamFailure> {
  return await callOnce(script, request).then(
    (response) => {
      throw new Error(`expected a failure, got ${response.status} ${response.body.toString()}`);
    },
    (error: UpstreamFailure) => error,
  );
}

const sendThen =
  (bytes: string | Buffer, after: (connection: Parameters<EvilScript>[0]) => void): EvilScript =>
  async (connection) => {
    await connection.request();
    await connection.send(bytes);
    after(connection);
  };

const lying = (status: number): string => `HTTP/1.1 ${status} x\r\ncontent-length: 999999999\r\n\r\n`;

const chunked = (size: number): string =>
  `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n${size.toString(16)}\r\n${'x'.repeat(size)}\r\n0\r\n\r\n`;

const secure = (evil: Evil, host = 'localhost'): URL => new URL(`https://${host}:${evil.port}/`);

const trust = (cert: string): void => setDefaultCACertificates([...getCACertificates('bundled'), cert]);

const callSecure = async (evil: Evil, host?: string): Promise<CallResponse> => {
  const url = secure(evil, host);
  return await upstreamFor(evil, { allow: [url.host] }).call({ method: 'GET', url, headers: {} });
};

describe('what is sent', () => {
  it('is the request, with the host of the URL and our user agent', async () => {
    const evil = await evilWith(always(answer(200, '{}')));
    await upstreamFor(evil).call({
      method: 'post',
      url: new URL(`${evil.url('/token?a=b%20c#secret').href}`),
      headers: { 'Content-Type': 'application/x-www-form-urlencoded', HOST: 'other.example', 'X-A': 'b' },
      body: 'grant=é',
    });
    const received = evil.connections[0]?.received().toString() ?? '';
    expect(received.split('\r\n')).toEqual([
      'POST /token?a=b%20c HTTP/1.1',
      `host: ${evil.pair}`,
      'connection: keep-alive',
      'Content-Type: application/x-www-form-urlencoded',
      'X-A: b',
      'user-agent: hawser/test',
      'content-length: 8',
      '',
      'grant=é',
    ]);
  });

  it("keeps the caller's user agent", async () => {
    const evil = await evilWith(always(answer(200, '')));
    await upstreamFor(evil).call({ method: 'GET', url: evil.url(), headers: { 'User-Agent': 'theirs' } });
    expect(evil.connections[0]?.received().toString()).toContain('User-Agent: theirs');
    expect(evil.connections[0]?.received().toString()).not.toContain('hawser');
  });

  it('is nothing for a header or method that cannot be written', async () => {
    const evil = await evilWith(always(answer(200, '')));
    const upstream = upstreamFor(evil);
    const url = evil.url();
    for (const [name, value] of [
      ['x-a', 'b\r\nx-evil: 1'],
      ['x-a', 'b\0'],
      ['x a', 'b'],
      ['x-a\r\nx-evil', 'b'],
    ] as const) {
      const headers = { [name]: value };
      await expect(upstream.call({ method: 'GET', url, headers })).rejects.toMatchObject({
        kind: 'protocol',
        requestSent: false,
      });
    }
    for (const method of ['CONNECT', 'trace', 'GET / HTTP/1.1\r\nx: y', '', 'G T']) {
      await expect(upstream.call({ method, url, headers: {} }), method).rejects.toMatchObject({ kind: 'protocol' });
    }
    await until(() => evil.connections.every(({ socket }) => socket.closed || socket.bytesRead === 0));
    expect(evil.connections.map((connection) => connection.received().length)).not.toContain(1);
    expect(evil.connections.reduce((sum, connection) => sum + connection.received().length, 0)).toBe(0);
  });
});

describe('onRequestSent', () => {
  it('runs once, before any byte', async () => {
    const evil = await evilWith(always(answer(200, 'ok')));
    const seen: number[] = [];
    await upstreamFor(evil).call({
      method: 'POST',
      url: evil.url(),
      headers: {},
      body: 'x',
      fresh: true,
      onRequestSent: () => seen.push(evil.connections[0]?.received().length ?? 0),
    });
    expect(seen).toEqual([0]);
  });

  it('stops the call when it throws: nothing was sent, the error comes out as it is', async () => {
    const evil = await evilWith(always(answer(200, 'ok')));
    const upstream = upstreamFor(evil);
    const lost = new Error('the lease was lost');
    const request = { method: 'POST', url: evil.url(), headers: {}, body: 'secret' };
    await expect(
      upstream.call({
        ...request,
        onRequestSent: () => {
          throw lost;
        },
      }),
    ).rejects.toBe(lost);
    // A later call on the same pool is not hurt.
    expect((await upstream.call({ ...request, body: 'later' })).status).toBe(200);
    const received = evil.connections.map((connection) => connection.received().toString()).join('');
    expect(received).not.toContain('secret');
    expect(received).toContain('later');
  });
});

describe('the answer', () => {
  it('is read with length, in chunks with trailers, and until close', async () => {
    expect((await callOnce(always(answer(201, 'abc')))).body.toString()).toBe('abc');
    const pieces =
      'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2;ext=1\r\nde\r\n0\r\nx-t: 1\r\n\r\n';
    expect((await callOnce(always(pieces))).body.toString()).toBe('abcde');
    const untilClose = await callOnce(sendThen('HTTP/1.1 200 OK\r\n\r\nabcdef', (connection) => connection.end()));
    expect(untilClose.body.toString()).toBe('abcdef');
  });

  it('comes byte by byte as well', async () => {
    const bytes = answer(200, 'x'.repeat(300), { 'set-cookie': 'a=1' });
    const response = await callOnce(async (connection) => {
      await connection.request();
      for (const byte of bytes) await connection.send(Buffer.from([byte]));
    });
    expect(response.body.toString()).toBe('x'.repeat(300));
    expect(response.headers['set-cookie']).toBe('a=1');
  });

  it('has no body for HEAD, 204 and 304, whatever the length says', async () => {
    expect((await callOnce(always(lying(200)), { method: 'HEAD' })).body.length).toBe(0);
    expect((await callOnce(always(lying(204)))).body.length).toBe(0);
    expect((await callOnce(always(lying(304)))).status).toBe(304);
  });

  it('may be announced by interim answers, but not by an endless row of them', async () => {
    const early = 'HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n';
    const response = await callOnce(always(early.repeat(3) + answer(200, 'ok').toString()));
    expect(response.status).toBe(200);
    expect(response.headers['link']).toBeUndefined();
    const failed = await failureOf(async (connection) => {
      await connection.request();
      while (!connection.socket.destroyed) await connection.send(early);
    });
    expect(failed).toMatchObject({ kind: 'protocol', requestSent: true });
  });

  it('is not followed when it is a redirect', async () => {
    const other = await evilWith(always(answer(200, 'stolen')));
    for (const status of [301, 302, 303, 307, 308]) {
      const response = await callOnce(always(answer(status, '', { location: other.url('/x').href })), {
        method: 'POST',
        body: 'secret',
      });
      expect(response.status).toBe(status);
    }
    expect(other.connections).toHaveLength(0);
  });

  it('keeps repeated and odd header names apart from the prototype', async () => {
    const response = await callOnce(
      always('HTTP/1.1 200 OK\r\n__proto__: x\r\nconstructor: y\r\na: 1\r\nA: 2\r\ncontent-length: 0\r\n\r\n'),
    );
    expect(response.headers['a']).toEqual(['1', '2']);
    expect(Object.getPrototypeOf(response.headers)).toBe(Object.prototype);
    expect(response.headers['constructor']).toBe('y');
  });
});

describe('an answer that is cut short is a failure', () => {
  const full = 'HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n12345';
  it.each([
    ['length, closed', full, 'end'],
    ['length, reset', full, 'reset'],
    ['length, connection: close, closed', full.replace('OK\r\n', 'OK\r\nconnection: close\r\n'), 'end'],
    ['length, connection: close, reset', full.replace('OK\r\n', 'OK\r\nconnection: close\r\n'), 'reset'],
    ['chunked, closed', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n123', 'end'],
    [
      'chunked without its last chunk',
      'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n2\r\n12\r\n',
      'end',
    ],
    [
      'chunked, reset',
      'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n2\r\n12\r\n',
      'reset',
    ],
    ['until close, reset', 'HTTP/1.1 200 OK\r\n\r\n12345', 'reset'],
    ['head, closed', 'HTTP/1.1 200 OK\r\nx-a: ', 'end'],
    ['nothing, closed', '', 'end'],
    ['nothing, reset', '', 'reset'],
  ] as const)('%s', async (_name, bytes, how) => {
    const failed = await failureOf(async (connection) => {
      await connection.request();
      await connection.send(bytes);
      // Let the bytes be read before the end, or a reset would overtake them.
      await turns();
      connection[how]();
    });
    expect(failed).toMatchObject({ kind: 'reset', code: 'ECONNRESET', requestSent: true });
  });
});

describe('an answer that is not HTTP is a protocol failure', () => {
  it.each([
    ['words', 'hello there\r\n\r\n'],
    ['another protocol', 'SSH-2.0-OpenSSH_9.2\r\n'],
    ['a request', 'GET / HTTP/1.1\r\n\r\n'],
    ['HTTP/2 preface', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    ['two lengths', 'HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab'],
    ['length and chunked', 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n'],
    ['negative length', 'HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n'],
    ['length of words', 'HTTP/1.1 200 OK\r\ncontent-length: 1 2\r\n\r\nab'],
    ['huge length', `HTTP/1.1 200 OK\r\ncontent-length: ${'9'.repeat(30)}\r\n\r\nab`],
    ['negative chunk', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n-1\r\nab\r\n'],
    ['chunk of words', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nab\r\n'],
    ['chunk too long for a number', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\nab\r\n'],
    ['chunk without its line end', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nabXX'],
    ['NUL in a header', 'HTTP/1.1 200 OK\r\nx-a: b\0c\r\ncontent-length: 0\r\n\r\n'],
    ['CR in a header', 'HTTP/1.1 200 OK\r\nx-a: b\rc\r\ncontent-length: 0\r\n\r\n'],
    ['blank in a header name', 'HTTP/1.1 200 OK\r\nx a: b\r\ncontent-length: 0\r\n\r\n'],
    ['blank before the colon', 'HTTP/1.1 200 OK\r\ncontent-length : 0\r\n\r\n'],
    ['header without a name', 'HTTP/1.1 200 OK\r\n: b\r\ncontent-length: 0\r\n\r\n'],
    ['header line without a colon', 'HTTP/1.1 200 OK\r\nx-a\r\ncontent-length: 0\r\n\r\n'],
    ['status of two digits', 'HTTP/1.1 20 OK\r\ncontent-length: 0\r\n\r\n'],
    ['status of four digits', 'HTTP/1.1 2000 OK\r\ncontent-length: 0\r\n\r\n'],
    ['status 099', 'HTTP/1.1 099 Low\r\ncontent-length: 0\r\n\r\n'],
    ['unasked upgrade', 'HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nx'],
    ['unasked 100', 'HTTP/1.1 100 Continue\r\n\r\n'],
    ['HTTP/3.0', 'HTTP/3.0 200 OK\r\ncontent-length: 0\r\n\r\n'],
  ])('%s', async (_name, bytes) => {
    const failed = await failureOf(sendThen(bytes, () => undefined));
    expect(failed).toMatchObject({ kind: 'protocol', requestSent: true });
    expect(failed.message).not.toContain('hello');
  });

  it('and its connection is not used again', async () => {
    const evil = await evilWith(async (connection, index) => {
      while ((await connection.request()) !== undefined)
        await connection.send(index === 0 ? 'nonsense\r\n\r\n' : answer(200, 'ok'));
    });
    const upstream = upstreamFor(evil);
    const call = () => upstream.call({ method: 'GET', url: evil.url(), headers: {} });
    await expect(call()).rejects.toMatchObject({ kind: 'protocol' });
    expect((await call()).body.toString()).toBe('ok');
    expect(evil.connections).toHaveLength(2);
  });

  it('what follows a whole answer never reaches the next call', async () => {
    const evil = await evilWith(async (connection, index) => {
      while ((await connection.request()) !== undefined) {
        const extra = index === 0 ? answer(200, 'smuggled').toString() : '';
        await connection.send(answer(200, `own ${index}`).toString() + extra);
      }
    });
    const upstream = upstreamFor(evil);
    for (let round = 0; round < 3; round++) {
      const response = await upstream.call({ method: 'GET', url: evil.url(), headers: {} });
      expect(response.body.toString()).toMatch(/^own \d$/);
      await turns(1);
    }
  });
});

describe('limits', () => {
  it('refuses a body that announces too much, before reading it', async () => {
    const failed = await failureOf(always(`HTTP/1.1 200 OK\r\ncontent-length: 262145\r\n\r\n`));
    expect(failed).toMatchObject({ kind: 'too_large', code: 'ERR_BODY_TOO_LARGE', requestSent: true });
  });

  it('takes exactly the limit and not one byte more', async () => {
    expect((await callOnce(always(chunked(1000)), { bodyBytesMax: 1000 })).body.length).toBe(1000);
    expect(await failureOf(always(chunked(1001)), { bodyBytesMax: 1000 })).toMatchObject({ kind: 'too_large' });
    expect((await callOnce(always(chunked(262_144)))).body.length).toBe(262_144);
    expect(await failureOf(always(chunked(262_145)))).toMatchObject({ kind: 'too_large' });
  });

  it('stops an endless body soon', async () => {
    const evil = await evilWith(async (connection) => {
      await connection.request();
      await connection.send('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n');
      const chunk = `10000\r\n${'x'.repeat(0x10000)}\r\n`;
      while (!connection.socket.destroyed) await connection.send(chunk);
    });
    const called = upstreamFor(evil).call({ method: 'GET', url: evil.url(), headers: {} });
    await expect(called).rejects.toMatchObject({ kind: 'too_large' });
    await evil.connections[0]?.closed;
    // The cap is 256 KiB; what is more sat in socket buffers of the kernel.
    expect(evil.connections[0]?.socket.bytesWritten).toBeLessThan(32 * 1024 * 1024);
  });

  it('refuses an endless head', async () => {
    const failed = await failureOf(async (connection) => {
      await connection.request();
      await connection.send('HTTP/1.1 200 OK\r\n');
      while (!connection.socket.destroyed) await connection.send(`x-a: ${'y'.repeat(1000)}\r\n`);
    });
    expect(failed.kind).toBe('too_large');
  });
});

describe('content encoding', () => {
  const text = JSON.stringify({ access_token: 'a'.repeat(40), list: Array.from({ length: 200 }, (_, index) => index) });
  it.each([
    ['gzip', gzipSync(text)],
    ['x-gzip', gzipSync(text)],
    ['GZIP', gzipSync(text)],
    ['br', brotliCompressSync(text)],
    ['deflate', deflateSync(text)],
    ['deflate', deflateRawSync(text)],
    ['identity', Buffer.from(text)],
    ['gzip, br', brotliCompressSync(gzipSync(text))],
  ])('%s is undone', async (encoding, packed) => {
    const response = await callOnce(always(answer(200, packed, { 'content-encoding': encoding })));
    expect(response.body.toString()).toBe(text);
    expect(response.headers['content-encoding']).toBeUndefined();
    expect(response.headers['content-length']).toBeUndefined();
  });

  it('has nothing to undo in an empty body', async () => {
    expect((await callOnce(always(answer(200, '', { 'content-encoding': 'gzip' })))).body.length).toBe(0);
    const head = 'HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 100\r\n\r\n';
    expect((await callOnce(always(head), { method: 'HEAD' })).status).toBe(200);
  });

  it.each([
    ['gzip', gzipSync(Buffer.alloc(50 * 1024 * 1024))],
    ['br', brotliCompressSync(Buffer.alloc(50 * 1024 * 1024))],
    ['deflate', deflateSync(Buffer.alloc(20 * 1024 * 1024))],
    ['gzip, gzip', gzipSync(gzipSync(Buffer.alloc(50 * 1024 * 1024)))],
  ])('a bomb of zeros is stopped: %s', async (encoding, packed) => {
    expect(packed.length).toBeLessThan(256 * 1024);
    const failed = await failureOf(always(answer(200, packed, { 'content-encoding': encoding })));
    expect(failed).toMatchObject({ kind: 'too_large', code: 'ERR_BODY_TOO_LARGE', requestSent: true });
  });

  it('stops at 200 times the packed size though the cap is far', async () => {
    const packed = gzipSync(Buffer.alloc(8 * 1024 * 1024));
    const failed = await failureOf(always(answer(200, packed, { 'content-encoding': 'gzip' })), {
      bodyBytesMax: 64 * 1024 * 1024,
    });
    expect(failed.kind).toBe('too_large');
    const honest = gzipSync(Buffer.alloc(10_000));
    const small = await callOnce(always(answer(200, honest, { 'content-encoding': 'gzip' })));
    expect(small.body.length).toBe(10_000);
  });

  it.each([
    ['gzip', Buffer.from('no gzip at all')],
    ['gzip', gzipSync(text).subarray(0, 60)],
    ['br', Buffer.from([0xff, 0xff, 0xff])],
    ['deflate', deflateSync(text).subarray(0, 30)],
    ['zstd', Buffer.from('x')],
    ['made-up', Buffer.from('x')],
    ['gzip, gzip, gzip', gzipSync(gzipSync(gzipSync(text)))],
  ])('damaged or unknown %s is a protocol failure', async (encoding, packed) => {
    const failed = await failureOf(always(answer(200, packed, { 'content-encoding': encoding })));
    expect(failed).toMatchObject({ kind: 'protocol', requestSent: true });
    expect(failed.code).not.toBe('');
  });
});

describe('the deadline', () => {
  it.each([
    ['before the head', '', 'timeout_headers'],
    ['inside the head', 'HTTP/1.1 200 OK\r\nx-a: b\r\n', 'timeout_headers'],
    ['inside the body', 'HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n12345', 'timeout_body'],
  ] as const)('ends an upstream that stalls %s', async (_name, bytes, kind) => {
    const clock = handClock();
    const evil = await evilWith(sendThen(bytes, () => undefined));
    const upstream = upstreamFor(evil, { clock });
    const called = upstream.call({ method: 'GET', url: evil.url(), headers: {}, timeoutMs: 700 });
    const outcome = called.catch((error: unknown) => error);
    await until(() => (evil.connections[0]?.socket.bytesWritten ?? -1) >= bytes.length);
    await until(() => evil.connections[0]?.received().includes('\r\n\r\n') === true);
    await turns();
    clock.advance(699);
    expect(clock.sleepers).toBe(1);
    clock.advance(1);
    expect(await outcome).toMatchObject({ kind, code: 'ETIMEDOUT', requestSent: true });
    await evil.connections[0]?.closed;
    expect(clock.sleepers).toBe(0);
  });

  it('is not moved by an upstream that drips', async () => {
    const clock = handClock();
    const evil = await evilWith(async (connection) => {
      await connection.request();
      await connection.send('HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n');
      while (!connection.socket.destroyed) {
        await connection.send('x');
        clock.advance(10);
        await turns(1);
      }
    });
    const called = upstreamFor(evil, { clock }).call({ method: 'GET', url: evil.url(), headers: {}, timeoutMs: 1000 });
    await expect(called).rejects.toMatchObject({ kind: 'timeout_body', code: 'ETIMEDOUT' });
  });

  it('covers a name that never resolves', async () => {
    const clock = handClock();
    const upstream = createUpstream({
      policy: () => ({ allow: [] }),
      clock,
      userAgent: 'x',
      resolve: () => new Promise(() => undefined),
    });
    open.upstreams.push(upstream);
    const called = upstream.call({
      method: 'GET',
      url: new URL('https://never.example/'),
      headers: {},
      timeoutMs: 500,
    });
    const outcome = called.catch((error: unknown) => error);
    await until(() => clock.sleepers === 2);
    clock.advance(500);
    expect(await outcome).toMatchObject({ kind: 'timeout_connect', requestSent: false });
    // The connection attempt has a limit of its own.
    clock.advance(10_000);
    await until(() => clock.sleepers === 0);
  });

  it('leaves nothing behind when the call is quick', async () => {
    const clock = handClock();
    const evil = await evilWith(always(answer(200, 'ok')));
    await upstreamFor(evil, { clock }).call({ method: 'GET', url: evil.url(), headers: {} });
    expect(clock.sleepers).toBe(0);
  });
});

describe('the signal', () => {
  it('ends the call and closes its connection', async () => {
    const evil = await evilWith(async (connection) => void (await connection.request()));
    const stop = new AbortController();
    const called = upstreamFor(evil).call({ method: 'GET', url: evil.url(), headers: {}, signal: stop.signal });
    const outcome = called.catch((error: unknown) => error);
    await until(() => evil.connections[0]?.received().includes('\r\n\r\n') === true);
    stop.abort(new Error('no longer wanted'));
    expect(await outcome).toMatchObject({ kind: 'aborted', code: 'ABORT_ERR', requestSent: true });
    await evil.connections[0]?.closed;
  });

  it('prevents the call when it was given before', async () => {
    const evil = await evilWith(always(answer(200, 'ok')));
    const called = upstreamFor(evil).call({ method: 'GET', url: evil.url(), headers: {}, signal: AbortSignal.abort() });
    await expect(called).rejects.toMatchObject({ kind: 'aborted', requestSent: false });
    expect(evil.connections).toHaveLength(0);
  });
});

describe('connections', () => {
  it('are kept, unless the call wants its own', async () => {
    const evil = await evilWith(always(answer(200, 'ok')));
    const upstream = upstreamFor(evil);
    const call = async (fresh: boolean): Promise<void> => {
      await upstream.call({ method: 'GET', url: evil.url(), headers: {}, fresh });
      await turns();
    };
    await call(false);
    await call(false);
    expect(evil.connections).toHaveLength(1);
    await call(true);
    await call(true);
    expect(evil.connections).toHaveLength(3);
    await Promise.all([evil.connections[1]?.closed, evil.connections[2]?.closed]);
    await call(false);
    expect(evil.connections).toHaveLength(3);
  });

  it('that the server closed while idle do no harm', async () => {
    const evil = await evilWith(async (connection) => {
      await connection.request();
      await connection.send(answer(200, 'ok'));
      connection.end();
    });
    const upstream = upstreamFor(evil);
    for (let round = 0; round < 5; round++) {
      expect((await upstream.call({ method: 'POST', url: evil.url(), headers: {}, body: 'x' })).status).toBe(200);
      await evil.connections.at(-1)?.closed;
    }
  });

  it('that are refused say so, with nothing sent', async () => {
    const evil = await evilWith(always(''));
    const upstream = upstreamFor(evil);
    const url = evil.url();
    await open.evils.pop()?.close();
    await expect(upstream.call({ method: 'POST', url, headers: {}, body: 'x' })).rejects.toMatchObject({
      kind: 'refused',
      code: 'ECONNREFUSED',
      requestSent: false,
    });
  });

  it('are ended by destroy, and none is made after', async () => {
    const evil = await evilWith(async (connection) => void (await connection.request()));
    const upstream = upstreamFor(evil);
    const calls = [false, true].map((fresh) =>
      upstream.call({ method: 'GET', url: evil.url(), headers: {}, fresh }).catch((error: unknown) => error),
    );
    await until(() => evil.connections.filter((connection) => connection.received().length > 0).length === 2);
    await upstream.destroy();
    for (const outcome of await Promise.all(calls))
      expect(outcome).toMatchObject({ kind: 'aborted', requestSent: true });
    await Promise.all(evil.connections.map((connection) => connection.closed));
    await expect(upstream.call({ method: 'GET', url: evil.url(), headers: {} })).rejects.toMatchObject({
      kind: 'aborted',
    });
    await upstream.close();
  });

  it('that are being made are given up by destroy', async () => {
    const clock = handClock();
    const upstream = createUpstream({
      policy: () => ({ allow: [] }),
      clock,
      userAgent: 'x',
      resolve: () => new Promise(() => undefined),
    });
    const called = upstream.call({ method: 'GET', url: new URL('https://never.example/'), headers: {} });
    const outcome = called.catch((error: unknown) => error);
    await until(() => clock.sleepers === 2);
    await upstream.destroy();
    expect(await outcome).toMatchObject({ kind: 'aborted', requestSent: false });
    await until(() => clock.sleepers === 0);
  });

  it('may finish when closing', async () => {
    const evil = await evilWith(async (connection) => {
      await connection.request();
      await upstreamClosing;
      await connection.send(answer(200, 'late'));
    });
    const upstream = upstreamFor(evil);
    const { promise: upstreamClosing, resolve } = Promise.withResolvers<void>();
    const called = upstream.call({ method: 'GET', url: evil.url(), headers: {} });
    await until(() => (evil.connections[0]?.received().length ?? 0) > 0);
    const closing = upstream.close();
    resolve();
    expect((await called).body.toString()).toBe('late');
    await closing;
  });
});

describe('TLS', () => {
  afterEach(() => setDefaultCACertificates(getCACertificates('bundled')));

  it('works with a trusted certificate for the name and for an address, twice (session kept)', async () => {
    const tls = selfSigned(['localhost', '127.0.0.1']);
    trust(tls.cert);
    const evil = await evilWith(always(answer(200, 'secure')), { tls });
    expect((await callSecure(evil)).body.toString()).toBe('secure');
    expect((await callSecure(evil, '127.0.0.1')).body.toString()).toBe('secure');
    // The name goes into the handshake, an address never does (RFC 6066 3).
    expect(evil.connections.map(({ socket }) => (socket as TLSSocket).servername)).toEqual(['localhost', false]);
    const upstream = upstreamFor(evil, { allow: [`localhost:${evil.port}`] });
    for (let round = 0; round < 2; round++) {
      const response = await upstream.call({
        method: 'GET',
        url: secure(evil),
        headers: { host: 'evil.example' },
        fresh: true,
      });
      expect(response.status).toBe(200);
    }
  });

  it('refuses an unknown issuer, even when the environment says not to look', async () => {
    const evil = await evilWith(always(answer(200, 'secure')), { tls: selfSigned(['localhost']) });
    vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0');
    try {
      await expect(callSecure(evil)).rejects.toMatchObject({
        kind: 'tls',
        code: 'DEPTH_ZERO_SELF_SIGNED_CERT',
        requestSent: false,
      });
    } finally {
      vi.unstubAllEnvs();
    }
    expect(evil.connections.reduce((sum, connection) => sum + connection.received().length, 0)).toBe(0);
  });

  it('refuses the certificate of another name', async () => {
    const tls = selfSigned(['other.example']);
    trust(tls.cert);
    const evil = await evilWith(always(answer(200, 'secure')), { tls });
    for (const host of ['localhost', '127.0.0.1']) {
      await expect(callSecure(evil, host)).rejects.toMatchObject({
        kind: 'tls',
        code: 'ERR_TLS_CERT_ALTNAME_INVALID',
        requestSent: false,
      });
    }
  });

  it('refuses an expired certificate', async () => {
    const tls = selfSigned(['localhost'], 0.5);
    trust(tls.cert);
    const evil = await evilWith(always(answer(200, 'secure')), { tls });
    await expect(callSecure(evil)).rejects.toMatchObject({ kind: 'tls', code: 'CERT_HAS_EXPIRED', requestSent: false });
  });

  it('tells plain HTTP on the other side, and a hang-up, from an answer', async () => {
    const plain = await evilWith(async (connection) => {
      await connection.send('HTTP/1.1 400 Bad Request\r\n\r\n');
    });
    await expect(callSecure(plain)).rejects.toMatchObject({ kind: 'tls', requestSent: false });
    const mute = await evilWith((connection) => connection.reset());
    await expect(callSecure(mute)).rejects.toMatchObject({ kind: 'reset', code: 'ECONNRESET', requestSent: false });
  });
});
