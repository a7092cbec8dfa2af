/** AWS Signature Version 4. Pure. Source: the test vectors of AWS beside this file. */
import { createHash, createHmac } from 'node:crypto';
import { encode } from '../oauth1/signature.ts';

export interface AwsKeys {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken?: string | undefined;
}

export interface SigV4Input {
  method: string;
  /** As sent, percent-encoded. */
  path: string;
  /** As sent, without `?`. */
  query: string;
  /** Exactly the headers to sign, `host` and `x-amz-date` among them. */
  headers: Readonly<Record<string, string>>;
  /** Hex SHA-256 of the body, or `UNSIGNED-PAYLOAD`. */
  payloadHash: string;
  keys: AwsKeys;
  region: string;
  service: string;
}

/** For bodies that are not hashed; only some services take it, and only over TLS. */
export const UNSIGNED_PAYLOAD = 'UNSIGNED-PAYLOAD';
/** The one service whose path is encoded once. */
const SINGLE_ENCODED_SERVICE = 's3';

/** `20150830T123600Z`. */
export function amzDate(nowMs: number): string {
  return new Date(nowMs).toISOString().replaceAll(/[-:]|\.\d{3}/g, '');
}

export function sha256Hex(data: Buffer | string): string {
  return createHash('sha256').update(data).digest('hex');
}

/** The value of the `Authorization` header. */
export function sigV4Header(input: SigV4Input): string {
  const { keys, region, service } = input;
  const date = input.headers['x-amz-date'] ?? '';
  const { text, signedHeaders } = canonicalRequest(input);
  const scope = `${date.slice(0, 8)}/${region}/${service}/aws4_request`;
  const toSign = ['AWS4-HMAC-SHA256', date, scope, sha256Hex(text)].join('\n');
  const hmac = (key: string | Buffer, data: string) => createHmac('sha256', key).update(data).digest();
  const key = hmac(hmac(hmac(hmac(`AWS4${keys.secretAccessKey}`, date.slice(0, 8)), region), service), 'aws4_request');
  const signature = hmac(key, toSign).toString('hex');
  return `AWS4-HMAC-SHA256 Credential=${keys.accessKeyId}/${scope}, SignedHeaders=${signedHeaders}, Signature=${signature}`;
}

function canonicalRequest(input: SigV4Input): { text: string; signedHeaders: string } {
  const headers = Object.entries(input.headers)
    .map(([name, value]): [string, string] => [name.toLowerCase(), value.trim().replaceAll(/\s+/g, ' ')])
    .toSorted(byFirst);
  const signedHeaders = headers.map(([name]) => name).join(';');
  const text = [
    input.method.toUpperCase(),
    canonicalPath(input.path, input.service),
    canonicalQuery(input.query),
    ...headers.map(([name, value]) => `${name}:${value}`),
    '',
    signedHeaders,
    input.payloadHash,
  ].join('\n');
  return { text, signedHeaders };
}

function canonicalPath(path: string, service: string): string {
  if (path === '') return '/';
  return service === SINGLE_ENCODED_SERVICE ? path : path.split('/').map(encode).join('/');
}

function canonicalQuery(query: string): string {
  return query
    .split('&')
    .filter((pair) => pair !== '')
    .map((pair): [string, string] => {
      const at = pair.indexOf('=');
      const [name, value] = at === -1 ? [pair, ''] : [pair.slice(0, at), pair.slice(at + 1)];
      return [encode(decode(name)), encode(decode(value))];
    })
    .toSorted((a, b) => byFirst(a, b) || compare(a[1], b[1]))
    .map(([name, value]) => `${name}=${value}`)
    .join('&');
}

/** A plus sign is a plus sign here, not a blank. */
function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // no valid escapes: taken literally
  }
}

function byFirst(a: readonly [string, string], b: readonly [string, string]): number {
  return compare(a[0], b[0]);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
