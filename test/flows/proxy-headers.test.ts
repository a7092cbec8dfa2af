import { connect } from 'node:net';
import * as fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { always, answer } from '../support/evil.ts';
import { callHeaders, callProxy, TEST_KEY, TOKEN } from '../support/proxy.ts';
import { createOpenList, recording, startProxyOverEvil } from '../support/proxy-evil.ts';

const list = createOpenList();
afterEach(() => list.close());

/** Sends bytes as they are and reads until the peer closes. */
function sendRaw(port: number, bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.end(Buffer.from(bytes, 'latin1')));
    const chunks: Buffer[] = [];
    socket.on('data', (chunk) => chunks.push(chunk));
    socket.on('close', () => resolve(Buffer.concat(chunks).toString('latin1')));
    socket.on('error', reject);
  });
}

/** What must never reach a provider, whoever sends it. */
const forbiddenNames = [
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'host',
  'content-length',
  'expect',
  'forwarded',
  'http2-settings',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-proto',
  'x-forwarded-port',
  'x-forwarded-prefix',
  'x-forwarded-user',
];
/** Goes nowhere without the prefix, and through with it. */
const plainNames = [
  'accept',
  'accept-encoding',
  'accept-language',
  'api-key',
  'apikey',
  'baggage',
  'cache-control',
  'cookie',
  'cookie2',
  'dnt',
  'from',
  'if-match',
  'if-modified-since',
  'if-none-match',
  'idempotency-key',
  'link',
  'max-forwards',
  'origin',
  'pragma',
  'prefer',
  'range',
  'referer',
  'sec-fetch-site',
  'sentry-trace',
  'soapaction',
  'stripe-account',
  'traceparent',
  'via',
  'x-amz-date',
  'x-api-key',
  'x-api-version',
  'x-auth-token',
  'x-csrf-token',
  'x-http-method-override',
  'x-original-url',
  'x-real-ip',
  'x-request-id',
  'x-requested-with',
  'x-rewrite-url',
  'x-tenant',
  'true-client-ip',
];
const casings: [string, (name: string) => string][] = [
  ['lower', (name) => name],
  ['upper', (name) => name.toUpperCase()],
  ['Title', (name) => name.replaceAll(/\b[a-z]/g, (letter) => letter.toUpperCase())],
  ['mIxEd', (name) => [...name].map((letter, i) => (i % 2 === 0 ? letter : letter.toUpperCase())).join('')],
];

