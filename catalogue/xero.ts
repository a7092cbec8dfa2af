import type { ProviderSpec } from './_spec/index.ts';

const provider = {
  name: 'xero',
  displayName: 'Xero',
  categories: ['accounting', 'invoicing'],
  authMode: 'OAUTH2',
  docsUrl: 'https://developer.xero.com/documentation/guides/oauth2/auth-flow',
  summary: 'Read and write invoices, contacts and accounts of your Xero organisations.',
  oauth2: {
    authorize: { url: 'https://login.xero.com/identity/connect/authorize' },
    callback: { stateEcho: 'always' },
    scopes: { default: ['openid', 'profile', 'email', 'offline_access'] },
    pkce: 'off',
    pkceOffReason: 'Xero offers it as another kind of app, which has no secret.',
    token: { url: 'https://identity.xero.com/connect/token', body: 'form', clientAuth: 'basic' },
    // "You can retry using your existing refresh token for up to 30 minutes".
    refresh: { rotation: { kind: 'overlap', graceSeconds: 1800 } },
  },
  api: {
    baseUrl: 'https://api.xero.com',
    auth: { in: 'header', name: 'Authorization', value: 'Bearer ${accessToken}' },
    headers: { Accept: 'application/json' },
    verification: { method: 'GET', path: '/connections' },
    retry: { after: ['retry-after'] },
    idempotencyHeader: 'Idempotency-Key',
  },
  disconnect: { kind: 'rfc7009', url: 'https://identity.xero.com/connect/revocation' },
  gotchas: [
    'Most calls need the header `Xero-Tenant-Id`; `GET /connections` lists the organisations that were connected.',
    'Access tokens live 30 minutes, refresh tokens 60 days without use.',
    'Ask for the accounting scopes you need; the default ones only tell who connected.',
    'Not verified: the revocation endpoint, which the pages read do not show.',
  ],
  sources: [
    'https://developer.xero.com/faq/oauth2 (read 2026-11)',
    'https://developer.xero.com/documentation/oauth2/pkce-flow (read 2026-11)',
  ],
} satisfies ProviderSpec as ProviderSpec;

export default provider;
