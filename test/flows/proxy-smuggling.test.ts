/** Requests that two parsers could read differently: refused, or passed on as exactly one well-framed request. */
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { answer, type EvilRequest } from '../support/evil.ts';
import { callHeaders, callProxy } from '../support/proxy.ts';
import { createOpenList, startProxyOverEvil } from '../support/proxy-evil.ts';

const list = createOpenList();
let port = 0;
let requests: EvilRequest[] = [];

beforeAll(async () => {
  const started = await startProxyOverEvil(list, async (connection) => {
    for (let request = await connection.request(); request; request = await connection.request()) {
      requests.push(request);
      await connection.send(answer(200, 'ok'));
    }
  });
  port = started.proxy.port;
});
afterAll(() => list.close());

const common = Object.entries(callHeaders)
  .map(([name, value]) => `${name}: ${value}\r\n`)
  .join('');
/** What an attacker would like the provider to see as a request of its own. */
const hidden = 'GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n';

function post(framing: string, body: string): string {
  return `POST /proxy/x HTTP/1.1\r\nHost: h\r\n${common}${framing}\r\n${body}`;
}

/** Sends the bytes and reads to the first final answer, or to the end: the statuses that came back. */
function exchange(bytes: string): Promise<number[]> {
  return new Promise((resolve) => {
    let text = '';
    const statuses = (): number[] => [...text.matchAll(/HTTP\/1\.1 (\d{3})/g)].map((match) => Number(match[1]));
    const socket = connect(port, '127.0.0.1', () => socket.write(Buffer.from(bytes, 'latin1')));
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      if (statuses().some((status) => status >= 200)) socket.end();
    });
    socket.on('close', () => resolve(statuses()));
    socket.on('error', () => resolve(statuses()));
  });
}

