/** Bodies as they go through: whole, piece by piece, in codings, at the pace of the slower side, within limits. */
import { randomBytes } from 'node:crypto';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { brotliCompressSync, constants, deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import { afterEach, describe, expect, it } from 'vitest';
import { always, answer, until } from '../support/evil.ts';
import { aLive, anIntegration, aProvider, callProxy, sha256, startProxy } from '../support/proxy.ts';
import { createOpenList, openCall, recording, startProxyOverEvil } from '../support/proxy-evil.ts';

const list = createOpenList();
afterEach(() => list.close());

const MIB = 1024 * 1024;
const ok = answer(200, 'ok');

function chunked(body: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`${body.length.toString(16)}\r\n`), body, Buffer.from('\r\n0\r\n\r\n')]);
}

describe('bodies', () => {
  it.each([
    ['with a length', undefined],
    ['chunked', 'chunked'],
  ])('of 2 MB go up %s, byte for byte', async (_name, encoding) => {
    const { script, requests } = recording(ok);
    const { proxy } = await startProxyOverEvil(list, script);
    const body = randomBytes(2 * MIB);
    const headers: Record<string, string> =
      encoding === undefined ? { 'content-length': String(body.length) } : { 'transfer-encoding': encoding };
    const { request, response } = openCall(proxy.port, { method: 'POST', headers });
    for (let i = 0; i < body.length; i += 50_000) request.write(body.subarray(i, i + 50_000));
    request.end();
    expect((await response).statusCode).toBe(200);
    expect(sha256(requests[0]?.body ?? Buffer.alloc(0))).toBe(sha256(body));
    expect(requests[0]?.headers[encoding === undefined ? 'content-length' : 'transfer-encoding']).toBe(
      encoding ?? String(body.length),
    );
  });

  it.each([0, 1, 64 * 1024, 64 * 1024 + 1, 300_000])('of %i bytes go up whole', async (length) => {
    const { script, requests } = recording(ok);
    const { proxy } = await startProxyOverEvil(list, script);
    const body = randomBytes(length);
    const got = await callProxy(proxy.port, '/proxy/x', { method: 'PUT', body });
    expect(got.status).toBe(200);
    expect(sha256(requests[0]?.body ?? Buffer.alloc(0))).toBe(sha256(body));
    expect(requests[0]?.headers['content-length']).toBe(String(length));
  });

  it.each(['GET', 'DELETE'])('go up with %s too', async (method) => {
    const { script, requests } = recording(ok);
    const { proxy } = await startProxyOverEvil(list, script);
    await callProxy(proxy.port, '/proxy/x', { method, body: 'query' });
    expect(requests[0]?.body.toString()).toBe('query');
  });

  it('of 2 MB come down with a length, chunked and until the connection closes', async () => {
    const body = randomBytes(2 * MIB);
    const shapes = [
      answer(200, body),
      Buffer.concat([Buffer.from('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'), chunked(body)]),
    ];
    for (const shape of shapes) {
      const { proxy } = await startProxyOverEvil(list, always(shape));
      expect(sha256((await callProxy(proxy.port, '/proxy/x')).body)).toBe(sha256(body));
    }
    const closing = await startProxyOverEvil(list, async (connection) => {
      await connection.request();
      await connection.send('HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n');
      await connection.send(body);
      connection.end();
    });
    expect(sha256((await callProxy(closing.proxy.port, '/proxy/x')).body)).toBe(sha256(body));
  });

  it('in a content coding stay as they are', async () => {
    const packed = gzipSync('{"a":1}');
    const { proxy } = await startProxyOverEvil(list, always(answer(200, packed, { 'content-encoding': 'gzip' })));
    const got = await callProxy(proxy.port, '/proxy/x');
    expect(got.headers['content-encoding']).toBe('gzip');
    expect(got.body.equals(packed)).toBe(true);
  });

  it('reach the caller piece by piece: head first, then what has come', async () => {
    const go = Promise.withResolvers<void>();
    const { proxy } = await startProxyOverEvil(list, async (connection) => {
      await connection.request();
      await connection.send('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n');
      await go.promise;
      await connection.send('8\r\ndata: 1\n\r\n');
    });
    const { request, response } = openCall(proxy.port);
    request.end();
    const got = await response;
    expect(got.headers['content-type']).toBe('text/event-stream');
    const first = new Promise<string>((resolve) => got.once('data', (chunk: Buffer) => resolve(chunk.toString())));
    go.resolve();
    expect(await first).toBe('data: 1\n');
    request.destroy();
  });
});

