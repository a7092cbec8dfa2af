import type { ProviderSpec } from './_spec/index.ts';

const provider = {
  name: 'zoho-crm',
  displayName: 'Zoho CRM',
  categories: ['crm'],
  authMode: 'OAUTH2',
  docsUrl: 'https://www.zoho.com/accounts/protocol/oauth/multi-dc/client-authorization.html',
  summary: 'Read and change records in your Zoho CRM.',
  oauth2: {
    authorize: {
      url: 'https://accounts.zoho.com/oauth/v2/auth',
      // A refresh token comes with `offline`, and a second time only with `consent`.
      params: { access_type: 'offline', prompt: 'consent' },
    },
    // Everybody signs in at .com; the redirect tells the server of the person's data centre.
    callback: { stateEcho: 'always', metadata: ['accounts-server', 'location'] },
    scopes: { default: ['ZohoCRM.users.READ'], separator: ',' },
    pkce: 'off',
    pkceOffReason: 'Not part of the guide for server-based apps.',
    token: {
      url: '${connectionConfig.accounts-server}/oauth/v2/token || https://accounts.zoho.com/oauth/v2/token',
      body: 'form',
      clientAuth: 'body',
    },
    response: {
      // Refusals come with status 200.
      errorStatus: 200,
      errorKinds: { invalid_code: 'invalid_grant', invalid_client_secret: 'invalid_client' },
      // The API of the same data centre.
      metadata: { api_domain: 'api_domain' },
    },
    // The answer to a refresh has no refresh token: the first one is kept.
    refresh: { rotation: { kind: 'none' } },
  },
  connectionConfig: {
    'accounts-server': {
      title: 'Accounts server',
      description: 'Server of the data centre that gives the tokens.',
      kind: 'url',
      hosts: [
        'accounts.zoho.com',
        'accounts.zoho.eu',
        'accounts.zoho.in',
        'accounts.zoho.com.au',
        'accounts.zoho.jp',
        'accounts.zoho.sa',
        'accounts.zoho.uk',
        'accounts.zoho.com.cn',
        'accounts.zohocloud.ca',
      ],
      example: 'https://accounts.zoho.eu',
      automated: true,
    },
    location: { title: 'Data centre', description: 'Short name such as `eu`.', kind: 'label', automated: true },
    api_domain: {
      title: 'API server',
      description: 'Address of the API of the same data centre.',
      kind: 'url',
      hosts: [
        'www.zohoapis.com',
        'www.zohoapis.eu',
        'www.zohoapis.in',
        'www.zohoapis.com.au',
        'www.zohoapis.jp',
        'www.zohoapis.sa',
        'www.zohoapis.uk',
        'www.zohoapis.com.cn',
        'www.zohoapis.ca',
        'api.zoho.com',
        'api.zoho.eu',
        'api.zoho.in',
      ],
      example: 'https://www.zohoapis.eu',
      automated: true,
    },
  },
  api: {
    baseUrl: '${connectionConfig.api_domain}',
    auth: { in: 'header', name: 'Authorization', value: 'Zoho-oauthtoken ${accessToken}' },
    verification: { method: 'GET', path: '/crm/v8/users?type=CurrentUser' },
  },
  // The token stands in the query (revocation guide); it ends with all access tokens made from it.
  disconnect: {
    kind: 'call',
    method: 'POST',
    url: '${connectionConfig.accounts-server}/oauth/v2/token/revoke || https://accounts.zoho.com/oauth/v2/token/revoke',
    auth: { in: 'query', name: 'token', value: '${refreshToken} || ${accessToken}' },
  },
  webhooks: {
    verify: { kind: 'token', in: { paths: ['token'] }, secrets: ['integration'] },
    type: { paths: ['operation'] },
    route: [],
    redact: ['token'],
    setup:
      'Make the webhook secret up and give it as `token` when notifications are enabled, with the webhook URL of the connection as `notify_url`.',
  },
  gotchas: [
    'The app must have “Multi DC” switched on in the API console; its secret may differ by data centre, then make one integration for each.',
    'Other Zoho products use the same sign-in with other scopes; hosts of theirs need a Base-Url-Override.',
    'Zoho keeps a limited number of refresh tokens per person and app; connecting often ends the oldest.',
    'Not verified: the list of API hosts of every data centre. A host that is missing refuses the connection.',
  ],
  sources: [
    'https://www.zoho.com/accounts/protocol/oauth/multi-dc/client-authorization.html (read 2026-11)',
    'https://www.zoho.com/crm/developer/docs/api/v8/revoke-tokens.html (read 2026-11)',
    'https://www.zoho.com/crm/developer/docs/api/v2.1/notifications/enable.html (token; read 2026-11)',
    'https://www.zoho.com/crm/developer/docs/api/v2.1/notifications/overview.html (body of a notification; known by heart, not read 2026-11)',
  ],
} satisfies ProviderSpec as ProviderSpec;

export default provider;
