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
    // Which server an account lives on is told here only.
    afterConnect: {
      url: 'https://${integrationConfig.environment}.docusign.com/oauth/userinfo',
      list: 'accounts',
      where: { path: 'is_default', equals: true },
      metadata: { account_id: 'account_id', base_uri: 'base_uri' },
    },
  },
  connectionConfig: {
    account_id: { title: 'Account', description: 'Id of the default account.', kind: 'segment', automated: true },
    base_uri: {
      title: 'Server',
      description: 'Address of the server that the account lives on.',
      kind: 'url',
      hosts: ['.docusign.net'],
      example: 'https://demo.docusign.net',
      automated: true,
    },
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
    baseUrl: '${connectionConfig.base_uri}',
    auth: { in: 'header', name: 'Authorization', value: 'Bearer ${accessToken}' },
    verification: { method: 'GET', path: '/restapi/v2.1/accounts/${connectionConfig.account_id}' },
  },
  disconnect: {
    kind: 'unsupported',
    customerMustDo: 'Docusign has no revocation call for this grant: remove the app under My Profile → Connected Apps.',
  },
  account: { idFrom: 'account_id' },
  webhooks: {
    verify: {
      kind: 'hmac',
      // One for each key of the account; a rotation adds the second.
      headers: ['x-docusign-signature-1', 'x-docusign-signature-2'],
      algorithm: 'sha256',
      encoding: 'base64',
      signed: '${body}',
      secrets: ['integration'],
      urlProves: 'The keys belong to a Docusign account, and the integration has one.',
    },
    type: { paths: ['event'] },
    route: [{ from: { paths: ['data.accountId'] }, by: 'account' }],
    setup:
      'Add a Connect configuration that sends JSON to the webhook URL, with HMAC signatures: its key is the webhook secret. For several accounts use the webhook URLs of the connections.',
  },
  gotchas: [
    'The connection stands for the person’s default account: calls go to `/restapi/v2.1/accounts/<account_id>/…` on its own server. A person with other accounts changes the default at Docusign and connects again.',
    'Hosts outside docusign.net are refused.',
    'Access tokens live 8 hours, refresh tokens 30 days; the scope `extended` lets each refresh begin another 30 days.',
    'Production and developer environment have separate keys: make one integration for each.',
  ],
  sources: [
    'https://www.docusign.com/blog/developers/the-trenches-who-are-you (userinfo, base_uri; read 2026-11)',
    'https://www.docusign.com/blog/developers/authorization-code-grant-refresh-tokens (read 2026-11)',
    'https://docs.docusign.com/esign/guide/authentication/oa2_auth_code.html (read 2026-11)',
    'https://www.docusign.com/blog/developers/manually-authenticating-hmac-signatures-docusign-connect-webhook-configurations (read 2026-11)',
    'https://developers.docusign.com/platform/webhooks/connect/json-sim-event-model/ (fields; known by heart, not read 2026-11)',
  ],
} satisfies ProviderSpec as ProviderSpec;

export default provider;
