/**
 * @module emulators/engine/http
 *
 * Requests as the engine sees them, replies as it makes them, and the body formats in between.
 */
import type { IncomingMessage } from 'node:http';
import type { Json, JsonObject } from './types.ts';

export interface HttpRequest {
  method: string;
  /** Below the mount, with leading slash, not decoded. */
  path: string;
  query: URLSearchParams;
  /** With its question mark; empty when absent. */
  search: string;
  /** Lower-case names. */
  headers: Record<string, string>;
  rawBody: string;
  remoteAddress: string;
}

export interface HttpReply {
  status: number;
  headers?: Record<string, string>;
  body?: string;
  /** Runs when the reply has been written (or the client has gone). */
  after?: () => Promise<void>;
}

/** Bytes of a request body; an attachment of the REST slices fits in. */
export const BODY_BYTES_MAX = 5 * 1024 * 1024;

/** Nested form keys deeper than this are refused. */
const FORM_DEPTH_MAX = 8;

export class BodyTooLarge extends Error {}
export class BodyMalformed extends Error {}

export function jsonReply(status: number, value: Json | undefined, headers: Record<string, string> = {}): HttpReply {
  if (value === undefined) return { status, headers };
  return {
    status,
    headers: { 'Content-Type': 'application/json; charset=utf-8', ...headers },
    body: JSON.stringify(value),
  };
}

export function redirectReply(status: 302 | 303, location: string, headers: Record<string, string> = {}): HttpReply {
  return { status, headers: { Location: location, 'Cache-Control': 'no-store', ...headers } };
}

/** Reads a body as UTF-8. Errors: {@link BodyTooLarge}. */
export async function readBody(incoming: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > BODY_BYTES_MAX) throw new BodyTooLarge();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** Media type of a Content-Type header, lower case, without parameters. */
export function mediaType(headers: Record<string, string>): string {
  return (headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';
}

/** `form`, `json` or the media type itself. */
export function bodyFormat(headers: Record<string, string>): string {
  const type = mediaType(headers);
  if (type === 'application/x-www-form-urlencoded') return 'form';
  if (type === 'application/json' || type.endsWith('+json')) return 'json';
  return type;
}

/** JSON text. Errors: {@link BodyMalformed}. */
export function parseJson(text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch (cause) {
    throw new BodyMalformed('The body is not JSON.', { cause });
  }
}

/**
 * A form whose bracketed keys nest: `work_locations[][state]=CA` becomes `{work_locations: [{state: 'CA'}]}`. In a list
 * of objects a repeated key starts the next object. Errors: {@link BodyMalformed}.
 */
export function parseNestedForm(text: string): JsonObject {
  const root: JsonObject = {};
  for (const [key, value] of new URLSearchParams(text)) {
    const keys = splitKey(key);
    if (keys.length > FORM_DEPTH_MAX || keys.some((each) => each === '__proto__')) {
      throw new BodyMalformed(`The form field "${key}" cannot be read.`);
    }
    assign(root, keys, value, key);
  }
  return root;
}

function splitKey(key: string): string[] {
  const open = key.indexOf('[');
  if (open <= 0 || !key.endsWith(']')) return [key];
  return [key.slice(0, open), ...key.slice(open + 1, -1).split('][')];
}

function assign(target: JsonObject, keys: string[], value: string, whole: string): void {
  const [head = '', next, ...rest] = keys;
  if (next === undefined) {
    target[head] = value;
    return;
  }
  const clash = new BodyMalformed(`The form field "${whole}" contradicts another one.`);
  if (next === '') {
    const list = (target[head] ??= []);
    if (!Array.isArray(list)) throw clash;
    if (rest.length === 0) {
      list.push(value);
      return;
    }
    const last = list.at(-1);
    const fresh =
      last === undefined || !isObject(last) || (rest.length === 1 && rest[0] !== undefined && rest[0] in last);
    const item = fresh ? {} : last;
    if (fresh) list.push(item);
    assign(item, rest, value, whole);
    return;
  }
  const inner = (target[head] ??= {});
  if (!isObject(inner)) throw clash;
  assign(inner, [next, ...rest], value, whole);
}

export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Values of a path pattern's `:name` segments, decoded; undefined when it does not match. */
export function matchPath(pattern: string, path: string): Record<string, string> | undefined {
  const wanted = pattern.split('/');
  const given = path.split('/');
  if (wanted.length !== given.length) return undefined;
  const params: Record<string, string> = {};
  for (const [index, segment] of wanted.entries()) {
    const value = given[index] ?? '';
    if (segment.startsWith(':')) {
      if (value === '') return undefined;
      params[segment.slice(1)] = decodeSegment(value);
    } else if (segment !== value) return undefined;
  }
  return params;
}

function decodeSegment(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    // A stray percent sign: the text as sent simply matches nothing we know.
    return text;
  }
}

/** True for hosts that never leave this machine. */
export function isLoopbackHost(hostname: string): boolean {
  const name = hostname.replace(/^\[|\]$/g, '').toLowerCase();
  return name === 'localhost' || name.endsWith('.localhost') || name === '::1' || /^127(\.\d{1,3}){3}$/.test(name);
}
