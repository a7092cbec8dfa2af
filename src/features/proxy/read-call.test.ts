import type { IncomingMessage } from 'node:http';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HawserError } from '../../base/errors.ts';
import { hopByHopHeaders, validHeader } from '../../protocols/http.ts';
import { PROXY_LIMITS } from './limits.ts';
import { readCall, type Call } from './read-call.ts';

function read(headers: Record<string, string>, method = 'GET', url = '/proxy/x'): Call {
  const known = { 'provider-config-key': 'key', 'connection-id': 'id', ...headers };
  return readCall({ method, url, headers: known } as unknown as IncomingMessage, PROXY_LIMITS);
}

describe('reading a call', () => {
  it('gives what the published client sends, with its defaults', () => {
    const call = read({
      'base-url-override': '',
      'nango-activity-log-id': '',
      'nango-is-sync': 'false',
      'nango-is-dry-run': 'false',
      retries: '3',
      decompress: 'true',
      'retry-on': '409, 423',
      'nango-proxy-x-a': 'b',
    });
    expect(call).toMatchObject({
      integrationKey: 'key',
      connectionId: 'id',
      retries: 3,
      retryOn: [409, 423],
      decompress: true,
      baseUrlOverride: undefined,
      body: undefined,
      fromBrowser: false,
    });
    expect([...call.headers]).toEqual([['x-a', 'b']]);
  });

  it('knows bodies by their framing', () => {
    expect(read({ 'content-length': '5' }, 'POST').body).toEqual({ length: 5 });
    expect(read({ 'content-length': '0' }, 'POST').body).toEqual({ length: 0 });
    expect(read({ 'transfer-encoding': 'chunked' }, 'POST').body).toEqual({ length: undefined });
    expect(read({}, 'POST').body).toBeUndefined();
  });

  it('forwards only valid headers of its own choice, whatever comes', () => {
    const forbidden = [...hopByHopHeaders, 'host', 'content-length', 'forwarded', 'x-forwarded-for', 'user-agent'];
    const name = fc.oneof(
      fc.constantFrom(...forbidden, 'authorization', 'cookie', 'content-type', 'x-a', '', '__proto__', 'constructor'),
      fc.string({ maxLength: 8 }).map((text) => text.toLowerCase()),
    );
    const key = fc
      .tuple(fc.constantFrom('nango-proxy-', '', 'nango-', 'nango-proxy'), name)
      .map((parts) => parts.join(''));
    const value = fc.oneof(fc.string(), fc.constantFrom('a\r\nb: c', 'a\0', 'x-a, close', 'keep-alive', 'é', '€'));
    fc.assert(
      fc.property(fc.array(fc.tuple(key, value), { maxLength: 8 }), (pairs) => {
        const own = Object.fromEntries(pairs.filter(([one]) => !['retries', 'decompress', 'retry-on'].includes(one)));
        let call: Call;
        try {
          call = read(own);
        } catch (error) {
          return error instanceof HawserError && error.status === 400;
        }
        for (const [forwarded, text] of call.headers) {
          if (!validHeader(forwarded, text) || forbidden.includes(forwarded)) return false;
          const source =
            forwarded === 'content-type'
              ? (own['nango-proxy-content-type'] ?? own['content-type'])
              : own[`nango-proxy-${forwarded}`];
          const isOwnType = forwarded === 'content-type' && text === own['content-type'];
          if (text !== source && !isOwnType) return false;
        }
        return true;
      }),
      { numRuns: 3000 },
    );
  });
});
