import type { ProviderSpec } from './_spec/index.ts';

const provider = {
  name: 'salesforce',
  displayName: 'Salesforce',
  categories: ['crm'],
  authMode: 'OAUTH2',
  docsUrl: 'https://help.salesforce.com/s/articleView?id=sf.remoteaccess_oauth_web_server_flow.htm',
  summary: 'Read and change records in your Salesforce organization.',
  oauth2: {
    authorize: { url: 'https://${integrationConfig.login_host}.salesforce.com/services/oauth2/authorize' },
    callback: { stateEcho: 'always' },
    scopes: { default: ['api', 'refresh_token'] },
    pkce: 'S256',
    token: {
      url: 'https://${integrationConfig.login_host}.salesforce.com/services/oauth2/token',
      body: 'form',
      clientAuth: 'body',
    },
    response: {
      // The life is a setting of the organization and is not told: a 401 shows the end.
      expiry: { kind: 'none' },
      // Every API call goes to the organization's own host.
      metadata: { instance_url: 'instance_url' },
    },
    refresh: { rotation: { kind: 'none' } },
    choices: { rotation: { none: { rotation: { kind: 'none' } }, strict: { rotation: { kind: 'strict' } } } },
  },
  connectionConfig: {
    instance_url: {
      title: 'Instance',
      description: 'Address of the Salesforce organization.',
      kind: 'url',
      hosts: ['.salesforce.com'],
      example: 'https://acme.my.salesforce.com',
      automated: true,
    },
  },
  integrationConfig: {
    login_host: {
      title: 'Login host',
      description: '`login` for production, `test` for sandboxes.',
      kind: 'enum',
      options: ['login', 'test'],
      default: 'login',
      optional: true,
      order: 1,
    },
    rotation: {
      title: 'Refresh token rotation',
      description: '`strict` when the app’s settings rotate refresh tokens.',
      kind: 'enum',
      options: ['none', 'strict'],
      default: 'none',
      optional: true,
      order: 2,
    },
  },
  api: {
    baseUrl: '${connectionConfig.instance_url}',
    auth: { in: 'header', name: 'Authorization', value: 'Bearer ${accessToken}' },
    verification: { method: 'GET', path: '/services/oauth2/userinfo' },
  },
  // With the refresh token the access tokens go too; an unknown token answers 400 `invalid_token`.
  disconnect: {
    kind: 'call',
    method: 'POST',
    url: 'https://${integrationConfig.login_host}.salesforce.com/services/oauth2/revoke',
    auth: { in: 'none' },
    body: { format: 'form', params: { token: '${refreshToken} || ${accessToken}' } },
    goneErrors: ['invalid_token'],
  },
  gotchas: [
    'Without the scope `refresh_token` (or `offline_access`) the connection ends with its first access token.',
    'An organization that moves gets another instance address; every refresh tells it, and it is followed.',
    'Hosts outside salesforce.com (such as salesforce.mil) are refused.',
    'Logins by My Domain only are not covered: the login host is `login` or `test`.',
  ],
  sources: [
    'https://developer.salesforce.com/docs/platform/mobile-sdk/guide/oauth-revoking-tokens.html (read 2026-11)',
    'https://developer.salesforce.com/docs/atlas.en-us.chatterapi.meta/chatterapi/intro_oauth_tokens.htm (read 2026-11)',
  ],
} satisfies ProviderSpec as ProviderSpec;

export default provider;
