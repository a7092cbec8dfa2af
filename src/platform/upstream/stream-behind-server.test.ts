import { Agent, createServer, request as httpRequest, type IncomingMessage } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { PassThrough, Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { always, answer, handClock, turns, until, type Evil } from '../../../test/support/evil.ts';
import { closeAfterEach, alsoClose, evilWith, exchange, goneUrl, upstreamFor } from './upstream.test-support.ts';

closeAfterEach();

/** The smallest proxy: what features/proxy does, without its rules. */
async function proxyTo(evil: Evil): Promise<{ port: number; sockets: Set<Socket> }> {
  const upstream = upstreamFor(evil);
  const sockets = new Set<Socket>();
  const server = createServer((request, response) => {
    sockets.add(request.socket);
    const handle = upstream.stream(
      {
        method: request.method ?? 'GET',
        url: evil.url(request.url),
        headers:
          request.headers['content-length'] === undefined
            ? {}
            : { 'content-length': request.headers['content-length'] },
        body: request.method === 'POST' ? request : null,
        headersTimeoutMs: 5000,
        bodyIdleTimeoutMs: 5000,
      },
      {
        onHeaders: (status, { 'content-length': length }) =>
          void response.writeHead(status, typeof length === 'string' ? { 'content-length': length } : {}),
        onData: (chunk) => response.write(chunk),
        onEnd: () => void response.end(),
        onError: (error) => {
          if (response.headersSent) response.destroy();
          else response.writeHead(502).end(error.code);
        },
      },
    );
    response.on('drain', () => handle.resume());
    response.on('close', () => {
      if (!response.writableFinished) handle.abort();
    });
  });
  alsoClose(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { port: (server.address() as AddressInfo).port, sockets };
}

function ask(port: number, size: number, agent?: Agent): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const outgoing = httpRequest(
      { port, host: '127.0.0.1', method: 'POST', headers: { 'content-length': size }, agent },
      (response) => {
        let body = '';
        response.on('data', (chunk: Buffer) => (body += chunk.toString()));
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
        response.on('error', reject);
      },
    );
    outgoing.on('error', reject);
    outgoing.end(Buffer.alloc(size));
  });
}

describe('behind a server', () => {
  it('an upstream that answers before it has read the body does not cost the caller its reply', async () => {
    const evil = await evilWith(async (connection) => {
      await connection.head();
      await connection.send(answer(413, 'too much'));
      connection.socket.pause();
    });
    const { port, sockets } = await proxyTo(evil);
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    for (let round = 0; round < 3; round++) {
      expect(await ask(port, 8 * 1024 * 1024, agent)).toEqual({ status: 413, body: 'too much' });
    }
    agent.destroy();
    // Its connection is not cut either: the rest of the body was read away.
    expect(sockets.size).toBe(1);
  });

  it('an upstream that breaks off inside the body does not either', async () => {
    const evil = await evilWith(async (connection) => {
      await connection.head();
      connection.reset();
    });
    const { port, sockets } = await proxyTo(evil);
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    for (let round = 0; round < 3; round++) {
      expect(await ask(port, 8 * 1024 * 1024, agent)).toEqual({ status: 502, body: 'ECONNRESET' });
    }
    agent.destroy();
    expect(sockets.size).toBe(1);
  });

  it('a large answer arrives whole', async () => {
    const size = 20 * 1024 * 1024;
    const evil = await evilWith(always(answer(200, Buffer.alloc(size, 'y'))));
    const { port } = await proxyTo(evil);
    const { status, body } = await ask(port, 10);
    expect(status).toBe(200);
    expect(body.length).toBe(size);
  });

  it('a caller who leaves closes the socket to the upstream', async () => {
    const evil = await evilWith(async (connection) => {
      await connection.request();
      await connection.send('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n');
    });
    const { port } = await proxyTo(evil);
    const outgoing = httpRequest({ port, host: '127.0.0.1' });
    const response = await new Promise<IncomingMessage>((resolve) => {
      outgoing.on('response', resolve);
      outgoing.end();
    });
    response.on('error', () => {
      // The test destroys it below.
    });
    response.destroy();
    await evil.connections[0]?.closed;
  });
});

describe('a body whose request never started', () => {
  it('is untouched and may be sent again', async () => {
    const url = await goneUrl();
    const body = Readable.from([Buffer.from('once')]);
    const first = await exchange(upstreamFor({ pair: url.host }), url, { method: 'POST', body }).done;
    expect(first.failure).toMatchObject({ kind: 'refused', code: 'ECONNREFUSED', requestSent: false });
    const evil = await evilWith(async (connection) => {
      const request = await connection.request();
      await connection.send(answer(200, request?.body ?? 'nothing'));
    });
    const second = await exchange(upstreamFor(evil), evil.url(), { method: 'POST', body }).done;
    expect(second.body.toString()).toBe('once');
  });

  it('is untouched when the wait for a connection was too long, also when the turn of the old request comes', async () => {
    const clock = handClock();
    const evil = await evilWith(async (connection, index) => {
      const request = await connection.request();
      if (index > 0) await connection.send(answer(200, request?.body ?? 'nothing'));
    });
    const upstream = upstreamFor(evil, { clock, connectionsPerOrigin: 1 });
    const first = exchange(upstream, evil.url('/first'), { headersTimeoutMs: 0 });
    await until(() => evil.connections[0]?.received().includes('\r\n\r\n') === true);
    const body = new PassThrough();
    body.end('once');
    const second = exchange(upstream, evil.url('/second'), { method: 'POST', body, headersTimeoutMs: 1000 });
    clock.advance(1000);
    expect((await second.done).failure).toMatchObject({ kind: 'timeout_connect', requestSent: false });
    first.handle.abort();
    await first.done;
    // Its turn would be now.
    await turns(20);
    const third = await exchange(upstream, evil.url('/third'), { method: 'POST', body, headersTimeoutMs: 0 }).done;
    expect(third.body.toString()).toBe('once');
    expect(evil.connections.map((connection) => connection.received().toString()).join('')).not.toContain('/second');
  });
});
