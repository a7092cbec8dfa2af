/**
 * Where a call goes: the path behind `/proxy` joined to the API address of the provider. The path can name a resource
 * below that address and nothing else; what a lenient server might read as a step upwards is refused, not repaired.
 */
import { proxyErrors } from './errors.ts';

/** The path and the query behind `/proxy`, byte for byte as they came. */
export interface Endpoint {
  /** Begins with `/`. */
  path: string;
  /** Without the question mark; undefined when there was none. */
  query: string | undefined;
}

/** Where a call goes. Nearly all are sent without the whole address ever being an object. */
export class Target {
  /** Its scheme, host and port are called. */
  readonly base: URL;
  /** As sent, without the query. */
  readonly path: string;
  /** Path and query to send. `URL` would rewrite some bytes of the query, such as `'`. */
  readonly requestTarget: string;
  #url: URL | undefined;

  constructor(base: URL, path: string, query: string) {
    this.base = base;
    this.path = path;
    this.requestTarget = query === '' ? path : `${path}?${query}`;
  }

  get url(): URL {
    this.#url ??= new URL(this.base.origin + this.requestTarget);
    return this.#url;
  }
}

const MOUNT = '/proxy';

/** Visible ASCII without `#` and backslash: everything else has to be percent-encoded by the caller. */
const RAW = /^[\x21\x22\x24-\x5b\x5d-\x7e]*$/;

/** Splits the request target of a call. Errors: `invalid_endpoint`. */
export function readEndpoint(requestTarget: string): Endpoint {
  if (!requestTarget.startsWith(`${MOUNT}/`)) throw refused('The call must begin with /proxy/.');
  if (!RAW.test(requestTarget)) {
    throw refused('The path and the query must be percent-encoded ASCII without `#` and backslashes.');
  }
  const question = requestTarget.indexOf('?');
  const path = question === -1 ? requestTarget.slice(MOUNT.length) : requestTarget.slice(MOUNT.length, question);
  return { path, query: question === -1 ? undefined : requestTarget.slice(question + 1) };
}

/**
 * Joins an endpoint to `base`. An endpoint that begins with one of `aliases` (whole addresses under which the provider's
 * own links may name the same API) has it taken off first. `added` is appended to the query as it is.
 * Errors: `invalid_endpoint`.
 */
export function joinEndpoint(base: URL, endpoint: Endpoint, aliases: readonly URL[], added: string): Target {
  let { path } = endpoint;
  if (path.includes(':')) path = withoutBase(path, aliases);
  const own = endpoint.query;
  const query = own === undefined || own === '' ? added : added === '' ? own : `${own}&${added}`;
  const prefix = base.pathname.endsWith('/') ? base.pathname.slice(0, -1) : base.pathname;
  // `URL` would change nothing in it.
  if (path === '/' || PLAIN.test(path)) return new Target(base, prefix + path, query);
  assertHarmlessPath(path);
  const url = new URL(base.origin + prefix + path);
  // Defence in depth: unreachable while the checks above hold.
  if (url.origin !== base.origin || !url.pathname.startsWith(`${prefix}/`) || url.hash !== '') {
    throw refused('The path must stay below the address of the provider.');
  }
  return new Target(base, url.pathname, query);
}

/** `/https://api.example/v1/x` → `/v1/x` below the base `https://api.example`. */
function withoutBase(path: string, aliases: readonly URL[]): string {
  const whole = path.slice(1);
  if (!/^(?:https?:|[a-z][a-z0-9+.-]*:\/\/)/i.test(whole)) return path;
  const schemeEnd = whole.indexOf('//') + 2;
  const scheme = whole.slice(0, schemeEnd).toLowerCase();
  const authorityEnd = indexOrEnd(whole, '/', schemeEnd);
  const authority = whole.slice(schemeEnd, authorityEnd).toLowerCase();
  const rest = whole.slice(authorityEnd);
  for (const alias of aliases) {
    const prefix = alias.pathname.endsWith('/') ? alias.pathname.slice(0, -1) : alias.pathname;
    // Checkr's own next links say http: for an https: API. The call goes out by the scheme of the base.
    const sameScheme = scheme === `${alias.protocol}//` || scheme === 'http://';
    if (!sameScheme || authority !== alias.host) continue;
    if (rest === prefix) return '/';
    if (rest.startsWith(`${prefix}/`)) return rest.slice(prefix.length);
  }
  throw refused('A whole URL is accepted only when it begins with the API address of the provider.');
}

function indexOrEnd(text: string, search: string, from: number): number {
  const index = text.indexOf(search, from);
  return index === -1 ? text.length : index;
}

/** Needs no second look: no escapes, no dot at the start of a segment, no empty segment, no `;`. */
const PLAIN = /^(?:\/[A-Za-z0-9_~!$&'()*+,=:@-][A-Za-z0-9_~!$&'()*+,=:@.-]*)*\/?$/;

function assertHarmlessPath(path: string): void {
  if (/%(?![0-9a-f]{2})/i.test(path)) throw refused('The path holds a broken percent escape.');
  let text = path;
  // Decoded twice, because servers behind gateways are known to do so.
  for (let round = 0; round <= 2; round++) {
    assertHarmless(text);
    if (/[^\x20-\x7e]/.test(text)) assertHarmless(text.normalize('NFKC'));
    if (!text.includes('%')) return;
    text = decoded(text);
  }
}

function assertHarmless(text: string): void {
  if (text.startsWith('//')) throw refused('The path must not begin with two slashes.');
  if (text.includes('\\')) throw refused('The path must not hold a backslash.');
  if (hasControl(text)) throw refused('The path must not hold control characters.');
  // These bytes begin overlong UTF-8 only: a dot or a slash in disguise.
  if (/%c[01]/i.test(text)) throw refused('The path holds bytes that are no UTF-8.');
  if (text.split('/').some(isDotSegment)) throw refused('The path must not hold dot segments.');
}

/** `.` and `..`, also before a `;`, which some servers cut off, and as `%2e`, which URL parsers read as a dot. */
function isDotSegment(segment: string): boolean {
  const name = segment.split(';', 1)[0]?.trim().replaceAll(/%2e/gi, '.');
  return name === '.' || name === '..';
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    // No UTF-8, or a bare percent sign in the second round: the ASCII escapes are all that could do harm.
    return text.replaceAll(/%[0-7][0-9a-f]/gi, (escape) => String.fromCharCode(parseInt(escape.slice(1), 16)));
  }
}

function hasControl(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 0x20 || (code >= 0x7f && code <= 0x9f) || code === 0x2028 || code === 0x2029) return true;
  }
  return false;
}

function refused(message: string) {
  return proxyErrors.fail('invalid_endpoint', { message });
}
