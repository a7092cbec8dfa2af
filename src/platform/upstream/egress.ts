/**
 * Who may be called. Two walls: {@link readTarget} looks at the URL, {@link resolveTarget} at every address behind its
 * name. The connector (connector.ts) then connects to exactly these addresses, so a name cannot change its mind between
 * check and use.
 */
import { isIP } from 'node:net';
import { HawserError } from '../../base/errors.ts';
import { classifyAddress } from './classify.ts';
import { errors } from './errors.ts';
import { codeOf, failure, UpstreamFailure } from './failure.ts';

export interface EgressPolicy {
  /**
   * Exact `host:port` pairs (`127.0.0.1:3004`, `localhost:3004`, `[::1]:3004`) that may be non-public and may speak plain
   * `http:`. The host is compared as written in the URL, not as resolved.
   */
  allow: readonly string[];
}

/** Resolves a name to all its addresses, as text. Rejects with Node's DNS codes. */
export type Resolver = (hostname: string) => Promise<readonly string[]>;

export interface Target {
  protocol: 'http:' | 'https:';
  /** Lower case, no trailing dot, IPv6 without brackets. */
  hostname: string;
  port: number;
  /** `host:port`, IPv6 in brackets: what the allow-list is compared with and messages show. */
  pair: string;
  /** True when the pair is on the allow-list: its addresses are not looked at. */
  allowed: boolean;
}

/** No provider has more addresses; a longer answer is an attack on us or on somebody else. */
const ADDRESSES_MAX = 64;

/**
 * Checks a URL by its text alone.
 * Errors: `egress_refused` (scheme, user name or password, port 0, plain http, a non-public literal address).
 */
export function readTarget(url: URL, allow: ReadonlySet<string>): Target {
  const { protocol } = url;
  if (protocol !== 'http:' && protocol !== 'https:') {
    throw refuse(protocol, 'only https: URLs are called');
  }
  const host = withoutTrailingDot(url.hostname);
  const port = url.port === '' ? (protocol === 'https:' ? 443 : 80) : Number(url.port);
  const pair = `${host}:${port}`;
  if (host === '') throw refuse(pair, 'the URL has no host');
  if (url.username !== '' || url.password !== '') {
    throw refuse(pair, 'a URL with a user name or password in it is not called');
  }
  if (port === 0) throw refuse(pair, 'port 0 does not exist');
  const hostname = host.startsWith('[') ? host.slice(1, -1) : host;
  const allowed = allow.has(pair);
  if (!allowed) {
    if (protocol === 'http:') throw refuse(pair, 'plain http: is not called');
    if (isIP(hostname) !== 0) refuseNonPublic(pair, [hostname]);
  }
  return { protocol, hostname, port, pair, allowed };
}

/**
 * The addresses that may be connected to for this target: all of its answers, or none.
 * Errors: `egress_refused` when any answer is not public; `UpstreamFailure` of kind `dns`.
 */
export async function resolveTarget(target: Target, resolve: Resolver): Promise<readonly string[]> {
  const literal = isIP(target.hostname) !== 0;
  const addresses = literal ? [target.hostname] : await lookUp(target, resolve);
  if (!target.allowed) refuseNonPublic(target.pair, addresses);
  return addresses;
}

async function lookUp(target: Target, resolve: Resolver): Promise<readonly string[]> {
  let addresses: readonly string[];
  try {
    addresses = await resolve(target.hostname);
  } catch (error) {
    throw failure('dns', codeOf(error) || 'ENOTFOUND', target.pair, { cause: error });
  }
  if (addresses.length === 0) throw failure('dns', 'ENOTFOUND', target.pair);
  if (addresses.length > ADDRESSES_MAX) throw refuse(target.pair, 'its name has too many addresses');
  return addresses;
}

/** Refuses unless every address is public. The address itself goes to the log only: it may tell about an inner network. */
export function refuseNonPublic(pair: string, addresses: readonly string[]): void {
  for (const address of addresses) {
    const found = classifyAddress(address);
    if (!found.public) {
      throw refuse(pair, `it is not a public address (${found.block})`, `${pair} is ${address} (${found.block})`);
    }
  }
}

/** The allow-list as a set of normal forms. Entries that are no exact pair are left out, which keeps them refused. */
export function compileAllow(allow: readonly string[]): ReadonlySet<string> {
  return new Set(allow.map(normalizePair).filter((pair) => pair !== undefined));
}

/** Normal form of a `host:port` pair (lower case, one spelling per address), `undefined` when it is none. */
export function normalizePair(entry: string): string | undefined {
  const match = /^([^\s/@?#\\]+):(\d{1,5})$/.exec(entry.trim());
  if (match === null) return undefined;
  const port = Number(match[2]);
  if (port < 1 || port > 65535 || !URL.canParse(`http://${match[1]}/`)) return undefined;
  const url = new URL(`http://${match[1]}/`);
  // A host that carries a port of its own would hide a second one.
  if (url.port !== '' || /:\d*$/.test((match[1] as string).replace(/^\[.*\]/, ''))) return undefined;
  return `${withoutTrailingDot(url.hostname)}:${port}`;
}

/** A refused call as the caller of `call` and `stream` sees it; the cause is the public error. */
export function refusalToFailure(error: unknown): unknown {
  if (!(error instanceof HawserError)) return error;
  return new UpstreamFailure('egress_refused', error.code, error.message, { cause: error });
}

/** `egress_refused` with a sentence that names the pair and the setting. */
export function refuse(pair: string, reason: string, detail?: string): HawserError {
  return errors.fail('egress_refused', {
    message: `Hawser does not call ${pair}: ${reason}. If it is yours, list this exact host:port in HAWSER_EGRESS_ALLOW.`,
    detail,
  });
}

function withoutTrailingDot(host: string): string {
  return host.endsWith('.') ? host.slice(0, -1) : host;
}
