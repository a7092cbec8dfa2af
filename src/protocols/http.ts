/** Facts of HTTP that the proxy and its neighbours need: which headers may travel, and when to come back. Pure. */
import type { RetrySpec } from '../../catalogue/_spec/index.ts';

export type HeaderRecord = Record<string, string | string[]>;

/**
 * Headers that belong to one connection and are never passed on.
 * Source: RFC 9110 7.6.1 (with `Trailer`, `Proxy-Authenticate` and `Proxy-Authorization`, whose scope is one hop too,
 * 6.6.2 and 11.7).
 */
export const hopByHopHeaders: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** Lower-case names that the `Connection` header of this message declares hop-by-hop. Source: RFC 9110 7.6.1. */
export function connectionNames(connection: string | readonly string[] | undefined): ReadonlySet<string> {
  const values = connection === undefined ? [] : typeof connection === 'string' ? [connection] : connection;
  return new Set(
    values
      .flatMap((value) => value.toLowerCase().split(','))
      .map((name) => name.trim())
      .filter((name) => name !== ''),
  );
}

/**
 * The headers of an upstream's answer that go to the caller, names in lower case: without hop-by-hop headers, those named
 * by `Connection`, CORS headers (they speak of the provider's origin, not of ours), and anything a server must not write.
 */
export function cleanResponseHeaders(headers: Readonly<HeaderRecord>): HeaderRecord {
  let named: ReadonlySet<string> | undefined;
  const clean: HeaderRecord = {};
  for (const [key, value] of Object.entries(headers)) {
    const name = key.toLowerCase();
    if (hopByHopHeaders.has(name) || name.startsWith('access-control-')) continue;
    named ??= connectionNames(valuesOf(headers, 'connection'));
    if (named.has(name)) continue;
    const valid =
      typeof value === 'string'
        ? validHeader(name, value)
        : value.length > 0 && value.every((one) => validHeader(name, one));
    // Defined, not assigned: a header may be called `__proto__`.
    if (valid) Object.defineProperty(clean, name, { value, enumerable: true, configurable: true, writable: true });
  }
  return clean;
}

/** RFC 9110 5.6.2. */
const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/** RFC 9110 5.5: visible characters, blanks, tabs and Latin-1; no CR, LF, NUL or other controls. */
const fieldValue = /^[\t\x20-\x7e\x80-\xff]*$/;

/** True when this pair may be written into a message. Source: RFC 9110 5.1, 5.5. */
export function validHeader(name: string, value: string): boolean {
  return token.test(name) && fieldValue.test(value);
}

/**
 * Milliseconds that a `Retry-After` value asks to wait, `undefined` when it is unreadable or in the past.
 * Source: RFC 9110 10.2.3 (seconds, or a date).
 */
export function parseRetryAfter(value: string, nowMs: number): number | undefined {
  const text = value.trim();
  if (/^\d+(\.\d+)?$/.test(text)) {
    const waitMs = Math.ceil(Number(text) * 1000);
    return Number.isSafeInteger(waitMs) ? waitMs : undefined;
  }
  return waitUntil(parseDate(text), nowMs);
}

/**
 * Milliseconds until the moment a header names: epoch seconds, epoch milliseconds, or a date. `undefined` when it is
 * unreadable or in the past. Source: wire contract J.3.
 */
export function parseRetryAt(value: string, nowMs: number): number | undefined {
  const text = value.trim();
  if (/^\d+(\.\d+)?$/.test(text)) {
    const number = Number(text);
    return waitUntil(number >= EPOCH_MS_MIN ? number : number * 1000, nowMs);
  }
  return waitUntil(parseDate(text), nowMs);
}

/** Epoch numbers from here on are milliseconds: as seconds this would be the year 5138. */
const EPOCH_MS_MIN = 100_000_000_000;

/** First wait when nobody says how long. Source: wire contract J.3. */
export const RETRY_FIRST_MS = 3000;

/** Longest wait that we choose ourselves. A wait that an upstream asks for is not capped. Source: wire contract J.3. */
export const RETRY_MAX_MS = 600_000;

/** Failures without an answer after which the same call may be tried again, as Node names them. Source: J.3. */
export const retryableCodes: ReadonlySet<string> = new Set([
  'ECONNRESET',
  'ETIMEDOUT',
  'ECONNABORTED',
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'EAI_AGAIN',
  'UND_ERR_SOCKET',
]);

/** Our own wait: 3 s, doubled per attempt, at most 10 min. `attempt` counts the retries made so far, from 0. */
export function backoffMs(attempt: number): number {
  return Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** attempt);
}

