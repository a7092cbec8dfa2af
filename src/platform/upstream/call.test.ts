import { describe, expect, it } from 'vitest';
import { always, answer, turns, until } from '../../../test/support/evil.ts';
import {
  closeAfterEach,
  callOnce,
  evilWith,
  failureOf,
  lying,
  sendThen,
  upstreamFor,
} from './upstream.test-support.ts';

closeAfterEach();

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
      while (!connection.socket.destroyed) {
        await connection.send(early);
        await turns(1);
      }
    });
    expect(failed).toMatchObject({ kind: 'protocol', requestSent: true });
  });

  it('abuse 15: is not followed when it is a redirect', async () => {
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
