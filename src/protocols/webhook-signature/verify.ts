import { createHmac, timingSafeEqual } from 'node:crypto';
import { hmacKey } from '../hmac-key.ts';
import type { WebhookHmac, WebhookToken } from '../../../catalogue/_spec/index.ts';
import { signedForm } from './form.ts';
import { parseTime, textsAt } from './read.ts';
import { isSameText } from './same-text.ts';

/** What of a request may be signed. */
export interface WebhookRequest {
  method: string;
  /** As the provider was told it, query included. */
  url: string;
  /** Lower-case names. */
  headers: Readonly<Record<string, string | string[] | undefined>>;
  /** The exact bytes. */
  body: Buffer;
  /** The body as JSON or form, for proofs that stand in it. */
  parsed?: unknown;
  nowMs: number;
}

/** `missing`: there is nothing to check. `wrong`: there is, and no secret of ours made it, or its time is over. */
export type WebhookProof = 'right' | 'missing' | 'wrong';

/** Longer than any signature: what a stranger sends is not hashed by the megabyte. */
const HEADER_CHARS_MAX = 4_096;
/** Signatures in one header; providers send two during a rotation. */
const SIGNATURES_MAX = 8;

/** Compares what came with what each secret would have made, always over the raw bytes and in constant time. */
export function verifyWebhook(
  spec: WebhookHmac | WebhookToken,
  request: WebhookRequest,
  secrets: readonly string[],
): WebhookProof {
  return spec.kind === 'hmac' ? verifyHmac(spec, request, secrets) : verifyToken(spec, request, secrets);
}

function verifyHmac(spec: WebhookHmac, request: WebhookRequest, secrets: readonly string[]): WebhookProof {
  const values = spec.headers.map((name) => headerOf(request, name)).filter((value) => value !== undefined);
  if (values.every((value) => value === '')) return 'missing';
  let proof: WebhookProof = 'wrong';
  for (const value of values) {
    if (value.length <= HEADER_CHARS_MAX && isSigned(spec, request, value, secrets)) proof = 'right';
  }
  return proof;
}

function isSigned(spec: WebhookHmac, request: WebhookRequest, header: string, secrets: readonly string[]): boolean {
  const read = spec.parts === undefined ? { signatures: [header] } : readParts(header, spec.parts);
  if (read === undefined) return false;
  const timestamp = spec.timestamp?.header === undefined ? read.timestamp : headerOf(request, spec.timestamp.header);
  if (spec.timestamp !== undefined && !isRecent(spec.timestamp, timestamp, request.nowMs)) return false;
  const wanted = digestLength(spec.algorithm);
  const given = read.signatures
    .slice(0, SIGNATURES_MAX)
    .map((text) => decode(text, spec, wanted))
    .filter((digest) => digest !== undefined);
  if (given.length === 0) return false;
  const form = spec.bodyHashParam === undefined ? '' : signedForm(request, spec.bodyHashParam);
  if (form === undefined) return false;
  const holes: Record<string, string | Buffer> = {
    body: request.body,
    timestamp: timestamp ?? '',
    nonce: read.nonce ?? '',
    method: request.method,
    url: request.url,
    form,
  };
  let isRight = false;
  for (const secret of secrets) {
    const mac = createHmac(spec.algorithm, hmacKey(secret));
    for (const piece of piecesOf(spec.signed)) mac.update(piece.hole ? (holes[piece.text] as string) : piece.text);
    const digest = mac.digest();
    for (const one of given) if (timingSafeEqual(one, digest)) isRight = true;
  }
  return isRight;
}

interface Parts {
  signatures: string[];
  timestamp?: string | undefined;
  nonce?: string | undefined;
}

/** `nonce=1,signature=2`. Undefined: something needed is missing, or stands there twice. */
function readParts(header: string, names: NonNullable<WebhookHmac['parts']>): Parts | undefined {
  const found = new Map<string, string[]>();
  for (const part of header.split(',')) {
    const at = part.indexOf('=');
    if (at === -1) return undefined;
    const name = part.slice(0, at).trim();
    found.set(name, [...(found.get(name) ?? []), part.slice(at + 1).trim()]);
  }
  const once = (name: string | undefined): string | undefined => {
    const values = name === undefined ? [] : (found.get(name) ?? []);
    return values.length === 1 && values[0] !== '' ? values[0] : undefined;
  };
  const signatures = found.get(names.signature) ?? [];
  const timestamp = once(names.timestamp);
  const nonce = once(names.nonce);
  if (signatures.length === 0) return undefined;
  if (names.timestamp !== undefined && timestamp === undefined) return undefined;
  if (names.nonce !== undefined && nonce === undefined) return undefined;
  return { signatures, timestamp, nonce };
}

function isRecent(
  { unit, toleranceSeconds }: NonNullable<WebhookHmac['timestamp']>,
  text: string | undefined,
  nowMs: number,
): boolean {
  const atMs = text === undefined ? undefined : parseTime(text, unit);
  return atMs !== undefined && Math.abs(nowMs - atMs) <= toleranceSeconds * 1_000;
}

/** Only the one way of writing a digest that the provider uses: anything else is no signature. */
function decode(text: string, spec: WebhookHmac, bytes: number): Buffer | undefined {
  const prefix = spec.prefix ?? '';
  if (!text.startsWith(prefix)) return undefined;
  const digits = text.slice(prefix.length);
  if (spec.encoding === 'hex') {
    return digits.length === 2 * bytes && /^[0-9a-f]+$/.test(digits) ? Buffer.from(digits, 'hex') : undefined;
  }
  const digest = Buffer.from(digits, 'base64');
  return digest.length === bytes && digest.toString('base64') === digits ? digest : undefined;
}

function digestLength(algorithm: WebhookHmac['algorithm']): number {
  return { sha1: 20, sha256: 32, sha512: 64 }[algorithm];
}

interface Piece {
  hole: boolean;
  text: string;
}

const known = new Map<string, Piece[]>();

/** `v0:${timestamp}:${body}` in pieces; the texts are the catalogue's, so they are few. */
function piecesOf(signed: string): Piece[] {
  let pieces = known.get(signed);
  if (pieces === undefined) {
    pieces = signed
      .split(/(\$\{[a-z]+\})/)
      .filter((text) => text !== '')
      .map((text) => (text.startsWith('${') ? { hole: true, text: text.slice(2, -1) } : { hole: false, text }));
    known.set(signed, pieces);
  }
  return pieces;
}

function verifyToken(spec: WebhookToken, request: WebhookRequest, secrets: readonly string[]): WebhookProof {
  const fromHeaders = (spec.in.headers ?? []).map((name) => headerOf(request, name));
  const given = [...fromHeaders, ...(spec.in.paths ?? []).flatMap((path) => textsAt(request.parsed, path))].filter(
    (text) => text !== undefined && text !== '',
  );
  if (given.length === 0) return 'missing';
  const isRight = given.every((text) => secrets.some((secret) => isSameText(text as string, secret)));
  return isRight ? 'right' : 'wrong';
}

/** A header that came twice has no one meaning. */
function headerOf(request: WebhookRequest, name: string): string | undefined {
  const value = request.headers[name];
  return Array.isArray(value) ? value.join(', ') : value;
}