describe('request headers', () => {
  it('abuse 20: make a matrix of 60 or more', () => {
    expect(new Set([...forbiddenNames, ...plainNames]).size).toBeGreaterThanOrEqual(60);
  });

  it.each(casings)('abuse 20: in %s case travel only with the prefix, and some never', async (_case, write) => {
    const { script, requests } = recording(answer(200, 'ok'));
    const { proxy, evil } = await startProxyOverEvil(list, script);
    const names = [...forbiddenNames, ...plainNames];
    for (const name of names) {
      // The caller's own message needs these to be true; they are covered with the prefix.
      const isFraming = [
        'content-length',
        'transfer-encoding',
        'expect',
        'upgrade',
        'connection',
        'host',
        'trailer',
      ].includes(name);
      if (!isFraming) {
        const plain = await callProxy(proxy.port, '/proxy/x', { headers: { [write(name)]: 'canary-plain' } });
        expect([name, plain.status]).toEqual([name, 200]);
      }
      const prefixed = await callProxy(proxy.port, '/proxy/x', {
        headers: { [write(`nango-proxy-${name}`)]: 'canary-prefixed' },
      });
      expect([name, prefixed.status]).toEqual([name, 200]);
    }
    const heads = requests.map(({ rawHead }) => rawHead);
    expect(heads.filter((head) => head.includes('canary-plain'))).toEqual([]);
    for (const name of names) {
      const carriers = requests.filter(({ headers }) => headers[name] === 'canary-prefixed');
      expect([name, carriers.length]).toEqual([name, plainNames.includes(name) ? 1 : 0]);
    }
    for (const { headers } of requests) {
      expect(headers.host).toBe(evil.pair);
      expect(headers.authorization).toBe(`Bearer ${TOKEN}`);
      expect(headers['user-agent']).toBe('hawser-test/1');
    }
  });

  it('abuse 20: of ours never reach the provider', async () => {
    const { script, requests } = recording(answer(200, 'ok'));
    const { proxy } = await startProxyOverEvil(list, script);
    await callProxy(proxy.port, '/proxy/x', {
      headers: {
        'base-url-override': '',
        retries: '0',
        'retry-on': '',
        decompress: 'false',
        'forward-headers-on-redirect': 'true',
        'nango-activity-log-id': '',
        'nango-is-sync': 'false',
        'nango-is-dry-run': 'false',
        'nango-is-script': 'false',
      },
    });
    const head = requests[0]?.rawHead ?? '';
    expect(head).not.toContain(TEST_KEY);
    expect(Object.keys(requests[0]?.headers ?? {}).toSorted()).toEqual([
      'accept',
      'authorization',
      'connection',
      'host',
      'user-agent',
    ]);
  });

  it('abuse 20: named by Connection stay behind', async () => {
    const { script, requests } = recording(answer(200, 'ok'));
    const { proxy } = await startProxyOverEvil(list, script);
    await callProxy(proxy.port, '/proxy/x', {
      method: 'POST',
      body: 'x',
      headers: {
        connection: 'close, Nango-Proxy-X-One, X-Two , content-type',
        'nango-proxy-x-one': 'canary',
        'nango-proxy-x-two': 'canary',
        'nango-proxy-x-three': 'kept',
        'content-type': 'text/canary',
      },
    });
    expect(requests[0]?.rawHead).not.toContain('canary');
    expect(requests[0]?.headers['x-three']).toBe('kept');
  });

  it('abuse 20: with the prefix beat the injected credential, whatever their case', async () => {
    const { script, requests } = recording(answer(200, 'ok'));
    const { proxy } = await startProxyOverEvil(list, script);
    for (const name of ['Nango-Proxy-Authorization', 'nango-proxy-AUTHORIZATION']) {
      await callProxy(proxy.port, '/proxy/x', { headers: { [name]: 'Basic bWluZTo=' } });
    }
    for (const { headers, rawHead } of requests) {
      expect(headers.authorization).toBe('Basic bWluZTo=');
      expect(rawHead).not.toContain(TOKEN);
    }
  });

  it('describe the body: the multipart boundary it came with wins over a prefixed type', async () => {
    const { script, requests } = recording(answer(200, 'ok'));
    const { proxy } = await startProxyOverEvil(list, script);
    const multipart = 'multipart/form-data; boundary=abc';
    const headers = { 'nango-proxy-content-type': 'multipart/form-data' };
    await callProxy(proxy.port, '/proxy/x', {
      method: 'POST',
      body: 'x',
      headers: { ...headers, 'content-type': multipart },
    });
    await callProxy(proxy.port, '/proxy/x', {
      method: 'POST',
      body: 'x',
      headers: { 'content-type': 'text/plain', 'nango-proxy-content-type': 'application/vnd.api+json' },
    });
    await callProxy(proxy.port, '/proxy/x', {
      method: 'POST',
      body: 'x',
      headers: { 'content-type': 'not a type; ;' },
    });
    await callProxy(proxy.port, '/proxy/x', { method: 'POST', body: 'x' });
    expect(requests.map((request) => request.headers['content-type'])).toEqual([
      multipart,
      'application/vnd.api+json',
      'not a type; ;',
      undefined,
    ]);
  });

  it.each([
    ['\\r\\n', 'a\r\nX-Evil: 1', 400],
    ['\\r', 'a\rX-Evil: 1', 400],
    ['\\0', 'a\0b', 400],
    ['\\x01', 'a\x01b', 400],
    ['\\x7f', 'a\x7fb', 400],
  ])('abuse 19: with %s inside are refused and nothing is sent', async (_name, value, status) => {
    const { script, requests } = recording(answer(200, 'ok'));
    const { proxy } = await startProxyOverEvil(list, script);
    // Not over a socket: Node's parser would refuse most of these first.
    const got = await proxy.app.inject({
      method: 'GET',
      url: '/proxy/x',
      headers: { ...callHeaders, 'nango-proxy-x-a': value },
    });
    expect(got.statusCode).toBe(status);
    expect(got.json()).toMatchObject({ error: { code: 'invalid_headers' } });
    expect(requests).toEqual([]);
  });

  it('abuse 19: with line breaks on the wire never become a second header', async () => {
    const { script, requests } = recording(answer(200, 'ok'));
    const { proxy } = await startProxyOverEvil(list, script);
    const common = Object.entries(callHeaders).map(([name, value]) => `${name}: ${value}\r\n`);
    const start = `GET /proxy/x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n${common.join('')}`;
    const broken = ['a\rX-Evil: 1', 'a\nX-Evil: 1', 'a\r\n X-Evil: 1', 'a\0b'];
    for (const value of broken) {
      const reply = await sendRaw(proxy.port, `${start}Nango-Proxy-X-A: ${value}\r\n\r\n`);
      expect([value, /^HTTP\/1\.1 (400|200)/.test(reply)]).toEqual([value, true]);
    }
    for (const request of requests) expect(request.headers['x-evil']).toBeUndefined();
  });

  it('abuse 19: of arbitrary bytes are passed whole or refused with 400', async () => {
    const { script, requests } = recording(answer(200, 'ok'));
    const { proxy } = await startProxyOverEvil(list, script);
    await fc.assert(
      fc.asyncProperty(
        fc.string({ unit: fc.integer({ min: 0, max: 255 }).map((c) => String.fromCharCode(c)) }),
        async (value) => {
          const before = requests.length;
          const got = await proxy.app.inject({
            method: 'GET',
            url: '/proxy/x',
            headers: { ...callHeaders, 'nango-proxy-x-a': value },
          });
          if (got.statusCode === 200) {
            expect(requests.at(-1)?.headers['x-a']).toBe(value.trim());
          } else {
            expect([got.statusCode, requests.length]).toEqual([400, before]);
          }
        },
      ),
      { numRuns: 150 },
    );
  });

  it.each([
    ['retries', '11'],
    ['retries', '-1'],
    ['retries', '1.5'],
    ['retries', '1e1'],
    ['retries', 'many'],
    ['retry-on', '200'],
    ['retry-on', '429;503'],
    ['retry-on', '42900'],
    ['decompress', 'yes'],
    ['nango-proxy-', 'x'],
    ['connection-id', 'x'.repeat(256)],
    ['provider-config-key', 'x'.repeat(256)],
    ['nango-proxy-long', 'x'.repeat(17_000)],
  ])('%s: %s is refused', async (name, value) => {
    const { script, requests } = recording(answer(200, 'ok'));
    const { proxy } = await startProxyOverEvil(list, script);
    const got = await callProxy(proxy.port, '/proxy/x', { headers: { [name]: value } });
    expect([got.status, got.json()]).toMatchObject([400, { error: { code: 'invalid_headers' } }]);
    expect(requests).toEqual([]);
  });

  it('in too large a number are refused', async () => {
    const { script } = recording(answer(200, 'ok'));
    const { proxy } = await startProxyOverEvil(list, script);
    const headers = Object.fromEntries(Array.from({ length: 101 }, (_, i) => [`nango-proxy-x-${i}`, 'v']));
    expect((await callProxy(proxy.port, '/proxy/x', { headers })).status).toBe(400);
  });
});