describe('Decompress: true', () => {
  const text = JSON.stringify({ text: randomBytes(40_000).toString('hex') });

  it.each([
    ['gzip', gzipSync(text)],
    ['deflate', deflateSync(text)],
    ['br', brotliCompressSync(text)],
  ])('inflates %s', async (coding, packed) => {
    const { proxy } = await startProxyOverEvil(list, always(answer(200, packed, { 'content-encoding': coding })));
    const got = await callProxy(proxy.port, '/proxy/x', { headers: { decompress: 'true' } });
    expect(got.headers['content-encoding']).toBeUndefined();
    expect(got.body.toString()).toBe(text);
  });

  it('leaves a plain or an unknown coding alone', async () => {
    for (const headers of [{}, { 'content-encoding': 'snappy' }]) {
      const { proxy } = await startProxyOverEvil(list, always(answer(200, 'plain', headers as Record<string, string>)));
      const got = await callProxy(proxy.port, '/proxy/x', { headers: { decompress: 'true' } });
      expect([got.body.toString(), got.headers['content-length']]).toEqual(['plain', '5']);
    }
  });

  it.each([
    ['a bomb', gzipSync(Buffer.alloc(64 * MIB))],
    ['damaged bytes', Buffer.concat([gzipSync(text).subarray(0, 500), Buffer.from('garbage garbage')])],
    ['bytes cut short', gzipSync(text).subarray(0, 2000)],
  ])('abuse 22: never makes a whole answer of %s', async (_name, packed) => {
    const { proxy } = await startProxyOverEvil(list, always(answer(200, packed, { 'content-encoding': 'gzip' })));
    await expect(callProxy(proxy.port, '/proxy/x', { headers: { decompress: 'true' } })).rejects.toThrow();
    await until(() => proxy.entries.length === 1);
    expect(proxy.entries[0]).toMatchObject({ ok: false });
  });

  it('abuse 22: 10 GiB of zeros cost 64 MiB of memory at most', async () => {
    // 4 MiB of zeros that end at a byte's edge: repeated they go on for ever.
    const zeros = deflateRawSync(Buffer.alloc(4 * MIB), { finishFlush: constants.Z_FULL_FLUSH });
    const head = Buffer.from('1f8b0800000000000003', 'hex');
    let sent = 0;
    const { proxy } = await startProxyOverEvil(list, async (connection) => {
      await connection.request();
      await connection.send('HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n');
      await connection.send(head);
      for (; sent < 2_560 && !connection.socket.destroyed; sent += 1) await connection.send(zeros);
    });
    const before = process.memoryUsage.rss();
    let most = before;
    const { request, response } = openCall(proxy.port, { headers: { decompress: 'true' } });
    request.end();
    const got = await response;
    let received = 0;
    got.on('data', (chunk: Buffer) => {
      received += chunk.length;
      most = Math.max(most, process.memoryUsage.rss());
    });
    await new Promise((closed) => got.on('error', () => {}).on('close', closed)); // cut, as it must be
    expect(got.complete).toBe(false);
    expect(received).toBeLessThan(100 * MIB);
    expect(sent).toBeLessThan(2_560);
    expect(most - before).toBeLessThan(64 * MIB);
  });

  it('abuse 22: stops a body that inflates past the limit', async () => {
    const { proxy } = await startProxyOverEvil(
      list,
      always(answer(200, gzipSync(randomBytes(MIB)), { 'content-encoding': 'gzip' })),
      {
        deps: { limits: { inflatedBytesMax: 1000 } },
      },
    );
    await expect(callProxy(proxy.port, '/proxy/x', { headers: { decompress: 'true' } })).rejects.toThrow();
    expect(proxy.entries[0]?.detail?.['code']).toBe('ERR_BODY_TOO_LARGE');
  });
});