const refused: [string, string][] = [
  ['length and chunks', post('Content-Length: 4\r\nTransfer-Encoding: chunked\r\n', `0\r\n\r\n${hidden}`)],
  ['chunks and length', post('Transfer-Encoding: chunked\r\nContent-Length: 4\r\n', `0\r\n\r\n${hidden}`)],
  ['two lengths', post('Content-Length: 0\r\nContent-Length: 36\r\n', hidden)],
  ['two equal lengths', post('Content-Length: 2\r\nContent-Length: 2\r\n', 'ab')],
  ['a list of lengths', post('Content-Length: 0, 36\r\n', hidden)],
  ['a signed length', post('Content-Length: +36\r\n', hidden)],
  ['a negative length', post('Content-Length: -1\r\n', hidden)],
  ['a hexadecimal length', post('Content-Length: 0x24\r\n', hidden)],
  ['a length with a blank inside', post('Content-Length: 3 6\r\n', hidden)],
  ['an empty length', post('Content-Length: \r\n', hidden)],
  ['a length past every number', post('Content-Length: 99999999999999999999999\r\n', hidden)],
  ['a blank before the colon', post('Content-Length : 36\r\n', hidden)],
  ['a folded header', post('X-A: b\r\n Content-Length: 36\r\nContent-Length: 0\r\n', hidden)],
  ['a header that begins with a tab', post('\tX-A: b\r\n', '')],
  ['a NUL in a name', post('X-\0A: b\r\n', '')],
  ['an empty name', post(': b\r\n', '')],
  ['a name with a slash', post('X/A: b\r\n', '')],
  ['chunked twice', post('Transfer-Encoding: chunked, chunked\r\n', `0\r\n\r\n${hidden}`)],
  ['chunked, then identity', post('Transfer-Encoding: chunked, identity\r\n', `0\r\n\r\n${hidden}`)],
  ['an unknown coding', post('Transfer-Encoding: xchunked\r\n', `0\r\n\r\n${hidden}`)],
  ['a coding with a vertical tab', post('Transfer-Encoding: \x0bchunked\r\n', `0\r\n\r\n${hidden}`)],
  ['a coding in quotes', post('Transfer-Encoding: "chunked"\r\n', `0\r\n\r\n${hidden}`)],
  ['a bare LF line end', post('X-A: b\nContent-Length: 36\r\n', hidden)],
  ['a bare CR in a line', post('X-A: b\rContent-Length: 36\r\n', hidden)],
  ['a chunk size with a sign', post('Transfer-Encoding: chunked\r\n', `+1\r\na\r\n0\r\n\r\n${hidden}`)],
  ['a chunk size with 0x', post('Transfer-Encoding: chunked\r\n', `0x1\r\na\r\n0\r\n\r\n${hidden}`)],
  ['a chunk size past every number', post('Transfer-Encoding: chunked\r\n', `fffffffffffffffff\r\na\r\n0\r\n\r\n`)],
  ['a chunk longer than its size', post('Transfer-Encoding: chunked\r\n', `1\r\nabc\r\n0\r\n\r\n${hidden}`)],
  ['a chunk line with a bare LF', post('Transfer-Encoding: chunked\r\n', `1\na\r\n0\r\n\r\n${hidden}`)],
  ['a chunk without its line end', post('Transfer-Encoding: chunked\r\n', `1\r\na0\r\n\r\n${hidden}`)],
  ['another protocol', `GET /proxy/x HTTP/9.9\r\nHost: h\r\n${common}\r\n`],
  ['a control in the target', `GET /proxy/x\x01 HTTP/1.1\r\nHost: h\r\n${common}\r\n`],
  ['a method of its own', `PROXY /proxy/x HTTP/1.1\r\nHost: h\r\n${common}\r\n`],
  ['a connection preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
];

const passed: [string, string, string][] = [
  ['a length', post('Content-Length: 36\r\n', hidden.padEnd(36).slice(0, 36)), hidden.padEnd(36).slice(0, 36)],
  ['chunks', post('Transfer-Encoding: chunked\r\n', '3\r\nabc\r\n0\r\n\r\n'), 'abc'],
  ['chunks in capitals', post('Transfer-Encoding: CHUNKED\r\n', '3\r\nabc\r\n0\r\n\r\n'), 'abc'],
  ['a chunk extension', post('Transfer-Encoding: chunked\r\n', '3;a=b;c="d"\r\nabc\r\n0\r\n\r\n'), 'abc'],
  [
    'a trailer',
    post('Transfer-Encoding: chunked\r\nTrailer: x-evil\r\n', '3\r\nabc\r\n0\r\nX-Evil: canary\r\n\r\n'),
    'abc',
  ],
  [
    'a request hidden in a chunk',
    post('Transfer-Encoding: chunked\r\n', `${hidden.length.toString(16)}\r\n${hidden}\r\n0\r\n\r\n`),
    hidden,
  ],
  ['a request line without a protocol', `GET /proxy/x\r\n${common}\r\n`, ''],
  ['two blanks in the request line', `GET  /proxy/x HTTP/1.1\r\nHost: h\r\n${common}\r\n`, ''],
  ['Expect: 100-continue', post('Expect: 100-continue\r\nContent-Length: 3\r\n', 'abc'), 'abc'],
];

describe('framing that two parsers could read differently', () => {
  it.each(refused)('is refused: %s', async (_name, bytes) => {
    requests = [];
    const statuses = await exchange(bytes);
    // Some break only after a head that is fine; then the call fails, and nothing more is read from the socket.
    expect(requests.map(({ target }) => target).filter((target) => target !== '/x')).toEqual([]);
    expect(requests.length).toBeLessThanOrEqual(1);
    expect([statuses.length > 0, statuses.filter((status) => status < 400)]).toEqual([true, []]);
    expect(requests.map(({ body }) => body.toString()).filter((body) => body.includes('hidden'))).toEqual([]);
    // The connections to the provider carry on with the next call.
    requests = [];
    expect((await callProxy(port, '/proxy/next')).status).toBe(200);
    expect(requests.map(({ target }) => target)).toEqual(['/next']);
  });

  it.each(passed)('is passed as one request: %s', async (_name, bytes, body) => {
    requests = [];
    const statuses = await exchange(bytes);
    expect(statuses.at(-1)).toBe(200);
    expect(requests.map((request) => [request.target, request.body.toString()])).toEqual([['/x', body]]);
    expect(requests[0]?.rawHead).not.toContain('canary');
    requests = [];
    expect((await callProxy(port, '/proxy/next')).status).toBe(200);
    expect(requests.map(({ target }) => target)).toEqual(['/next']);
  });
});
