import type { OAuth2Spec, TokenResponseSpec } from '../../../catalogue/_spec/index.ts';
import { atPath, parseBody, sameValue } from './parse-body.ts';
import { readError } from './read-error.ts';
import { accessTokenPath, tokenAt, tokenBeside, TOKEN_CHARS_MAX, valueBeside } from './beside.ts';
import { expiresAt } from './expiry.ts';

export type TokenFailureKind =
  /** The code or the refresh token is dead. */
  | 'invalid_grant'
  /** The app's own registration is wrong: an alarm of the integration, not of the connection. */
  | 'invalid_client'
  | 'invalid_scope'
  /** Said no for another reason. */
  | 'refused'
  | 'rate_limited'
  /** 5xx and the like: nothing is known about the grant. */
  | 'provider_down'
  /** Not understandable: nothing is known about the grant. */
  | 'malformed';

export type TokenAnswer =
  | {
      ok: true;
      accessToken: string;
      refreshToken?: string;
      /** Wall time in ms; absent: no known end. */
      expiresAtMs?: number;
      scope?: string;
      metadata: Record<string, string>;
      raw: Record<string, unknown>;
    }
  | {
      ok: false;
      kind: TokenFailureKind;
      status: number;
      /** The provider's code, cleaned: at most 100 printable characters, never a token. */
      error?: string;
      /** Cleaned, at most 300 characters. */
      description?: string;
      retryAfterMs?: number;
    };

export interface HttpAnswer {
  status: number;
  headers: Record<string, string | string[]>;
  body: Buffer;
}

const METADATA_CHARS_MAX = 2000;
/** A provider that asks for more is not believed. */
const RETRY_AFTER_MS_MAX = 24 * 3600 * 1000;

/**
 * Reads the answer of a token endpoint, of an exchange and of a refresh alike. Never throws; says nothing of the body
 * beyond the cleaned error. `secrets`: what was sent (code, refresh token, client secret), masked if the provider
 * echoes it. Any 2xx may be a success; a token wins over an `error` beside it, as losing it could end the grant.
 * Source: RFC 6749 5.1, 5.2.
 */
export function readTokenAnswer(
  oauth2: Pick<OAuth2Spec, 'response'>,
  answer: HttpAnswer,
  nowMs: number,
  secrets: readonly string[] = [],
): TokenAnswer {
  const spec = oauth2.response ?? {};
  const { status } = answer;
  const parsed = parseBody(answer.body);
  const data = parsed.kind === 'object' ? parsed.value : undefined;
  const { rawCode, error, description } = data === undefined ? NOTHING : readError(data, secrets);
  const failure = (kind: TokenFailureKind): TokenAnswer => ({
    ok: false,
    kind,
    status,
    ...(error === undefined ? {} : { error }),
    ...(description === undefined ? {} : { description }),
    ...retryAfter(kind, answer.headers, nowMs),
  });

  if (status === 429) return failure('rate_limited');
  if (status >= 500 || status === 408) return failure('provider_down');
  if (status < 200 || (status >= 300 && status < 400) || parsed.kind === 'unreadable') return failure('malformed');
  if (status < 300) {
    if (data === undefined) return failure('malformed');
    const accepted = spec.success === undefined || sameValue(atPath(data, spec.success.path), spec.success.equals);
    const path = accepted ? accessTokenPath(spec, data) : undefined;
    const accessToken = path === undefined ? undefined : tokenAt(data, path);
    if (accessToken !== undefined) return success(spec, data, accessToken, nowMs);
    if (accepted && error === undefined) return failure('malformed');
  }
  return failure(kindOf(rawCode, spec));
}

const NOTHING = { rawCode: undefined, error: undefined, description: undefined };

function success(
  spec: TokenResponseSpec,
  data: Record<string, unknown>,
  accessToken: string,
  nowMs: number,
): TokenAnswer {
  const refreshToken = tokenBeside(spec, data, spec.refreshToken ?? 'refresh_token');
  const expiresAtMs = expiresAt(spec, data, nowMs);
  const scope = scopeOf(valueBeside(spec, data, spec.scope ?? 'scope'));
  return {
    ok: true,
    accessToken,
    ...(refreshToken === undefined ? {} : { refreshToken }),
    ...(expiresAtMs === undefined ? {} : { expiresAtMs }),
    ...(scope === undefined ? {} : { scope }),
    metadata: metadataOf(data, spec.metadata ?? {}),
    raw: data,
  };
}

function kindOf(code: string | undefined, spec: TokenResponseSpec): TokenFailureKind {
  if (code === undefined) return 'refused';
  const own = spec.errorKinds !== undefined && Object.hasOwn(spec.errorKinds, code) ? spec.errorKinds[code] : undefined;
  if (own !== undefined) return own;
  switch (code.toLowerCase()) {
    case 'invalid_grant':
      return 'invalid_grant';
    case 'invalid_client':
    case 'unauthorized_client':
      return 'invalid_client';
    case 'invalid_scope':
      return 'invalid_scope';
    case 'slow_down':
      return 'rate_limited';
    case 'server_error':
    case 'temporarily_unavailable':
      return 'provider_down';
    default:
      return 'refused';
  }
}

function scopeOf(value: unknown): string | undefined {
  const text = Array.isArray(value) ? value.filter((item) => typeof item === 'string').join(' ') : value;
  return typeof text === 'string' && text !== '' && text.length <= TOKEN_CHARS_MAX ? text : undefined;
}

/** Texts, numbers and booleans at these paths, as text; what is missing or too long is left out. */
export function metadataOf(data: Record<string, unknown>, paths: Record<string, string>): Record<string, string> {
  const metadata: Record<string, string> = {};
  for (const [key, path] of Object.entries(paths)) {
    const value = atPath(data, path);
    const usable = typeof value === 'string' || typeof value === 'boolean' || Number.isSafeInteger(value);
    const text = usable ? String(value) : '';
    if (text !== '' && text.length <= METADATA_CHARS_MAX) metadata[key] = text;
  }
  return metadata;
}

/** Source: RFC 9110 10.2.3: seconds or an HTTP date. */
function retryAfter(
  kind: TokenFailureKind,
  headers: Record<string, string | string[]>,
  nowMs: number,
): { retryAfterMs?: number } {
  if (kind !== 'rate_limited' && kind !== 'provider_down') return {};
  const name = Object.keys(headers).find((header) => header.toLowerCase() === 'retry-after');
  const value = name === undefined ? undefined : headers[name];
  const text = (Array.isArray(value) ? value[0] : value)?.trim() ?? '';
  const ms = /^[0-9]{1,9}$/.test(text) ? Number(text) * 1000 : Date.parse(text) - nowMs;
  return Number.isFinite(ms) ? { retryAfterMs: Math.min(Math.max(ms, 0), RETRY_AFTER_MS_MAX) } : {};
}
