/**
 * Listens to an answer with a good status whose provider says no in the body. The bytes go to the caller untouched and
 * undelayed; only what the answer says about the credential is learned.
 */
import { brotliDecompressSync, gunzipSync, inflateSync } from 'node:zlib';
import type { RefusalSpec } from '../../../catalogue/_spec/index.ts';
import type { HeaderRecord } from '../../protocols/http.ts';
import { hiddenRefusal } from '../../protocols/refusal.ts';

/** A refusal is a short sentence; longer answers are not kept. */
const KEPT_BYTES_MAX = 8 * 1024;
const INFLATED_BYTES_MAX = 64 * 1024;

export class RefusalTap {
  readonly #spec: RefusalSpec;
  readonly #encoding: string;
  #kept: Buffer[] | undefined = [];
  #bytes = 0;

  constructor(spec: RefusalSpec, headers: HeaderRecord) {
    this.#spec = spec;
    this.#encoding = first(headers['content-encoding']);
    const length = Number(first(headers['content-length']) || 0);
    if (length > KEPT_BYTES_MAX || !/json/i.test(first(headers['content-type']))) this.#kept = undefined;
  }

  push(chunk: Buffer): void {
    if (this.#kept === undefined) return;
    this.#bytes += chunk.length;
    if (this.#bytes > KEPT_BYTES_MAX) this.#kept = undefined;
    else this.#kept.push(chunk);
  }

  /** True when the whole answer says that the credential is dead. */
  saysUnauthorized(status: number): boolean {
    if (this.#kept === undefined) return false;
    const body = inflated(Buffer.concat(this.#kept), this.#encoding);
    return body !== undefined && hiddenRefusal(this.#spec, { status, body }) === 'unauthorized';
  }
}

function first(value: string | string[] | undefined): string {
  return (Array.isArray(value) ? value[0] : value)?.trim().toLowerCase() ?? '';
}

function inflated(body: Buffer, encoding: string): Buffer | undefined {
  const limit = { maxOutputLength: INFLATED_BYTES_MAX };
  try {
    if (encoding === '' || encoding === 'identity') return body;
    if (encoding === 'gzip' || encoding === 'x-gzip') return gunzipSync(body, limit);
    if (encoding === 'deflate') return inflateSync(body, limit);
    return encoding === 'br' ? brotliDecompressSync(body, limit) : undefined;
  } catch {
    return undefined; // damaged, or too large to be a refusal: the caller has it as it came
  }
}
