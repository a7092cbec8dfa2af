/** What a dry run met, in the format of `<name>.test.json` (wire contract F.9). */
import type { ProxyAnswer, ProxyCall } from '../../platform/sandbox/index.ts';

export interface RecordedAnswer {
  response: unknown;
  status?: number;
  headers?: Record<string, string>;
  params?: Record<string, string>;
  data?: unknown;
}

export interface Recording {
  input?: unknown;
  output?: unknown;
  nango: Record<string, unknown>;
  api: Record<string, Record<string, RecordedAnswer | RecordedAnswer[]>>;
}

/** Headers of an answer that scripts look at; the rest says nothing a test needs. */
const KEPT_HEADERS = /^(link|location|retry-after|content-type|x-[a-z-]*(rate|total|next|page)[a-z-]*)$/;

/** Adds one call and its answer. */
export function recordCall(recording: Recording, call: ProxyCall, answer: ProxyAnswer): void {
  const { path, params } = partsOf(call.endpoint);
  const headers = Object.fromEntries(Object.entries(answer.headers).filter(([name]) => KEPT_HEADERS.test(name)));
  const answers = ((recording.api[call.method] ??= {})[path] ??= []) as RecordedAnswer[];
  answers.push({
    response: jsonOf(answer.bodyText ?? answer.bodyBase64 ?? ''),
    ...(answer.status !== 200 && { status: answer.status }),
    ...(Object.keys(headers).length > 0 && { headers }),
    ...(Object.keys(params).length > 0 && { params }),
    ...(call.bodyText !== undefined && { data: jsonOf(call.bodyText) }),
  });
}

/** The recorded answer that fits a call: the first that was not used yet, else the last. Undefined: none fits. */
export function replayCall(recording: Recording, call: ProxyCall, used: Set<RecordedAnswer>): ProxyAnswer | undefined {
  const { path, params } = partsOf(call.endpoint);
  const byPath = recording.api[call.method.toUpperCase()] ?? {};
  const found = Object.entries(byPath).find(([known]) => partsOf(known).path === path)?.[1];
  const data = call.bodyText === undefined ? undefined : jsonOf(call.bodyText);
  const fits = (found === undefined ? [] : [found].flat()).filter(
    (one) =>
      (one.params === undefined || canonical(one.params) === canonical(params)) &&
      (one.data === undefined || canonical(one.data) === canonical(data)),
  );
  const answer = fits.find((one) => !used.has(one)) ?? fits.at(-1);
  if (answer === undefined) return undefined;
  used.add(answer);
  const isText = typeof answer.response === 'string';
  return {
    status: answer.status ?? 200,
    statusText: '',
    headers: { 'content-type': isText ? 'text/plain' : 'application/json', ...answer.headers },
    bodyText: isText ? (answer.response as string) : JSON.stringify(answer.response),
  };
}

/** `/a?b=c` as path and parameters. */
export function partsOf(endpoint: string): { path: string; params: Record<string, string> } {
  const [path = '', query = ''] = endpoint.split(/\?(.*)/s);
  return { path: `/${path.replace(/^\/+/, '')}`, params: Object.fromEntries(new URLSearchParams(query)) };
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text; // not JSON: kept as it came
  }
}

/** Numbers and their texts are the same in a query; the order of keys says nothing. */
export function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value !== 'object' || value === null) return String(value);
  const entries = Object.entries(value).filter(([, one]) => one !== undefined);
  return `{${entries
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, one]) => `${name}:${canonical(one)}`)
    .join(',')}}`;
}