describe('response headers', () => {
  const bytes = answer(200, 'ok', {
    'content-type': 'text/plain',
    'x-own': 'yes',
    'x-ratelimit-reset': '2026-03-01T12:01:00Z',
    'set-cookie': 'a=1',
    'content-disposition': 'attachment; filename="a"',
    'strict-transport-security': 'max-age=1',
    'access-control-allow-origin': 'https://evil.example',
    'access-control-allow-credentials': 'true',
    'keep-alive': 'timeout=5',
    'proxy-authenticate': 'Basic',
    upgrade: 'h2c',
    'x-request-id': 'theirs',
    connection: 'keep-alive, x-hop',
    'x-hop': 'canary',
  });

  it('abuse 21: all travel, but for those of one hop and of CORS', async () => {
    const { proxy } = await startProxyOverEvil(list, always(bytes));
    const { headers } = await callProxy(proxy.port, '/proxy/x');
    expect(headers).toMatchObject({
      'content-type': 'text/plain',
      'x-own': 'yes',
      'x-ratelimit-reset': '2026-03-01T12:01:00Z',
      'set-cookie': ['a=1'],
      'content-disposition': 'attachment; filename="a"',
      'strict-transport-security': 'max-age=1',
      'x-request-id': 'theirs',
    });
    const gone = [
      'access-control-allow-origin',
      'access-control-allow-credentials',
      'proxy-authenticate',
      'upgrade',
      'x-hop',
    ];
    for (const name of gone) expect([name, headers[name]]).toEqual([name, undefined]);
    expect(headers['keep-alive']).not.toBe('timeout=5');
  });

  it('that act on the origin do not reach a browser: it would be ours', async () => {
    const { proxy } = await startProxyOverEvil(list, always(bytes));
    const marks: Record<string, string>[] = [{ origin: 'https://app.example' }, { 'sec-fetch-mode': 'cors' }];
    for (const mark of marks) {
      const { headers } = await callProxy(proxy.port, '/proxy/x', { headers: mark });
      expect(headers['set-cookie']).toBeUndefined();
      expect(headers['strict-transport-security']).toBeUndefined();
      expect(headers['x-own']).toBe('yes');
    }
  });

  it('come repeated as they were', async () => {
    const { proxy } = await startProxyOverEvil(
      list,
      always(
        'HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nLink: <a>\r\nLink: <b>\r\nContent-Length: 2\r\n\r\nok',
      ),
    );
    const { headers } = await callProxy(proxy.port, '/proxy/x');
    expect(headers['set-cookie']).toEqual(['a=1', 'b=2']);
    expect(headers['link']).toBe('<a>, <b>');
  });
});
