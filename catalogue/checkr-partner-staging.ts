import type { ProviderSpec } from './_spec/index.ts';

const provider = {
  name: 'checkr-partner-staging',
  displayName: 'Checkr Partner (staging)',
  categories: ['hr', 'ats'],
  authMode: 'OAUTH2',
  docsUrl: 'https://docs.checkr.com/partners/',
  setupGuideUrl: 'https://docs.checkr.com/partners/#section/Getting-Started',
  summary: 'Order mock background checks in your Checkr staging account.',
  oauth2: {
    // Staging splits over two domains: pages on checkrhq-staging.net, API on checkr-staging.com.
    authorize: {
      url: 'https://partners.checkrhq-staging.net/authorize/${clientId}',
      params: { client_id: null, response_type: null },
    },
    callback: { stateEcho: 'may-drop' },
    scopes: { default: ['read_write'], allowed: ['read_write'], choose: 'one' },
    pkce: 'off',
    pkceOffReason: 'Not part of the partner OAuth guide; unknown parameters are not documented as ignored.',
    token: {
      url: 'https://api.checkr-staging.com/oauth/tokens',
      body: 'form',
      clientAuth: 'body',
      omit: ['grant_type', 'redirect_uri', 'code_verifier'],
    },
    response: { metadata: { checkr_account_id: 'checkr_account_id' } },
  },
  connectionConfig: {
    checkr_account_id: {
      title: 'Checkr account',
      description: 'Id of the connected Checkr staging account.',
      kind: 'segment',
      automated: true,
    },
  },
  api: {
    baseUrl: 'https://api.checkr-staging.com',
    auth: { in: 'basic', username: '${accessToken}', password: '' },
    verification: { method: 'GET', path: '/v1/account' },
    retry: { at: ['x-ratelimit-reset'], remaining: 'x-ratelimit-remaining' },
    paginate: {
      type: 'link',
      link_path_in_response_body: 'next_href',
      response_path: 'data',
      limit_name_in_request: 'per_page',
    },
    idempotencyHeader: 'Idempotency-Key',
  },
  // Answers with the one token that it ended; the event about it names that token too.
  disconnect: {
    kind: 'call',
    method: 'POST',
    url: 'https://api.checkr-staging.com/oauth/deauthorize',
    endsReplaced: true,
  },
  account: {
    idFrom: 'checkr_account_id',
    suggestedPolicy: 'separate',
    // A comment in the partner's reference app says that token and account id are made anew.
    idMayChange: true,
    readiness: {
      path: '/v1/account',
      ready: { path: 'authorized', equals: true },
      reason: 'credentialing',
      // 403 "your account is not approved for production"; reading works.
      refuses: [
        { method: 'POST', path: '/v1/invitations' },
        { method: 'POST', path: '/v1/reports' },
      ],
    },
  },
  webhooks: {
    verify: {
      kind: 'hmac',
      headers: ['x-checkr-signature'],
      algorithm: 'sha256',
      encoding: 'hex',
      signed: '${body}',
      secrets: ['integration', 'client'],
      urlProves: 'The webhooks that an account registers are signed with its own API key, which the app does not have.',
    },
    type: { paths: ['type'] },
    id: { paths: ['id'] },
    route: [
      // Its account_id is the partner's own: only the token tells. One old sample calls it access_token.
      {
        events: ['token.deauthorized'],
        from: { paths: ['data.object.access_code', 'data.object.access_token'] },
        by: 'token',
      },
      // 2016: inside `account`; 2018: the whole account and no account_id; today: a reference.
      {
        events: ['account.credentialed'],
        from: { paths: ['data.object.account.id', 'data.object.id', 'account_id'] },
        by: 'account',
      },
      { from: { paths: ['account_id'] }, by: 'account' },
    ],
    meanings: { 'token.deauthorized': 'deauthorized', 'account.credentialed': 'account_ready' },
    redact: ['data.object.access_code', 'data.object.access_token'],
    setup:
      'Give the webhook URL to Checkr as the one of your partner application; its client secret proves what comes.',
  },
  emulator: 'checkr-staging',
  gotchas: [
    'Staging and production share nothing: other accounts, client ids, secrets and hosts.',
    'Only the mock candidates that Checkr hands out give results; every other report stays pending.',
    'Invitations do not expire in staging.',
  ],
  sources: [
    'https://docs.checkr.com/partners/ (read 2026-11)',
    'https://github.com/checkr/embeds-reference-integration (staging hosts; read 2026-11)',
    'https://docs.checkr.com/partners/ (webhooks, signature; read 2026-11)',
  ],
} satisfies ProviderSpec as ProviderSpec;

export default provider;
