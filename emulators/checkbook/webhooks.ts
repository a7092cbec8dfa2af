/**
 * Webhooks of the fake Checkbook: thin (no event id, no time, no account), in Python's JSON style, signed with a key of
 * their own over body and nonce. Source: providers.md 3.5 (docs.checkbook.io/docs/webhooks, read 2026-11).
 */
import { createHmac } from 'node:crypto';
import type { Json, JsonObject } from '../engine/types.ts';
import type { WebhookHabit } from '../engine/webhook-habit.ts';
import { webhookUrisOf } from './rest-account.ts';

/** Documented is only that there are several tries. */
const RETRY_AFTER_SECONDS = [30, 60, 120, 240];

export const checkbookWebhooks: WebhookHabit = {
  types: ['CHECK', 'INVOICE', 'PREFUND_ACCOUNT'],
  userAgent: 'Checkbook-Webhook/1.0 (emulator)',
  retryAfterSeconds: RETRY_AFTER_SECONDS,
  signatureHeader: 'Signature',
  sentence: 'unsigned',
  appKey: (app) => app.webhookKey ?? null,
  sign(body, key, nonce) {
    const digest = createHmac('sha256', key).update(body, 'utf8').update(nonce, 'utf8').digest('hex');
    return `nonce=${nonce},signature=${digest}`;
  },
  example(type, id): JsonObject {
    if (type !== 'PREFUND_ACCOUNT') return { id, status: 'PAID', type };
    return { id, amount: 25, description: 'Deposit', balance: 125, user_id: id, type };
  },
  accountTargets: (account) =>
    webhookUrisOf(account).map((url) => ({ url, key: account.apiKey?.secretKey ?? null, whole: true })),
  write: (event) => (event.type === 'resource' ? pythonJson(event.resource.object) : undefined),
};

/** JSON as Python's `json.dumps` writes it: a space after colon and comma, ASCII only. */
export function pythonJson(value: Json): string {
  if (Array.isArray(value)) return `[${value.map(pythonJson).join(', ')}]`;
  if (typeof value === 'object' && value !== null) {
    return `{${Object.entries(value)
      .map(([name, inner]) => `${pythonJson(name)}: ${pythonJson(inner)}`)
      .join(', ')}}`;
  }
  return JSON.stringify(value).replace(
    /[\u007f-\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
