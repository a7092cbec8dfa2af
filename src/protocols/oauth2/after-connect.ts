/** The second call of a connect: what the token belongs to, where the token answer does not tell it. Pure. */
import type { AfterConnectSpec } from '../../../catalogue/_spec/index.ts';
import { apiHeaders, type ApiCredential } from '../api-auth.ts';
import { holesFor, urlFrom, type TemplateInput } from '../input.ts';
import { atPath, parseBody, sameValue } from './parse-body.ts';
import type { HttpRequest } from './request.ts';
import { metadataOf, type HttpAnswer } from './token-answer.ts';

/** Lists longer than this are no list of accounts. */
const CANDIDATES_MAX = 1_000;

/** The GET, authorised like an API call. Errors: `template_value_*`, `unsupported_auth`. */
export function afterConnectRequest(
  spec: AfterConnectSpec,
  input: TemplateInput & { credential: ApiCredential },
): HttpRequest {
  const url = urlFrom(spec.url, holesFor(input));
  const { headers } = apiHeaders(input, url);
  return { method: 'GET', url, headers: { accept: 'application/json', ...headers } };
}

/**
 * What the answer tells. Empty when it tells nothing, or tells of several and the file does not say which one counts;
 * undefined when it is no such answer.
 */
export function readAfterConnect(spec: AfterConnectSpec, answer: HttpAnswer): Record<string, string> | undefined {
  if (answer.status < 200 || answer.status >= 300) return undefined;
  const data = spec.list === '.' ? wrapped(answer.body) : parsed(answer.body);
  if (data === undefined) return undefined;
  if (spec.list === undefined) return metadataOf(data, spec.metadata);
  const list = atPath(data, spec.list === '.' ? 'list' : spec.list);
  if (!Array.isArray(list)) return undefined;
  const { where } = spec;
  const fitting = list
    .slice(0, CANDIDATES_MAX)
    .filter((one) => where === undefined || sameValue(atPath(one, where.path), where.equals));
  const chosen = choose(fitting, spec.newestBy);
  return chosen === undefined ? {} : metadataOf(chosen, spec.metadata);
}

function parsed(body: Buffer): Record<string, unknown> | undefined {
  const read = parseBody(body);
  return read.kind === 'object' ? read.value : undefined;
}

/** A body that is a list itself. The brackets are checked first, so that the wrapping cannot change its meaning. */
function wrapped(body: Buffer): Record<string, unknown> | undefined {
  const text = body.toString('utf8').trim();
  if (!text.startsWith('[') || !text.endsWith(']')) return undefined;
  const data = parsed(Buffer.from(`{"list":${text}}`, 'utf8'));
  return data !== undefined && Object.keys(data).length === 1 ? data : undefined;
}

function choose(fitting: unknown[], newestBy: string | undefined): Record<string, unknown> | undefined {
  const things = fitting.filter((one): one is Record<string, unknown> => typeof one === 'object' && one !== null);
  if (things.length === 1) return things[0];
  if (newestBy === undefined) return undefined;
  const dated = things
    .map((thing) => ({ thing, atMs: timeOf(atPath(thing, newestBy)) }))
    .filter(({ atMs }) => Number.isFinite(atMs))
    .toSorted((a, b) => b.atMs - a.atMs);
  // Two of the same moment: nobody knows which one was meant.
  return dated[0]?.atMs === dated[1]?.atMs ? undefined : dated[0]?.thing;
}

/** A date without a zone is UTC, never the zone of this machine. */
function timeOf(value: unknown): number {
  if (typeof value !== 'string') return Number.NaN;
  return Date.parse(/(Z|[+-]\d{2}:?\d{2})$/i.test(value) ? value : `${value}Z`);
}
