// Whether a file was made after everything it was made from.
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** What `scripts/build-start.ts` makes the one file of. */
export const MADE_FROM = ['src', 'catalogue', 'emulators', 'sdk', 'package.json', 'package-lock.json'];

/**
 * True when `made` is there and nothing at `sources` (files, and folders with all below them) changed since. A folder
 * changes when a file comes, goes or gets another name. Reads a few hundred entries: some milliseconds.
 */
export function isFresh(made, sources) {
  try {
    const { mtimeMs } = statSync(made);
    return sources.every((source) => isOlder(source, mtimeMs));
  } catch {
    return false; // not there, or something that cannot be read: then the sources say what is wrong
  }
}

function isOlder(path, limitMs) {
  const stats = statSync(path);
  if (stats.mtimeMs > limitMs) return false;
  return !stats.isDirectory() || readdirSync(path).every((name) => isOlder(join(path, name), limitMs));
}
