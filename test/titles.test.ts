/**
 * The two tables of the plan, abuse cases and faults: each number that is built has a test whose title begins with it.
 * A new slice adds its numbers here first.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

/** `1-3` stands for 1, 2, 3. */
const PROMISED = {
  abuse: ['1-35', '37-40'],
  fault: ['1-30'],
};

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const FOLDERS = ['src', 'catalogue', 'emulators', 'sdk', 'test'];
/** `it('abuse 3: …'`, also over several lines, as `it.each([...])('fault 1: …'` and as the title of a group. */
const TITLE = /[(,]\s*(['"`])(abuse|fault) (\d+)(?:, \d+)*: /g;

function numbersOf(ranges: readonly string[]): number[] {
  return ranges.flatMap((range) => {
    const [first = 0, last = first] = range.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, at) => first + at);
  });
}

/** Numbers by kind that titles in this text begin with. */
function titledIn(text: string): { kind: string; number: number }[] {
  return [...text.matchAll(TITLE)].map(([, , kind = '', number]) => ({ kind, number: Number(number) }));
}

function missing(promised: typeof PROMISED, texts: readonly string[]): string[] {
  const titled = new Set(texts.flatMap(titledIn).map(({ kind, number }) => `${kind} ${number}`));
  return Object.entries(promised).flatMap(([kind, ranges]) =>
    numbersOf(ranges)
      .map((number) => `${kind} ${number}`)
      .filter((wanted) => !titled.has(wanted)),
  );
}

describe('the tables of abuse and faults', () => {
  it('have a test for every number that is promised', () => {
    const texts = FOLDERS.flatMap((folder) =>
      readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
        .filter((path) => path.endsWith('.test.ts') && !path.includes('node_modules') && path !== 'titles.test.ts')
        .map((path) => readFileSync(join(ROOT, folder, path), 'utf8')),
    );
    expect(texts.length).toBeGreaterThan(100);
    expect(missing(PROMISED, texts)).toEqual([]);
  });

  it('would be found with a hole', () => {
    const text = `it('abuse 1: a', () => {});\nit.each([1])(\n  'abuse 3: %s',\n  run);\ndescribe(\`fault 2: x\`, f); // 'fault 1: no'`;
    expect(missing({ abuse: ['1-3'], fault: ['1', '2'] }, [text])).toEqual(['abuse 2', 'fault 1']);
    expect(numbersOf(['1-3', '7'])).toEqual([1, 2, 3, 7]);
  });
});
