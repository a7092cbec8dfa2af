import type { ProviderSpec } from './_spec/index.ts';

const provider = {
  name: 'microsoft',
  displayName: 'Microsoft',
  categories: ['productivity', 'storage'],
  authMode: 'OAUTH2',
  docsUrl: 'https://learn.microsoft.com/en-us/entra/identity-platform/v2-oauth2-auth-code-flow',
  setupGuideUrl: 'https://learn.microsoft.com/en-us/entra/identity-platform/quickstart-register-app',
  summary: 'Use Outlook, OneDrive, Teams and other Microsoft services as you.',
  oauth2: {
    authorize: { url: 'https://login.microsoftonline.com/${connectionConfig.tenant}/oauth2/v2.0/authorize' },
    callback: { stateEcho: 'always' },
    // Without `offline_access` there is no refresh token.
    scopes: { default: ['offline_access', 'openid', 'User.Read'] },
    pkce: 'S256',
    token: {
      url: 'https://login.microsoftonline.com/${connectionConfig.tenant}/oauth2/v2.0/token',
      body: 'form',
      clientAuth: 'body',
    },
    // Another one comes with each refresh, but the old one is not revoked.
    refresh: { rotation: { kind: 'none' } },
  },
  connectionConfig: {
    tenant: {
      title: 'Tenant',
      description: 'Id or domain of the organization; `common` for any account.',
      kind: 'segment',
      default: 'common',
      optional: true,
      example: 'contoso.onmicrosoft.com',
    },
  },
  api: {
    baseUrl: 'https://graph.microsoft.com',
    auth: { in: 'header', name: 'Authorization', value: 'Bearer ${accessToken}' },
    verification: { method: 'GET', path: '/v1.0/me' },
    retry: { after: ['retry-after'] },
  },
  disconnect: {
    kind: 'unsupported',
    customerMustDo:
      'Microsoft has no revocation call for an app: remove it at myapps.microsoft.com or account.live.com/consent/Manage.',
  },
  webhooks: {
    // Each notification carries the `clientState` that its subscription was given.
    verify: { kind: 'token', in: { paths: ['value.clientState'] }, secrets: ['integration'] },
    list: 'value',
    type: { paths: ['lifecycleEvent', 'changeType'] },
    // Two changes of one thing may look alike, and there is no id.
    repeats: true,
    route: [],
    redact: ['clientState'],
    challenge: { kind: 'query', param: 'validationToken' },
    setup:
      'Make the webhook secret up and give it as `clientState` of every subscription (at most 128 characters), with the webhook URL of the connection as `notificationUrl` and `lifecycleNotificationUrl`. Do not ask for resource data in notifications: what proves it stands beside the list and is not passed on.',
  },
  gotchas: [
    'An app registered for one organization must be given that organization as tenant.',
    'Refresh tokens live 90 days.',
    'A client secret of the portal ends after at most two years; then no connection can be refreshed.',
  ],
  sources: [
    'https://learn.microsoft.com/en-us/entra/identity-platform/refresh-tokens (read 2026-11)',
    'https://learn.microsoft.com/en-us/graph/change-notifications-delivery-webhooks (read 2026-11)',
  ],
} satisfies ProviderSpec as ProviderSpec;

export default provider;
