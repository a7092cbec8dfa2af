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
    // The organisation that was connected last; `updatedDateUtc`: "when the user most recently connected this tenant".
    afterConnect: {
      url: 'https://api.xero.com/connections',
      list: '.',
      newestBy: 'updatedDateUtc',
      metadata: { tenant_id: 'tenantId', tenant_name: 'tenantName' },
    },
  },
  connectionConfig: {
    tenant_id: {
      title: 'Organisation',
      description: 'Id of the organisation that was connected last.',
      kind: 'segment',
      automated: true,
      optional: true,
    },
    tenant_name: { title: 'Name', description: 'Its name.', kind: 'text', automated: true, optional: true },
  },
  api: {
    baseUrl: 'https://api.xero.com',
    auth: { in: 'header', name: 'Authorization', value: 'Bearer ${accessToken}' },
    // Left out while no organisation is known; a header of the caller wins.
    headers: { Accept: 'application/json', 'Xero-Tenant-Id': '${connectionConfig.tenant_id}' },
    verification: { method: 'GET', path: '/connections' },
    retry: { after: ['retry-after'] },
    idempotencyHeader: 'Idempotency-Key',
  },
  disconnect: { kind: 'rfc7009', url: 'https://identity.xero.com/connect/revocation' },
  webhooks: {
    verify: {
      kind: 'hmac',
      headers: ['x-xero-signature'],
      algorithm: 'sha256',
      encoding: 'base64',
      signed: '${body}',
      secrets: ['integration'],
    },
    // Empty in an "intent to receive": a right signature is answered 200, a wrong one 401.
    list: 'events',
    type: { paths: ['eventCategory'] },
    route: [{ from: { paths: ['tenantId'] }, by: 'connectionConfig.tenant_id' }],
    // "There is no body in the response".
    reply: { status: 200, body: '' },
    setup: 'The webhook key of the app is the webhook secret; set it before the intent to receive is checked.',
  },
  gotchas: [
    'Calls go to the organisation that was connected last (`Xero-Tenant-Id`). Who connects several at once names the one to use by that header; `GET /connections` lists them.',
    'Access tokens live 30 minutes, refresh tokens 60 days without use.',
    'Ask for the accounting scopes you need; the default ones only tell who connected.',
    'Not verified: the revocation endpoint, which the pages read do not show.',
  ],
  sources: [
    'https://raw.githubusercontent.com/XeroAPI/Xero-OpenAPI/master/xero-identity.yaml (connections; read 2026-11)',
    'https://developer.xero.com/faq/oauth2 (read 2026-11)',
    'https://developer.xero.com/documentation/oauth2/pkce-flow (read 2026-11)',
    'https://developer.xero.com/documentation/webhooks/configuring-your-server (read 2026-11)',
  ],
} satisfies ProviderSpec as ProviderSpec;

export default provider;
