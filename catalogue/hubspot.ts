import type { ProviderSpec } from './_spec/index.ts';

const provider = {
  name: 'hubspot',
  displayName: 'HubSpot',
  categories: ['crm', 'marketing'],
  authMode: 'OAUTH2',
  docsUrl: 'https://developers.hubspot.com/docs/api-reference/auth-oauth-v3/guide',
  summary: 'Read and change contacts, companies and deals in your HubSpot account.',
  oauth2: {
    authorize: { url: 'https://app.hubspot.com/oauth/authorize' },
    callback: { stateEcho: 'always' },
    scopes: { default: ['oauth'] },
    pkce: 'off',
    pkceOffReason: 'Not part of the OAuth guide.',
    token: { url: 'https://api.hubapi.com/oauth/v3/token', body: 'form', clientAuth: 'body' },
    // Access tokens live 30 minutes; the refresh token stays until the app is uninstalled.
    refresh: { rotation: { kind: 'none' } },
    // Needs the scope `oauth`, which every app has.
    afterConnect: { url: 'https://api.hubapi.com/account-info/v3/details', metadata: { portal_id: 'portalId' } },
  },
  connectionConfig: {
    portal_id: {
      title: 'Account',
      description: 'Id of the HubSpot account (Hub ID).',
      kind: 'segment',
      automated: true,
    },
  },
  api: {
    baseUrl: 'https://api.hubapi.com',
    auth: { in: 'header', name: 'Authorization', value: 'Bearer ${accessToken}' },
    verification: { method: 'GET', path: '/account-info/v3/details' },
    retry: { after: ['retry-after'] },
    paginate: {
      type: 'cursor',
      cursor_path_in_response: 'paging.next.after',
      cursor_name_in_request: 'after',
      response_path: 'results',
      limit_name_in_request: 'limit',
    },
  },
  // Uninstalls the app from the account that the token belongs to.
  disconnect: {
    kind: 'call',
    method: 'DELETE',
    url: 'https://api.hubapi.com/appinstalls/2026-03/external-install',
    ends: 'account',
  },
  account: { idFrom: 'portal_id' },
  webhooks: {
    verify: {
      kind: 'hmac',
      headers: ['x-hubspot-signature-v3'],
      algorithm: 'sha256',
      encoding: 'base64',
      signed: '${method}${url}${body}${timestamp}',
      timestamp: { header: 'x-hubspot-request-timestamp', unit: 'milliseconds', toleranceSeconds: 300 },
      secrets: ['client'],
    },
    list: '.',
    type: { paths: ['subscriptionType'] },
    // `eventId` is not unique: the hash of an item is.
    route: [{ from: { paths: ['portalId'] }, by: 'account' }],
    setup: 'Give the webhook URL as the target URL of the app; its client secret proves what comes.',
  },
  gotchas: [
    'The scopes must be exactly those of the app’s settings; optional ones go into the authorization parameter `optional_scope`.',
    'Deleting the last connection of a HubSpot account uninstalls the app there, for all its users; its admins get an email.',
    'Not verified: whether `/oauth/v3/token` answers a refresh with the same refresh token, as the older `/oauth/v1/token` does.',
  ],
  sources: [
    'https://developers.hubspot.com/docs/api-reference/account-account-info-v3/details/get-account-info-v3-details (read 2026-11)',
    'https://developers.hubspot.com/docs/api-reference/auth-oauth-v3/guide (read 2026-11)',
    'https://developers.hubspot.com/docs/api-reference/auth-oauth-v1/guide (read 2026-11)',
    'https://developers.hubspot.com/docs/api-reference/latest/app-management/app-uninstalls/guide (read 2026-11)',
    'https://developers.hubspot.com/changelog/introducing-version-3-of-webhook-signatures (read 2026-11)',
  ],
} satisfies ProviderSpec as ProviderSpec;

export default provider;
