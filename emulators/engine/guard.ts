/**
 * @module emulators/engine/guard
 *
 * Who may use the developer page and the admin API: this machine only, and no other web site through a browser on this
 * machine (cross-site writes, or a foreign name that was made to point here).
 */
import { type HttpRequest, isLoopbackHost } from './http.ts';
import type { Mount } from './mount.ts';

/** Why the request is refused, or undefined when it may go on. */
export function refuseOutsider(mount: Mount, request: HttpRequest): string | undefined {
  if (!isLoopbackAddress(request.remoteAddress)) return 'This page is for the machine that runs the emulator.';

  const host = request.headers.host ?? '';
  const hostname = URL.canParse(`http://${host}`) ? new URL(`http://${host}`).hostname : '';
  if (!isLoopbackHost(hostname) && host !== new URL(mount.baseUrl).host) return 'This page has another address.';

  if (request.method === 'GET' || request.method === 'HEAD') return undefined;
  if (request.headers['sec-fetch-site'] === 'cross-site') return 'Requests of other web sites are refused.';
  const { origin } = request.headers;
  if (origin !== undefined && !isOwnOrigin(mount, origin, host)) return 'Requests of other web sites are refused.';
  return undefined;
}

function isOwnOrigin(mount: Mount, origin: string, host: string): boolean {
  return origin === new URL(mount.baseUrl).origin || (URL.canParse(origin) && new URL(origin).host === host);
}

function isLoopbackAddress(address: string): boolean {
  return address === '::1' || /^(::ffff:)?127(\.\d{1,3}){3}$/.test(address);
}
