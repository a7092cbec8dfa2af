import type { ProviderSpec } from './_spec/index.ts';

const provider = {
  name: 'tiktok',
  displayName: 'TikTok',
  categories: ['social', 'video'],
  authMode: 'OAUTH2',
  docsUrl: 'https://developers.tiktok.com/doc/oauth-user-access-token-management',
  setupGuideUrl: 'https://developers.tiktok.com/doc/login-kit-web',
  summary: 'Read your profile and videos, and post as you.',
  oauth2: {
    // The client id is called `client_key` everywhere.
    authorize: { url: 'https://www.tiktok.com/v2/auth/authorize/', rename: { client_id: 'client_key' } },
    callback: { stateEcho: 'always' },
    scopes: { default: ['user.info.basic'], separator: ',' },
    pkce: 'off',
    pkceOffReason: 'Required for mobile and desktop apps only.',
    token: {
      url: 'https://open.tiktokapis.com/v2/oauth/token/',
      body: 'form',
      clientAuth: 'body',
      rename: { client_id: 'client_key' },
    },
    response: { metadata: { open_id: 'open_id' } },
    // The refresh token may come back changed; what becomes of the old one is not said. Handled as strict.
    refresh: { rotation: { kind: 'unknown' } },
  },
  connectionConfig: {
    open_id: { title: 'Person', description: 'Id of the person for this app.', kind: 'segment', automated: true },
  },
  api: {
    baseUrl: 'https://open.tiktokapis.com',
    auth: { in: 'header', name: 'Authorization', value: 'Bearer ${accessToken}' },
    verification: { method: 'GET', path: '/v2/user/info/?fields=open_id' },
  },
  disconnect: {
    kind: 'call',
    method: 'POST',
    url: 'https://open.tiktokapis.com/v2/oauth/revoke/',
    auth: { in: 'none' },
    body: {
      format: 'form',
      params: { client_key: '${clientId}', client_secret: '${clientSecret}', token: '${accessToken}' },
    },
  },
  account: { idFrom: 'open_id' },
  webhooks: {
    verify: {
      kind: 'hmac',
      headers: ['tiktok-signature'],
      algorithm: 'sha256',
      encoding: 'hex',
      parts: { signature: 's', timestamp: 't' },
      signed: '${timestamp}.${body}',
      // Tried for 72 hours; whether with a new time is not documented. The same event is known again all the same.
      timestamp: { unit: 'seconds', toleranceSeconds: 259_200 },
      secrets: ['client'],
    },
    type: { paths: ['event'] },
    route: [{ from: { paths: ['user_openid'] }, by: 'account' }],
    at: { in: { paths: ['create_time'] }, unit: 'seconds' },
    // Told also of the token that we revoke; the reason stands in a text within the text.
    meanings: { 'authorization.removed': { is: 'deauthorized', echoesEach: true } },
    setup: 'Give the webhook URL as the callback URL of the app; its client secret proves what comes.',
  },
  gotchas: [
    'Addresses end in a slash; without it TikTok redirects.',
    'Access tokens live 24 hours, refresh tokens 365 days.',
    'Not verified: the answer of the revocation call, also to a token that is already dead.',
  ],
  sources: [
    'https://developers.tiktok.com/doc/oauth-user-access-token-management (read 2026-11)',
    'https://developers.tiktok.com/doc/webhooks-verification (read 2026-11)',
    'https://developers.tiktok.com/doc/webhooks-events (read 2026-11)',
  ],
} satisfies ProviderSpec as ProviderSpec;

export default provider;
