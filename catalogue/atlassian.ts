import type { ProviderSpec } from './_spec/index.ts';

const provider = {
  name: 'atlassian',
  displayName: 'Atlassian',
  categories: ['ticketing', 'knowledge-base'],
  authMode: 'OAUTH2',
  docsUrl: 'https://developer.atlassian.com/cloud/jira/platform/oauth-2-3lo-apps/',
  summary: 'Use Jira and Confluence sites as you.',
  oauth2: {
    authorize: {
      url: 'https://auth.atlassian.com/authorize',
      params: { audience: 'api.atlassian.com', prompt: 'consent' },
    },
    callback: { stateEcho: 'always' },
    // Without `offline_access` there is no refresh token.
    scopes: { default: ['read:me', 'offline_access'] },
    pkce: 'off',
    pkceOffReason: 'Not part of the guide for apps with a secret.',
    token: { url: 'https://auth.atlassian.com/oauth/token', body: 'json', clientAuth: 'body' },
    // "403 Forbidden with invalid_grant" (refresh guide).
    response: { errorStatus: 403 },
    // "The leeway interval is 10 minutes"; after it, reuse ends every token of the person.
    refresh: { rotation: { kind: 'overlap', graceSeconds: 600 } },
    // All sites of the token, in no order: "should not be used for knowing what specific site was most recently
    // authorised". So only a single one is believed.
    afterConnect: {
      url: 'https://api.atlassian.com/oauth/token/accessible-resources',
      list: '.',
      metadata: { cloud_id: 'id', site_url: 'url' },
    },
  },
  connectionConfig: {
    cloud_id: {
      title: 'Site',
      description: 'Id of the only site that may be used.',
      kind: 'segment',
      automated: true,
      optional: true,
    },
    site_url: {
      title: 'Address',
      description: 'Address of that site.',
      kind: 'text',
      automated: true,
      optional: true,
    },
  },
  api: {
    baseUrl: 'https://api.atlassian.com',
    auth: { in: 'header', name: 'Authorization', value: 'Bearer ${accessToken}' },
    verification: { method: 'GET', path: '/me' },
    retry: { after: ['retry-after'] },
  },
  disconnect: {
    kind: 'unsupported',
    customerMustDo: 'Atlassian has no revocation call: remove the app under Account settings → Connected apps.',
  },
  gotchas: [
    'Calls name the site: `/ex/jira/<cloud_id>/…`. The id is learned on connect when the person’s token is for one site; with several, `GET /oauth/token/accessible-resources` lists them.',
    'The verification call needs the scope `read:me`.',
    'Refresh tokens end after 90 days without use, and after 365 days in any case.',
  ],
  sources: [
    'https://developer.atlassian.com/cloud/oauth/getting-started/making-calls-to-api/ (sites; read 2026-11)',
    'https://developer.atlassian.com/cloud/oauth/getting-started/refresh-tokens/ (read 2026-11)',
    'https://community.developer.atlassian.com/t/updated-31-january-2022-action-required-deprecating-persistent-refresh-tokens/54172 (announcement by Atlassian; read 2026-11)',
  ],
} satisfies ProviderSpec as ProviderSpec;

export default provider;
