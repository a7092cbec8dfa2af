import { afterEach, describe, expect, it } from 'vitest';
import { always, answer, createEvil, type Evil, type EvilRequest, type EvilScript } from '../support/evil.ts';
import {
  aLive,
  anIntegration,
  aProvider,
  callProxy,
  startProxy,
  TOKEN,
  type TestProxyOptions,
} from '../support/proxy.ts';

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).toReversed()) await one.close();
});

/** EVIL with this script, and a proxy whose provider it is. */
async function start(script: EvilScript, options: Partial<TestProxyOptions> & { base?: string; evil?: Evil } = {}) {
  const evil = await createEvil(script);
  open.push(evil);
  const live = options.live ?? aLive(anIntegration(aProvider(`http://${evil.pair}${options.base ?? ''}`)));
  const proxy = await startProxy({ allow: [evil.pair], ...options, live });
  open.push(proxy);
  return { evil, proxy, live };
}

/** A script that records requests and answers each with the same bytes. */
function recording(bytes: string | Buffer): { script: EvilScript; requests: EvilRequest[] } {
  const requests: EvilRequest[] = [];
  return {
    requests,
    async script(connection) {
      for (let request = await connection.request(); request !== undefined; request = await connection.request()) {
        requests.push(request);
        await connection.send(bytes);
      }
    },
  };
}

describe('a proxied call', () => {
  it('passes method, path, query, body and the answer, and injects the credential', async () => {
    const { script, requests } = recording(
      answer(201, '{"id":1}', { 'content-type': 'application/json', 'x-own': 'yes' }),
    );
    const { proxy } = await start(script, { base: '/v1' });
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
    expect(proxy.entries).toMatchObject([
      { kind: 'call', ok: true, summary: 'POST /v1/things/a%2Fb → 201', detail: { status: 201, retries: 0 } },
    ]);
  });

  it.each(['GET', 'POST', 'PUT', 'PATCH', 'DELETE'])('passes %s', async (method) => {
    const { script, requests } = recording(answer(200, method));
    const { proxy } = await start(script);
    const got = await callProxy(proxy.port, '/proxy/x', { method });
    expect(got.body.toString()).toBe(method);
    expect(requests[0]?.method).toBe(method);
  });

  it('passes HEAD, 204 and 304 without a body', async () => {
    const { proxy } = await start(always('HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: b\r\n\r\n'));
    const head = await callProxy(proxy.port, '/proxy/x', { method: 'HEAD' });
    expect([head.status, head.headers['content-length'], head.headers['x-a']]).toEqual([200, '5', 'b']);
    const none = await start(always('HTTP/1.1 204 No Content\r\nX-A: b\r\n\r\n'));
    const got = await callProxy(none.proxy.port, '/proxy/x', { method: 'DELETE' });
    expect([got.status, got.body.length, got.headers['x-a']]).toEqual([204, 0, 'b']);
    const same = await start(always('HTTP/1.1 304 Not Modified\r\nETag: "1"\r\n\r\n'));
    const cached = await callProxy(same.proxy.port, '/proxy/x');
    expect([cached.status, cached.body.length, cached.headers.etag]).toEqual([304, 0, '"1"']);
  });
});
