import { createHash, timingSafeEqual } from 'node:crypto';

/** Constant time, whatever the lengths. */
export function isSameText(one: string, other: string): boolean {
  const hash = (text: string): Buffer => createHash('sha256').update(text, 'utf8').digest();
  return timingSafeEqual(hash(one), hash(other));
}