describe('back-pressure', () => {
  it('of a caller that does not read stops the provider, and lets it go on later', async () => {
    const body = randomBytes(32 * MIB);
    let sent = 0;
    const { proxy } = await startProxyOverEvil(list, async (connection) => {
      await connection.request();
      await connection.send(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n`);
      for (let i = 0; i < body.length; i += 64 * 1024) {
        await connection.send(body.subarray(i, i + 64 * 1024));
        sent = i;
      }
    });
    const { request, response } = openCall(proxy.port);
    request.end();
    const got = await response;
    // Nobody reads: what is under way settles at what sockets and buffers hold.
    let before = -1;
    await until(() => {
      const still = sent === before && sent > 0;
      before = sent;
      return still && got.socket.bytesRead > 0;
    });
    expect(sent).toBeLessThan(24 * MIB);
    const chunks: Buffer[] = [];
    for await (const chunk of got) chunks.push(chunk as Buffer);
    expect(sha256(Buffer.concat(chunks))).toBe(sha256(body));
  });

  it('of a provider that does not read stops the caller', async () => {
    const length = 32 * MIB;
    let received = 0;
    let reader: Socket | undefined;
    const server = createServer((socket) => {
      reader = socket.pause().on('data', (chunk) => {
        received += chunk.length;
        if (received > length) socket.end(ok);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    list.add({ close: () => new Promise<void>((resolve) => void server.close(() => resolve())) });
    const live = aLive(anIntegration(aProvider(`http://127.0.0.1:${port}`)));
    const proxy = list.add(await startProxy({ allow: [`127.0.0.1:${port}`], live }));
    const { request, response } = openCall(proxy.port, {
      method: 'POST',
      headers: { 'content-length': String(length) },
    });
    request.end(Buffer.alloc(length));
    await until(() => reader !== undefined);
    // Nobody reads: what is left at the caller settles.
    let before = -1;
    await until(() => {
      const left = request.socket?.writableLength ?? 0;
      const still = left === before;
      before = left;
      return still;
    });
    expect(before).toBeGreaterThan(8 * MIB);
    reader?.resume();
    expect((await response).statusCode).toBe(200);
    expect(received).toBeGreaterThan(length);
  });
});

describe('limits of a request', () => {
  it('refuse a body announced too large, before anything is sent', async () => {
    const { proxy, evil } = await startProxyOverEvil(list, always(ok), { deps: { limits: { requestBytesMax: 1000 } } });
    const got = await callProxy(proxy.port, '/proxy/x', { method: 'POST', body: 'x'.repeat(1001) });
    expect([got.status, got.json()]).toMatchObject([413, { error: { code: 'request_too_large' } }]);
    expect(evil.connections.length).toBe(0);
  });

  it('cut a chunked body that grows too large', async () => {
    const { proxy, evil } = await startProxyOverEvil(list, async (connection) => void (await connection.head()), {
      deps: { limits: { requestBytesMax: 1000 } },
    });
    const { request, response } = openCall(proxy.port, { method: 'POST', headers: { 'transfer-encoding': 'chunked' } });
    request.on('error', () => undefined);
    request.write('x'.repeat(900));
    await until(() => evil.connections.length === 1);
    request.write('x'.repeat(200));
    const got = await response;
    expect(got.statusCode).toBe(413);
    await evil.connections[0]?.closed;
  });
});
