/**
 * The cookie that binds a flow to the browser that started it (threats 2.6, case 2). Lax is enough and needed: popup
 * and callback are top-level navigations, the latter from the provider's site.
 */
import { randomSecret, secretHash } from '../../base/ids.ts';
import { BROWSER_COOKIE_SECONDS } from './model.ts';

const VALUE = /^[0-9a-f]{64}$/;

/** `__Host-` keeps other hosts of the domain from planting the cookie; browsers take it over https only. */
export function browserCookieName(publicUrl: URL): string {
  return publicUrl.protocol === 'https:' ? '__Host-hawser_browser' : 'hawser_browser';
}

/** The hash of the browser's cookie; undefined when it has none, or several of the name. */
export function browserOf(publicUrl: URL, cookieHeader: string): Buffer | undefined {
  const value = readCookie(publicUrl, cookieHeader);
  return value === undefined ? undefined : secretHash(value);
}

/** Takes over the browser's value or makes one. `setCookie` renews it either way. */
export function bindBrowser(publicUrl: URL, cookieHeader: string): { hash: Buffer; setCookie: string } {
  const value = readCookie(publicUrl, cookieHeader) ?? randomSecret();
  const secure = publicUrl.protocol === 'https:' ? '; Secure' : '';
  const attributes = `Path=/; Max-Age=${BROWSER_COOKIE_SECONDS}; HttpOnly; SameSite=Lax${secure}`;
  return { hash: secretHash(value), setCookie: `${browserCookieName(publicUrl)}=${value}; ${attributes}` };
}

function readCookie(publicUrl: URL, header: string): string | undefined {
  const prefix = `${browserCookieName(publicUrl)}=`;
  const values = header
    .split(';')
    .map((part) => part.trim())
    .filter((part) => part.startsWith(prefix))
    .map((part) => part.slice(prefix.length));
  // Two values of one name mean that somebody planted one: neither is believed.
  return values.length === 1 && VALUE.test(values[0] as string) ? values[0] : undefined;
}
