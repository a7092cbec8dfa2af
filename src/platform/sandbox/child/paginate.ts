import type { ProxyConfig, ScriptResponse } from './proxy-call.ts';
import { ScriptError } from './script-error.ts';

interface Paginate {
  type?: string;
  limit?: number;
  limit_name_in_request?: string;
  response_path?: string;
  in_body?: boolean;
  on_page?: (page: { nextPageParam: unknown; response: ScriptResponse }) => unknown;
  cursor_name_in_request?: string;
  cursor_path_in_response?: string;
  link_rel_in_response_header?: string;
  link_path_in_response_body?: string;
  offset_name_in_request?: string;
  offset_start_value?: number;
  offset_calculation_method?: 'by-response-size' | 'per-page';
}

type Send = (config: ProxyConfig) => Promise<ScriptResponse>;

/** Pages of a listing, each a list (wire contract F.5). `ofProvider` lies under what the script gives. */
export async function* paginate(
  config: ProxyConfig,
  ofProvider: Record<string, unknown> | undefined,
  send: Send,
): AsyncGenerator<unknown[]> {
  if (config?.paginate === undefined && ofProvider === undefined) {
    throw invalid('There is no pagination configuration for this provider. Give `paginate` with a `type`.');
  }
  const pages: Paginate = { ...ofProvider, ...config.paginate };
  check(pages);
  config.method = (config.method ?? 'GET').toUpperCase();
  const inBody = pages.in_body ?? ['POST', 'PUT', 'PATCH'].includes(config.method);
  const set = settings(config, inBody);
  if (pages.limit !== undefined && pages.limit_name_in_request !== undefined) {
    set(pages.limit_name_in_request, inBody ? pages.limit : String(pages.limit));
  }
  if (pages.type === 'cursor') yield* byCursor(config, pages, set, send);
  else if (pages.type === 'link') yield* byLink(config, pages, send);
  else yield* byOffset(config, pages, inBody, set, send);
}

async function* byCursor(config: ProxyConfig, pages: Paginate, set: Setter, send: Send): AsyncGenerator<unknown[]> {
  for (;;) {
    const response = await send(config);
    const page = pageOf(response, pages);
    if (page.length === 0) return;
    yield page;
    const next = at(response.data, pages.cursor_path_in_response as string);
    const cursor = typeof next === 'number' || (typeof next === 'string' && next.trim() !== '') ? next : undefined;
    await pages.on_page?.({ nextPageParam: cursor, response });
    if (cursor === undefined) return;
    set(pages.cursor_name_in_request as string, cursor);
  }
}

async function* byLink(config: ProxyConfig, pages: Paginate, send: Send): AsyncGenerator<unknown[]> {
  let previous: string | undefined;
  for (;;) {
    const response = await send(config);
    yield pageOf(response, pages);
    const next = nextLink(response, pages);
    await pages.on_page?.({ nextPageParam: next, response });
    if (next === undefined || next === previous) return;
    previous = next;
    delete config.params;
    if (/^https?:\/\//i.test(next)) {
      const url = new URL(next);
      config.baseUrlOverride = url.origin;
      config.endpoint = `${url.pathname}${url.search}`;
    } else config.endpoint = next;
  }
}

async function* byOffset(
  config: ProxyConfig,
  pages: Paginate,
  inBody: boolean,
  set: Setter,
  send: Send,
): AsyncGenerator<unknown[]> {
  let offset = Number(pages.offset_start_value ?? 0);
  for (;;) {
    set(pages.offset_name_in_request as string, inBody ? offset : String(offset));
    const response = await send(config);
    const page = pageOf(response, pages);
    if (page.length === 0) return;
    yield page;
    if (pages.limit !== undefined && page.length < pages.limit) return;
    offset += pages.offset_calculation_method === 'per-page' ? 1 : page.length;
    await pages.on_page?.({ nextPageParam: offset, response });
  }
}

type Setter = (name: string, value: unknown) => void;

/** Writes a parameter into the query or the body, keeping what the caller gave there. */
function settings(config: ProxyConfig, inBody: boolean): Setter {
  if (!inBody) {
    const given = config.params;
    config.params = typeof given === 'string' ? Object.fromEntries(new URLSearchParams(given)) : { ...given };
    return (name, value) => void ((config.params as Record<string, unknown>)[name] = value);
  }
  config.data = { ...(config.data as Record<string, unknown> | undefined) };
  return (name, value) => {
    const path = name.split('.');
    let into = config.data as Record<string, unknown>;
    for (const key of path.slice(0, -1)) {
      const below = Object.hasOwn(into, key) ? into[key] : undefined;
      into = into[key] = typeof below === 'object' && below !== null ? { ...below } : {};
    }
    into[path.at(-1) as string] = value;
  };
}

function pageOf(response: ScriptResponse, pages: Paginate): unknown[] {
  const page = pages.response_path ? at(response.data, pages.response_path) : response.data;
  if (page === undefined || page === null) return [];
  if (Array.isArray(page)) return page;
  const where = pages.response_path ? `At response_path "${pages.response_path}"` : 'Without response_path, in the answer itself'; // prettier-ignore
  throw invalid(`${where}, a list was expected; found ${typeof page}.`);
}

/** A value by a path such as `data.items[0].id`. */
function at(value: unknown, path: string): unknown {
  let found = value;
  for (const key of path.split(/[.[\]]+/).filter((each) => each !== '')) {
    if (typeof found !== 'object' || found === null || !Object.hasOwn(found, key)) return undefined;
    found = (found as Record<string, unknown>)[key];
  }
  return found;
}

function nextLink(response: ScriptResponse, pages: Paginate): string | undefined {
  const rel = pages.link_rel_in_response_header;
  const header = rel === undefined ? undefined : relOf(response.headers['link'] ?? '', rel);
  if (header !== undefined) return header;
  const inBody = pages.link_path_in_response_body;
  const found = inBody === undefined ? undefined : at(response.data, inBody);
  return typeof found === 'string' && found.trim() !== '' ? found : undefined;
}

/** The target of one relation. Source: RFC 8288 section 3. */
function relOf(header: string, rel: string): string | undefined {
  // Each part begins with "<"; a comma may stand inside a target.
  for (const part of header.split(/,\s*(?=<)/)) {
    const end = part.indexOf('>');
    if (!part.startsWith('<') || end === -1) continue;
    const [, quoted, bare] = /;\s*rel\s*=\s*(?:"([^"]*)"|([^\s;,]+))/i.exec(part.slice(end)) ?? [];
    if ((quoted ?? bare ?? '').toLowerCase().split(/\s+/).includes(rel.toLowerCase())) return part.slice(1, end);
  }
  return undefined;
}

function check(pages: Paginate): void {
  const need = (...names: (keyof Paginate)[]): void => {
    for (const name of names) {
      if (!pages[name]) throw invalid(`Pagination by ${pages.type} needs \`${name}\`.`);
    }
  };
  if (pages.type === 'cursor') {
    need('cursor_name_in_request', 'cursor_path_in_response');
    if (pages.limit) need('limit_name_in_request');
  } else if (pages.type === 'link') {
    if (!pages.link_rel_in_response_header && !pages.link_path_in_response_body) {
      throw invalid('Pagination by link needs `link_rel_in_response_header` or `link_path_in_response_body`.');
    }
  } else if (pages.type === 'offset') need('offset_name_in_request');
  else throw invalid(`\`paginate.type\` is one of cursor, link, offset; not ${JSON.stringify(pages.type)}.`);
}

function invalid(message: string): ScriptError {
  return new ScriptError('invalid_pagination', message);
}
