import { errors } from './errors.ts';

/**
 * Checks an address to come back to against the exact list of origins (threats 2.6, case 8). Only absolute http(s)
 * URLs pass, without user info and without characters that programs read differently.
 * Errors: `return_to_not_allowed`.
 */
export function checkReturnTo(text: string, origins: readonly string[]): string {
  const plain = /^https?:\/\/[!-?A-[\]-~]+$/.test(text) && URL.canParse(text);
  const url = plain ? new URL(text) : undefined;
  if (url === undefined || url.username !== '' || url.password !== '' || !origins.includes(url.origin)) {
    throw errors.fail('return_to_not_allowed');
  }
  return url.href;
}

/** The address with the machine-readable result added. */
export function withResult(returnTo: string, result: Record<string, string>): string {
  const url = new URL(returnTo);
  for (const [name, value] of Object.entries(result)) url.searchParams.set(name, value);
  return url.href;
}
