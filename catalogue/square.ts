import type { ProviderSpec } from './_spec/index.ts';

const provider = {
  name: 'square',
  displayName: 'Square',
  categories: ['payment', 'e-commerce'],
  authMode: 'OAUTH2',
  docsUrl: 'https://developer.squareup.com/docs/oauth-api/overview',
  summary: 'Read and change payments, orders and items of your Square account.',
  oauth2: {
    authorize: {
      url: 'https://connect.${integrationConfig.environment}.com/oauth2/authorize',
      // Makes the seller sign in and see the page, also with an open session.
      params: { session: 'false' },
      // The page does not decode every parameter.
      decoded: true,
    },
    callback: { stateEcho: 'always' },
    scopes: { default: ['MERCHANT_PROFILE_READ'] },
    pkce: 'off',
    pkceOffReason: 'A flow of its own, for apps without a secret; the two cannot be mixed.',
    token: {
      url: 'https://connect.${integrationConfig.environment}.com/oauth2/token',
      body: 'json',
      clientAuth: 'body',
    },
    response: {
      // ISO 8601.
      expiry: { path: 'expires_at', kind: 'at' },
      metadata: { merchant_id: 'merchant_id' },
    },
    // "The refresh token is multi-use and never expires" (code flow).
    refresh: { rotation: { kind: 'none' } },
  },
  connectionConfig: {
    merchant_id: { title: 'Merchant', description: 'Id of the seller.', kind: 'segment', automated: true },
  },
  integrationConfig: {
    environment: {
      title: 'Environment',
      description: '`squareup` for production, `squareupsandbox` for the sandbox.',
      kind: 'enum',
      options: ['squareup', 'squareupsandbox'],
      default: 'squareup',
      optional: true,
    },
  },
  api: {
    baseUrl: 'https://connect.${integrationConfig.environment}.com',
    auth: { in: 'header', name: 'Authorization', value: 'Bearer ${accessToken}' },
    verification: { method: 'GET', path: '/v2/merchants/me' },
    retry: { after: ['retry-after'] },
  },
  disconnect: {
    kind: 'call',
    method: 'POST',
    url: 'https://connect.${integrationConfig.environment}.com/oauth2/revoke',
    // Its own scheme word, with the application secret.
    auth: { in: 'header', name: 'Authorization', value: 'Client ${clientSecret}' },
    body: { format: 'json', params: { client_id: '${clientId}', access_token: '${accessToken}' } },
    success: { path: 'success', equals: true },
    ends: 'account',
  },
  account: { idFrom: 'merchant_id' },
  webhooks: {
    verify: {
      kind: 'hmac',
      headers: ['x-square-hmacsha256-signature'],
      algorithm: 'sha256',
      encoding: 'base64',
      signed: '${url}${body}',
      secrets: ['integration'],
    },
    type: { paths: ['type'] },
    id: { paths: ['event_id'] },
    route: [{ from: { paths: ['merchant_id'] }, by: 'account' }],
    // The envelope's `created_at` is some seconds later.
    at: { in: { paths: ['data.object.revocation.revoked_at', 'created_at'] }, unit: 'date' },
    meanings: { 'oauth.authorization.revoked': 'deauthorized' },
    setup:
      'The signature key of the webhook subscription is the webhook secret; the notification URL must be the webhook URL exactly.',
  },
  gotchas: [
    'Access tokens live 30 days; Square asks to renew them every week or oftener.',
    'Deleting the last connection of a seller ends all tokens that the seller gave to the app, and the subscriptions made with them.',
    'A repeated POST is made safe by `idempotency_key` in the body, not by a header.',
    'Production and sandbox have separate application ids: make one integration for each.',
    'Not verified: `session=false` in the sandbox.',
  ],
  sources: [
    'https://developer.squareup.com/reference/square/oauth-api/obtain-token (read 2026-11)',
    'https://developer.squareup.com/reference/square/objects/ObtainTokenResponse (read 2026-11)',
    'https://developer.squareup.com/docs/oauth-api/refresh-revoke-limit-scope (read 2026-11)',
    'https://developer.squareup.com/reference/square/oauth-api/revoke-token (read 2026-11)',
    'https://developer.squareup.com/docs/webhooks/step3validate (read 2026-11)',
    'https://developer.squareup.com/reference/square/webhooks/oauth.authorization.revoked (read 2026-11)',
  ],
} satisfies ProviderSpec as ProviderSpec;

export default provider;
