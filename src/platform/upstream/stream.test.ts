import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { always, answer, turns, until } from '../../../test/support/evil.ts';
import type { UpstreamFailure } from './index.ts';
import { closeAfterEach, evilWith, exchange, lying, upstreamFor } from './upstream.test-support.ts';

closeAfterEach();

const pieces = (...parts: string[]): string =>
  `${parts.map((part) => `${Buffer.byteLength(part).toString(16)}\r\n${part}\r\n`).join('')}0\r\n`;

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

  it('may have a path and query that URL would rewrite', async () => {
    const evil = await evilWith(always(answer(200, '')));
    await exchange(upstreamFor(evil), evil.url(), { requestTarget: "/a?q='%zz" }).done;
    expect(evil.connections[0]?.received().toString()).toContain("GET /a?q='%zz HTTP/1.1\r\n");
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
      { url: evil.url(), requestTarget: 'http://other.example/' },
      { url: evil.url(), requestTarget: '' },
      { url: evil.url(), requestTarget: '*' },
      { url: evil.url(), requestTarget: '/a HTTP/1.1\r\nx: y' },
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
      while (!connection.socket.destroyed) {
        await connection.send(early);
        await turns(1);
      }
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
      const refused = exchange(upstreamFor(evil), evil.url(), { bodyIdleTimeoutMs: 0 }, { onHeaders: () => false });
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
