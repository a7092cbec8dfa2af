/** Webhooks as a provider would make them, read off its file; written apart from the engine. */
import { createHmac } from 'node:crypto';
import type { WebhookHmac, WebhookPlace, WebhooksSpec } from '../../catalogue/_spec/index.ts';

export interface SignInput {
  secret: string;
  atMs: number;
  body: string;
  url: string;
  /** Default: that of the scheme. */
  encoding?: 'hex' | 'base64';
}

/** The headers that prove a body. */
export function signWebhook(spec: WebhookHmac, { secret, atMs, body, url, encoding }: SignInput) {
  const unit = spec.timestamp?.unit;
  const timestamp =
    unit === 'seconds'
      ? String(Math.floor(atMs / 1_000))
      : unit === 'milliseconds'
        ? String(atMs)
        : new Date(atMs).toISOString();
  const nonce = '1700000000';
  const text = spec.signed
    .replace('${timestamp}', timestamp)
    .replace('${nonce}', nonce)
    .replace('${method}', 'POST')
    .replace('${url}', url)
    .replace('${body}', () => body);
  const digest = createHmac(spec.algorithm, secret)
    .update(text, 'utf8')
    .digest(encoding ?? spec.encoding);
  const { parts } = spec;
  const value =
    parts === undefined
      ? `${spec.prefix ?? ''}${digest}`
      : [
          ...(parts.timestamp === undefined ? [] : [`${parts.timestamp}=${timestamp}`]),
          ...(parts.nonce === undefined ? [] : [`${parts.nonce}=${nonce}`]),
          `${parts.signature}=${digest}`,
        ].join(',');
  return {
    [spec.headers[0] as string]: value,
    ...(spec.timestamp?.header !== undefined && { [spec.timestamp.header]: timestamp }),
  };
}

/** What an event says, by meaning; each is put where the provider file looks for it first. */
export interface EventFacts {
  type: string;
  id: string;
  /** Whom it is about, as the route looks it up. */
  about?: string;
  atMs?: number;
  /** Other dotted paths. */
  more?: Record<string, unknown>;
}

/** Body and headers of an event that says these things. Numbers as names are texts: both are read alike. */
export function eventOf(webhooks: WebhooksSpec, facts: EventFacts) {
  const item: Record<string, unknown> = {};
  const headers: Record<string, string> = {};
  const put = (place: WebhookPlace | undefined, value: string | undefined): void => {
    const [path] = place?.paths ?? [];
    const [header] = place?.headers ?? [];
    if (value === undefined) return;
    if (header !== undefined) headers[header] = value;
    else if (path !== undefined) set(item, path, value);
  };
  const rules = webhooks.route === 'all' ? [] : webhooks.route;
  const rule =
    rules.find(({ events }) => events?.includes(facts.type)) ?? rules.find(({ events }) => events === undefined);
  put(webhooks.type, facts.type);
  put(webhooks.id, facts.id);
  put(rule?.from, facts.about === undefined ? undefined : facts.about + (rule?.stripSuffix ?? ''));
  const { at } = webhooks;
  if (at !== undefined && facts.atMs !== undefined) {
    const { unit } = at;
    put(at.in, unit === 'date' ? new Date(facts.atMs).toISOString() : String(unit === 'seconds' ? Math.floor(facts.atMs / 1_000) : facts.atMs)); // prettier-ignore
  }
  // Without an id of its own each event has to have another body.
  if (webhooks.id === undefined) set(item, 'serial', facts.id);
  for (const [path, value] of Object.entries(facts.more ?? {})) set(item, path, value);
  const { list } = webhooks;
  const body = list === undefined ? item : list === '.' ? [item] : set({}, list, [item]);
  return { headers, body: JSON.stringify(body) };
}

function set(target: Record<string, unknown>, path: string, value: unknown): Record<string, unknown> {
  const names = path.split('.');
  const last = names.pop() as string;
  let holder = target;
  for (const name of names) holder = (holder[name] ??= {}) as Record<string, unknown>;
  holder[last] = value;
  return target;
}
