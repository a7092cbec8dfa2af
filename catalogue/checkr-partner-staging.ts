import type { ProviderSpec } from './_spec/index.ts';
import production from './checkr-partner.ts';

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
  // Both worlds credential accounts and send events in the same way.
  account: production.account,
  webhooks: production.webhooks,
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
