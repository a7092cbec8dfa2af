import { createRequire } from 'node:module';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AnswerError, AnswerReader } from './answer.ts';
import type { HeaderRecord } from './stream.ts';

interface Seen {
  status?: number;
  headers?: HeaderRecord;
  reason?: string;
  bodyBytes?: number | undefined;
  interims: number;
  body: string;
  ended?: { trailers: HeaderRecord; reusable: boolean };
  refused?: string;
}

/** Reads these pieces as one answer. `closes`: the connection ends behind them. */
function read(pieces: readonly Buffer[], options: { isHead?: boolean; closes?: boolean } = {}): Seen {
  const seen: Seen = { interims: 0, body: '' };
  const reader = new AnswerReader({
    onInterim: () => (seen.interims += 1),
    onHead: (status, headers, reason, bodyBytes) => Object.assign(seen, { status, headers, reason, bodyBytes }),
    onBody: (chunk) => (seen.body += chunk.toString('latin1')),
    onComplete: (trailers, reusable) => (seen.ended = { trailers, reusable }),
  });
  reader.expect(options.isHead === true);
  try {
    for (const piece of pieces) reader.read(piece);
    if (options.closes === true) reader.end();
  } catch (error) {
    if (!(error instanceof AnswerError)) throw error;
    seen.refused = error.code;
  }
  return seen;
}

const readText = (text: string, options?: Parameters<typeof read>[1]): Seen =>
  read([Buffer.from(text, 'latin1')], options);

interface NodeParser {
  initialize(type: number, resource: object): void;
  execute(bytes: Buffer): number | Error;
  [callback: number]: (...args: never[]) => unknown;
}

/** The strict parser inside Node, as a second opinion. */
const { HTTPParser } = createRequire(import.meta.url)('node:_http_common') as {
  HTTPParser: (new () => NodeParser) & Record<string, number>;
};

/** What that parser makes of one whole message. Undefined: it refuses, or the message does not end. */
function secondOpinion(bytes: Buffer): { status: number; headers: string[]; body: string } | undefined {
  const parser = new HTTPParser();
  const found = { status: 0, headers: [] as string[], body: '', ended: false };
  parser.initialize(HTTPParser['RESPONSE'] as number, {});
  parser[HTTPParser['kOnHeaders'] as number] = (list: string[]) => void found.headers.push(...list);
  parser[HTTPParser['kOnHeadersComplete'] as number] = (
    _major: number,
    _minor: number,
    list: string[] | undefined,
    _method: unknown,
    _url: unknown,
    status: number,
  ) => {
    if (list !== undefined) found.headers.push(...list);
    found.status = status;
  };
  parser[HTTPParser['kOnBody'] as number] = (chunk: Buffer) => {
    if (!found.ended) found.body += chunk.toString('latin1');
  };
  parser[HTTPParser['kOnMessageComplete'] as number] = () => void (found.ended = true);
  const result = parser.execute(bytes);
  return result instanceof Error || result !== bytes.length || !found.ended ? undefined : found;
}

