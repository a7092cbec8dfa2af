import { describe, expect, it } from 'vitest';
import { secretHash } from '../../base/ids.ts';
import { bindBrowser, browserCookieName, browserOf } from './browser.ts';

const https = new URL('https://hawser.example.com');
const http = new URL('http://localhost:3003');
const value = 'a'.repeat(64);

describe('the browser cookie', () => {
  it('is a __Host- cookie over https', () => {
    expect(browserCookieName(https)).toBe('__Host-hawser_browser');
    expect(bindBrowser(https, '').setCookie).toMatch(
      /^__Host-hawser_browser=[0-9a-f]{64}; Path=\/; Max-Age=3600; HttpOnly; SameSite=Lax; Secure$/,
    );
  });

  it('keeps the value a browser has, and makes another for the next browser', () => {
    const bound = bindBrowser(http, `x=1; hawser_browser=${value}`);
    expect(bound.setCookie).toContain(`hawser_browser=${value};`);
    expect(bound.hash).toEqual(secretHash(value));
    expect(bindBrowser(http, '').setCookie).not.toBe(bindBrowser(http, '').setCookie);
  });

  it.each([
    '',
    'hawser_browser=',
    'hawser_browser=short',
    `hawser_browser=${'A'.repeat(64)}`,
    `hawser_browser=${value}; hawser_browser=${value}`,
    `__Host-hawser_browser=${value}`,
    `xhawser_browser=${value}`,
    `hawser_browser="${value}"`,
  ])('is not read from %j', (header) => {
    expect(browserOf(http, header)).toBeUndefined();
  });

  it('over https the plain name is not believed', () => {
    expect(browserOf(https, `hawser_browser=${value}`)).toBeUndefined();
    expect(browserOf(https, `__Host-hawser_browser=${value}`)).toEqual(secretHash(value));
  });
});
