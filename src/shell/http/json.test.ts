import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isHawserError } from '../../base/errors.ts';
import { parseJson } from './json.ts';
import { EDGE_LIMITS } from './limits.ts';

const read = (text: string): unknown => parseJson(text, EDGE_LIMITS);

function refusal(text: string): string {
  try {
    read(text);
  } catch (error) {
    if (isHawserError(error, 'invalid_json')) return error.message;
    throw error;
  }
  throw new Error('it was taken');
}

describe('parseJson', () => {
  it('abuse 34: reads what JSON.parse reads', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 8 }), (text) => {
        // Keys that are refused have their own test.
        fc.pre(!/__proto__|\\u|\\\\|prototype/.test(text));
        expect(read(text)).toEqual(JSON.parse(text));
      }),
      { numRuns: 500 },
    );
  });

  it('abuse 34: throws nothing but its own error, whatever the text', () => {
    const pieces = fc.constantFrom(
      '{',
      '}',
      '[',
      ']',
      '"',
      ':',
      ',',
      '\\',
      'a',
      '0',
      ' ',
      '\\"',
      '\\u0000',
      '__proto__',
    );
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 40 }), (parts) => {
        const text = parts.join('');
        let value: unknown;
        try {
          value = read(text);
        } catch (error) {
          expect(isHawserError(error, 'invalid_json')).toBe(true);
          return;
        }
        expect(value).toEqual(JSON.parse(text));
      }),
      { numRuns: 2_000 },
    );
  });

  it('abuse 34: 64 levels, not 65, and not 100,000', () => {
    const nested = (levels: number): string => '['.repeat(levels) + ']'.repeat(levels);
    expect(JSON.stringify(read(nested(64)))).toBe(nested(64));
    for (const levels of [65, 1_000, 100_000]) expect(refusal(nested(levels))).toContain('deeper');
    expect(refusal('{"a":'.repeat(100_000))).toContain('deeper');
    // Brackets inside of strings are text.
    expect(read(`{"a":"${'['.repeat(1_000)}"}`)).toEqual({ a: '['.repeat(1_000) });
  });

  it('abuse 34: 10,000 keys and items, not more', () => {
    const keys = (count: number): string =>
      `{${Array.from({ length: count }, (_, index) => `"${index}":0`).join(',')}}`;
    expect(Object.keys(read(keys(9_999)) as object)).toHaveLength(9_999);
    expect(refusal(keys(10_002))).toContain('more than');
    expect(refusal(keys(1_000_000))).toContain('more than');
    expect(refusal(`[${'0,'.repeat(500_000)}0]`)).toContain('more than');
    expect(refusal(`[${'[],'.repeat(10_000)}0]`)).toContain('more than');
  });

  it.each([
    '{"__proto__":1}',
    '{"a":[{"__proto__":{"admin":true}}]}',
    '{"\\u005f_proto__":1}',
    '{"__pr\\u006fto__":null}',
    '{"constructor":{"prototype":{"admin":true}}}',
    '{"a":{"constructor":{"a":1,"prototype":{}}}}',
    '{"constructo\\u0072":{"protot\\u0079pe":1}}',
  ])('abuse 34: refuses the key of %s', (text) => {
    expect(refusal(text)).toContain('not allowed');
    expect(({} as { admin?: boolean }).admin).toBeUndefined();
  });

  it('abuse 34: names that only look dangerous are data', () => {
    const text =
      '{"constructor":"Acme","prototype":1,"toString":null,"a":"__proto__","hasOwnProperty":{"constructor":[]}}';
    expect(read(text)).toEqual(JSON.parse(text));
  });

  it.each(['{"a":1,"a":2}', '{"a":1,"b":{"c":0},"a":2}', '{"a":1,"\\u0061":2}', '[{"":0,"":1}]'])(
    'abuse 34: refuses the duplicate key of %s',
    (text) => {
      expect(refusal(text)).toContain('twice');
    },
  );

  it('abuse 34: the same key in different objects is fine', () => {
    expect(read('[{"a":1},{"a":{"a":[{"a":2}]}}]')).toEqual([{ a: 1 }, { a: { a: [{ a: 2 }] } }]);
  });

  it.each([
    ['"\\u0000"', 'NUL'],
    ['{"a\\u0000":1}', 'NUL'],
    ['"\\ud800"', 'surrogate'],
    ['"\\udc00\\ud800"', 'surrogate'],
  ])('abuse 34: refuses %s, which no database text can hold', (text, word) => {
    expect(refusal(text)).toContain(word);
    expect(read(text.replaceAll('\\u', '\\\\u'))).toBeDefined();
  });

  it('reads whole surrogate pairs and a byte order mark', () => {
    expect(read('\ufeff"\\ud83d\\ude00"')).toBe('😀');
  });

  it('never repeats the body in its error', () => {
    for (const text of ['{"secret-canary"', 'secret-canary', '{"secret-canary":1,"secret-canary":2}']) {
      expect(refusal(text)).not.toContain('canary');
    }
  });
});
