import type { ProviderSpec } from './_spec/index.ts';

const provider = {
  name: 'github',
  displayName: 'GitHub',
  categories: ['dev-tools', 'ticketing'],
  authMode: 'OAUTH2',
  docsUrl: 'https://docs.github.com/en/apps/oauth-apps/building-oauth-apps/authorizing-oauth-apps',
  setupGuideUrl: 'https://docs.github.com/en/apps/oauth-apps/building-oauth-apps/creating-an-oauth-app',
  summary: 'Read and change repositories, issues and pull requests as you.',
  oauth2: {
    authorize: { url: 'https://github.com/login/oauth/authorize' },
    callback: { stateEcho: 'always' },
    // Asked for with spaces; the answer joins the granted ones by commas.
    scopes: { default: ['read:user'] },
    pkce: 'S256',
    token: {
      url: 'https://github.com/login/oauth/access_token',
      body: 'form',
      clientAuth: 'body',
      // Without it the answer is form-encoded.
      headers: { Accept: 'application/json' },
    },
    response: {
      // The token of an OAuth app has no end and no refresh token.
      expiry: { kind: 'none' },
      // A refusal comes with status 200.
      errorStatus: 200,
      errorKinds: { bad_verification_code: 'invalid_grant', incorrect_client_credentials: 'invalid_client' },
    },
  },
  api: {
    baseUrl: 'https://api.github.com',
    auth: { in: 'header', name: 'Authorization', value: 'Bearer ${accessToken}' },
    headers: { 'X-GitHub-Api-Version': '2022-11-28' },
    verification: { method: 'GET', path: '/user' },
    // Limited calls answer 403 or 429 with `remaining: 0` and the reset as an epoch.
    retry: { at: ['x-ratelimit-reset'], after: ['retry-after'], remaining: 'x-ratelimit-remaining' },
    paginate: { type: 'link', link_rel_in_response_header: 'next', limit_name_in_request: 'per_page' },
  },
  // Ends this token alone; the grant of app and person stays, as their other connections may need it.
  disconnect: {
    kind: 'call',
    method: 'DELETE',
    url: 'https://api.github.com/applications/${clientId}/token',
    auth: { in: 'basic', username: '${clientId}', password: '${clientSecret}' },
    body: { format: 'json', params: { access_token: '${accessToken}' } },
    // "Invalid tokens will return 404", says the page of the check of the same resource.
    goneStatuses: [404],
  },
  webhooks: {
    verify: {
      kind: 'hmac',
      headers: ['x-hub-signature-256'],
      algorithm: 'sha256',
      encoding: 'hex',
      prefix: 'sha256=',
      signed: '${body}',
      secrets: ['integration'],
    },
    type: { headers: ['x-github-event'] },
    id: { headers: ['x-github-delivery'] },
    route: [],
    setup:
      'Set the secret of the webhook as the webhook secret. A webhook belongs to a repository or an organization, so only the webhook URL of a connection tells whose it is.',
  },
  gotchas: [
    'This is an OAuth app. GitHub Apps install differently and are not covered by this entry.',
    'Deleting a connection ends its token; the app stays listed in the person’s settings until they remove it.',
    'A token that is not used for a year is removed by GitHub.',
    'Not verified: that ending a dead token answers 404, as checking it does.',
  ],
  sources: [
    'https://docs.github.com/en/apps/oauth-apps/building-oauth-apps/authorizing-oauth-apps (read 2026-11)',
    'https://docs.github.com/en/rest/apps/oauth-applications (delete an app token; read 2026-11)',
    'https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries (read 2026-11)',
  ],
} satisfies ProviderSpec as ProviderSpec;

export default provider;
