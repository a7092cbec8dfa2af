/** Signs requests by OAuth 1.0a. Pure. Source: RFC 5849 section 3. */
import { createHmac } from 'node:crypto';

export type OAuth1Method = 'HMAC-SHA1' | 'HMAC-SHA256' | 'PLAINTEXT';

export interface OAuth1Signing {
  method: OAuth1Method;
  consumerKey: string;
  consumerSecret: string;
  /** Absent while asking for a request token. */
  token?: { key: string; secret: string } | undefined;
  /** Seconds since 1970. */
  timestamp: number;
  /** Never used twice with one timestamp. */
  nonce: string;
  /** Goes into the header, is not signed (RFC 5849 3.4.1.3.1). */
  realm?: string | undefined;
  /** Further parameters of the protocol: `oauth_callback`, `oauth_verifier`, `oauth_version`. */
  extra?: Record<string, string>;
}

export interface SignedRequest {
  method: string;
  /** Scheme, host and path count; the query is the one of `query`. */
  url: URL;
  /** The query as it goes out, without `?`. Default: that of the URL. */
  query?: string;
  /** The body, when it is form-encoded; other bodies are not signed. */
  form?: string | undefined;
}

/** The value of the `Authorization` header. Source: RFC 5849 3.5.1. */
export function authorizationHeader(request: SignedRequest, signing: OAuth1Signing): string {
  const protocol: [string, string][] = [
    ['oauth_consumer_key', signing.consumerKey],
    ...(signing.token === undefined ? [] : [['oauth_token', signing.token.key] as [string, string]]),
    ['oauth_signature_method', signing.method],
    ['oauth_timestamp', String(signing.timestamp)],
    ['oauth_nonce', signing.nonce],
    ...Object.entries(signing.extra ?? {}),
  ];
  const signature = sign(baseString(request, protocol), signing);
  const pairs = [...protocol, ['oauth_signature', signature] as [string, string]];
  const realm = signing.realm === undefined ? [] : [`realm="${signing.realm.replaceAll(/["\\]/g, '')}"`];
  return `OAuth ${[...realm, ...pairs.map(([name, value]) => `${encode(name)}="${encode(value)}"`)].join(', ')}`;
}

/** Source: RFC 5849 3.4.1.1. */
export function baseString(request: SignedRequest, protocol: readonly (readonly [string, string])[]): string {
  const query = request.query ?? request.url.search.slice(1);
  const pairs = [...readForm(query), ...readForm(request.form ?? ''), ...protocol]
    .map(([name, value]) => [encode(name), encode(value)] as const)
    .toSorted((a, b) => compare(a[0], b[0]) || compare(a[1], b[1]))
    .map(([name, value]) => `${name}=${value}`);
  return [request.method.toUpperCase(), baseUri(request.url), pairs.join('&')].map(encode).join('&');
}

/** Without query, fragment and default port, scheme and host in small letters. Source: RFC 5849 3.4.1.2. */
function baseUri(url: URL): string {
  return `${url.protocol}//${url.host}${url.pathname}`;
}

/** Source: RFC 5849 3.4.2, 3.4.4. */
function sign(text: string, { method, consumerSecret, token }: OAuth1Signing): string {
  const key = `${encode(consumerSecret)}&${encode(token?.secret ?? '')}`;
  switch (method) {
    case 'PLAINTEXT':
      return key;
    case 'HMAC-SHA1':
      return createHmac('sha1', key).update(text).digest('base64');
    case 'HMAC-SHA256':
      return createHmac('sha256', key).update(text).digest('base64');
  }
}

/** Byte order, as the RFC sorts; the texts are ASCII by now. */
function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Name and value of each pair, decoded; a broken escape stays as it is. Source: RFC 5849 3.4.1.3.1. */
function readForm(text: string): [string, string][] {
  return text
    .split('&')
    .filter((pair) => pair !== '')
    .map((pair) => {
      const at = pair.indexOf('=');
      return at === -1 ? [decode(pair), ''] : [decode(pair.slice(0, at)), decode(pair.slice(at + 1))];
    });
}

function decode(text: string): string {
  const plain = text.replaceAll('+', ' ');
  try {
    return decodeURIComponent(plain);
  } catch {
    return plain; // no valid escapes: the server will read it literally too
  }
}

/** RFC 3986 escapes, upper-case: only letters, digits and `-._~` stay. Source: RFC 5849 3.6. */
export function encode(text: string): string {
  return encodeURIComponent(text).replaceAll(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
}
