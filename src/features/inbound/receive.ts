/** One webhook from its first byte to the answer: prove, read, store, and only then say yes. */
import type { WebhooksSpec, WebhookSecret } from '../../../catalogue/_spec/index.ts';
import type { Clock } from '../../base/clock.ts';
import { randomId } from '../../base/ids.ts';
import type { Environment } from '../../base/route.ts';
import { createTogether } from '../../base/together.ts';
import { noKillPoints, type KillPoints } from '../../platform/kill-points.ts';
import type { Database } from '../../platform/postgres/index.ts';
import {
  answerChallenge,
  isQuestion,
  readPlace,
  textsAt,
  verifyWebhook,
  type WebhookRequest,
} from '../../protocols/webhook-signature/index.ts';
import type { Connection } from '../connections/index.ts';
import type { Vault } from '../environments/index.ts';
import type { Integration } from '../integrations/index.ts';
import { inboundErrors } from './errors.ts';
import { CHALLENGE_CHARS_MAX, HEADER_CHARS_MAX, LIST_ITEMS_MAX, TOGETHER_BYTES_MAX } from './limits.ts';
import type { Trust } from './model.ts';
import { parseWebhook, type JsonReader, type ParsedBody } from './parse.ts';
import { insertEvents, type NewEvent } from './store.ts';

export interface ReceiveDeps {
  db: Database;
  vault: Vault;
  clock: Clock;
  killPoints: KillPoints;
  readJson: JsonReader;
  /** Told once something new is stored. */
  stored(): void;
}

/** Where a webhook was sent to. */
export interface WebhookTarget {
  environment: Environment;
  integration: Integration;
  /** The URL has a secret part that names it. */
  connection: Connection | undefined;
}

export interface ReceivedWebhook extends Omit<WebhookRequest, 'nowMs' | 'parsed'> {
  query: URLSearchParams;
}

export interface WebhookAnswer {
  status: number;
  body: string;
  contentType: string;
  /** As much as the integration wants. Default false: an answer to a question only. */
  isProven?: boolean;
}

const SUCCESS: WebhookAnswer = {
  status: 200,
  body: '{"status":"success"}',
  contentType: 'application/json',
  isProven: true,
};
/** Of providers that the catalogue says nothing about: whoever is trusted is passed on, and nobody is found by it. */
const UNKNOWN_WEBHOOKS: WebhooksSpec = { verify: { kind: 'none' }, route: [], setup: '' };

export function webhooksOf(integration: Integration): WebhooksSpec {
  return integration.provider.webhooks ?? UNKNOWN_WEBHOOKS;
}

/** True when the integration says that it takes what nothing proves. */
function trustsAnybody(integration: Integration): boolean {
  return integration.custom['webhook_trust'] === 'none';
}

/** Answers a GET or HEAD by which a provider checks the URL. Errors: `webhook_no_challenge`, `webhook_closed`. */
export function answerQuestion({ integration }: WebhookTarget, method: string, query: URLSearchParams): WebhookAnswer {
  const { challenge } = webhooksOf(integration);
  const wanted = { get: 'GET', head: 'HEAD' }[challenge?.kind as string];
  if (wanted !== method) throw inboundErrors.fail('webhook_no_challenge');
  if (challenge?.kind !== 'get') return { status: 200, body: '', contentType: 'text/plain' };
  const text = query.get(challenge.param);
  if (text === null || !isQuestion(text)) throw inboundErrors.fail('webhook_no_challenge');
  const secrets = secretsOf(integration, challenge.secrets);
  if (secrets.length === 0) throw inboundErrors.fail('webhook_closed');
  const answer = answerChallenge(challenge, query, text, secrets);
  if (answer === undefined) throw inboundErrors.fail('webhook_invalid_signature');
  return { status: 200, body: JSON.stringify({ [challenge.field]: answer }), contentType: 'application/json' };
}

export type Receive = (target: WebhookTarget, request: ReceivedWebhook) => Promise<WebhookAnswer>;

/**
 * Errors: `webhook_closed`, `webhook_missing_signature`, `webhook_missing_token`, `webhook_invalid_signature`,
 * `webhook_invalid_payload`; those of the database, and then nothing was acknowledged.
 */
