import type { RouteRequest } from '../../base/route.ts';

/** What is known of who opens a page. */
export type Visitor = Pick<RouteRequest<unknown, unknown, unknown, unknown>, 'ip' | 'headers'>;

const LOOPBACK: readonly string[] = ['127.0.0.1', '::1', '::ffff:127.0.0.1'];
/** Under another name a page came through something: a proxy, a tunnel, or a foreign name that resolves to here. */
const OWN_NAMES: readonly string[] = ['localhost', '127.0.0.1', '[::1]'];
/** What proxies and tunnels add, also those on this machine that give it a name of its own. */
const FORWARDED: readonly string[] = ['x-forwarded-for', 'x-forwarded-host', 'x-real-ip', 'forwarded', 'via'];

/** True when a browser on this machine asks directly: a tunnel to the public Internet ends on this machine, too. */
export function isThisMachine({ ip, headers }: Visitor): boolean {
  const sent = headers as Record<string, string | string[] | undefined>;
  const { host } = sent;
  if (!LOOPBACK.includes(ip) || typeof host !== 'string') return false;
  return OWN_NAMES.includes(nameOf(host)) && FORWARDED.every((name) => sent[name] === undefined);
}

/** True for a name of this server: its public one, or one of this machine. */
export function isOwnHost(host: string, publicUrl: URL): boolean {
  return host === publicUrl.host || OWN_NAMES.includes(nameOf(host));
}

function nameOf(host: string): string {
  return host.replace(/:\d+$/, '');
}
