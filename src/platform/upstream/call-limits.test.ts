import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { always, answer, handClock, turns, until } from '../../../test/support/evil.ts';
import {
  closeAfterEach,
  callOnce,
  chunked,
  evilWith,
  failureOf,
  sendThen,
  upstreamFor,
} from './upstream.test-support.ts';

closeAfterEach();

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

  it('abuse 22: stops an endless body soon', async () => {
    const evil = await evilWith(async (connection) => {
      await connection.request();
      await connection.send('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n');
      const chunk = `10000\r\n${'x'.repeat(0x10000)}\r\n`;
      while (!connection.socket.destroyed) {
        await connection.send(chunk);
        await turns(1);
      }
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
      while (!connection.socket.destroyed) {
        await connection.send(`x-a: ${'y'.repeat(1000)}\r\n`);
        await turns(1);
      }
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
  ])('abuse 22: a bomb of zeros is stopped: %s', async (encoding, packed) => {
    expect(packed.length).toBeLessThan(256 * 1024);
    const failed = await failureOf(always(answer(200, packed, { 'content-encoding': encoding })));
    expect(failed).toMatchObject({ kind: 'too_large', code: 'ERR_BODY_TOO_LARGE', requestSent: true });
  });

  it('abuse 22: stops at 200 times the packed size though the cap is far', async () => {
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

  it('abuse 22: is not moved by an upstream that drips', async () => {
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
    const upstream = upstreamFor(undefined, { clock, resolve: () => new Promise(() => undefined) });
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
