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
    'Calls name the site: `/ex/jira/<cloudId>/…`. `GET /oauth/token/accessible-resources` lists the sites.',
    'The verification call needs the scope `read:me`.',
    'Refresh tokens end after 90 days without use, and after 365 days in any case.',
  ],
  sources: [
    'https://developer.atlassian.com/cloud/oauth/getting-started/refresh-tokens/ (read 2026-11)',
    'https://community.developer.atlassian.com/t/updated-31-january-2022-action-required-deprecating-persistent-refresh-tokens/54172 (announcement by Atlassian; read 2026-11)',
  ],
} satisfies ProviderSpec as ProviderSpec;

export default provider;