/** Headers that the caller of the proxy names for its wait; looked at before the provider's. */
export interface CallerRetry {
  /** Statuses that count as "later" in addition to the provider's. */
  on?: readonly number[];
  at?: readonly string[];
  after?: readonly string[];
}

/**
 * How long to wait before trying again, in milliseconds; `undefined` when this answer is final.
 *
 * Retried: 5xx, 429 and 401, or instead the provider's own list, plus the caller's; and any refusal (4xx) that says the
 * rate limit has nothing left. A good answer that spends the last call is a good answer. The wait: the longest that the caller's headers name, else the provider's, else the standard
 * `Retry-After` when the provider names none, else 3 s × 2^attempt up to 10 min.
 * Source: wire contract J.3; `Retry-After` by default is ours (RFC 9110 10.2.3).
 */
export function retryDelayMs(answer: {
  status: number;
  headers: Readonly<HeaderRecord>;
  spec?: RetrySpec | undefined;
  caller?: CallerRetry | undefined;
  nowMs: number;
  /** Retries made so far, from 0. */
  attempt: number;
}): number | undefined {
  const { status, headers, spec, caller, nowMs } = answer;
  const spent = spec?.remaining !== undefined && lookUp(headers, spec.remaining)?.trim() === '0';
  const limited = spent && status >= 400;
  const listed =
    spec?.statuses === undefined ? usual(status) : spec.statuses.some((entry) => matchesStatus(entry, status));
  if (!limited && !listed && caller?.on?.includes(status) !== true) return undefined;
  const own = spec?.at !== undefined || spec?.after !== undefined;
  return (
    longest(headers, caller ?? {}, nowMs) ??
    longest(headers, own ? spec : { after: ['retry-after'] }, nowMs) ??
    backoffMs(answer.attempt)
  );
}

/** True when a status is what an entry of a retry list says: `429`, `5xx`, `500-502`. */
export function matchesStatus(entry: string, status: number): boolean {
  const text = entry.trim().toLowerCase();
  if (/^\dxx$/.test(text)) return Math.floor(status / 100) === Number(text[0]);
  const range = /^(\d{3})\s*-\s*(\d{3})$/.exec(text);
  if (range !== null) return status >= Number(range[1]) && status <= Number(range[2]);
  return /^\d{3}$/.test(text) && status === Number(text);
}

function usual(status: number): boolean {
  return status >= 500 || status === 429 || status === 401;
}

function longest(
  headers: Readonly<HeaderRecord>,
  names: { at?: readonly string[]; after?: readonly string[] },
  nowMs: number,
): number | undefined {
  const waits = [
    ...(names.at ?? []).map((name) => readWait(headers, name, nowMs, parseRetryAt)),
    ...(names.after ?? []).map((name) => readWait(headers, name, nowMs, parseRetryAfter)),
  ].filter((wait) => wait !== undefined);
  return waits.length === 0 ? undefined : Math.max(...waits);
}

function readWait(
  headers: Readonly<HeaderRecord>,
  name: string,
  nowMs: number,
  parse: (value: string, nowMs: number) => number | undefined,
): number | undefined {
  const value = lookUp(headers, name);
  return value === undefined ? undefined : parse(value, nowMs);
}

/** A header by name, whatever the case of either. Of several values the first. */
function lookUp(headers: Readonly<HeaderRecord>, name: string): string | undefined {
  return valuesOf(headers, name)[0];
}

function valuesOf(headers: Readonly<HeaderRecord>, name: string): readonly string[] {
  const wanted = name.toLowerCase();
  return Object.entries(headers).flatMap(([key, value]) => (key.toLowerCase() === wanted ? value : []));
}

/**
 * Epoch milliseconds of an IMF-fixdate, its two obsolete forms (RFC 9110 5.6.7) or an ISO 8601 date; NaN otherwise.
 * A date without a zone is UTC, never the zone of this machine.
 */
function parseDate(text: string): number {
  if (/^[A-Za-z]{3,9},? /.test(text)) return Date.parse(/ (GMT|UTC|[+-]\d{4})$/.test(text) ? text : `${text} GMT`);
  if (!/^\d{4}-\d{2}-\d{2}/.test(text)) return Number.NaN;
  return Date.parse(/(Z|[+-]\d{2}:?\d{2})$/i.test(text) || text.length === 10 ? text : `${text.replace(' ', 'T')}Z`);
}

function waitUntil(atMs: number, nowMs: number): number | undefined {
  return Number.isFinite(atMs) && atMs > nowMs ? Math.ceil(atMs - nowMs) : undefined;
}