export function createReceive(deps: ReceiveDeps): Receive {
  const { db, vault, clock, killPoints } = deps;
  const storeTogether = createTogether(
    async (batch: readonly PlainEvent[]) => {
      const fresh = await store(batch);
      return batch.map((event) => fresh.has(event.uuid));
    },
    // Requests that arrive in one turn of the event loop share a statement, the first of them too.
    { clock, gather: (go) => setImmediate(go) },
  );

  async function store(events: readonly PlainEvent[]): Promise<ReadonlySet<string>> {
    const sealed = await sealEvents(vault, events);
    const stored = insertEvents(db, sealed);
    // A turn later the statement is on the wire and its answer is not yet here.
    if (killPoints !== noKillPoints) setImmediate(() => killPoints.reach('W3'));
    return stored;
  }

  function prove(
    spec: WebhooksSpec,
    target: WebhookTarget,
    request: WebhookRequest,
  ): { trust: Trust; parsed?: ParsedBody } {
    const { verify } = spec;
    const byUrl = target.connection !== undefined;
    if (trustsAnybody(target.integration)) return { trust: byUrl ? 'url' : 'none' };
    const secrets = verify.kind === 'none' ? [] : secretsOf(target.integration, verify.secrets);
    if (verify.kind === 'none' || secrets.length === 0) {
      if (byUrl) return { trust: 'url' };
      throw inboundErrors.fail('webhook_closed');
    }
    // A token that stands in the body can only be found by reading it.
    const parsed = verify.kind === 'token' && verify.in.paths !== undefined ? parse(request) : undefined;
    const proof = verifyWebhook(verify, { ...request, parsed: parsed?.value }, secrets);
    if (byUrl && proof !== 'right' && verify.kind === 'hmac' && verify.urlProves !== undefined) return { trust: 'url' };
    if (proof === 'missing') {
      throw inboundErrors.fail(verify.kind === 'token' ? 'webhook_missing_token' : 'webhook_missing_signature');
    }
    const mayBeOurs = spec.challenge?.kind === 'get' && spec.challenge.signs !== undefined;
    if (proof === 'wrong' || (mayBeOurs && isQuestion(request.body.toString('latin1')))) {
      throw inboundErrors.fail('webhook_invalid_signature');
    }
    return { trust: 'signature', ...(parsed !== undefined && { parsed }) };
  }

  function parse({ body, headers }: WebhookRequest): ParsedBody {
    return parseWebhook(deps.readJson, body, String(headers['content-type'] ?? ''));
  }

  return async (target, received) => {
    const spec = webhooksOf(target.integration);
    const request: WebhookRequest = { ...received, nowMs: clock.now() };
    killPoints.reach('W1');
    const echo = echoOf(spec, received);
    if (echo !== undefined) return echo;
    const { trust, parsed = parse(request) } = prove(spec, target, request);
    const challenge = challengeOf(spec, parsed);
    if (challenge !== undefined) return challenge;
    killPoints.reach('W2');
    const parts = partsOf(spec, parsed, request.body);
    const events = parts.map((part) => plainEvent(target, spec, trust, request.headers, part));
    const [only] = events;
    if (only !== undefined) {
      const isSmall = events.length === 1 && request.body.length <= TOGETHER_BYTES_MAX;
      const isNew = isSmall ? await storeTogether(only) : (await store(events)).size > 0;
      killPoints.reach('W4');
      if (isNew) deps.stored();
    }
    return spec.reply === undefined ? SUCCESS : { ...SUCCESS, ...spec.reply };
  };
}

/** An event before it is sealed. */
type PlainEvent = Omit<NewEvent, 'bodySealed' | 'dedupeHash'> & { text: string; dedupe: string };

/** Its id where it has one, and else its body, tells whether it has come before. */
function plainEvent(
  target: WebhookTarget,
  spec: WebhooksSpec,
  trust: Trust,
  headers: ReceivedWebhook['headers'],
  { kind, value, text }: { kind: ParsedBody['kind']; value: unknown; text: string },
): PlainEvent {
  const [id] = spec.id === undefined ? [] : readPlace(spec.id, headers, value);
  const [type] = spec.type === undefined ? [] : readPlace(spec.type, headers, value);
  // An account may send the same event to several URLs: each is about its own connection.
  const url = target.connection?.id ?? 0;
  return {
    environmentId: target.environment.id,
    uuid: randomId(),
    integrationId: target.integration.id,
    connectionId: target.connection?.id,
    trust,
    type,
    headers: keptHeaders(spec, headers),
    bodyKind: kind,
    bodyBytes: Buffer.byteLength(text),
    text,
    dedupe: dedupeText(spec, url, id, text),
  };
}

