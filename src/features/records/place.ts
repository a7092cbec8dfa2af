/** Names of places, rows and positions. */
import { createHash, hash } from 'node:crypto';
import { recordErrors } from './errors.ts';
import type { RecordPlace } from './model.ts';

const TAG_BYTES = 9;

/** Makes row ids of one place: in the form of UUID v5, so that the same record has the same id for ever. */
export function rowIds(place: RecordPlace): (externalId: string) => string {
  // With its length, a model's name cannot go on into an id.
  const { environmentId, connectionId, model } = place;
  const prefix = `record|${environmentId}|${connectionId}|${model.length}|${model}|`;
  return (externalId) => {
    const hex = hash('sha1', prefix + externalId, 'hex');
    const variant = VARIANTS[hex.charCodeAt(16) & 0x3] as string;
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-5${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
  };
}

/** RFC 9562 4.1: the two highest bits of the digit are 1 and 0. */
const VARIANTS = ['8', '9', 'a', 'b'];

/** Cursors of one place. They name a position and nothing else: one of another place is refused. */
export interface Cursors {
  write(position: number): string;
  /** Errors: `invalid_cursor`. */
  read(cursor: string): number;
}

export function cursorsOf(place: RecordPlace): Cursors {
  const tag = createHash('sha256')
    .update(`cursor|${place.environmentId}|${place.connectionId}|${place.model}`, 'utf8')
    .digest()
    .subarray(0, TAG_BYTES)
    .toString('base64url');
  return {
    write: (position) => tag + position.toString(36),
    read(cursor) {
      const text = cursor.slice(tag.length);
      const position = Number.parseInt(text, 36);
      if (!cursor.startsWith(tag) || !Number.isSafeInteger(position) || position.toString(36) !== text) {
        throw recordErrors.fail('invalid_cursor');
      }
      return position;
    },
  };
}

/** Writes positions as ISO stamps with microseconds and `+00:00` (wire contract G.2). */
export function isoWriter(): (position: number) => string {
  let second = Number.NaN;
  let text = '';
  return (position) => {
    const at = Math.floor(position / 1e6);
    // The records of a page were mostly written in the same second.
    if (at !== second) {
      second = at;
      text = new Date(at * 1e3).toISOString().slice(0, 20);
    }
    return `${text}${String(position - at * 1e6).padStart(6, '0')}+00:00`;
  };
}

const STAMP = /^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?\s?(Z|[+\- ]\d{2}:?\d{2})?)?$/i;

/** Microseconds since 1970 of an ISO stamp; without a zone it is UTC. Undefined when it is none. */
export function readStamp(text: string): number | undefined {
  const parts = STAMP.exec(text);
  if (parts === null) return undefined;
  const [, day, minutes = '00:00', seconds = '00', fraction = '', zone = 'Z'] = parts;
  // A plus that was not percent-encoded arrives as a blank.
  const offset = zone.toUpperCase() === 'Z' ? 'Z' : zone.replace(/^ /, '+').replace(/^(.\d{2})(\d{2})$/, '$1:$2');
  const atMs = Date.parse(`${day}T${minutes}:${seconds}${offset}`);
  if (Number.isNaN(atMs)) return undefined;
  return atMs * 1e3 + Number(fraction.slice(0, 6).padEnd(6, '0'));
}
