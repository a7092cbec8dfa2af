/**
 * Webhooks of the fake Xref: all of it is an assumption, made in the manner of a similar guide. Documented is only that
 * a `webhook_url` is registered and called. Source: providers.md 2.3.
 */
import { createHmac } from 'node:crypto';
import type { JsonObject } from '../engine/types.ts';
import type { WebhookFacts, WebhookHabit } from '../engine/webhook-habit.ts';

const RETRY_AFTER_SECONDS = [...Array<number>(10).fill(60), ...Array<number>(24).fill(3_600)];

export const xrefWebhooks: WebhookHabit = {
  types: [
    'request.created',
    'request.updated',
    'request.completed',
    'request.archived',
    'referee.responded',
    'report.ready',
    'token.deauthorized',
  ],
  userAgent: 'Xref-Webhook/1.0 (emulator)',
  retryAfterSeconds: RETRY_AFTER_SECONDS,
  signatureHeader: 'X-Xref-Signature',
  sentence: 'unsigned',
  appKey: (app) => app.liveSecret,
  sign: (body, key) => createHmac('sha256', key).update(body, 'utf8').digest('hex'),
  example: (_type, id) => ({ id }),
  write(event, facts) {
    switch (event.type) {
      case 'account.credentialed':
        return undefined;
      case 'token.deauthorized': {
        if (facts.knob('tellDeauthorized') === false) return undefined;
        return envelope(facts, event.type, { access_code: event.accessToken }, event.grant.accountId);
      }
      case 'resource':
        return envelope(facts, event.resource.type, event.resource.object, event.account.id);
    }
  },
  knobs: [
    {
      name: 'tellDeauthorized',
      kind: 'boolean',
      default: true,
      about: 'The application is told by webhook that a customer has disconnected.',
    },
  ],
};

function envelope({ id, at }: WebhookFacts, type: string, object: JsonObject, accountId: string): string {
  return JSON.stringify({ id, object: 'event', type, created_at: at, data: { object }, account_id: accountId });
}
