/**
 * What the REST slices have in common: a table of routes, refusals as thrown values, typed access to bodies and
 * collections. Knows no provider.
 */
import type {
  Account,
  Json,
  JsonObject,
  ResourceEvent,
  RestReply,
  RestRequest,
  RestSlice,
  RestTools,
} from './types.ts';

/** A refusal: the slice turns it into the provider's error shape. */
export class RestFault extends Error {
  readonly status: number;
  /** All sentences, when several things are wrong at once; the first one is `message`. */
  readonly messages: string[];
  /** Field name → sentence, for providers that tell errors per field. */
  readonly fields: Record<string, string>;

  constructor(status: number, messages: string | string[], fields: Record<string, string> = {}) {
    const list = typeof messages === 'string' ? [messages] : messages;
    super(list[0] ?? 'Invalid request');
    this.status = status;
    this.messages = list;
    this.fields = fields;
  }
}

/** One call on its way through a handler. */
export interface Call {
  request: RestRequest;
  tools: RestTools;
  account: Account;
  /** Values of the `:name` segments of the route. */
  params: Record<string, string>;
  /** Tells what happened to a resource. */
  emit(type: string, object: JsonObject): void;
}

export type Handler = (call: Call) => RestReply;

/** Method, path pattern with `:name` segments, handler. Earlier rows win. */
export type Route = [method: string, pattern: string, handler: Handler];

export interface SliceParts {
  routes: Route[];
  /** Moves what time moves. */
  advance(account: Account, tools: RestTools): ResourceEvent[];
  /** Turns a refusal into the provider's reply. */
  refuse(fault: RestFault, knob: RestTools['knob']): RestReply;
}

/** Builds {@link RestSlice.handle}: find the route, let time pass, run the handler, gather what changed. */
export function createHandle(parts: SliceParts): RestSlice['handle'] {
  const table = parts.routes.map(([method, pattern, handler]) => ({ method, segments: split(pattern), handler }));

  return (request, tools) => {
    for (const row of table) {
      if (row.method !== request.method) continue;
      const params = match(row.segments, split(request.path));
      if (!params) continue;
      const events = parts.advance(request.account, tools);
      const moved = events.length > 0;
      const emit = (type: string, object: JsonObject) => void events.push({ type, object });
      const reply = run(row.handler, { request, tools, account: request.account, params, emit }, parts);
      const changed = reply.changed === true || moved;
      return { ...reply, ...(changed ? { changed } : {}), ...(events.length > 0 ? { events } : {}) };
    }
    return undefined;
  };
}

function run(handler: Handler, call: Call, parts: SliceParts): RestReply {
  try {
    return handler(call);
  } catch (error) {
    if (error instanceof RestFault) return parts.refuse(error, (name) => call.tools.knob(name));
    throw error;
  }
}

function split(path: string): string[] {
  return path.split('/').filter((segment) => segment !== '');
}

function match(pattern: string[], path: string[]): Record<string, string> | undefined {
  if (pattern.length !== path.length) return undefined;
  const params: Record<string, string> = {};
  for (const [index, wanted] of pattern.entries()) {
    const found = path[index] as string;
    if (wanted.startsWith(':')) params[wanted.slice(1)] = found;
    else if (wanted !== found) return undefined;
  }
  return params;
}

/** The list of a collection, made when absent. The caller names its resource type. */
export function collection<T extends JsonObject>(account: Account, name: string): T[] {
  return (account.data[name] ??= []) as T[];
}

/** The body as an object; an empty body is an empty object. Throws a 400 refusal for anything else. */
export function bodyObject(request: RestRequest, message: string): JsonObject {
  const { body } = request;
  if (body === undefined) return {};
  if (!isObject(body)) throw new RestFault(400, message);
  return body;
}

export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Trimmed text of a field; a number counts as text, because form bodies know no numbers. Empty is undefined. */
export function textField(body: JsonObject, name: string): string | undefined {
  const value = body[name];
  if (typeof value === 'number') return String(value);
  if (typeof value !== 'string') return undefined;
  const trimmed = value.trim();
  return trimmed === '' ? undefined : trimmed;
}

/** Boolean of a field, also as form text; undefined when absent or something else. */
export function booleanField(body: JsonObject, name: string): boolean | undefined {
  const value = body[name];
  if (typeof value === 'boolean') return value;
  if (value === 'true' || value === '1') return true;
  if (value === 'false' || value === '0') return false;
  return undefined;
}

/** Array of texts of a field; a single text counts as an array of one. */
export function textsField(body: JsonObject, name: string): string[] {
  const value = body[name];
  const list = Array.isArray(value) ? value : value === undefined || value === null ? [] : [value];
  return list.filter((item): item is string => typeof item === 'string' && item !== '');
}

/** A number knob, or its default when unset or of another type. */
export function numberKnob(tools: Pick<RestTools, 'knob'>, name: string, fallback: number): number {
  const value = tools.knob(name);
  return typeof value === 'number' && Number.isFinite(value) ? value : fallback;
}

/** A boolean knob, or its default when unset or of another type. */
export function booleanKnob(tools: Pick<RestTools, 'knob'>, name: string, fallback: boolean): boolean {
  const value = tools.knob(name);
  return typeof value === 'boolean' ? value : fallback;
}

/** ISO 8601 in UTC with seconds: `2026-11-21T20:38:00Z`. */
export function isoSeconds(wallMs: number): string {
  return new Date(wallMs).toISOString().replace(/\.\d{3}Z$/, 'Z');
}

/** Whole number of a query parameter, or the default when absent; undefined when it is something else. */
export function integerParam(query: URLSearchParams, name: string, fallback: number): number | undefined {
  const text = query.get(name);
  if (text === null || text === '') return fallback;
  return /^\d{1,9}$/.test(text) ? Number(text) : undefined;
}

/** A plain e-mail address of at most 255 characters: enough to refuse what a provider refuses. */
export function isEmail(text: string): boolean {
  return text.length <= 255 && /^[^\s@<>(),;:\\"[\]]+@[^\s@<>(),;:\\"[\]]+\.[^\s@.<>(),;:\\"[\]]+$/.test(text);
}

/** One page of rows and the addresses of its neighbours. */
export interface HrefPage {
  rows: JsonObject[];
  count: number;
  nextHref: string | null;
  previousHref: string | null;
}

/**
 * Cuts a page by `page` (from 1) and `per_page` (0–100, default 25) and builds absolute neighbour addresses that keep
 * the other query parameters. Throws a 400 refusal for values outside (assumption). `scheme`: `same` keeps the
 * emulator's own.
 */
export function hrefPage(request: RestRequest, all: JsonObject[], scheme: string): HrefPage {
  const page = integerParam(request.query, 'page', 1);
  const perPage = integerParam(request.query, 'per_page', 25);
  if (page === undefined || page < 1) throw new RestFault(400, 'page must be greater than or equal to 1');
  if (perPage === undefined || perPage > 100) throw new RestFault(400, 'per_page must be between 0 and 100');

  const href = (target: number) => {
    const url = new URL(request.baseUrl + request.path);
    if (scheme === 'http' || scheme === 'https') url.protocol = `${scheme}:`;
    for (const [name, value] of request.query) url.searchParams.append(name, value);
    url.searchParams.set('page', String(target));
    url.searchParams.set('per_page', String(perPage));
    return url.href;
  };
  const end = page * perPage;
  return {
    rows: all.slice(end - perPage, end),
    count: all.length,
    nextHref: perPage > 0 && end < all.length ? href(page + 1) : null,
    previousHref: page > 1 ? href(page - 1) : null,
  };
}
