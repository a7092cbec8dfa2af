import type { TokenResponseSpec } from '../../../catalogue/_spec/index.ts';
import { atPath } from './parse-body.ts';

/** A token is VSCHAR (RFC 6749 A.12), at least one; blanks would break the header it goes into. */
const TOKEN = /^[\x21-\x7e]+$/;
/** The largest token that is kept (wire contract B.5). */
export const TOKEN_CHARS_MAX = 16_384;

/** The token at a path, when there is a usable one. */
export function tokenAt(data: Record<string, unknown>, path: string): string | undefined {
  return usable(atPath(data, path));
}

function usable(value: unknown): string | undefined {
  return typeof value === 'string' && value.length <= TOKEN_CHARS_MAX && TOKEN.test(value) ? value : undefined;
}

/** Where the access token is: the first of the paths that holds one. */
export function accessTokenPath(spec: TokenResponseSpec, data: Record<string, unknown>): string | undefined {
  return (spec.accessToken ?? ['access_token']).find((path) => tokenAt(data, path) !== undefined);
}

/**
 * A fact about the token that was found: beside it first, so that the facts of two tokens in one answer never mix, then
 * at its own path.
 */
export function valueBeside(spec: TokenResponseSpec, data: Record<string, unknown>, path: string): unknown {
  const found = accessTokenPath(spec, data);
  const parent = found === undefined ? '' : found.slice(0, found.lastIndexOf('.') + 1);
  return (parent === '' ? undefined : atPath(data, `${parent}${path}`)) ?? atPath(data, path);
}

/** A token beside the access token. */
export function tokenBeside(spec: TokenResponseSpec, data: Record<string, unknown>, path: string): string | undefined {
  return usable(valueBeside(spec, data, path));
}
