/** Proxied calls: what goes out, and what comes back to the caller. */
import { connect } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { always, answer, createEvil, until } from '../support/evil.ts';
import { aProvider, callHeaders, callProxy, TOKEN } from '../support/proxy.ts';
import { createOpenList, recording, startProxyOverEvil } from '../support/proxy-evil.ts';

const list = createOpenList();
afterEach(() => list.close());

const ok = answer(200, 'ok');

describe('a proxied call', () => {
  it('passes method, path, query, body and the answer, and injects the credential', async () => {
    const { script, requests } = recording(
      answer(201, '{"id":1}', { 'content-type': 'application/json', 'x-own': 'yes' }),
    );
    const { proxy } = await startProxyOverEvil(list, script, { base: '/v1' });
    const got = await callProxy(proxy.port, "/proxy/things/a%2Fb?q='x'&r=%27%20+", {
      method: 'POST',
      body: '{"a":1}',
      headers: { 'content-type': 'application/json', 'nango-proxy-x-mine': 'here', 'x-not': 'forwarded' },
    });
    expect(got.status).toBe(201);
    expect(got.json()).toEqual({ id: 1 });
    expect(got.headers['x-own']).toBe('yes');
    expect(got.headers['x-request-id']).toBe('req-1');
    const [request] = requests;
    expect(request?.method).toBe('POST');
    expect(request?.target).toBe("/v1/things/a%2Fb?q='x'&r=%27%20+");
    expect(request?.body.toString()).toBe('{"a":1}');
    expect(request?.headers).toMatchObject({
      authorization: `Bearer ${TOKEN}`,
      'content-type': 'application/json',
      'x-mine': 'here',
      'user-agent': 'hawser-test/1',
      accept: '*/*',
    });
    expect(request?.headers['x-not']).toBeUndefined();
    expect(proxy.goodCalls).toEqual([1]);
    expect(proxy.entries).toMatchObject([{ kind: 'call', ok: true, connectionId: 1, integration: 'the-integration' }]);
    expect(proxy.entries[0]?.summary).toBe('POST /v1/things/a%2Fb → 201');
    expect(proxy.entries[0]?.detail).toMatchObject({ status: 201, retries: 0 });
    expect(JSON.stringify(proxy.entries)).not.toContain("'x'");
  });

  it.each(['GET', 'POST', 'PUT', 'PATCH', 'DELETE'])('passes %s', async (method) => {
    const { script, requests } = recording(answer(200, method));
    const { proxy } = await startProxyOverEvil(list, script);
    const got = await callProxy(proxy.port, '/proxy/x', { method });
    expect(got.body.toString()).toBe(method);
    expect(requests[0]?.method).toBe(method);
  });

  it('passes HEAD, 204 and 304 without a body', async () => {
    const head = await startProxyOverEvil(list, always('HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: b\r\n\r\n'));
    const asked = await callProxy(head.proxy.port, '/proxy/x', { method: 'HEAD' });
    expect([asked.status, asked.headers['content-length'], asked.headers['x-a']]).toEqual([200, '5', 'b']);
    const none = await startProxyOverEvil(list, always('HTTP/1.1 204 No Content\r\nX-A: b\r\n\r\n'));
    const got = await callProxy(none.proxy.port, '/proxy/x', { method: 'DELETE' });
    expect([got.status, got.body.length, got.headers['x-a']]).toEqual([204, 0, 'b']);
    const same = await startProxyOverEvil(list, always('HTTP/1.1 304 Not Modified\r\nETag: "1"\r\n\r\n'));
    const cached = await callProxy(same.proxy.port, '/proxy/x');
    expect([cached.status, cached.body.length, cached.headers.etag]).toEqual([304, 0, '"1"']);
  });

  it('hides interim answers and passes the last one', async () => {
    const bytes = Buffer.concat([Buffer.from('HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n'), ok]);
    const { proxy } = await startProxyOverEvil(list, always(bytes));
    expect((await callProxy(proxy.port, '/proxy/x')).body.toString()).toBe('ok');
  });

  it.each([301, 302, 303, 307, 308])('abuse 15: follows no %i: the caller sees it', async (status) => {
    const target = await createEvil(always(ok));
    list.add(target);
    const { script, requests } = recording(answer(status, 'moved', { location: `http://${target.pair}/stolen` }));
    const { proxy } = await startProxyOverEvil(list, script);
    const got = await callProxy(proxy.port, '/proxy/x', { headers: { 'forward-headers-on-redirect': 'true' } });
    expect([got.status, got.headers.location]).toEqual([status, `http://${target.pair}/stolen`]);
    expect([requests.length, target.connections.length]).toEqual([1, 0]);
  });

  it('passes 4xx and 5xx with headers and body unchanged', async () => {
    for (const status of [400, 403, 404, 422, 429, 500, 503]) {
      const bytes = answer(status, '{"error":"why"}', { 'content-type': 'application/json', 'x-why': 'yes' });
      const { proxy } = await startProxyOverEvil(list, always(bytes));
      const got = await callProxy(proxy.port, '/proxy/x');
      expect([got.status, got.json(), got.headers['x-why']]).toEqual([status, { error: 'why' }, 'yes']);
      expect(proxy.entries).toMatchObject([{ ok: false, detail: { status } }]);
      expect(proxy.goodCalls).toEqual([]);
    }
  });

  it('gives an error without a body one of ours, and keeps status and headers', async () => {
    const shapes: [string, number, string][] = [
      ['HTTP/1.1 404 Gone\r\nContent-Length: 0\r\nX-A: b\r\nContent-Type: text/html\r\n\r\n', 404, 'ERR_BAD_REQUEST'],
      ['HTTP/1.1 502 Bad\r\nTransfer-Encoding: chunked\r\nX-A: b\r\n\r\n0\r\n\r\n', 502, 'ERR_BAD_RESPONSE'],
    ];
    for (const [bytes, status, code] of shapes) {
      const { proxy } = await startProxyOverEvil(list, always(bytes));
      const got = await callProxy(proxy.port, '/proxy/x', { method: 'DELETE' });
      expect(got.status).toBe(status);
      expect(got.json()).toEqual({ message: expect.any(String), code, status, method: 'DELETE' });
      expect(got.headers).toMatchObject({ 'x-a': 'b', 'content-type': 'application/json; charset=utf-8' });
    }
  });

  it('sends nothing unsigned to a provider that wants signatures', async () => {
    const { script, requests } = recording(ok);
    const api = { auth: { in: 'signature' } } as const;
    const { proxy } = await startProxyOverEvil(list, script, { api });
    const got = await callProxy(proxy.port, '/proxy/x');
    expect([got.status, got.json()]).toMatchObject([424, { error: { code: 'missing_signing_key' } }]);
    expect(requests).toEqual([]);
  });

  it('keeps the connections to the provider', async () => {
    const { proxy, evil } = await startProxyOverEvil(list, always(ok));
    for (let i = 0; i < 5; i++) await callProxy(proxy.port, '/proxy/x');
    expect(evil.connections.length).toBe(1);
  });

  it('serves pipelined and following calls of one connection, each with its own answer', async () => {
    const { proxy } = await startProxyOverEvil(list, async (connection) => {
      for (let request = await connection.request(); request; request = await connection.request()) {
        await connection.send(answer(200, `<${request.target}>`));
      }
    });
    const lines = Object.entries(callHeaders).map(([name, value]) => `${name}: ${value}\r\n`);
    let text = '';
    await new Promise<void>((resolve, reject) => {
      const socket = connect(proxy.port, '127.0.0.1', () => {
        for (const path of ['a', 'b', 'c']) {
          const last = path === 'c' ? 'Connection: close\r\n' : '';
          socket.write(`GET /proxy/${path} HTTP/1.1\r\nHost: h\r\n${last}${lines.join('')}\r\n`);
        }
      });
      socket.on('data', (chunk) => (text += chunk.toString()));
      socket.on('close', () => resolve());
      socket.on('error', reject);
    });
    expect(text.match(/<\/[abc]>/g)).toEqual(['</a>', '</b>', '</c>']);
  });

  it('injects by header, Basic and query, and the rest of what the provider file says', async () => {
    const shapes: [Parameters<typeof aProvider>[1], Record<string, string>, string][] = [
      [
        { auth: { in: 'basic', username: '${accessToken}', password: '' } },
        { authorization: `Basic ${btoa(`${TOKEN}:`)}` },
        '/x?a=1',
      ],
      [
        { auth: { in: 'header', name: 'X-Api-Key', value: 'k ${accessToken}' } },
        { 'x-api-key': `k ${TOKEN}` },
        '/x?a=1',
      ],
      [{ auth: { in: 'query', name: 'key', value: '${accessToken}' } }, {}, `/x?a=1&key=${TOKEN}`],
      [
        { auth: { in: 'none' }, query: { v: '2' }, headers: { 'X-Version': '7', Accept: 'application/x' } },
        { 'x-version': '7', accept: 'application/x' },
        '/x?a=1&v=2',
      ],
    ];
    for (const [api, headers, target] of shapes) {
      const { script, requests } = recording(ok);
      const { proxy } = await startProxyOverEvil(list, script, { api: api ?? {} });
      await callProxy(proxy.port, '/proxy/x?a=1');
      expect(requests[0]?.headers).toMatchObject(headers);
      expect(requests[0]?.target).toBe(target);
      expect(JSON.stringify(proxy.entries)).not.toContain(TOKEN);
    }
  });

  it('leaves a query parameter that the caller sets itself', async () => {
    const { script, requests } = recording(ok);
    const auth = { in: 'query', name: 'key', value: '${accessToken}' } as const;
    const { proxy } = await startProxyOverEvil(list, script, { api: { auth, query: { v: '2' } } });
    await callProxy(proxy.port, '/proxy/x?key=mine');
    expect(requests[0]?.target).toBe('/x?key=mine&v=2');
  });
});

describe('a body under way when the provider answers', () => {
  it('does not stop the answer from reaching the caller', async () => {
    const { proxy } = await startProxyOverEvil(list, async (connection) => {
      await connection.head();
      await connection.send(answer(413, 'too much', { connection: 'close' }));
      connection.end();
    });
    const got = await callProxy(proxy.port, '/proxy/x', { method: 'POST', body: Buffer.alloc(5_000_000) });
    expect([got.status, got.body.toString()]).toEqual([413, 'too much']);
    await until(() => proxy.entries.length === 1);
  });
});

describe('the key', () => {
  it('is looked up without a promise when known, with one when not', async () => {
    const { script } = recording(ok);
    for (const wait of [false, true]) {
      const principal = {
        kind: 'key' as const,
        environment: { id: 1, uuid: 'u', name: 'dev', isProduction: false, callbackUrl: undefined },
        keyId: 'k',
        scopes: ['environment:proxy'],
      };
      const { proxy } = await startProxyOverEvil(list, script, {
        deps: { principalOf: () => (wait ? Promise.resolve(principal) : principal) },
      });
      expect((await callProxy(proxy.port, '/proxy/x')).status).toBe(200);
    }
  });
});
