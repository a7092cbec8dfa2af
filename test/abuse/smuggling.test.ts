/** Requests that two HTTP readers could understand differently, byte by byte, at the real server. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestApp, type TestApp } from '../support/app.ts';
import { until } from '../support/evil.ts';
import { exchange, openRaw } from './edge.ts';

let app: TestApp;
let port = 0;
beforeAll(async () => {
  app = await startTestApp({ seed: false });
  port = Number(new URL(app.url).port);
});
afterAll(() => app?.close());

/** What an attacker wants to be read as a request of its own. It would answer 404 with this path. */
const HIDDEN = 'GET /hidden HTTP/1.1\r\nHost: h\r\n\r\n';
/** The next request of an innocent caller behind the same front proxy. */
const FOLLOWER = 'GET /health HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n';

function post(framing: string, body = ''): string {
  return `POST /connect/telemetry HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n${framing}\r\n${body}`;
}
function get(headers: string, target = '/health', version = 'HTTP/1.1'): string {
  return `GET ${target} ${version}\r\nHost: h\r\n${headers}\r\n`;
}
const chunked = (body: string): string => post('Transfer-Encoding: chunked\r\n', body);
const hex = (text: string): string => text.length.toString(16);

/** Refused: one 4xx at most, the socket is closed, and the follower gets no answer on it. */
const refused: [string, string][] = [
  ['length and chunks', post('Content-Length: 4\r\nTransfer-Encoding: chunked\r\n', `0\r\n\r\n${HIDDEN}`)],
  ['chunks and length', post('Transfer-Encoding: chunked\r\nContent-Length: 4\r\n', `0\r\n\r\n${HIDDEN}`)],
  ['two lengths', post(`Content-Length: 0\r\nContent-Length: ${HIDDEN.length}\r\n`, HIDDEN)],
  ['two equal lengths', post('Content-Length: 2\r\nContent-Length: 2\r\n', '{}')],
  ['a list of lengths', post('Content-Length: 2, 2\r\n', '{}')],
  ['a signed length', post(`Content-Length: +${HIDDEN.length}\r\n`, HIDDEN)],
  ['a negative length', post('Content-Length: -1\r\n', HIDDEN)],
  ['a hexadecimal length', post(`Content-Length: 0x${hex(HIDDEN)}\r\n`, HIDDEN)],
  ['a length with a fraction', post('Content-Length: 2.0\r\n', '{}')],
  ['a length with an exponent', post('Content-Length: 1e1\r\n', '{}')],
  ['a length with a blank inside', post('Content-Length: 3 6\r\n', HIDDEN)],
  ['an empty length', post('Content-Length: \r\n', HIDDEN)],
  ['a length past every number', post('Content-Length: 99999999999999999999999\r\n', HIDDEN)],
  ['a length with a comma', post('Content-Length: 2,\r\n', '{}')],
  ['a blank before the colon', post('Content-Length : 36\r\n', HIDDEN)],
  ['a tab before the colon', post('Transfer-Encoding\t: chunked\r\n', `0\r\n\r\n${HIDDEN}`)],
  ['a folded header', post('X-A: b\r\n Content-Length: 36\r\nContent-Length: 0\r\n', HIDDEN)],
  ['a folded coding', post('Transfer-Encoding:\r\n chunked\r\n', `0\r\n\r\n${HIDDEN}`)],
  ['a header that begins with a tab', post('\tX-A: b\r\n', '')],
  ['a NUL in a name', post('X-\0A: b\r\n', '')],
  ['a NUL in a value', post('X-A: b\0c\r\n', '')],
  ['an empty name', post(': b\r\n', '')],
  ['a name with a slash', post('X/A: b\r\n', '')],
  ['a header without a colon', post('X-A\r\n', '')],
  ['chunked twice', post('Transfer-Encoding: chunked, chunked\r\n', `0\r\n\r\n${HIDDEN}`)],
  ['chunked, then identity', post('Transfer-Encoding: chunked, identity\r\n', `0\r\n\r\n${HIDDEN}`)],
  ['an unknown coding', post('Transfer-Encoding: xchunked\r\n', `0\r\n\r\n${HIDDEN}`)],
  ['two codings in two lines', post('Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n', `0\r\n\r\n${HIDDEN}`)],
  ['a coding with a vertical tab', post('Transfer-Encoding: \x0bchunked\r\n', `0\r\n\r\n${HIDDEN}`)],
  ['a coding in quotes', post('Transfer-Encoding: "chunked"\r\n', `0\r\n\r\n${HIDDEN}`)],
  ['chunks in HTTP/1.0', chunked(`0\r\n\r\n${HIDDEN}`).replace('HTTP/1.1', 'HTTP/1.0')],
  ['a bare LF line end', post('X-A: b\nContent-Length: 36\r\n', HIDDEN)],
  ['a bare LF after the request line', `GET /health HTTP/1.1\nHost: h\r\n\r\n`],
  ['a head that ends in two bare LF', 'GET /health HTTP/1.1\r\nHost: h\n\n'],
  ['a bare CR in a line', post('X-A: b\rContent-Length: 36\r\n', HIDDEN)],
  ['a chunk size with a sign', chunked(`+2\r\n{}\r\n0\r\n\r\n${HIDDEN}`)],
  ['a negative chunk size', chunked(`-2\r\n{}\r\n0\r\n\r\n${HIDDEN}`)],
  ['a chunk size with 0x', chunked(`0x2\r\n{}\r\n0\r\n\r\n${HIDDEN}`)],
  ['a chunk size with an underscore', chunked(`0_2\r\n{}\r\n0\r\n\r\n${HIDDEN}`)],
  ['a chunk size past every number', chunked('fffffffffffffffff\r\n{}\r\n0\r\n\r\n')],
  ['an empty chunk size', chunked(`\r\n{}\r\n0\r\n\r\n${HIDDEN}`)],
  ['a chunk longer than its size', chunked(`1\r\n{}{}\r\n0\r\n\r\n${HIDDEN}`)],
  ['a chunk line with a bare LF', chunked(`2\n{}\r\n0\r\n\r\n${HIDDEN}`)],
  ['a chunk that ends in a bare LF', chunked(`2\r\n{}\n0\r\n\r\n${HIDDEN}`)],
  ['a chunk without its line end', chunked(`2\r\n{}0\r\n\r\n${HIDDEN}`)],
  ['a chunk extension with a bare LF', chunked(`2;a=b\n{}\r\n0\r\n\r\n${HIDDEN}`)],
  ['20 KiB of chunk extensions', chunked(`2;${'a'.repeat(20_480)}\r\n{}\r\n0\r\n\r\n${HIDDEN}`)],
  ['a trailer with a bare CR', chunked(`2\r\n{}\r\n0\r\nX-A: b\rX: c\r\n\r\n${HIDDEN}`)],
  ['a trailer that repeats the framing', chunked('2\r\n{}\r\n0\r\nContent-Length: 99\r\n\r\n')],
  ['a request inside a chunk', chunked(`${hex(HIDDEN)}\r\n${HIDDEN}\r\n0\r\n\r\n`)],
  ['an unknown expectation', get('Expect: a-reply\r\n')],
  ['another protocol version', get('', '/health', 'HTTP/9.9')],
  ['HTTP/2.0 in words', get('', '/health', 'HTTP/2.0')],
  ['no protocol version (HTTP/0.9)', 'GET /health\r\n\r\n'],
  ['no protocol version, with headers', 'GET /health\r\nHost: h\r\n\r\n'],
  ['lower case in the protocol', get('', '/health', 'http/1.1')],
  ['a control in the target', get('', '/health\x01')],
  ['a blank in the target', get('', '/heal th')],
  ['a method of its own', `SMUGGLE /health HTTP/1.1\r\nHost: h\r\n\r\n`],
  ['a method in lower case', `get /health HTTP/1.1\r\nHost: h\r\n\r\n`],
  ['a connection preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
  ['a TLS greeting', '\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03'],
  ['a tunnel', 'CONNECT evil.example:443 HTTP/1.1\r\nHost: h\r\n\r\n'],
  ['no Host', 'GET /health HTTP/1.1\r\n\r\n'],
  ['two Hosts', get('Host: evil.example\r\n')],
  ['two keys', get(`Authorization: Bearer a\r\nauthorization: Bearer b\r\n`)],
  ['two connection ids', get('Connection-Id: a\r\nConnection-Id: b\r\n')],
  ['40 KiB of headers', get(`X-A: ${'a'.repeat(40_960)}\r\n`)],
  ['200 headers', get(Array.from({ length: 200 }, (_, n) => `X-${n}: a\r\n`).join(''))],
  ['a URL of 20 KiB', get('', `/health?${'a'.repeat(20_480)}`)],
];

/** Taken: exactly one answer, and the follower has its own. */
const taken: [string, string, number][] = [
  ['a body that was announced', post('Content-Length: 2\r\n', '{}'), 400],
  ['a body on a GET', get(`Content-Length: ${HIDDEN.length}\r\n`) + HIDDEN, 200],
  ['chunks on a GET', `${get('Transfer-Encoding: chunked\r\n')}${hex(HIDDEN)}\r\n${HIDDEN}\r\n0\r\n\r\n`, 200],
  ['a body for a path that is not there', post(`Content-Length: ${HIDDEN.length}\r\n`, HIDDEN).replace('/connect/telemetry', '/nothing'), 404], // prettier-ignore
  ['a body without a key', post(`Content-Length: ${HIDDEN.length}\r\n`, HIDDEN).replace('/connect/telemetry', '/connect/sessions'), 401], // prettier-ignore
  ['chunks', chunked('2\r\n{}\r\n0\r\n\r\n'), 400],
  ['chunks in capitals', chunked('2\r\n{}\r\n0\r\n\r\n').replace('chunked', 'CHUNKED'), 400],
  ['chunk sizes with zeros', chunked('0002\r\n{}\r\n000\r\n\r\n'), 400],
  ['a chunk extension', chunked('2;a=b;c="d"\r\n{}\r\n0\r\n\r\n'), 400],
  ['a trailer', chunked('2\r\n{}\r\n0\r\nX-A: b\r\n\r\n'), 400],
  ['a length of zeros', get('Content-Length: 000\r\n'), 200],
  ['empty lines before the request', `\r\n\r\n${get('')}`, 200],
  ['an absolute target', get('', 'http://evil.example/health'), 200],
  ['HTTP/1.0 with keep-alive', get('Connection: keep-alive\r\n', '/health', 'HTTP/1.0'), 200],
  ['Expect: 100-continue', post('Expect: 100-continue\r\nContent-Length: 2\r\n', '{}'), 400],
];

describe('abuse 21: inbound framing', () => {
  it('has at least 45 cases', () => {
    expect(refused.length + taken.length).toBeGreaterThanOrEqual(45);
  });

  it.each(refused)('abuse 21: refused with one error and a closed socket: %s', async (_name, bytes) => {
    const { replies, text } = await exchange(port, bytes + FOLLOWER);
    expect(replies.length).toBeLessThanOrEqual(1);
    for (const { status, body, headers } of replies) {
      expect([status >= 400 && status < 500, text]).toEqual([true, text]);
      expect(headers.get('connection')).toBe('close');
      expect(Object.keys(JSON.parse(body) as object)).toEqual(['error']);
      expect(body).not.toMatch(/\bat \S+:\d+|node:|\.ts|HPE_|Parse Error/);
    }
    expect(text).not.toContain('hidden');
    expect((await exchange(port, FOLLOWER)).replies.map(({ status }) => status)).toEqual([200]);
  });

  it.each(taken)('abuse 21: taken as one request: %s', async (_name, bytes, status) => {
    const { replies, text } = await exchange(port, bytes + FOLLOWER);
    expect([replies.map((reply) => reply.status), text]).toEqual([[status, 200], text]);
    expect(replies[1]?.body).toBe('{"result":"ok"}');
    expect(text).not.toContain('hidden');
  });

  it('abuse 21: a wish for another protocol is ignored, and the socket goes on in HTTP/1.1', async () => {
    const raw = await openRaw(port);
    raw.send(get('Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n'));
    await until(() => raw.replies().length === 1);
    raw.send(FOLLOWER);
    await raw.closed;
    expect(raw.replies().map(({ status }) => status)).toEqual([200, 200]);
  });

  it('abuse 21: an error behind a request that waits for its answer is not taken for that answer', async () => {
    const release = Promise.withResolvers<void>();
    const { byKey } = app.services.environments;
    app.services.environments.byKey = async (secret) => {
      await release.promise;
      return byKey(secret);
    };
    try {
      const slow = `GET /providers HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer ${crypto.randomUUID()}\r\n\r\n`;
      const { text } = await exchange(port, `${slow}BROKEN\r\n\r\n`);
      expect(text).toBe('');
    } finally {
      release.resolve();
      app.services.environments.byKey = byKey;
    }
  });
});
