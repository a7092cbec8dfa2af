/**
 * JSON bodies, checked before they become objects: `JSON.parse` takes any depth and silently drops duplicate keys, and
 * a key named `__proto__` changes whatever it is later copied into.
 */
import { httpErrors } from './errors.ts';
import type { EdgeLimits } from './limits.ts';

const QUOTE = 0x22;
const COMMA = 0x2c;
const OPEN_LIST = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_LIST = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

/** An object or list that is not closed yet. */
interface Level {
  /** Undefined in a list. */
  keys: Set<string> | undefined;
  /** The key under which it stands. */
  name: string;
  /** The next string is a key. */
  awaitsKey: boolean;
  /** The newest key. */
  key: string;
}

/** Reads a body. Errors: `invalid_json`, whose sentence never repeats the body. */
export function parseJson(text: string, limits: Pick<EdgeLimits, 'jsonDepthMax' | 'jsonValuesMax'>): unknown {
  // RFC 8259 8.1: a byte order mark may be ignored.
  const plain = text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
  inspect(plain, limits);
  try {
    return JSON.parse(plain);
  } catch {
    throw httpErrors.fail('invalid_json'); // the parser's own message quotes the body
  }
}

/** Right for every valid text; of the rest it refuses some, and `JSON.parse` the others. */
function inspect(text: string, limits: Pick<EdgeLimits, 'jsonDepthMax' | 'jsonValuesMax'>): void {
  const levels: Level[] = [];
  let values = 0;
  for (let at = 0; at < text.length; at += 1) {
    const level = levels.at(-1);
    switch (text.charCodeAt(at)) {
      case QUOTE: {
        const end = endOfString(text, at);
        if (end === -1) return;
        const value = plainString(text.slice(at + 1, end));
        if (value === undefined) return;
        if (level?.awaitsKey) takeKey(level, value);
        at = end;
        break;
      }
      case OPEN_OBJECT:
      case OPEN_LIST: {
        if (levels.length >= limits.jsonDepthMax) {
          throw refused(`The body is nested deeper than ${limits.jsonDepthMax} levels.`);
        }
        const isObject = text.charCodeAt(at) === OPEN_OBJECT;
        levels.push({ keys: isObject ? new Set() : undefined, name: level?.key ?? '', awaitsKey: isObject, key: '' });
        values += 1;
        break;
      }
      case CLOSE_OBJECT:
      case CLOSE_LIST:
        levels.pop();
        break;
      case COMMA:
        if (level?.keys !== undefined) level.awaitsKey = true;
        values += 1;
        break;
    }
    if (values > limits.jsonValuesMax) {
      throw refused(`The body holds more than ${limits.jsonValuesMax} keys and list items.`);
    }
  }
}

function takeKey(level: Level, key: string): void {
  const keys = level.keys as Set<string>;
  if (keys.has(key)) throw refused('The body holds an object with the same key twice.');
  if (key === '__proto__' || (key === 'prototype' && level.name === 'constructor')) {
    throw refused('The body holds a key that is not allowed.');
  }
  keys.add(key);
  level.key = key;
  level.awaitsKey = false;
}

/** The closing quote; -1 when there is none. */
function endOfString(text: string, start: number): number {
  for (let from = start + 1; ;) {
    const end = text.indexOf('"', from);
    if (end === -1) return -1;
    let slashes = 0;
    while (text.charCodeAt(end - 1 - slashes) === BACKSLASH) slashes += 1;
    if (slashes % 2 === 0) return end;
    from = end + 1;
  }
}

/** The string between the quotes; undefined when it is not valid. PostgreSQL's text takes neither of the two refused. */
function plainString(raw: string): string | undefined {
  if (!raw.includes('\\')) return raw;
  let value: string;
  try {
    value = JSON.parse(`"${raw}"`) as string;
  } catch {
    return undefined; // JSON.parse says so again about the whole
  }
  if (value.includes('\0')) throw refused('The body holds a NUL character.');
  if (!value.isWellFormed()) throw refused('The body holds half of a surrogate pair.');
  return value;
}

function refused(message: string) {
  return httpErrors.fail('invalid_json', { message });
}
