import type { TokenResponseSpec } from '../../../catalogue/_spec/index.ts';
import { valueBeside } from './beside.ts';

/** A longer life is no life span but a mistake, and would overflow dates. */
const LIFETIME_MS_MAX = 100 * 365 * 24 * 3600 * 1000;
/** Epoch numbers below are seconds, above are milliseconds (1973 in ms, 5138 in s). */
const EPOCH_SECONDS_MAX = 100_000_000_000;
const ISO = /^\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?)?$/i;

/**
 * When a token ends, in ms of wall time; undefined when unknown. Zero, negative and absurd values count as unknown.
 * Source: RFC 6749 5.1 `expires_in`; providers.md 6, rows 17 and 18.
 */
export function expiresAt(spec: TokenResponseSpec, data: Record<string, unknown>, nowMs: number): number | undefined {
  const told = spec.expiry ?? { path: 'expires_in', kind: 'in', unit: 'seconds' };
  const life = spec.lifetimeSeconds === undefined ? undefined : nowMs + spec.lifetimeSeconds * 1000;
  if (told.kind === 'none') return life;
  const value = valueBeside(spec, data, told.path);
  const at = told.kind === 'in' ? afterNow(value, told.unit ?? 'seconds', nowMs) : moment(value, told.unit);
  if (at !== undefined && at > 0 && at <= nowMs + LIFETIME_MS_MAX) return at;
  return life;
}

function afterNow(value: unknown, unit: 'seconds' | 'milliseconds', nowMs: number): number | undefined {
  const amount = numberOf(value);
  if (amount === undefined || amount <= 0) return undefined;
  return Math.floor(nowMs + amount * (unit === 'seconds' ? 1000 : 1));
}

function moment(value: unknown, unit: 'seconds' | 'milliseconds' | undefined): number | undefined {
  const amount = numberOf(value);
  if (amount !== undefined) {
    const seconds = unit === undefined ? amount < EPOCH_SECONDS_MAX : unit === 'seconds';
    return Math.floor(seconds ? amount * 1000 : amount);
  }
  if (typeof value !== 'string' || value.length > 40) return undefined;
  const match = ISO.exec(value.trim());
  if (match === null) return undefined;
  // A date without zone is read as UTC; the runtime would take the machine's own zone.
  const text = value.trim().replace(' ', 'T');
  const at = Date.parse(match[1] === undefined && text.includes('T') ? `${text}Z` : text);
  return Number.isNaN(at) ? undefined : at;
}

function numberOf(value: unknown): number | undefined {
  if (typeof value === 'string' && !/^[0-9]{1,20}(?:\.[0-9]{1,9})?$/.test(value.trim())) return undefined;
  if (typeof value !== 'string' && typeof value !== 'number') return undefined;
  const amount = Number(value);
  return Number.isFinite(amount) ? amount : undefined;
}
