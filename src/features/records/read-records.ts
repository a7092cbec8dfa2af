/** Reads what a script or a provider's answer calls a record. */
import { recordErrors } from './errors.ts';

/** Wire contract G.6; more would hold the model's lock too long. */
export const RECORDS_PER_BATCH = 1_000;
/** One record. Several pages of them must fit into memory at once. */
export const RECORD_BYTES_MAX = 10_000_000;
/** Wire contract G.6. */
export const BATCH_BYTES_MAX = 100_000_000;
export const RECORD_ID_CHARS_MAX = 255;

export interface ReadRecord {
  /** In the batch. */
  index: number;
  externalId: string;
  /** Without `_nango_metadata`. */
  data: Record<string, unknown>;
  /** JSON of `data`. */
  text: string;
}

/**
 * Reads a batch; `text` is made only when `withText`. Errors: `invalid_sync_record`, with the index of the first
 * one that does not fit and what is wrong with it.
 */
export function readRecords(records: readonly unknown[], withText: boolean): ReadRecord[] {
  if (records.length > RECORDS_PER_BATCH) {
    throw recordErrors.fail('invalid_sync_record', {
      message: `A batch holds at most ${RECORDS_PER_BATCH} records; this one has ${records.length}. Nothing was written.`,
    });
  }
  let chars = 0;
  return records.map((record, index) => {
    const data = plainData(record, index);
    const externalId = readId(data['id'], index);
    const text = withText ? textOf(data, index) : '';
    chars += text.length;
    if (chars > BATCH_BYTES_MAX) {
      throw refused(index, `brings the batch above ${BATCH_BYTES_MAX / 1e6} MB; save fewer at a time`);
    }
    return { index, externalId, data, text };
  });
}

function plainData(record: unknown, index: number): Record<string, unknown> {
  if (typeof record !== 'object' || record === null || Array.isArray(record)) {
    throw refused(index, `is ${nameOf(record)}, not an object`);
  }
  if (!Object.hasOwn(record, '_nango_metadata')) return record as Record<string, unknown>;
  const { _nango_metadata: _dropped, ...data } = record as Record<string, unknown>;
  return data;
}

function nameOf(value: unknown): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'a list' : `a ${typeof value}`;
}

/** Errors: `invalid_sync_record`. */
export function readId(id: unknown, index: number): string {
  if (typeof id !== 'string' && typeof id !== 'number')
    throw refused(index, 'has no `id` that is a string or a number');
  if (typeof id === 'number' && !Number.isFinite(id)) throw refused(index, 'has an `id` that is no finite number');
  // PostgreSQL has no text with NUL in it; the wire contract (G.1) takes them out.
  const text = String(id).replaceAll('\0', '');
  if (text === '') throw refused(index, 'has an empty `id`');
  if (text.length > RECORD_ID_CHARS_MAX) {
    throw refused(index, `has an \`id\` of ${text.length} characters; at most ${RECORD_ID_CHARS_MAX} are taken`);
  }
  if (!text.isWellFormed()) throw refused(index, 'has an `id` with half a character (a lone surrogate)');
  return text;
}

/** JSON of a record. Errors: `invalid_sync_record`. */
export function textOf(data: Record<string, unknown>, index: number): string {
  let text: string | undefined;
  try {
    text = JSON.stringify(data);
  } catch (cause) {
    // Circular, too deep, or a BigInt: the engine's own sentence repeats names of the data.
    throw refused(index, 'cannot be written as JSON (circular, too deep, or a BigInt)', cause);
  }
  // `toJSON` may give anything.
  if (text === undefined || !text.startsWith('{')) throw refused(index, 'is no object once it is written as JSON');
  if (text.length > RECORD_BYTES_MAX || (text.length > RECORD_BYTES_MAX / 3 && byteLength(text) > RECORD_BYTES_MAX)) {
    throw refused(index, `is larger than ${RECORD_BYTES_MAX / 1e6} MB`);
  }
  // As a key it can stand nowhere else in JSON: inside strings quotes are escaped.
  if (text.includes('"__proto__":'))
    throw refused(index, 'has a key `__proto__`, which changes whatever it is copied into');
  return text;
}

function byteLength(text: string): number {
  return Buffer.byteLength(text, 'utf8');
}

function refused(index: number, reason: string, cause?: unknown) {
  return recordErrors.fail('invalid_sync_record', {
    message: `Record ${index} of the batch ${reason}. Nothing of the batch was written.`,
    payload: { index, reason },
    cause,
  });
}

/** `patch` over `base`: objects are merged, everything else is replaced whole (wire contract F.4). */
export function mergeDeep(base: Record<string, unknown>, patch: Record<string, unknown>): Record<string, unknown> {
  const merged: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(patch)) {
    const old = merged[key];
    merged[key] = isPlain(old) && isPlain(value) ? mergeDeep(old, value) : value;
  }
  return merged;
}

function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
