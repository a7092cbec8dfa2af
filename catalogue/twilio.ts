import type { ProviderSpec } from './_spec/index.ts';

const provider = {
  name: 'twilio',
  displayName: 'Twilio',
  categories: ['communication'],
  authMode: 'BASIC',
  docsUrl: 'https://www.twilio.com/docs/usage/requests-to-twilio',
  summary: 'Send messages and make calls with your Twilio account.',
  credentials: {
    username: {
      title: 'Account SID or API key',
      description: 'Begins with AC or SK.',
      kind: 'text',
      order: 1,
    },
    password: {
      title: 'Auth token or API key secret',
      description: 'What belongs to the field above.',
      kind: 'text',
      secret: true,
      order: 2,
    },
  },
  api: {
    baseUrl: 'https://api.twilio.com',
    auth: { in: 'basic', username: '${username}', password: '${password}' },
    verification: { method: 'GET', path: '/2010-04-01/Accounts.json' },
    retry: { after: ['retry-after'] },
  },
  disconnect: {
    kind: 'unsupported',
    customerMustDo: 'A key cannot be revoked from here: delete it in the Twilio console.',
  },
  webhooks: {
    verify: {
      kind: 'hmac',
      headers: ['x-twilio-signature'],
      algorithm: 'sha1',
      encoding: 'base64',
      signed: '${url}${form}',
      bodyHashParam: 'bodySHA256',
      secrets: ['integration'],
      urlProves: 'The key is the auth token of a Twilio account, and the integration has one.',
    },
    type: { paths: ['EventType', 'MessageStatus', 'SmsStatus', 'CallStatus'] },
    id: { headers: ['i-twilio-idempotency-token'] },
    route: [],
    // Nothing is to be said or written back.
    reply: { status: 204, body: '' },
    setup:
      'Give the webhook URL of the connection as callback URL. With one Twilio account only, its primary auth token can be the webhook secret. Incoming calls and messages get no answer.',
  },
  gotchas: [
    'Bodies are form-encoded; answers are XML unless the path ends in `.json`.',
    'A standard API key may not list accounts: the verification call then answers 401. Use the auth token or a main key.',
    'Every path holds the account: `/2010-04-01/Accounts/<AccountSid>/…`.',
  ],
  sources: [
    'https://www.twilio.com/docs/usage/requests-to-twilio (read 2026-11)',
    'https://www.twilio.com/docs/usage/api/account (read 2026-11)',
    'https://www.twilio.com/docs/usage/security (signature; read 2026-11)',
    'https://www.twilio.com/docs/usage/webhooks/webhooks-connection-overrides (idempotency token; known by heart, not read 2026-11)',
  ],
} satisfies ProviderSpec as ProviderSpec;

export default provider;
