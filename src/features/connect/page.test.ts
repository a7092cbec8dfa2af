import { describe, expect, it } from 'vitest';
import { errors } from './errors.ts';
import { kindOf, LANGUAGES, languageOf, pageTexts } from './page-texts.ts';

describe('the texts of the callback page', () => {
  it('exist in every language for every kind', () => {
    const kinds = Object.keys(pageTexts('en').kinds);
    for (const language of LANGUAGES) {
      const texts = pageTexts(language);
      expect(Object.keys(texts.kinds)).toEqual(kinds);
      for (const { title, text } of Object.values(texts.kinds)) {
        expect(title.length).toBeGreaterThan(3);
        expect(text.length).toBeGreaterThan(10);
      }
    }
  });

  it.each([
    [undefined, 'en'],
    ['', 'en'],
    ['de-CH,fr;q=0.5', 'de'],
    ['pt-BR, es;q=0.8', 'es'],
    ['ja', 'ja'],
    ['xx,*', 'en'],
  ])('for %j are in %s', (header, language) => {
    expect(languageOf(header)).toBe(language);
  });

  it('tell a refusal from a fault, and a fault of ours from one of theirs', () => {
    expect(kindOf('callback_err', 'access_denied')).toBe('refused');
    expect(kindOf('callback_err', 'server_error')).toBe('provider');
    expect(kindOf('token_err', 'invalid_client')).toBe('setup');
    expect(kindOf('state_cookie_err')).toBe('otherBrowser');
    expect(kindOf('server_error')).toBe('unknown');
  });

  it('every error of the slice has a status and a sentence', () => {
    for (const [code, row] of Object.entries(errors.rows)) {
      expect([code, row.status >= 400 && row.status < 600]).toEqual([code, true]);
      expect(row.message).toMatch(/[.`]$/);
    }
  });
});
