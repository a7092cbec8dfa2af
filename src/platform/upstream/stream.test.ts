import { Agent, createServer, request as httpRequest, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { PassThrough, Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { afterEach, describe, expect, it } from 'vitest';
import {
  always,
  answer,
  createEvil,
  handClock,
  turns,
  until,
  type Evil,
  type EvilScript,
} from '../../../test/support/evil.ts';
import { systemClock } from '../clock.ts';
import {
  createUpstream,
  type HeaderRecord,
  type StreamHandle,
  type StreamRequest,
  type StreamSink,
  type Upstream,
  type UpstreamFailure,
} from './index.ts';

const open: { evils: Evil[]; upstreams: Upstream[]; servers: Server[] } = { evils: [], upstreams: [], servers: [] };

afterEach(async () => {
  await Promise.all(open.upstreams.splice(0).map((upstream) => upstream.destroy()));
  await Promise.all(open.evils.splice(0).map((evil) => evil.close()));
  for (const server of open.servers.splice(0)) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

async function evilWith(script: EvilScript): Promise<Evil> {
  const evil = await createEvil(script);
  open.evils.push(evil);
  return evil;
}

function upstreamFor(evil: Evil, extra: { clock?: typeof systemClock; connectionsPerOrigin?: number } = {}): Upstream {
  const upstream = createUpstream({
    policy: () => ({ allow: [evil.pair] }),
    clock: extra.clock ?? systemClock,
    userAgent: 'hawser/test',
    connectionsPerOrigin: extra.connectionsPerOrigin,
  });
  open.upstreams.push(upstream);
  return upstream;
}

interface Outcome {
  events: string[];
  status?: number;
  statusText?: string;
  headers?: HeaderRecord;
  trailers?: HeaderRecord | undefined;
  body: Buffer;
  failure?: UpstreamFailure;
}

/** Runs one exchange to its end and writes down every callback in order. */
function exchange(
  upstream: Upstream,
  url: URL,
  request: Partial<StreamRequest> = {},
  sink: Partial<StreamSink> = {},
): { handle: StreamHandle; done: Promise<Outcome>; outcome: Outcome } {
  const chunks: Buffer[] = [];
  const outcome: Outcome = { events: [], body: Buffer.alloc(0) };
  const { promise: done, resolve } = Promise.withResolvers<Outcome>();
  const finish = (): void => {
    outcome.body = Buffer.concat(chunks);
    resolve(outcome);
  };
  const handle = upstream.stream(
    { method: 'GET', url, headers: {}, headersTimeoutMs: 5000, bodyIdleTimeoutMs: 5000, ...request },
    {
      onHeaders(status, headers, statusText) {
        outcome.events.push('headers');
        Object.assign(outcome, { status, headers, statusText });
        return sink.onHeaders?.(status, headers, statusText);
      },
      onData(chunk) {
        outcome.events.push('data');
        chunks.push(chunk);
        return sink.onData?.(chunk) ?? true;
      },
      onEnd(trailers) {
        outcome.events.push('end');
        outcome.trailers = trailers;
        sink.onEnd?.(trailers);
        finish();
      },
      onError(error) {
        outcome.events.push('error');
        outcome.failure = error;
        finish();
      },
    },
  );
  return { handle, done, outcome };
}

const pieces = (...parts: string[]): string =>
  `${parts.map((part) => `${Buffer.byteLength(part).toString(16)}\r\n${part}\r\n`).join('')}0\r\n`;

const lying = (status: number): string => `HTTP/1.1 ${status} x\r\ncontent-length: 99999999999\r\n\r\n`;

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
  open.servers.push(server);
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

describe('the request', () => {
  it('goes out as given, flat headers or record, with the host of the URL', async () => {
    const evil = await evilWith(always(answer(200, '')));
    const upstream = upstreamFor(evil);
    const url = new URL('/a/b%2fc?d=e&d=f#g', evil.url());
    await exchange(upstream, url, {
      method: 'patch',
      headers: [
        ['X-One', '1'],
        ['x-one', '2'],
        ['Host', 'evil.example'],
      ],
      body: Buffer.from('body'),
    }).done;
    await exchange(upstream, url, { headers: { 'x-list': ['1', '2'], hOsT: 'evil.example', 'User-Agent': 'own' } })
      .done;
    const received = evil.connections.map((connection) => connection.received().toString());
    const text = received.join('');
    expect(text).toContain(
      `PATCH /a/b%2fc?d=e&d=f HTTP/1.1\r\nhost: ${evil.pair}\r\nconnection: keep-alive\r\nX-One: 1\r\nx-one: 2\r\n` +
        'user-agent: hawser/test\r\ncontent-length: 4\r\n\r\nbody',
    );
    expect(text).toContain('x-list: 1\r\nx-list: 2\r\nUser-Agent: own\r\n\r\n');
    expect(text).not.toContain('evil.example');
  });

  it('streams its body in chunks, or with the length that was announced', async () => {
    const evil = await evilWith(async (connection) => {
      for (;;) {
        const request = await connection.request();
        if (request === undefined) return;
        const { 'transfer-encoding': coding, 'content-length': length } = request.headers;
        await connection.send(answer(200, JSON.stringify({ coding, length, body: request.body.toString() })));
      }
    });
    const upstream = upstreamFor(evil);
    const post = async (headers: Record<string, string>): Promise<unknown> => {
      const { body } = await exchange(upstream, evil.url(), {
        method: 'POST',
        headers,
        body: Readable.from([Buffer.from('ab'), Buffer.from('cde')]),
      }).done;
      return JSON.parse(body.toString());
    };
    expect(await post({})).toEqual({ coding: 'chunked', body: 'abcde' });
    expect(await post({ 'content-length': '5' })).toEqual({ length: '5', body: 'abcde' });
  });

  it('never sends more or less body than it announced', async () => {
    const evil = await evilWith(always(answer(200, 'ok')));
    const upstream = upstreamFor(evil);
    for (const length of ['3', '9']) {
      const { failure } = await exchange(upstream, evil.url(), {
        method: 'POST',
        headers: { 'content-length': length },
        body: Readable.from([Buffer.from('ab'), Buffer.from('cde')]),
      }).done;
      expect(failure).toMatchObject({
        kind: 'protocol',
        code: 'UND_ERR_REQ_CONTENT_LENGTH_MISMATCH',
        requestSent: true,
      });
    }
    await Promise.all(evil.connections.map((connection) => connection.closed));
  });

  it('fails after the caller has its handle, never before', async () => {
    const evil = await evilWith(always(answer(200, 'ok')));
    const upstream = upstreamFor(evil);
    for (const request of [
      { url: new URL('https://127.0.0.1:1/') },
      { url: evil.url(), method: 'CONNECT' },
      { url: evil.url(), headers: { 'x-a': 'b\r\nc: d' } },
      { url: evil.url(), signal: AbortSignal.abort() },
    ]) {
      const { outcome, done } = exchange(upstream, request.url, request);
      expect(outcome.events).toEqual([]);
      expect((await done).events).toEqual(['error']);
      expect(outcome.failure?.requestSent).toBe(false);
    }
    expect(evil.connections.reduce((sum, connection) => sum + connection.received().length, 0)).toBe(0);
  });
});

describe('the answer', () => {
  it('arrives with status, headers, reason, body and trailers', async () => {
    const evil = await evilWith(
      always(
        `HTTP/1.1 207 Many Things\r\nTransfer-Encoding: chunked\r\nX-A: 1\r\nx-a: 2\r\n\r\n${pieces('abc', 'de')}X-Sum: 5\r\n\r\n`,
      ),
    );
    const outcome = await exchange(upstreamFor(evil), evil.url()).done;
    expect(outcome).toMatchObject({ status: 207, statusText: 'Many Things', trailers: { 'x-sum': '5' } });
    expect(outcome.headers).toEqual({ 'transfer-encoding': 'chunked', 'x-a': ['1', '2'] });
    expect(outcome.body.toString()).toBe('abcde');
    expect(outcome.events.filter((event) => event !== 'data')).toEqual(['headers', 'end']);
  });

  it('keeps its content encoding', async () => {
    const packed = gzipSync('hello');
    const evil = await evilWith(always(answer(200, packed, { 'content-encoding': 'gzip' })));
    const outcome = await exchange(upstreamFor(evil), evil.url()).done;
    expect(outcome.body).toEqual(packed);
    expect(outcome.headers?.['content-encoding']).toBe('gzip');
  });

  it('has no body for HEAD, 204 and 304', async () => {
    for (const [method, status] of [
      ['HEAD', 200],
      ['head', 200],
      ['GET', 204],
      ['GET', 304],
    ] as const) {
      const evil = await evilWith(always(lying(status)));
      const outcome = await exchange(upstreamFor(evil), evil.url(), { method }).done;
      expect(outcome.events).toEqual(['headers', 'end']);
      expect(outcome.status).toBe(status);
    }
  });

  it('hides interim answers, but not an endless row of them', async () => {
    const early = 'HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n';
    const evil = await evilWith(always(early + early + answer(200, 'ok').toString()));
    expect((await exchange(upstreamFor(evil), evil.url()).done).events).toEqual(['headers', 'data', 'end']);
    const endless = await evilWith(async (connection) => {
      await connection.request();
      while (!connection.socket.destroyed) await connection.send(early);
    });
    expect((await exchange(upstreamFor(endless), endless.url()).done).failure).toMatchObject({ kind: 'protocol' });
  });

  it('has only a reason phrase that can be written again', async () => {
    const evil = await evilWith(always('HTTP/1.1 200 caf\xe9\x80\r\ncontent-length: 0\r\n\r\n'));
    expect((await exchange(upstreamFor(evil), evil.url()).done).statusText).toBe('');
  });

  it.each([
    ['closed', 'end'],
    ['reset', 'reset'],
  ] as const)('cut short is an error after the headers, never an end: %s', async (_name, how) => {
    for (const head of [
      'content-length: 10\r\n\r\n',
      'content-length: 10\r\nconnection: close\r\n\r\n',
      'transfer-encoding: chunked\r\n\r\na\r\n',
      'transfer-encoding: chunked\r\nconnection: close\r\n\r\n5\r\n',
      ...(how === 'reset' ? ['\r\n'] : []),
    ]) {
      const evil = await evilWith(async (connection) => {
        await connection.request();
        await connection.send(`HTTP/1.1 200 OK\r\n${head}12345`);
        await turns();
        connection[how]();
      });
      const outcome = await exchange(upstreamFor(evil), evil.url()).done;
      expect(outcome.events.at(0), head).toBe('headers');
      expect(outcome.events.at(-1), head).toBe('error');
      expect(outcome.failure, head).toMatchObject({ kind: 'reset', code: 'ECONNRESET', requestSent: true });
    }
  });

  it('of nonsense is a protocol error, and its bytes are in no message', async () => {
    const evil = await evilWith(always('canary-secret\r\n\r\n'));
    const { failure } = await exchange(upstreamFor(evil), evil.url()).done;
    expect(failure).toMatchObject({ kind: 'protocol', requestSent: true });
    const dump = JSON.stringify([
      failure?.message,
      failure?.stack,
      failure?.cause,
      Object(failure?.cause).data,
      String(failure?.cause),
    ]);
    expect(dump).not.toContain('canary');
  });
});

describe('limits', () => {
  it('refuses an announced size before the headers are passed on', async () => {
    const evil = await evilWith(always('HTTP/1.1 200 OK\r\ncontent-length: 104857601\r\n\r\n'));
    const outcome = await exchange(upstreamFor(evil), evil.url()).done;
    expect(outcome.events).toEqual(['error']);
    expect(outcome.failure).toMatchObject({ kind: 'too_large', code: 'ERR_BODY_TOO_LARGE' });
    await evil.connections[0]?.closed;
  });

  it('stops at the given number of bytes', async () => {
    const evil = await evilWith(
      always(`HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n${pieces('x'.repeat(1001))}\r\n`),
    );
    const outcome = await exchange(upstreamFor(evil), evil.url(), { bodyBytesMax: 1000 }).done;
    expect(outcome.failure).toMatchObject({ kind: 'too_large' });
    expect(outcome.body.length).toBeLessThanOrEqual(1000);
    const whole = await exchange(upstreamFor(evil), evil.url(), { bodyBytesMax: 1001 }).done;
    expect(whole.body.length).toBe(1001);
  });

  it('times out without a head', async () => {
    const evil = await evilWith(async (connection) => void (await connection.request()));
    const outcome = await exchange(upstreamFor(evil), evil.url(), { headersTimeoutMs: 100 }).done;
    expect(outcome.failure).toMatchObject({ kind: 'timeout_headers', code: 'ETIMEDOUT', requestSent: true });
    await evil.connections[0]?.closed;
  });

  it('times out a head that drips', async () => {
    const evil = await evilWith(async (connection) => {
      await connection.request();
      await connection.send('HTTP/1.1 200 OK\r\nx-a: ');
      while (!connection.socket.destroyed) {
        await connection.send('y');
        await turns(1);
      }
    });
    const outcome = await exchange(upstreamFor(evil), evil.url(), { headersTimeoutMs: 100 }).done;
    expect(['timeout_headers', 'too_large']).toContain(outcome.failure?.kind);
  });

  it('times out a silent body', async () => {
    const evil = await evilWith(async (connection) => {
      await connection.request();
      await connection.send('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n123');
    });
    const outcome = await exchange(upstreamFor(evil), evil.url(), { bodyIdleTimeoutMs: 100 }).done;
    expect(outcome.events).toEqual(['headers', 'data', 'error']);
    expect(outcome.failure).toMatchObject({ kind: 'timeout_body', code: 'ETIMEDOUT', requestSent: true });
  });

  it('times out the wait for a free connection, and the request is never sent', async () => {
    const clock = handClock();
    const evil = await evilWith(async (connection) => void (await connection.request()));
    const upstream = upstreamFor(evil, { clock, connectionsPerOrigin: 1 });
    const first = exchange(upstream, evil.url('/first'), { headersTimeoutMs: 0 });
    await until(() => evil.connections[0]?.received().includes('\r\n\r\n') === true);
    const second = exchange(upstream, evil.url('/second'), { headersTimeoutMs: 3000 });
    clock.advance(2999);
    await turns();
    expect(second.outcome.events).toEqual([]);
    clock.advance(500);
    expect((await second.done).failure).toMatchObject({
      kind: 'timeout_connect',
      code: 'ETIMEDOUT',
      requestSent: false,
    });
    first.handle.abort();
    await first.done;
    await turns();
    expect(evil.connections.map((connection) => connection.received().toString()).join('')).not.toContain('/second');
  });
});

describe('back-pressure', () => {
  it('of a slow sink stops the source', async () => {
    const size = 64 * 1024 * 1024;
    let handed = 0;
    const evil = await evilWith(async (connection) => {
      await connection.request();
      await connection.send(`HTTP/1.1 200 OK\r\ncontent-length: ${size}\r\n\r\n`);
      const block = Buffer.alloc(64 * 1024, 'x');
      while (handed < size && !connection.socket.destroyed) {
        await connection.send(block);
        handed += block.length;
      }
    });
    let seen = 0;
    const running = exchange(
      upstreamFor(evil),
      evil.url(),
      {},
      {
        onData: (chunk) => {
          seen += chunk.length;
          return false;
        },
      },
    );
    await until(() => seen > 0);
    let before = -1;
    // The source has stopped when nothing more was taken from it over many turns.
    while (before !== handed) {
      before = handed;
      await turns(50);
    }
    expect(seen).toBeLessThanOrEqual(64 * 1024);
    // What is more than `seen` sits in the kernel's socket buffers (a few MB on loopback).
    expect(handed).toBeLessThan(16 * 1024 * 1024);
    const resume = setInterval(() => running.handle.resume(), 0);
    const outcome = await running.done;
    clearInterval(resume);
    expect(outcome.events.at(-1)).toBe('end');
    expect(outcome.body.length).toBe(size);
  });

  it('of a slow upstream stops the request body', async () => {
    const size = 64 * 1024 * 1024;
    const { promise: released, resolve: release } = Promise.withResolvers<void>();
    const evil = await evilWith(async (connection) => {
      connection.socket.pause();
      await released;
      connection.socket.resume();
      // Counted by the socket: keeping 64 MB in `received()` would be slow.
      connection.socket.removeAllListeners('data');
      await new Promise<void>((resolve) => {
        connection.socket.on('data', () => {
          if (connection.socket.bytesRead >= size) resolve();
        });
      });
      await connection.send(answer(200, 'ok'));
    });
    let produced = 0;
    const body = new Readable({
      read() {
        produced += 64 * 1024;
        this.push(produced > size ? null : Buffer.alloc(64 * 1024));
      },
    });
    const running = exchange(upstreamFor(evil), evil.url(), {
      method: 'POST',
      headers: { 'content-length': String(size) },
      body,
    });
    await until(() => produced > 0);
    let before = -1;
    while (before !== produced) {
      before = produced;
      await turns(50);
    }
    expect(produced).toBeLessThan(32 * 1024 * 1024);
    release();
    expect((await running.done).body.toString()).toBe('ok');
  });

  it('does not let the idle timeout run while the sink is pausing', async () => {
    const evil = await evilWith(always(answer(200, 'x'.repeat(200_000))));
    let chunks = 0;
    const running = exchange(upstreamFor(evil), evil.url(), { bodyIdleTimeoutMs: 50 }, { onData: () => ++chunks > 1 });
    await until(() => chunks === 1);
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(running.outcome.events).toEqual(['headers', 'data']);
    running.handle.resume();
    expect((await running.done).body.length).toBe(200_000);
  });

  it('may be lifted from inside the callback', async () => {
    const evil = await evilWith(always(answer(200, 'x'.repeat(500_000))));
    const running: { handle?: StreamHandle } = {};
    const started = exchange(
      upstreamFor(evil),
      evil.url(),
      {},
      {
        onData: () => {
          queueMicrotask(() => running.handle?.resume());
          return false;
        },
      },
    );
    running.handle = started.handle;
    expect((await started.done).body.length).toBe(500_000);
  });
});

describe('leaving', () => {
  it.each(['before the answer', 'inside the body'])('closes the socket to the upstream: %s', async (when) => {
    const evil = await evilWith(async (connection) => {
      await connection.request();
      if (when === 'inside the body') await connection.send('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n12345');
    });
    const running = exchange(upstreamFor(evil), evil.url());
    await until(() => evil.connections[0]?.received().includes('\r\n\r\n') === true);
    if (when === 'inside the body') await until(() => running.outcome.events.includes('data'));
    running.handle.abort(new Error('the client left'));
    running.handle.abort();
    running.handle.resume();
    const { failure, events } = await running.done;
    expect(failure).toMatchObject({
      kind: 'aborted',
      code: 'ABORT_ERR',
      requestSent: true,
      cause: new Error('the client left'),
    });
    await evil.connections[0]?.closed;
    expect(events.filter((event) => event === 'error')).toHaveLength(1);
  });

  it('works by signal, and a late signal does nothing', async () => {
    const evil = await evilWith(async (connection, index) => {
      await connection.request();
      if (index === 1) await connection.send(answer(200, 'ok'));
    });
    const upstream = upstreamFor(evil);
    const stop = new AbortController();
    const running = exchange(upstream, evil.url(), { signal: stop.signal });
    await until(() => evil.connections[0]?.received().includes('\r\n\r\n') === true);
    stop.abort();
    expect((await running.done).failure).toMatchObject({ kind: 'aborted' });
    await evil.connections[0]?.closed;
    const late = new AbortController();
    const outcome = await exchange(upstream, evil.url(), { signal: late.signal }).done;
    late.abort();
    expect(outcome.events).toEqual(['headers', 'data', 'end']);
  });

  it('works while the request waits for a connection', async () => {
    const evil = await evilWith(async (connection) => void (await connection.request()));
    const upstream = upstreamFor(evil, { connectionsPerOrigin: 1 });
    const first = exchange(upstream, evil.url('/first'));
    await until(() => evil.connections[0]?.received().includes('\r\n\r\n') === true);
    const second = exchange(upstream, evil.url('/second'));
    second.handle.abort();
    expect((await second.done).failure).toMatchObject({ kind: 'aborted', requestSent: false });
    first.handle.abort();
    await first.done;
    await turns(20);
    expect(evil.connections.map((connection) => connection.received().toString()).join('')).not.toContain('/second');
  });

  it('of the caller inside its own body is aborted, not reset', async () => {
    for (const error of [undefined, Object.assign(new Error('gone'), { code: 'ECONNRESET' })]) {
      const evil = await evilWith(async (connection) => void (await connection.request()));
      const body = new PassThrough();
      const running = exchange(upstreamFor(evil), evil.url(), { method: 'POST', body });
      body.write('begin');
      await until(() => evil.connections.at(-1)?.received().includes('begin') === true);
      body.destroy(error);
      expect((await running.done).failure).toMatchObject({ kind: 'aborted', code: 'ABORT_ERR', requestSent: true });
      await evil.connections.at(-1)?.closed;
    }
  });

  it('of the caller while its request waits is noticed at once', async () => {
    const evil = await evilWith(async (connection) => void (await connection.request()));
    const upstream = upstreamFor(evil, { connectionsPerOrigin: 1 });
    const first = exchange(upstream, evil.url('/first'));
    await until(() => evil.connections[0]?.received().includes('\r\n\r\n') === true);
    const body = new PassThrough();
    const second = exchange(upstream, evil.url('/second'), { method: 'POST', body });
    body.destroy(new Error('gone'));
    expect((await second.done).failure).toMatchObject({ kind: 'aborted', requestSent: false });
    expect(first.outcome.events).toEqual([]);
  });
});

describe('an unwanted answer', () => {
  it('is silent from then on and keeps a connection with a small body', async () => {
    const evil = await evilWith(always(answer(503, 'try again')));
    const upstream = upstreamFor(evil);
    for (let round = 0; round < 3; round++) {
      const refused = exchange(upstream, evil.url(), {}, { onHeaders: () => false });
      await until(() => refused.outcome.events.length > 0);
      await turns(10);
      expect(refused.outcome.events).toEqual(['headers']);
    }
    expect(evil.connections).toHaveLength(1);
  });

  it('costs its connection when the body is large or endless', async () => {
    for (const head of ['content-length: 70000', 'transfer-encoding: chunked']) {
      const evil = await evilWith(async (connection) => {
        await connection.request();
        await connection.send(`HTTP/1.1 503 x\r\n${head}\r\n\r\n`);
        const chunk = `400\r\n${'x'.repeat(0x400)}\r\n`;
        while (head.startsWith('transfer') && !connection.socket.destroyed) await connection.send(chunk);
      });
      const refused = exchange(upstreamFor(evil), evil.url(), {}, { onHeaders: () => false });
      await until(() => refused.outcome.events.length > 0);
      await evil.connections[0]?.closed;
      expect(refused.outcome.events).toEqual(['headers']);
    }
  });
});

describe('a sink that throws', () => {
  it.each(['onHeaders', 'onData', 'onEnd'] as const)('in %s is told so', async (where) => {
    const evil = await evilWith(always(answer(200, 'abc')));
    const broken = new Error('broken sink');
    const raise = (name: string): boolean => {
      if (name === where) throw broken;
      return true;
    };
    const outcome = await new Promise<UpstreamFailure>((resolve) => {
      upstreamFor(evil).stream(
        { method: 'GET', url: evil.url(), headers: {}, headersTimeoutMs: 0, bodyIdleTimeoutMs: 0 },
        {
          onHeaders: () => raise('onHeaders'),
          onData: () => raise('onData'),
          onEnd: () => void raise('onEnd'),
          onError: resolve,
        },
      );
    });
    expect(outcome).toMatchObject({ kind: 'aborted', cause: broken });
  });
});

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
    const gone = await evilWith(always(''));
    const url = gone.url();
    await open.evils.pop()?.close();
    const body = Readable.from([Buffer.from('once')]);
    const first = await exchange(upstreamFor(gone), url, { method: 'POST', body }).done;
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
    // Its turn: a connection is opened, and nothing is written on it.
    await until(() => evil.connections.length === 2);
    await turns(20);
    const third = await exchange(upstream, evil.url('/third'), { method: 'POST', body, headersTimeoutMs: 0 }).done;
    expect(third.body.toString()).toBe('once');
    expect(evil.connections.map((connection) => connection.received().toString()).join('')).not.toContain('/second');
  });
});

describe('many at once', () => {
  it('share at most the allowed connections and get their own answers', async () => {
    const evil = await evilWith(async (connection) => {
      for (;;) {
        const request = await connection.request();
        if (request === undefined) return;
        await connection.send(answer(200, request.target));
      }
    });
    const upstream = upstreamFor(evil, { connectionsPerOrigin: 4 });
    const outcomes = await Promise.all(
      Array.from({ length: 200 }, (_, index) => exchange(upstream, evil.url(`/${index}`)).done),
    );
    expect(outcomes.map((outcome) => outcome.body.toString())).toEqual(
      Array.from({ length: 200 }, (_, index) => `/${index}`),
    );
    expect(evil.connections.length).toBeLessThanOrEqual(4);
  });
});
