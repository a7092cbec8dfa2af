import type { ProviderSpec } from './_spec/index.ts';

const provider = {
  name: 'docusign',
  displayName: 'Docusign eSignature',
  categories: ['e-signature'],
  authMode: 'OAUTH2',
  docsUrl: 'https://developers.docusign.com/platform/auth/authcode/',
  summary: 'Send documents for signature from your Docusign account.',
  oauth2: {
    authorize: { url: 'https://${integrationConfig.environment}.docusign.com/oauth/auth' },
    callback: { stateEcho: 'always' },
    scopes: { default: ['signature'] },
    pkce: 'off',
    pkceOffReason: 'Offered to public clients; not verified for apps with a secret.',
    token: {
      url: 'https://${integrationConfig.environment}.docusign.com/oauth/token',
      body: 'form',
      clientAuth: 'basic',
    },
    // Whether the old refresh token dies is not said. Handled as strict.
    refresh: { rotation: { kind: 'unknown' } },
  },
  integrationConfig: {
    environment: {
      title: 'Environment',
      description: '`account` for production, `account-d` for the developer environment.',
      kind: 'enum',
      options: ['account', 'account-d'],
      default: 'account',
      optional: true,
    },
  },
  api: {
    // The address of an account is told by a second call, which an entry cannot say: see the gotchas.
    baseUrl: 'https://${integrationConfig.environment}.docusign.com',
    auth: { in: 'header', name: 'Authorization', value: 'Bearer ${accessToken}' },
    verification: { method: 'GET', path: '/oauth/userinfo' },
  },
  disconnect: {
    kind: 'unsupported',
    customerMustDo: 'Docusign has no revocation call for this grant: remove the app under My Profile → Connected Apps.',
  },
  gotchas: [
    'The base address is that of the account server. `GET /oauth/userinfo` tells each account’s `base_uri`; send it as Base-Url-Override, and allow that host.',
    'Access tokens live 8 hours, refresh tokens 30 days; the scope `extended` lets each refresh begin another 30 days.',
    'Production and developer environment have separate keys: make one integration for each.',
  ],
  sources: [
    'https://www.docusign.com/blog/developers/authorization-code-grant-refresh-tokens (read 2026-11)',
    'https://docs.docusign.com/esign/guide/authentication/oa2_auth_code.html (read 2026-11)',
  ],
} satisfies ProviderSpec as ProviderSpec;

export default provider;