describe('an answer', () => {
  it('is read with its length, in chunks, and until the connection closes', () => {
    expect(readText('HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX-A:  b \t\r\n\r\nabc')).toEqual({
      status: 200,
      headers: { 'content-length': '3', 'x-a': 'b' },
      reason: 'OK',
      bodyBytes: 3,
      interims: 0,
      body: 'abc',
      ended: { trailers: {}, reusable: true },
    });
    expect(
      readText('HTTP/1.1 200\r\ntransfer-encoding: Chunked\r\n\r\n2;x="y"\r\nab\r\n01\r\nc\r\n0\r\nT: 1\r\n\r\n'),
    ).toMatchObject({ body: 'abc', reason: '', ended: { trailers: { t: '1' }, reusable: true } });
    const open = 'HTTP/1.1 200 OK\r\nx: y\r\n\r\nabc';
    expect(readText(open).ended).toBeUndefined();
    expect(readText(open, { closes: true })).toMatchObject({
      body: 'abc',
      ended: { trailers: {}, reusable: false },
    });
  });

  it('without a body ends with its head', () => {
    for (const [status, isHead] of [
      [200, true],
      [204, false],
      [304, false],
    ] as const) {
      const seen = readText(`HTTP/1.1 ${status} x\r\ncontent-length: 99\r\n\r\n`, { isHead });
      expect(seen).toMatchObject({ bodyBytes: 0, ended: { reusable: !isHead } });
    }
  });

  it('leaves its connection unusable when anything is doubtful', () => {
    for (const text of [
      'HTTP/1.1 200 OK\r\ncontent-length: 1\r\nconnection: close\r\n\r\na',
      'HTTP/1.1 200 OK\r\ncontent-length: 1\r\nconnection: x, Close\r\n\r\na',
      'HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\na',
      'HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\nconnection: keep-alive\r\n\r\n1\r\na\r\n0\r\n\r\n',
      'HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\naHTTP/1.1 200 OK\r\n\r\n',
      'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n\r\n',
    ]) {
      expect(readText(text).ended?.reusable, text).toBe(false);
    }
    expect(readText('HTTP/1.0 200 OK\r\ncontent-length: 1\r\nconnection: keep-alive\r\n\r\na').ended?.reusable).toBe(
      true,
    );
  });

  it('may carry any header name, as data', () => {
    const { headers } = readText('HTTP/1.1 204 x\r\n__proto__: a\r\nconstructor: b\r\nX: 1\r\nx: 2\r\nx: 3\r\n\r\n');
    expect(Object.entries(headers ?? {})).toEqual([
      ['__proto__', 'a'],
      ['constructor', 'b'],
      ['x', ['1', '2', '3']],
    ]);
  });

  it.each([
    'HTTP/1.1 200 OK\n\r\n\r\n',
    'HTTP/1.1 200 OK\r\nx: a\nb: c\r\n\r\n',
    'HTTP/1.1 200 OK\r\nx: a\r\n b\r\n\r\n',
    'HTTP/1.1 200 OK\r\nx : a\r\n\r\n',
    'HTTP/1.1 200 OK\r\n: a\r\n\r\n',
    'HTTP/1.1 200 OK\r\nx\r\n\r\n',
    'HTTP/1.1 200 OK\r\nx: a\0b\r\n\r\n',
    'HTTP/1.1 200 OK\r\nx: a\rb\r\n\r\n',
    'HTTP/1.1  200 OK\r\n\r\n',
    'HTTP/1.1 20 OK\r\n\r\n',
    'HTTP/1.1 2000 OK\r\n\r\n',
    'HTTP/1.1 099 OK\r\n\r\n',
    'HTTP/1.1 101 Switching\r\n\r\n',
    'HTTP/2 200 OK\r\n\r\n',
    'HTTP/1.2 200 OK\r\n\r\n',
    '\r\nHTTP/1.1 200 OK\r\n\r\n',
    'HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 1\r\n\r\na',
    'HTTP/1.1 200 OK\r\ncontent-length: 1, 1\r\n\r\na',
    'HTTP/1.1 200 OK\r\ncontent-length: +1\r\n\r\na',
    'HTTP/1.1 200 OK\r\ncontent-length: 0x1\r\n\r\na',
    'HTTP/1.1 200 OK\r\ncontent-length:\r\n\r\na',
    'HTTP/1.1 200 OK\r\ncontent-length: 9999999999999999\r\n\r\na',
    'HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n',
    'HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n',
    'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n',
    'HTTP/1.1 200 OK\r\ntransfer-encoding: xchunked\r\n\r\n',
    'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n-1\r\n',
    'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n 1\r\na\r\n0\r\n\r\n',
    'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n',
    'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n\r\na\r\n0\r\n\r\n',
    'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\nab\r\n0\r\n\r\n',
    'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n',
    'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1000000000000\r\na',
    'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\nbad trailer\r\n\r\n',
  ])('is refused: %j', (text) => {
    const seen = readText(text);
    expect(seen.refused).toBe('HPE_INVALID');
    expect(seen.ended).toBeUndefined();
  });

  it('has a head, a size and trailers of limited length, however they drip', () => {
    const endless = 'a'.repeat(40_000);
    for (const [text, code] of [
      [`HTTP/1.1 200 OK\r\nx: ${endless}`, 'UND_ERR_HEADERS_OVERFLOW'],
      [`HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1;${endless}`, 'HPE_INVALID'],
      [`HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx: ${endless}`, 'UND_ERR_HEADERS_OVERFLOW'],
    ] as const) {
      expect(readText(text).refused).toBe(code);
      expect(read([...text].map((letter) => Buffer.from(letter))).refused).toBe(code);
    }
  });
});

