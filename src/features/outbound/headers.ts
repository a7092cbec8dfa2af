/** Headers of a delivery. */
import { hmacSignature, legacySignature, standardSignature } from '../../protocols/event-signing.ts';

/**
 * Headers of a provider that go along with a forwarded event: what it is and its name there. Anything else stays here:
 * signatures above all, which must not be taken for ours. Source: abuse case 35.
 */
const PROVIDER_HEADERS =
  /^(x-)?([a-z0-9]+-)*(event|event-type|event-id|event-key|topic|delivery|delivery-id|request-id)$/;
const VALUE = /^[\t\x20-\x7e]{1,1024}$/;
const PROVIDER_HEADERS_MAX = 10;

/** The allowed ones, renamed to `x-provider-<name without x->`. */
export function providerHeaders(given: Record<string, unknown> | undefined): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const [name, value] of Object.entries(given ?? {})) {
    const lower = name.toLowerCase();
    if (!PROVIDER_HEADERS.test(lower) || typeof value !== 'string' || !VALUE.test(value)) continue;
    if (lower.startsWith('webhook-')) continue;
    kept[`x-provider-${lower.replace(/^x-/, '')}`] = value;
    if (Object.keys(kept).length === PROVIDER_HEADERS_MAX) break;
  }
  return kept;
}

export interface SigningKeys {
  /** Of the endpoint; during a rotation two, the newest first. */
  secrets: readonly string[];
  /** Of the environment. */
  key: string;
  previousKey: string | undefined;
}

/**
 * What is sent with a body. The header of the published client holds one signature only: during a rotation of the
 * environment's key every second try is signed with the key before, so that a receiver who knows either takes it.
 */
export function deliveryHeaders(delivery: {
  messageId: string;
  sequence: number | undefined;
  occurredAt: Date;
  provider: Record<string, unknown> | undefined;
  body: Buffer;
  keys: SigningKeys;
  /** Tries before this one. */
  attempts: number;
  nowMs: number;
}): Record<string, string> {
  const { messageId, body, keys } = delivery;
  const timestampSeconds = Math.floor(delivery.nowMs / 1_000);
  const key = delivery.attempts % 2 === 1 ? (keys.previousKey ?? keys.key) : keys.key;
  return {
    ...providerHeaders(delivery.provider),
    'content-type': 'application/json',
    'webhook-id': messageId,
    'webhook-timestamp': String(timestampSeconds),
    'webhook-signature': standardSignature(keys.secrets, { id: messageId, timestampSeconds, body }),
    'x-nango-hmac-sha256': hmacSignature(key, body),
    'x-nango-signature': legacySignature(key, body),
    'x-hawser-occurred-at': delivery.occurredAt.toISOString(),
    ...(delivery.sequence !== undefined && { 'x-hawser-sequence': String(delivery.sequence) }),
  };
}

/** The name under which an app sees an event, from its row's. */
export function messageIdOf(eventUuid: string): string {
  return `evt_${eventUuid.replaceAll('-', '')}`;
}
