import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { CallbackSignature } from '../../../catalogue/_spec/index.ts';

/**
 * True when the provider, and nobody else, wrote this redirect: HMAC-SHA256 in hex, keyed with the client secret, over
 * the other parameters, percent-encoded, sorted by name and joined by `&`. A parameter given twice is never believed.
 */
export function isSignedCallback(spec: CallbackSignature, query: URLSearchParams, clientSecret: string): boolean {
  const given = query.getAll(spec.param);
  const names = [...query.keys()];
  if (clientSecret === '' || given.length !== 1 || new Set(names).size !== names.length) return false;
  const expected = callbackSignature(spec, query, clientSecret);
  return timingSafeEqual(digest(given[0] ?? ''), digest(expected));
}

/** Both sides in one length, whatever came. */
function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

/** The signature that belongs to these parameters. */
export function callbackSignature(spec: CallbackSignature, query: URLSearchParams, clientSecret: string): string {
  const left = new Set([spec.param, ...(spec.unsigned ?? [])]);
  const pairs = [...query]
    .filter(([name]) => !left.has(name))
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`);
  return createHmac('sha256', clientSecret).update(pairs.join('&')).digest('hex');
}
