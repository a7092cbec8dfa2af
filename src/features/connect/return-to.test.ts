import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { anyText, anyUrl } from '../../../test/support/texts.ts';
import { checkReturnTo, withResult } from './return-to.ts';

const ORIGINS = ['https://app.example.com', 'http://localhost:3003'];

describe('checkReturnTo', () => {
  it.each(['https://app.example.com', 'https://app.example.com/a/b?c=d#e', 'http://localhost:3003/connect-ui/'])(
    'takes %s',
    (text) => {
      expect(checkReturnTo(text, ORIGINS)).toBe(new URL(text).href);
    },
  );

  it('abuse 8: lets nothing out of the list, whatever is put around an allowed origin', () => {
    const noise = anyText({ maxLength: 12 });
    const text = fc
      .tuple(noise, fc.constantFrom('https://', 'http://', '//', ''), noise, fc.constantFrom('app.example.com'), noise)
      .map((parts) => parts.join(''));
    fc.assert(
      fc.property(fc.oneof(text, anyText(), anyUrl()), (given) => {
        let taken: string;
        try {
          taken = checkReturnTo(given, ORIGINS);
        } catch {
          return; // refused: that is what the property allows
        }
        expect(ORIGINS).toContain(new URL(taken).origin);
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('withResult', () => {
  it('adds to the query and keeps the rest', () => {
    const url = withResult('https://app.example.com/x?tab=1&status=old#y', { status: 'success', connection_id: 'a&b' });
    expect(url).toBe('https://app.example.com/x?tab=1&status=success&connection_id=a%26b#y');
  });
});