/** What two deliveries of the same event have in common. */
function dedupeText({ repeats }: WebhooksSpec, url: number, id: string | undefined, text: string): string {
  if (id !== undefined) return `webhook|id|${url}|${id}`;
  return repeats === true ? `webhook|once|${randomId()}` : `webhook|body|${url}|${text}`;
}

/** Seals the events of each environment together: a third of the cost of one by one. */
async function sealEvents(vault: Vault, events: readonly PlainEvent[]): Promise<NewEvent[]> {
  const groups = [...Map.groupBy(events, (event) => event.environmentId)];
  const sealed = await Promise.all(
    groups.map(async ([environmentId, group]) => {
      const { row: _row, ...column } = bodyPlace(environmentId, '');
      const values = group.map(({ uuid, text }) => ({ row: uuid, plaintext: text }));
      const [bodies, hashes] = await Promise.all([
        vault.sealMany(column, values),
        vault.contentHashes(
          environmentId,
          group.map(({ dedupe }) => dedupe),
        ),
      ]);
      return group.map((event, index) => ({
        ...event,
        bodySealed: bodies[index] as Buffer,
        dedupeHash: Buffer.from(hashes[index] as string, 'hex'),
      }));
    }),
  );
  return sealed.flat();
}

/** The place an event's body is sealed in. */
export function bodyPlace(environmentId: number, uuid: string) {
  return { environmentId, table: 'inbound_event', row: uuid, column: 'body_sealed' };
}

function secretsOf(integration: Integration, wanted: readonly WebhookSecret[]): string[] {
  const known = { integration: integration.webhookSecret, client: integration.client?.clientSecret };
  return wanted.map((kind) => known[kind]).filter((secret) => secret !== undefined && secret !== '') as string[];
}

/** The answer to a question in the query; such a request tells nothing. */
function echoOf({ challenge }: WebhooksSpec, { query, body }: ReceivedWebhook): WebhookAnswer | undefined {
  if (challenge?.kind !== 'query' || body.length > 0) return undefined;
  const text = query.get(challenge.param);
  if (text === null || text.length > CHALLENGE_CHARS_MAX) return undefined;
  return { status: 200, body: text, contentType: 'text/plain' };
}

function challengeOf({ challenge }: WebhooksSpec, parsed: ParsedBody): WebhookAnswer | undefined {
  if (challenge?.kind !== 'body') return undefined;
  if (!textsAt(parsed.value, challenge.when.path).includes(challenge.when.equals)) return undefined;
  const [text] = textsAt(parsed.value, challenge.reply);
  if (text === undefined || text.length > CHALLENGE_CHARS_MAX) throw inboundErrors.fail('webhook_invalid_payload');
  return { status: 200, body: text, contentType: 'text/plain' };
}

/** A list is as many events; everything else is one, with the bytes as they came. */
function partsOf({ list }: WebhooksSpec, parsed: ParsedBody, raw: Buffer) {
  const items = [list ?? []].flat().map((path) => listAt(parsed.value, path)).find((found) => found !== undefined); // prettier-ignore
  if (items === undefined) return [{ ...parsed, text: raw.toString('utf8') }];
  if (items.length > LIST_ITEMS_MAX) throw inboundErrors.fail('webhook_invalid_payload');
  return items.map((value) => ({ kind: 'json' as const, value, text: JSON.stringify(value) }));
}

function listAt(value: unknown, path: string): unknown[] | undefined {
  let found: unknown = value;
  for (const key of path === '.' ? [] : path.split('.')) {
    if (typeof found !== 'object' || found === null || !Object.hasOwn(found, key)) return undefined;
    found = (found as Record<string, unknown>)[key];
  }
  return Array.isArray(found) ? found : undefined;
}

function keptHeaders(spec: WebhooksSpec, headers: ReceivedWebhook['headers']): Record<string, string> {
  const names = [...(spec.type?.headers ?? []), ...(spec.id?.headers ?? []), ...(spec.at?.in.headers ?? [])];
  const kept: Record<string, string> = {};
  for (const name of ['content-type', 'user-agent', ...names, ...(spec.keepHeaders ?? [])]) {
    const value = headers[name];
    if (typeof value === 'string' && value.length <= HEADER_CHARS_MAX) kept[name] = value;
  }
  return kept;
}
