import type { ProviderSpec } from './_spec/index.ts';

const provider = {
  name: 'twitter',
  displayName: 'X (Twitter)',
  categories: ['social'],
  authMode: 'OAUTH2',
  docsUrl: 'https://docs.x.com/fundamentals/authentication/oauth-2-0/user-access-token',
  summary: 'Read posts and post as you.',
  oauth2: {
    authorize: { url: 'https://x.com/i/oauth2/authorize' },
    callback: { stateEcho: 'always' },
    // Without `offline.access` there is no refresh token and the connection ends after two hours.
    scopes: { default: ['tweet.read', 'users.read', 'offline.access'] },
    // The only flow there is.
    pkce: 'S256',
    token: { url: 'https://api.x.com/2/oauth2/token', body: 'form', clientAuth: 'basic' },
    // What becomes of a used refresh token is not documented. Handled as strict.
    refresh: { rotation: { kind: 'unknown' } },
  },
  api: {
    baseUrl: 'https://api.x.com',
    auth: { in: 'header', name: 'Authorization', value: 'Bearer ${accessToken}' },
    verification: { method: 'GET', path: '/2/users/me' },
    // Epoch seconds.
    retry: { at: ['x-rate-limit-reset'], remaining: 'x-rate-limit-remaining' },
  },
  disconnect: { kind: 'rfc7009', url: 'https://api.x.com/2/oauth2/revoke' },
  webhooks: {
    verify: {
      kind: 'hmac',
      headers: ['x-twitter-webhooks-signature'],
      algorithm: 'sha256',
      encoding: 'base64',
      prefix: 'sha256=',
      signed: '${body}',
      // The consumer secret (API key secret), which is not the OAuth 2.0 client secret.
      secrets: ['integration'],
    },
    // Which kind of event it is, is told by the name of a field: there is no type.
    route: [],
    challenge: {
      kind: 'get',
      param: 'crc_token',
      field: 'response_token',
      signs: { algorithm: 'sha256', prefix: 'sha256=' },
      secrets: ['integration'],
    },
    setup:
      'Set the API key secret of the app as the webhook secret, then register the webhook URL with `POST /2/webhooks`. An app has one URL for all: events go to the app as they come, and `for_user_id` in them says whose they are.',
  },
  gotchas: [
    'Only apps of type “Web App” or “Automated App” have a client secret, which this entry needs.',
    'API v2 only; v1.1 needs OAuth 1.0a.',
  ],
  sources: [
    'https://docs.x.com/resources/fundamentals/authentication/oauth-2-0/authorization-code (read 2026-11)',
    'https://docs.x.com/resources/fundamentals/authentication/oauth-2-0/user-access-token (read 2026-11)',
    'https://docs.x.com/x-api/webhooks/quickstart (read 2026-11)',
  ],
} satisfies ProviderSpec as ProviderSpec;

export default provider;
