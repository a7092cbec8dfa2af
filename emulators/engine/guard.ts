/**
 * @module emulators/engine/guard
 *
 * Who may use the developer page and the admin API: this machine only, and no other web site through a browser on this
 * machine (cross-site writes, or a foreign name that was made to point here).
 */
import { type HttpRequest, isLoopbackHost } from './http.ts';

/** Why the request is refused, or undefined when it may go on. */
export function refuseOutsider(request: HttpRequest): string | undefined {
  const { headers } = request;
  const forwarded = headers['x-forwarded-for'] !== undefined || headers.forwarded !== undefined;
  const host = headers.host ?? '';
  const hostname = URL.canParse(`http://${host}`) ? new URL(`http://${host}`).hostname : '';
  if (forwarded || !isLoopbackAddress(request.remoteAddress) || !isLoopbackHost(hostname)) {
    return 'This page is for the machine that runs the emulator, under its local address.';
  }
  if (request.method === 'GET' || request.method === 'HEAD') return undefined;
  const { origin } = headers;
  const foreign = origin !== undefined && (!URL.canParse(origin) || new URL(origin).host !== host);
  if (foreign || headers['sec-fetch-site'] === 'cross-site') return 'Requests of other web sites are refused.';
  return undefined;
}

function isLoopbackAddress(address: string): boolean {
  return address === '::1' || /^(::ffff:)?127(\.\d{1,3}){3}$/.test(address);
}
