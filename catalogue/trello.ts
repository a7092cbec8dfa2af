import type { ProviderSpec } from './_spec/index.ts';

const provider = {
  name: 'trello',
  displayName: 'Trello',
  categories: ['productivity', 'ticketing'],
  authMode: 'OAUTH1',
  docsUrl: 'https://developer.atlassian.com/cloud/trello/guides/rest-api/authorization/',
  setupGuideUrl: 'https://trello.com/power-ups/admin',
  summary: 'Read and change your Trello boards, lists and cards.',
  oauth1: {
    requestToken: { url: 'https://trello.com/1/OAuthGetRequestToken' },
    authorize: {
      url: 'https://trello.com/1/OAuthAuthorizeToken',
      params: { name: '${integrationConfig.app_name}', expiration: '${integrationConfig.expiration}' },
    },
    accessToken: { url: 'https://trello.com/1/OAuthGetAccessToken' },
    signature: 'HMAC-SHA1',
    scopes: { default: ['read', 'write'], allowed: ['read', 'write', 'account'], separator: ',' },
  },
  integrationConfig: {
    app_name: {
      title: 'App name',
      description: 'Shown to the customer on the page of Trello.',
      kind: 'text',
      example: 'Acme',
      optional: true,
      order: 1,
    },
    expiration: {
      title: 'Life of the token',
      description: 'With anything but `never` the customer must reconnect in time: there is no refresh.',
      kind: 'enum',
      options: ['never', '30days', '1day', '1hour'],
      default: 'never',
      optional: true,
      order: 2,
    },
  },
  api: {
    baseUrl: 'https://api.trello.com/1',
    auth: { in: 'signature' },
    verification: { method: 'GET', path: '/members/me?fields=id' },
    retry: { after: ['retry-after'] },
  },
  disconnect: {
    kind: 'unsupported',
    customerMustDo: 'Revoke the app under Settings, Applications, in your Trello account.',
  },
  webhooks: {
    verify: {
      kind: 'hmac',
      headers: ['x-trello-webhook'],
      algorithm: 'sha1',
      encoding: 'base64',
      signed: '${body}${url}',
      // The secret beside the API key, which is also that of OAuth.
      secrets: ['client'],
    },
    type: { paths: ['action.type'] },
    id: { paths: ['action.id'] },
    route: [],
    challenge: { kind: 'head' },
    setup:
      'Create webhooks with the token of a connection and its webhook URL as `callbackURL`; the secret of the app proves what comes.',
  },
  gotchas: [
    'The client id is the API key, the client secret the OAuth secret of the Power-Up.',
    'Trello may show the name of the Power-Up in place of `app_name`.',
    'The address to which the browser returns must be an allowed origin of the Power-Up.',
    'A token that was asked for with an expiration dies silently; it is noticed at the first 401.',
    'The revocation call of the API would carry the token in its path, so it is not used.',
  ],
  sources: [
    'https://developer.atlassian.com/cloud/trello/guides/rest-api/authorization/ (read 2026-11)',
    'https://developer.atlassian.com/cloud/trello/guides/rest-api/webhooks/ (read 2026-11)',
  ],
} satisfies ProviderSpec as ProviderSpec;

export default provider;