describe('any answer', () => {
  const field = fc.constantFrom(
    'content-length: 0',
    'content-length: 3',
    'Content-Length: 12',
    'content-length: 3 ',
    'content-length: 3,3',
    'transfer-encoding: chunked',
    'Transfer-Encoding: gzip, chunked',
    'transfer-encoding: identity',
    'connection: close',
    'connection: keep-alive',
    'x-a: b',
    'x-a:',
    'x-b:\t c d \t',
    'x b: c',
    ' folded',
    'caf\xe9: x',
    'x: caf\xe9',
  );
  const line = fc.constantFrom('HTTP/1.1 200 OK', 'HTTP/1.1 204 x', 'HTTP/1.0 200 OK', 'HTTP/1.1 404 ', 'HTTP/1.1 500');
  const body = fc.constantFrom(
    '',
    'abc',
    'abcdefghijkl',
    '3\r\nabc\r\n0\r\n\r\n',
    '3;a=b\r\nabc\r\n2\r\nde\r\n0\r\n\r\n',
    'C\r\nabcdefghijkl\r\n0\r\nx-t: 1\r\n\r\n',
    '3\r\nabcd\r\n0\r\n\r\n',
    '3\nabc\r\n0\r\n\r\n',
    '0\r\n\r\n',
  );
  const eol = fc.constantFrom('\r\n', '\r\n', '\r\n', '\r\n', '\r\n', '\n', '\r');
  /** Half of them fit together. */
  const framed = fc.oneof(
    fc.tuple(field, body),
    fc.constantFrom<[string, string]>(
      ['content-length: 0', ''],
      ['content-length: 3', 'abc'],
      ['Content-Length:12 ', 'abcdefghijkl'],
      ['transfer-encoding: chunked', '3\r\nabc\r\n0\r\n\r\n'],
      ['Transfer-Encoding: chunked', '3;a=b\r\nabc\r\n2\r\nde\r\n0\r\n\r\n'],
      ['transfer-encoding: Chunked', 'C\r\nabcdefghijkl\r\n0\r\nx-t: 1\r\n\r\n'],
    ),
  );
  const others = fc.array(fc.tuple(field, eol), { maxLength: 2 });
  const message = fc
    .tuple(line, others, framed, fc.boolean(), fc.nat(100), fc.nat(255))
    .map(([first, fields, [framing, end], isChanged, at, byte]) => {
      const text = `${first}\r\n${fields.map((one) => one.join('')).join('')}${framing}\r\n\r\n${end}`;
      const bytes = Buffer.from(text, 'latin1');
      if (isChanged && at < bytes.length) bytes[at] = byte;
      return bytes;
    });

  it('that is taken for whole is the same to the parser of Node', () => {
    let whole = 0;
    fc.assert(
      fc.property(message, (bytes) => {
        const seen = read([bytes]);
        if (seen.ended?.reusable !== true) return;
        whole += 1;
        const other = secondOpinion(bytes);
        expect(other).toBeDefined();
        expect(seen.status).toBe(other?.status);
        expect(seen.body).toBe(other?.body);
        const flat = Object.entries({ ...seen.headers }).flatMap(([name, value]) =>
          [value].flat().map((one) => `${name}: ${one}`),
        );
        const theirs: string[] = [];
        const list = other?.headers ?? [];
        const count = flat.length;
        for (let i = 0; i < 2 * count; i += 2) theirs.push(`${list[i]?.toLowerCase()}: ${list[i + 1]?.trim()}`);
        expect(flat.toSorted()).toEqual(theirs.toSorted());
      }),
      { numRuns: 5_000 },
    );
    expect(whole).toBeGreaterThan(100);
  });

  it('reads the same in whatever pieces it comes', () => {
    fc.assert(
      fc.property(message, fc.array(fc.nat(300), { maxLength: 12 }), (bytes, cuts) => {
        const at = [0, ...cuts.filter((cut) => cut < bytes.length).toSorted((a, b) => a - b), bytes.length];
        const pieces = at.slice(1).map((end, index) => bytes.subarray(at[index], end));
        const whole = read([bytes], { closes: true });
        const cut = read(pieces, { closes: true });
        // A piece that ends with the answer cannot know what follows.
        if (whole.ended !== undefined && cut.ended !== undefined) cut.ended.reusable = whole.ended.reusable;
        expect(cut).toEqual(whole);
      }),
      { numRuns: 3_000 },
    );
  });
});
