import { PassThrough, Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { always, answer, handClock, turns, until } from '../../../test/support/evil.ts';
import type { StreamHandle } from './index.ts';
import { closeAfterEach, evilWith, exchange, upstreamFor } from './upstream.test-support.ts';

closeAfterEach();

const pieces = (...parts: string[]): string =>
  `${parts.map((part) => `${Buffer.byteLength(part).toString(16)}\r\n${part}\r\n`).join('')}0\r\n`;

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
    const size = 32 * 1024 * 1024;
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
    let released = false;
    const running = exchange(
      upstreamFor(evil),
      evil.url(),
      {},
      {
        onData: (chunk) => {
          seen += chunk.length;
          if (released) setImmediate(() => running.handle.resume());
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
    released = true;
    running.handle.resume();
    const outcome = await running.done;
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
