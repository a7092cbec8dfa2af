import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { RefusalTap } from './refusal-tap.ts';

const SPEC = { success: { path: 'ok', equals: true }, code: 'error', unauthorized: ['token_revoked'] };
const DEAD = Buffer.from('{"ok":false,"error":"token_revoked"}');
const JSON_TYPE = { 'content-type': 'application/json; charset=utf-8' };

function tapped(body: Buffer, headers: Record<string, string | string[]> = {}, step = 7): boolean {
  const tap = new RefusalTap(SPEC, { ...JSON_TYPE, ...headers });
  for (let at = 0; at < body.length; at += step) tap.push(body.subarray(at, at + step));
  return tap.saysUnauthorized(200);
}

describe('a tap on answers', () => {
  it('hears a dead credential, in pieces and packed', () => {
    expect(tapped(DEAD)).toBe(true);
    expect(tapped(gzipSync(DEAD), { 'content-encoding': 'gzip' })).toBe(true);
    expect(tapped(brotliCompressSync(DEAD), { 'content-encoding': 'BR' })).toBe(true);
    expect(tapped(deflateSync(DEAD), { 'content-encoding': ['deflate'] })).toBe(true);
  });

  it.each([
    ['a good answer', Buffer.from('{"ok":true}'), {}],
    ['another no', Buffer.from('{"ok":false,"error":"channel_not_found"}'), {}],
    ['half an answer', DEAD.subarray(0, 20), {}],
    ['another type', DEAD, { 'content-type': 'text/plain' }],
    ['an unknown packing', DEAD, { 'content-encoding': 'zstd' }],
    ['a damaged packing', DEAD, { 'content-encoding': 'gzip' }],
    ['a bomb', gzipSync(Buffer.concat([DEAD, Buffer.alloc(10_000_000, ' ')])), { 'content-encoding': 'gzip' }],
    ['a large answer', Buffer.concat([DEAD, Buffer.alloc(9_000, ' ')]), {}],
    ['an announced large answer', DEAD, { 'content-length': '9000' }],
  ] as const)('hears nothing in %s', (_, body, headers) => {
    expect(tapped(body, headers)).toBe(false);
  });
});
