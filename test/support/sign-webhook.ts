/** Webhooks as a provider would make them, read off its file; written apart from the engine. */
import { createHmac } from 'node:crypto';
import type { WebhookHmac, WebhookPlace, WebhooksSpec, WebhookTimeUnit } from '../../catalogue/_spec/index.ts';

export interface SignInput {
  secret: string;
  atMs: number;
  body: string;
  url: string;
  /** Default: that of the scheme. */
  encoding?: 'hex' | 'base64';
}

/** True: the fields of a form are signed. */
export const isForm = (spec: WebhookHmac): boolean => spec.signed.includes('${form}');

function formText(body: string): string {
  const pairs = [...new URLSearchParams(body)].map(([name, value]) => name + value);
  return pairs.toSorted().join('');
}

/** The headers that prove a body: of several, the last one. */
export function signWebhook(spec: WebhookHmac, { secret, atMs, body, url, encoding }: SignInput) {
  const timestamp = timeText(atMs, spec.timestamp?.unit);
  const nonce = '1700000000';
  const text = spec.signed
    .replace('${timestamp}', timestamp)
    .replace('${nonce}', nonce)
    .replace('${method}', 'POST')
    .replace('${url}', url)
    .replace('${form}', () => formText(body))
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
    [spec.headers.at(-1) as string]: value,
    ...(isForm(spec) && { 'content-type': 'application/x-www-form-urlencoded' }),
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

/** A webhook as a provider sends it: its event, and what proves it by that secret. */
export function webhookOf(
  webhooks: WebhooksSpec,
  facts: EventFacts,
  { secret, url, atMs }: { secret: string; url: string; atMs: number },
): { headers: Record<string, string>; body: string } {
  const { verify } = webhooks;
  const { item, headers } = eventOf(webhooks, facts);
  const [list] = [webhooks.list ?? []].flat();
  if (verify.kind === 'token') {
    const path = verify.in.paths?.[0];
    put(item, headers, path === undefined ? verify.in : { paths: [path.replace(`${list}.`, '')] }, secret);
  }
  if (verify.kind === 'hmac' && isForm(verify)) {
    const body = new URLSearchParams(item as Record<string, string>).toString();
    return { headers: { ...headers, ...signWebhook(verify, { secret, atMs, body, url }) }, body };
  }
  const body = JSON.stringify(list === undefined ? item : list === '.' ? [item] : set({}, list, [item]));
  const proof = verify.kind === 'hmac' ? signWebhook(verify, { secret, atMs, body, url }) : {};
  return { headers: { 'content-type': 'application/json', ...headers, ...proof }, body };
}

/** What an event says, each fact where the provider file looks for it first. All are texts: numbers are read alike. */
function eventOf(webhooks: WebhooksSpec, facts: EventFacts) {
  const item: Record<string, unknown> = {};
  const headers: Record<string, string> = {};
  const rules = webhooks.route === 'all' ? [] : webhooks.route;
  const rule =
    rules.find(({ events }) => events?.includes(facts.type)) ?? rules.find(({ events }) => events === undefined);
  put(item, headers, webhooks.type, facts.type);
  put(item, headers, webhooks.id, facts.id);
  put(item, headers, rule?.from, facts.about === undefined ? undefined : facts.about + (rule?.stripSuffix ?? ''));
  const { at } = webhooks;
  if (facts.atMs !== undefined) put(item, headers, at?.in, timeText(facts.atMs, at?.unit));
  // Without an id of its own each event has to have another body.
  if (webhooks.id === undefined) set(item, 'serial', facts.id);
  for (const [path, value] of Object.entries(facts.more ?? {})) set(item, path, value);
  return { item, headers };
}

function timeText(atMs: number, unit: WebhookTimeUnit | undefined): string {
  if (unit === 'date') return new Date(atMs).toISOString();
  return String(unit === 'seconds' ? Math.floor(atMs / 1_000) : atMs);
}

function put(
  item: Record<string, unknown>,
  headers: Record<string, string>,
  place: WebhookPlace | undefined,
  value: string | undefined,
): void {
  const [path] = place?.paths ?? [];
  const [header] = place?.headers ?? [];
  if (value === undefined) return;
  if (header !== undefined) headers[header] = value;
  else if (path !== undefined) set(item, path, value);
}

function set(target: Record<string, unknown>, path: string, value: unknown): Record<string, unknown> {
  const names = path.split('.');
  const last = names.pop() as string;
  let holder = target;
  for (const name of names) holder = (holder[name] ??= {}) as Record<string, unknown>;
  holder[last] = value;
  return target;
}
