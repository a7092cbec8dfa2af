import * as z from 'zod';

/** Made by the caller before the first try and kept for the next ones: it makes a repeated order the same order. */
export const IdempotencyKey = z.string().min(1).max(255);

/** Header and tries of a call that must not happen twice: without a key there is one try. */
export function onceOnly(key: string | undefined): { headers: Record<string, string>; retries: number } {
  return key === undefined ? { headers: {}, retries: 0 } : { headers: { 'Idempotency-Key': key }, retries: 3 };
}
