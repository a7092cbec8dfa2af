import * as fc from 'fast-check';
import { ServerResponse, IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import {
  backoffMs,
  cleanResponseHeaders,
  connectionNames,
  hopByHopHeaders,
  matchesStatus,
  parseRetryAfter,
  parseRetryAt,
  retryableCodes,
  retryDelayMs,
  validHeader,
} from './http.ts';

const nowMs = Date.UTC(2026, 10, 21, 12, 0, 0);

describe('cleanResponseHeaders', () => {
  it('drops every hop-by-hop header in any case', () => {
    for (const name of hopByHopHeaders) {
      expect(cleanResponseHeaders({ [name.toUpperCase()]: 'x', 'content-type': 'text/plain' })).toEqual({
        'content-type': 'text/plain',
      });
    }
  });

  it('drops what Connection names, from several Connection lines', () => {
    const headers = { connection: ['close, X-Hop', 'x-other'], 'X-Hop': '1', 'x-other': '2', 'x-kept': '3' };
    expect(cleanResponseHeaders(headers)).toEqual({ 'x-kept': '3' });
  });

  it('drops CORS headers and keeps the rest, arrays included', () => {
    const headers = {
      'Access-Control-Allow-Origin': '*',
      'Set-Cookie': ['a=1', 'b=2'],
      ETag: '"x"',
      'Content-Encoding': 'gzip',
    };
    expect(cleanResponseHeaders(headers)).toEqual({
      'set-cookie': ['a=1', 'b=2'],
      etag: '"x"',
      'content-encoding': 'gzip',
    });
  });

  it('drops what could not be written', () => {
    const headers = {
      'x-nul': 'a\0b',
      'x-crlf': 'a\r\nset-cookie: b',
      'bad name': 'x',
      'x-list': ['ok', 'a\nb'],
      ok: 'é',
    };
    expect(cleanResponseHeaders(headers)).toEqual({ ok: 'é' });
  });

  it('survives a header called __proto__', () => {
    const headers = JSON.parse('{"__proto__": "x", "a": "b"}') as Record<string, string>;
    const clean = cleanResponseHeaders(headers);
    expect(Object.getPrototypeOf(clean)).toBe(Object.prototype);
    expect(Object.entries(clean)).toEqual([
      ['__proto__', 'x'],
      ['a', 'b'],
    ]);
  });

  it('only leaves headers that node writes', () => {
    fc.assert(
      fc.property(
        fc.dictionary(
          fc.oneof(fc.string(), fc.constantFrom('x-a', 'Connection', '__proto__')),
          fc.oneof(fc.string(), fc.array(fc.string())),
        ),
        (headers) => {
          const response = new ServerResponse(new IncomingMessage(new Socket()));
          for (const [name, value] of Object.entries(cleanResponseHeaders(headers))) response.setHeader(name, value);
        },
      ),
    );
  });
});

describe('connectionNames', () => {
  it('reads a list', () => {
    expect([...connectionNames(' Close ,, X-A')]).toEqual(['close', 'x-a']);
    expect([...connectionNames(undefined)]).toEqual([]);
  });
});

describe('validHeader', () => {
  it('refuses line breaks, NUL, controls and what is beyond Latin-1', () => {
    for (const value of ['a\rb', 'a\nb', 'a\r\nb', 'a\0b', '\x7f', '\x1b[0m', '€', 'a\u2028b']) {
      expect(validHeader('x-a', value), JSON.stringify(value)).toBe(false);
    }
    for (const name of ['', 'a b', 'a:', 'a\r\n', 'é', '(x)', 'a\0']) expect(validHeader(name, 'x'), name).toBe(false);
    expect(validHeader('X-Tab_1', 'a\tb c')).toBe(true);
    expect(validHeader('x', '')).toBe(true);
    expect(validHeader('x', 'caf\xe9')).toBe(true);
  });
});

describe('Retry-After and its kin', () => {
  it('reads seconds and all three date forms', () => {
    expect(parseRetryAfter('120', nowMs)).toBe(120_000);
    expect(parseRetryAfter(' 0 ', nowMs)).toBe(0);
    expect(parseRetryAfter('1.5', nowMs)).toBe(1500);
    expect(parseRetryAfter('Sat, 21 Nov 2026 12:00:30 GMT', nowMs)).toBe(30_000);
    expect(parseRetryAfter('Saturday, 21-Nov-26 12:00:30 GMT', nowMs)).toBe(30_000);
    expect(parseRetryAfter('Sat Nov 21 12:00:30 2026', nowMs)).toBe(30_000);
  });

  it('leaves the past and the unreadable', () => {
    for (const value of ['', '-5', 'soon', 'Sat, 21 Nov 2020 12:00:30 GMT', '1e9', '9'.repeat(400), '0x10', 'NaN']) {
      expect(parseRetryAfter(value, nowMs), value).toBeUndefined();
    }
  });

  it('reads moments as seconds, milliseconds and dates', () => {
    expect(parseRetryAt(String(nowMs / 1000 + 7), nowMs)).toBe(7000);
    expect(parseRetryAt(String(nowMs + 7), nowMs)).toBe(7);
    expect(parseRetryAt('2026-11-21T12:00:09Z', nowMs)).toBe(9000);
    expect(parseRetryAt('2026-11-21 12:00:09', nowMs)).toBe(9000);
    expect(parseRetryAt('2026-11-21T13:00:09+01:00', nowMs)).toBe(9000);
    expect(parseRetryAt('Sat, 21 Nov 2026 12:00:30 GMT', nowMs)).toBe(30_000);
    expect(parseRetryAt(String(nowMs / 1000 - 1), nowMs)).toBeUndefined();
    expect(parseRetryAt('tomorrow', nowMs)).toBeUndefined();
  });

  it('never throws nor returns a negative wait', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        for (const wait of [parseRetryAfter(text, nowMs), parseRetryAt(text, nowMs)]) {
          expect(wait === undefined || wait >= 0).toBe(true);
        }
      }),
    );
  });
});

