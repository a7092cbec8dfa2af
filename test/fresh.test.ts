/** The one file that starts quicker must never run instead of a source that somebody has just edited. */
import { mkdirSync, mkdtempSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isFresh } from '../bin/fresh.js';

let root: string;
const at = (path: string): string => join(root, path);
const old = new Date(Date.now() - 60_000);

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'hawser-fresh-'));
  mkdirSync(at('src/deep'), { recursive: true });
  for (const path of ['src/a.ts', 'src/deep/b.ts', 'lock.json']) writeFileSync(at(path), '1');
  for (const path of ['src/a.ts', 'src/deep/b.ts', 'lock.json', 'src/deep', 'src']) utimesSync(at(path), old, old);
  writeFileSync(at('made.mjs'), '1');
});
afterEach(() => rmSync(root, { recursive: true }));

const fresh = (): boolean => isFresh(at('made.mjs'), [at('src'), at('lock.json')]);
/** After the file that was made, whatever the clock's steps are. */
const later = (path: string): void =>
  utimesSync(at(path), new Date(Date.now() + 60_000), new Date(Date.now() + 60_000));

describe('isFresh', () => {
  it('is true while nothing changed', () => {
    expect(fresh()).toBe(true);
  });

  it.each(['src/a.ts', 'src/deep/b.ts', 'lock.json'])('is false once %s was edited', (path) => {
    later(path);
    expect(fresh()).toBe(false);
  });

  it('is false once a file came, went, or has another name', () => {
    renameSync(at('src/deep/b.ts'), at('src/deep/c.ts'));
    later('src/deep');
    expect(fresh()).toBe(false);
  });

  it('is false when there is no such file, or a source cannot be found', () => {
    expect(isFresh(at('nothing.mjs'), [at('src')])).toBe(false);
    expect(isFresh(at('made.mjs'), [at('nowhere')])).toBe(false);
  });
});
