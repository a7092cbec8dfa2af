/** Arguments come from scripts: they may be anything. */
import { runErrors } from '../errors.ts';

/** Errors: `invalid_script_call`. */
export function asObject(value: unknown): Record<string, unknown> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw runErrors.fail('invalid_script_call');
}

/** Errors: `invalid_script_call`. */
export function asText(value: unknown, what: string): string {
  if (typeof value === 'string' && value !== '') return value;
  throw runErrors.fail('invalid_script_call', { message: `${what} must be a text.` });
}
