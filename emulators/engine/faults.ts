/**
 * @module emulators/engine/faults
 *
 * Named faults: what goes wrong, at which endpoint, how many times. Set through the API, the developer page or the
 * handle. A fault acts before the call has any effect, except `slow`, `lost-reply`, `truncated` and `looping-cursor`,
 * which act after it.
 */
import type { Clock } from '../../src/base/clock.ts';
import { type HttpReply, jsonReply } from './http.ts';
import { isoSeconds } from './rest-routes.ts';
import type { Json, LimitDialect } from './types.ts';

export const FAULT_NAMES = [
  'slow',
  'lost-reply',
  'reset',
  'rate-limited',
  'server-error',
  'bad-gateway-html',
  'truncated',
  'html',
  'ok-with-error',
  'empty',
  'login-redirect',
  'revoked',
  'looping-cursor',
] as const;
export type FaultName = (typeof FAULT_NAMES)[number];

export const FAULT_ENDPOINTS = ['token', 'api', 'authorize', 'deauthorize'] as const;
export type FaultEndpoint = (typeof FAULT_ENDPOINTS)[number];

/** Sentence per fault, for the developer page. */
export const FAULT_TEXTS: Record<FaultName, string> = {
  slow: 'the call takes effect, the answer comes after delayMs',
  'lost-reply': 'the call takes effect, the connection is cut without an answer',
  reset: 'the connection is cut before anything happens',
  'rate-limited': '429 in the provider’s dialect (or the one named by dialect)',
  'server-error': '500 in the provider’s error shape',
  'bad-gateway-html': '502 with an HTML page',
  truncated: 'the call takes effect, the answer stops in the middle',
  html: '200 with an HTML page',
  'ok-with-error': '200 with an error body',
  empty: '204 without a body',
  'login-redirect': '302 to the sign-in page',
  revoked: 'the grant is revoked just before the call is answered',
  'looping-cursor': 'a list names the same next page again and again',
};

/** How long `slow` holds an answer unless told otherwise. */
const SLOW_MS = 10_000;

export interface Fault {
  name: FaultName;
  on: FaultEndpoint;
  /** How many calls it meets. Default 1; 0 means until cleared. */
  times?: number;
  /** Milliseconds the answer waits. Default 0, with `slow` 10,000. */
  delayMs?: number;
  /** Only calls whose path below the mount starts with this. */
  path?: string;
  /** For `rate-limited`: how the 429 tells when to come back. Default: the provider's own way. */
  dialect?: RateLimitDialect;
}

export const RATE_LIMIT_DIALECTS = ['minute-window', 'retry-after', 'retry-after-date', 'none'] as const;
export type RateLimitDialect = (typeof RATE_LIMIT_DIALECTS)[number];

/** Thrown for a fault that cannot be set. The message lists what is allowed. */
export class FaultError extends Error {}

/** A fault that is set, and how many calls it will still meet. */
export interface ActiveFault extends Fault {
  /** 0: until cleared. */
  left: number;
}

export class Faults {
  #active: ActiveFault[] = [];

  /** Sets a fault from untrusted input. Errors: {@link FaultError}. */
  set(input: unknown): ActiveFault {
    const fault = readFault(input);
    const active = { ...fault, left: fault.times ?? 1 };
    this.#active.push(active);
    return active;
  }

  list(): ActiveFault[] {
    return this.#active.map((fault) => ({ ...fault }));
  }

  clear(): void {
    this.#active = [];
  }

  /** The first fault that meets this call, counted down. */
  take(on: FaultEndpoint, path: string): ActiveFault | undefined {
    const fault = this.#active.find((each) => each.on === on && path.startsWith(each.path ?? ''));
    if (fault === undefined) return undefined;
    if (fault.left === 1) this.#active = this.#active.filter((each) => each !== fault);
    else if (fault.left > 1) fault.left -= 1;
    return { ...fault };
  }
}

