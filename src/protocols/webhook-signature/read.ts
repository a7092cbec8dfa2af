import type { WebhookPlace, WebhookTime, WebhookTimeUnit } from '../../../catalogue/_spec/index.ts';
import { atPath } from '../oauth2/parse-body.ts';

/** Longer texts are no names and no ids. */
const TEXT_CHARS_MAX = 1_024;

/** A time is shorter in every way of writing it. */
const TIME_CHARS_MAX = 40;

/** Control characters, which no name and no id has. */
// oxlint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u001f\u007f]/;

/** Every text at the place, headers first; numbers count as text. */
export function readPlace(
  place: WebhookPlace,
  headers: Readonly<Record<string, string | string[] | undefined>>,
  body: unknown,
): string[] {
  const fromHeaders = (place.headers ?? []).map((name) => headers[name]).filter((value) => typeof value === 'string');
  const found = [...fromHeaders, ...(place.paths ?? []).flatMap((path) => textsAt(body, path))];
  return found.filter((text) => text !== '' && text.length <= TEXT_CHARS_MAX && !CONTROL.test(text));
}

/** The texts at a dotted path; a list in the way means each of its items. */
export function textsAt(value: unknown, path: string): string[] {
  const direct = atPath(value, path);
  if (direct !== undefined)
    return [direct]
      .flat()
      .map(textOf)
      .filter((text) => text !== undefined);
  const [first = '', ...rest] = path.split('.');
  const inner = atPath(value, first);
  if (rest.length === 0 || typeof inner !== 'object' || inner === null) return [];
  const items = Array.isArray(inner) ? inner : [inner];
  return items.flatMap((item) => textsAt(item, rest.join('.')));
}

function textOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : undefined;
}

/** Milliseconds since 1970; undefined when it is no time of that unit. */
export function parseTime(text: string, unit: WebhookTimeUnit): number | undefined {
  if (text.length > TIME_CHARS_MAX) return undefined;
  const value = unit === 'date' ? Date.parse(text) : /^\d{1,16}$/.test(text) ? Number(text) : NaN;
  return Number.isNaN(value) ? undefined : unit === 'seconds' ? value * 1_000 : value;
}

/** When the event happened by the provider's clock, in milliseconds: at the latest, where it tells whole seconds. */
export function readTime(
  { in: place, unit }: WebhookTime,
  headers: Readonly<Record<string, string | string[] | undefined>>,
  body: unknown,
): number | undefined {
  const [text] = readPlace(place, headers, body);
  const atMs = text === undefined ? undefined : parseTime(text, unit);
  const isWhole = text !== undefined && (unit === 'seconds' || (unit === 'date' && !text.includes('.')));
  return atMs !== undefined && isWhole ? atMs + 999 : atMs;
}

/** The value without the ending; as it is when it ends otherwise. */
export function withoutSuffix(value: string, suffix: string | undefined): string {
  return suffix !== undefined && value.endsWith(suffix) ? value.slice(0, -suffix.length) : value;
}

/** What stands for a secret that was taken out. */
const REDACTED = '[redacted]';

/** A copy with the values at these paths taken out; the same value when there are none. */
export function redacted(value: unknown, paths: readonly string[]): unknown {
  const present = paths.filter((path) => atPath(value, path) !== undefined);
  if (present.length === 0) return value;
  const copy = structuredClone(value);
  for (const path of present) {
    const keys = path.split('.');
    const last = keys.pop() as string;
    const holder = keys.length === 0 ? copy : atPath(copy, keys.join('.'));
    (holder as Record<string, unknown>)[last] = REDACTED;
  }
  return copy;
}
