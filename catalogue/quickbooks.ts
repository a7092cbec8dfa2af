import type { ProviderSpec } from './_spec/index.ts';

const provider = {
  name: 'quickbooks',
  displayName: 'QuickBooks Online',
  categories: ['accounting', 'invoicing'],
  authMode: 'OAUTH2',
  docsUrl: 'https://developer.intuit.com/app/developer/qbo/docs/develop/authentication-and-authorization/oauth-2.0',
  summary: 'Read and write invoices, customers and accounts of your QuickBooks company.',
  oauth2: {
    authorize: { url: 'https://appcenter.intuit.com/connect/oauth2' },
    // The company is told in the redirect only, never with the token.
    callback: { stateEcho: 'always', metadata: ['realmId'] },
    scopes: { default: ['com.intuit.quickbooks.accounting'] },
    pkce: 'off',
    pkceOffReason: 'Not part of the OAuth 2.0 guide.',
    token: { url: 'https://oauth.platform.intuit.com/oauth2/v1/tokens/bearer', body: 'form', clientAuth: 'basic' },
    // The same token or another one may come back; always the last one counts. Handled as strict.
    refresh: { rotation: { kind: 'unknown' } },
  },
  connectionConfig: {
    realmId: { title: 'Company', description: 'Id of the QuickBooks company.', kind: 'segment', automated: true },
  },
  integrationConfig: {
    api_host: {
      title: 'API host',
      description: '`quickbooks` for production, `sandbox-quickbooks` for the sandbox.',
      kind: 'enum',
      options: ['quickbooks', 'sandbox-quickbooks'],
      default: 'quickbooks',
      optional: true,
    },
  },
  api: {
    baseUrl: 'https://${integrationConfig.api_host}.api.intuit.com',
    auth: { in: 'header', name: 'Authorization', value: 'Bearer ${accessToken}' },
    // XML is the default answer.
    headers: { Accept: 'application/json' },
    verification: {
      method: 'GET',
      path: '/v3/company/${connectionConfig.realmId}/companyinfo/${connectionConfig.realmId}',
    },
    retry: { after: ['retry-after'] },
  },
  disconnect: {
    kind: 'call',
    method: 'POST',
    url: 'https://developer.api.intuit.com/v2/oauth2/tokens/revoke',
    auth: { in: 'basic', username: '${clientId}', password: '${clientSecret}' },
    body: { format: 'json', params: { token: '${refreshToken} || ${accessToken}' } },
  },
  account: { idFrom: 'realmId' },
  webhooks: {
    verify: {
      kind: 'hmac',
      headers: ['intuit-signature'],
      algorithm: 'sha256',
      encoding: 'base64',
      signed: '${body}',
      secrets: ['integration'],
    },
    // CloudEvents; before 2026 `eventNotifications`, whose items have neither id nor type.
    list: ['.', 'eventNotifications'],
    type: { paths: ['type'] },
    id: { paths: ['id'] },
    route: [{ from: { paths: ['intuitaccountid', 'realmId'] }, by: 'account' }],
    setup:
      'Give the webhook URL as the endpoint in the app’s webhook settings; the verifier token shown there is the webhook secret. Production and sandbox have a token each.',
  },
  gotchas: [
    'Every path holds the company: `/v3/company/<realmId>/…`, to be read from the connection’s `connection_config`.',
    'Refresh tokens end after 100 days without use, and after five years in any case.',
    'Production and sandbox have separate client ids: make one integration for each.',
    'Not verified: how long a replaced refresh token still works, and the answer when a dead token is revoked.',
  ],
  sources: [
    'https://developer.intuit.com/app/developer/qbo/docs/develop/authentication-and-authorization/oauth-2.0 (read 2026-11)',
    'https://blogs.intuit.com/2024/06/03/oauth-token-management-done-the-right-way/ (read 2026-11)',
    'https://blogs.intuit.com/2025/11/12/important-changes-to-refresh-token-policy (read 2026-11)',
    'https://blogs.a.intuit.com/2025/11/12/upcoming-change-to-webhooks-payload-structure (CloudEvents; read 2026-11)',
    'https://developer.intuit.com/app/developer/qbo/docs/develop/webhooks/managing-webhooks-notifications (signature; read 2026-11)',
  ],
} satisfies ProviderSpec as ProviderSpec;

export default provider;
