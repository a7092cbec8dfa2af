import type { ProviderSpec } from './_spec/index.ts';

const provider = {
  name: 'checkr-partner',
  displayName: 'Checkr Partner',
  categories: ['hr', 'ats'],
  authMode: 'OAUTH2',
  docsUrl: 'https://docs.checkr.com/partners/',
  setupGuideUrl: 'https://docs.checkr.com/partners/#section/Getting-Started',
  summary: 'Order background checks and read their results in your Checkr account.',
  oauth2: {
    // The client id is a path segment; no query parameter carries it (partner guide, all eras).
    authorize: {
      url: 'https://partners.checkr.com/authorize/${clientId}',
      params: { client_id: null, response_type: null },
    },
    // State is optional at Checkr; the 2015 guide's callback shows none at all.
    callback: { stateEcho: 'may-drop' },
    scopes: { default: ['read_write'], allowed: ['read_write'], choose: 'one' },
    pkce: 'off',
    pkceOffReason: 'Not part of the partner OAuth guide; unknown parameters are not documented as ignored.',
    token: {
      url: 'https://api.checkr.com/oauth/tokens',
      body: 'form',
      clientAuth: 'body',
      // The guide lists client_id, client_secret and code, nothing else.
      omit: ['grant_type', 'redirect_uri', 'code_verifier'],
    },
    // No token_type, no expires_in, no refresh_token: the token lives until it is revoked.
    response: { metadata: { checkr_account_id: 'checkr_account_id' } },
  },
  connectionConfig: {
    checkr_account_id: {
      title: 'Checkr account',
      description: 'Id of the connected Checkr account.',
      kind: 'segment',
      automated: true,
    },
  },
  api: {
    baseUrl: 'https://api.checkr.com',
    // Basic with the token as user name and an empty password; Bearer is not documented.
    auth: { in: 'basic', username: '${accessToken}', password: '' },
    verification: { method: 'GET', path: '/v1/account' },
    // The reset header is an ISO 8601 date at the next full minute, not an epoch number.
    retry: { at: ['x-ratelimit-reset'], remaining: 'x-ratelimit-remaining' },
    // The link is a whole address; the last page has null.
    paginate: {
      type: 'link',
      link_path_in_response_body: 'next_href',
      response_path: 'data',
      limit_name_in_request: 'per_page',
    },
    idempotencyHeader: 'Idempotency-Key',
  },
  disconnect: { kind: 'call', method: 'POST', url: 'https://api.checkr.com/oauth/deauthorize' },
  account: { idFrom: 'checkr_account_id', suggestedPolicy: 'separate' },
  emulator: 'checkr',
  gotchas: [
    'The connection is made for the whole Checkr account: one person’s consent covers all its users.',
    'A token may read before the account is credentialed, but ordering then answers 403.',
    'Connecting again gives another token, and perhaps another account id.',
    'Staging is a separate world with its own client id: use `checkr-partner-staging`.',
    'Checkr reviews an integration before production use.',
  ],
  sources: [
    'https://docs.checkr.com/partners/ (read 2026-11)',
    'https://docs.checkr.com/ (rate limits, idempotency; read 2026-11)',
  ],
} satisfies ProviderSpec as ProviderSpec;

export default provider;
