/**
 * @module emulators/engine/ids
 *
 * Random ids, codes, tokens and secrets in the alphabets that providers use. Nothing is derived, nothing is fixed.
 */
import { randomBytes, randomInt } from 'node:crypto';

const ALPHANUMERIC = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';

/** Lower-case hex of `characters` length. */
export function hexId(characters: number): string {
  return randomBytes(Math.ceil(characters / 2))
    .toString('hex')
    .slice(0, characters);
}

/** Letters and digits of `characters` length. */
export function alphanumericId(characters: number): string {
  let text = '';
  for (let at = 0; at < characters; at += 1) text += ALPHANUMERIC.charAt(randomInt(ALPHANUMERIC.length));
  return text;
}
