/**
 * Webhooks of the fake Checkr: HMAC-SHA256 in lower-case hex over the body, no timestamp, an event id in the body.
 * Source: providers.md 1.8 and 1.9 (docs.checkr.com/partners/webhooks and /apis/webhooks, read 2026-11).
 */
import { createHash, createHmac } from 'node:crypto';
import type { KnobReader } from '../engine/definition.ts';
import type { Account, App, EmulatorEvent, Json, JsonObject } from '../engine/types.ts';
import type { WebhookFacts, WebhookHabit, WebhookTarget } from '../engine/webhook-habit.ts';
import { showAccount } from './rest-catalog.ts';
import { webhooksOf } from './rest-model.ts';

const EVENT_TYPES = [
  ...['created', 'id_required', 'driver_license_required', 'updated', 'pre_adverse_action', 'post_adverse_action'].map(
    (name) => `candidate.${name}`,
  ),
  ...['created', 'completed', 'expired', 'deleted'].map((name) => `invitation.${name}`),
  ...['created', 'completed', 'processed'].map((name) => `verification.${name}`),
  ...['created', 'updated', 'canceled', 'upgraded', 'completed', 'suspended', 'resumed', 'disputed'].map(
    (name) => `report.${name}`,
  ),
  ...['pre_adverse_action', 'post_adverse_action', 'engaged'].map((name) => `report.${name}`),
  'adverse_action.notice_not_delivered',
  ...['created', 'updated', 'deleted'].map((name) => `package.${name}`),
  'continuous_check.subscription_error',
  'continuous_check.confirmation_required',
  ...['created', 'updated', 'completed', 'deleted'].map((name) => `form_i9.${name}`),
  'account.credentialed',
  'token.deauthorized',
];

/** Every minute for 10 minutes, then every hour for a day. */
const RETRY_AFTER_SECONDS = [...Array<number>(10).fill(60), ...Array<number>(24).fill(3_600)];

export const checkrWebhooks: WebhookHabit = {
  types: EVENT_TYPES,
  userAgent: 'Checkr-Webhook/1.0 (emulator)',
  retryAfterSeconds: RETRY_AFTER_SECONDS,
  signatureHeader: 'X-Checkr-Signature',
  sentence: 'Please create an API key to check the authenticity of our webhooks.',
  appKey(app, account, knob) {
    switch (knob('webhookKey')) {
      case 'client_id':
        return app.clientId;
      case 'api_key':
        return accountKey(account, knob);
      default:
        return app.liveSecret;
    }
  },
  sign: (body, key) => createHmac('sha256', key).update(body, 'utf8').digest('hex'),
  write: (event, facts) => JSON.stringify(envelope(event, facts)),
  example(type, whole) {
    const id = whole.slice(0, 24);
    const [object = ''] = type.split('.');
    return { id, object, uri: `/v1/${object}s/${id}` };
  },
  accountTargets: (account, knob) =>
    webhooksOf(account)
      .filter((webhook) => webhook.deleted_at === null)
      .map((webhook): WebhookTarget => ({
        url: webhook.webhook_url,
        key: accountKey(account, knob),
        whole: webhook.include_object,
      })),
  knobs: [
    {
      name: 'webhookKey',
      kind: 'enum',
      options: ['client_secret', 'client_id', 'api_key'],
      default: 'client_secret',
      about: 'What signs webhooks of an application: its secret (current guides), its id (2019), the account’s key.',
    },
    {
      name: 'accountHasApiKey',
      kind: 'boolean',
      default: true,
      about: 'Accounts have an API key; without one a sentence stands in the signature header of their own webhooks.',
    },
    {
      name: 'deauthorizedShape',
      kind: 'enum',
      options: ['today', '2018', 'gist'],
      default: 'today',
      about: 'token.deauthorized: with the partner’s account_id; without it; with the token as `access_token`.',
    },
    {
      name: 'credentialedShape',
      kind: 'enum',
      options: ['today', '2018', '2016'],
      default: 'today',
      about:
        'account.credentialed: a reference; the whole account without account_id; the account’s id inside `account`.',
    },
  ],
};

function accountKey(account: Account | undefined, knob: KnobReader): string | null {
  return knob('accountHasApiKey') === false ? null : (account?.apiKey?.secretKey ?? null);
}

/** The partner's own account, which has nothing to do with any customer's. */
export function partnerAccountId(app: Pick<App, 'clientId'>): string {
  return createHash('sha256').update(`partner of ${app.clientId}`).digest('hex').slice(0, 24);
}

function envelope(event: EmulatorEvent, { id, target, at, knob }: WebhookFacts): JsonObject {
  const made = (type: string, object: JsonObject, accountId?: string): JsonObject => ({
    id: id.slice(0, 24),
    object: 'event',
    type,
    created_at: at,
    webhook_url: target.url,
    data: { object },
    ...(accountId === undefined ? {} : { account_id: accountId }),
  });
  switch (event.type) {
    case 'token.deauthorized': {
      const shape = knob('deauthorizedShape');
      const object = { [shape === 'gist' ? 'access_token' : 'access_code']: event.accessToken };
      return made(event.type, object, shape === '2018' ? undefined : partnerAccountId(event.app));
    }
    case 'account.credentialed':
      return credentialed(event.app, event.account, at, knob, made);
    case 'resource': {
      const { type, object } = event.resource;
      return made(type, target.whole ? object : reference(object), event.account.id);
    }
  }
}

function credentialed(
  app: App,
  account: Account,
  at: string,
  knob: KnobReader,
  made: (type: string, object: JsonObject, accountId?: string) => JsonObject,
): JsonObject {
  const type = 'account.credentialed';
  const { id } = account;
  switch (knob('credentialedShape')) {
    case '2016':
      return made(type, { account: { id } }, partnerAccountId(app));
    case '2018':
      return made(type, showAccount(account, false));
    default: {
      const reviewed = { created_at: account.createdAt.replace(/\.\d+Z$/, 'Z'), completed_at: at };
      return made(type, { id, object: 'account', uri: `/v1/accounts/${id}`, ...reviewed }, id);
    }
  }
}

function reference(object: JsonObject): JsonObject {
  return Object.fromEntries(['id', 'object', 'uri'].map((name): [string, Json] => [name, object[name] ?? null]));
}
