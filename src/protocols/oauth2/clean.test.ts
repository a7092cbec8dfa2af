import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cleanCode, cleanText } from './clean.ts';

describe('cleaning', () => {
  it.each([
    'invalid_grant',
    'unsupported_grant_type',
    'urn:ietf:params:oauth:error',
    'AADSTS70008: The provided authorization code has expired.',
    'See https://docs.example.com/errors/oauth for help',
    'Der Code ist ungültig – bitte erneut verbinden',
    '認可コードが無効です',
    'interaction_required, consent_required',
  ])('keeps %j', (text) => {
    expect(cleanText(text)).toBe(text);
  });

  it.each([
    ['xoxp-1234567890-abcdef', 'a Slack-like token'],
    ['ghp_16C7e42F292c6912E7710c838347Ae178B4a', 'a prefixed token'],
    ['0123456789abcdef01234567', 'hex'],
    ['eyJhbGciOiJub25lIn0.eyJhIjoxfQ.', 'a JWT'],
    ['dGhpcyBpcyBhIHNlY3JldA==', 'base64'],
    ['QWxhZGRpbjpvcGVuU2VzYW1lIGxldCBtZSBpbg', 'base64 of letters'],
    ['%61%62%63%64%65', 'percent-encoding'],
    ['abcdefghijklmnopqrstuvwxyz', 'a long run of letters'],
  ])('masks %s', (token) => {
    for (const text of [token, `the token ${token} is bad`, `token="${token}"`, `(${token})`]) {
      expect(cleanText(text)).not.toContain(token);
      expect(cleanCode(text)).toContain('[…]');
    }
  });

  it('makes one line of printable characters', () => {
    expect(cleanText(' a\r\nb\tc\u0000d\u202ee\u2028f\ud800 ')).toBe('a b c d e f\ufffd');
    expect(cleanText('')).toBeUndefined();
    expect(cleanText(' \u0000 ')).toBeUndefined();
    expect(cleanText(undefined)).toBeUndefined();
  });

  it('bounds its result', () => {
    expect(cleanText('ab '.repeat(1000))?.length).toBe(300);
    expect(cleanCode('ab '.repeat(1000))?.length).toBe(100);
  });

  it('never lets a known secret through, and is never long', () => {
    const secret = fc.string({ minLength: 8, maxLength: 40 }).filter((text) => text.trim().length >= 8);
    fc.assert(
      fc.property(secret, fc.string(), fc.string(), (known, before, after) => {
        const cleaned = cleanText(`${before} ${known} ${after}`, [known]) ?? '';
        expect(cleaned.includes(known)).toBe(false);
        expect(cleaned.length).toBeLessThanOrEqual(300);
      }),
      { numRuns: 2000 },
    );
  });

  it('is quick on long hostile text', () => {
    // A pattern that backtracks would not come back from these.
    for (const text of ['a-'.repeat(500_000), 'a'.repeat(1_000_000), 'aA_'.repeat(300_000), '.'.repeat(1_000_000)]) {
      expect(cleanText(text)?.length ?? 0).toBeLessThanOrEqual(300);
    }
  });
});