function readFault(input: unknown): Fault {
  const fields = (typeof input === 'object' && input !== null ? input : {}) as Record<string, unknown>;
  const name = pick(FAULT_NAMES, fields.name, 'fault');
  const on = pick(FAULT_ENDPOINTS, fields.on, 'endpoint ("on")');
  const fault: Fault = { name, on };
  const times = wholeNumber(fields.times, 'times');
  const delayMs = wholeNumber(fields.delayMs, 'delayMs');
  if (times !== undefined) fault.times = times;
  if (delayMs !== undefined) fault.delayMs = delayMs;
  if (fields.path !== undefined && fields.path !== '') {
    if (typeof fields.path !== 'string' || !fields.path.startsWith('/')) {
      throw new FaultError('"path" is the start of a path below the emulator, such as /v1/candidates.');
    }
    fault.path = fields.path;
  }
  if (fields.dialect !== undefined && fields.dialect !== '') {
    fault.dialect = pick(RATE_LIMIT_DIALECTS, fields.dialect, 'dialect');
  }
  if (name === 'looping-cursor' && on !== 'api') throw new FaultError('looping-cursor works on "api" only.');
  if (name === 'revoked' && on === 'authorize')
    throw new FaultError('revoked needs a grant: token, api or deauthorize.');
  return fault;
}

function pick<const T extends string>(known: readonly T[], value: unknown, what: string): T {
  const found = known.find((each) => each === value);
  if (found === undefined) throw new FaultError(`Unknown ${what}. Known: ${known.join(', ')}.`);
  return found;
}

function wholeNumber(value: unknown, name: string): number | undefined {
  if (value === undefined || value === '' || value === null) return undefined;
  const number = Number(value);
  if (!Number.isInteger(number) || number < 0) throw new FaultError(`"${name}" is a whole number of at least 0.`);
  return number;
}

/** Milliseconds a fault holds the answer. */
export function faultDelayMs(fault: ActiveFault): number {
  return fault.delayMs ?? (fault.name === 'slow' ? SLOW_MS : 0);
}

/** What a fault's answer is made from. */
export interface FaultTools {
  clock: Clock;
  limit: LimitDialect;
  limitBody: Json;
  /** A failure in the endpoint's own error shape. */
  failure(status: number): HttpReply;
  signInUrl: string;
}

/** The answer of a fault that replaces the call's own; undefined when the call is to run. */
export function replacementReply(fault: ActiveFault, tools: FaultTools): HttpReply | undefined {
  switch (fault.name) {
    case 'rate-limited':
      return rateLimitedReply(fault.dialect ?? tools.limit.kind, tools);
    case 'server-error':
      return tools.failure(500);
    case 'bad-gateway-html':
      return htmlReply(502, '502 Bad Gateway');
    case 'html':
      return htmlReply(200, 'Please wait');
    case 'ok-with-error':
      return { ...tools.failure(500), status: 200 };
    case 'empty':
      return { status: 204 };
    case 'login-redirect':
      return { status: 302, headers: { Location: tools.signInUrl } };
    case 'slow':
    case 'lost-reply':
    case 'reset':
    case 'truncated':
    case 'revoked':
    case 'looping-cursor':
      return undefined;
  }
}

function rateLimitedReply(dialect: RateLimitDialect, tools: FaultTools): HttpReply {
  const nowMs = tools.clock.now();
  const nextMinuteMs = (Math.floor(nowMs / 60_000) + 1) * 60_000;
  const seconds = Math.max(1, Math.ceil((nextMinuteMs - nowMs) / 1_000));
  const headers: Record<RateLimitDialect, Record<string, string>> = {
    'minute-window': {
      'X-Ratelimit-Limit': String(tools.limit.perMinute),
      'X-Ratelimit-Remaining': '0',
      'X-Ratelimit-Reset': isoSeconds(nextMinuteMs),
    },
    'retry-after': { 'Retry-After': String(seconds) },
    'retry-after-date': { 'Retry-After': new Date(nextMinuteMs).toUTCString() },
    none: {},
  };
  return jsonReply(429, tools.limitBody, headers[dialect]);
}

function htmlReply(status: number, title: string): HttpReply {
  const body = `<!doctype html><html lang="en"><head><title>${title}</title></head><body><h1>${title}</h1></body></html>`;
  return { status, headers: { 'Content-Type': 'text/html; charset=utf-8' }, body };
}