describe('retryDelayMs', () => {
  const base = { headers: {}, nowMs, attempt: 0 };

  it('retries 5xx, 429 and 401 by default, nothing else', () => {
    const retried = [200, 301, 400, 401, 404, 408, 429, 499, 500, 503, 599].filter(
      (status) => retryDelayMs({ ...base, status }) !== undefined,
    );
    expect(retried).toEqual([401, 429, 500, 503, 599]);
  });

  it("takes the provider's list instead, and adds the caller's", () => {
    const spec = { statuses: ['403', '500-502'] };
    const caller = { on: [418] };
    const retried = [401, 403, 418, 429, 500, 502, 503].filter(
      (status) => retryDelayMs({ ...base, status, spec, caller }) !== undefined,
    );
    expect(retried).toEqual([403, 418, 500, 502]);
  });

  it('counts a rate limit with nothing left as limited', () => {
    const spec = { remaining: 'X-Left', after: ['x-wait'] };
    expect(retryDelayMs({ ...base, status: 403, headers: { 'x-left': '0', 'x-wait': '4' }, spec })).toBe(4000);
    expect(retryDelayMs({ ...base, status: 403, headers: { 'x-left': '1', 'x-wait': '4' }, spec })).toBeUndefined();
    expect(retryDelayMs({ ...base, status: 403, headers: {}, spec })).toBeUndefined();
    // The last call that was left has been answered well.
    for (const status of [200, 204, 304]) {
      expect(retryDelayMs({ ...base, status, headers: { 'x-left': '0', 'x-wait': '4' }, spec })).toBeUndefined();
    }
  });

  it('doubles from 3 s up to 10 min', () => {
    const waits = Array.from({ length: 10 }, (_, attempt) => retryDelayMs({ ...base, status: 500, attempt }));
    expect(waits).toEqual([3000, 6000, 12_000, 24_000, 48_000, 96_000, 192_000, 384_000, 600_000, 600_000]);
    expect(backoffMs(2000)).toBe(600_000);
  });

  it('takes the longest wait of several headers, uncapped', () => {
    const spec = { at: ['X-Reset'], after: ['x-after', 'x-none'] };
    const headers = { 'x-reset': String(nowMs / 1000 + 7200), 'X-After': '30' };
    expect(retryDelayMs({ ...base, status: 429, headers, spec })).toBe(7_200_000);
  });

  it("looks at the caller's header first, then the provider's, then its own wait", () => {
    const spec = { after: ['x-provider'] };
    const caller = { at: ['x-caller'] };
    const headers = { 'x-provider': '9', 'x-caller': String(nowMs / 1000 + 2) };
    expect(retryDelayMs({ ...base, status: 429, headers, spec, caller })).toBe(2000);
    expect(retryDelayMs({ ...base, status: 429, headers: { 'x-provider': '9', 'x-caller': 'no' }, spec, caller })).toBe(
      9000,
    );
    expect(retryDelayMs({ ...base, status: 429, headers: { 'x-provider': 'no' }, spec, caller, attempt: 1 })).toBe(
      6000,
    );
  });

  it('honours the standard header when the provider names none', () => {
    expect(retryDelayMs({ ...base, status: 503, headers: { 'retry-after': '5' } })).toBe(5000);
    expect(retryDelayMs({ ...base, status: 503, headers: { 'retry-after': '5' }, spec: { after: ['x'] } })).toBe(3000);
  });
});

describe('matchesStatus', () => {
  it('knows exact, class and range', () => {
    expect(matchesStatus('429', 429)).toBe(true);
    expect(matchesStatus('5xx', 503)).toBe(true);
    expect(matchesStatus('5XX', 403)).toBe(false);
    expect(matchesStatus('500-502', 501)).toBe(true);
    expect(matchesStatus('500-502', 503)).toBe(false);
    expect(matchesStatus('nonsense', 500)).toBe(false);
    expect(matchesStatus('', 0)).toBe(false);
  });
});

describe('retryableCodes', () => {
  it('holds the names of the wire contract', () => {
    expect(retryableCodes.has('ECONNREFUSED')).toBe(true);
    expect(retryableCodes.has('ENOTFOUND')).toBe(false);
  });
});
