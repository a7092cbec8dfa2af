import type { ProviderSpec } from './_spec/index.ts';

const provider = {
  name: 'stripe',
  displayName: 'Stripe Connect',
  categories: ['payment'],
  authMode: 'OAUTH2',
  docsUrl: 'https://docs.stripe.com/connect/oauth-reference',
  setupGuideUrl: 'https://docs.stripe.com/connect/oauth-standard-accounts',
  summary: 'Act on your Stripe account: charges, customers and payouts.',
  oauth2: {
    authorize: { url: 'https://connect.stripe.com/oauth/authorize' },
    callback: { stateEcho: 'always' },
    scopes: { default: ['read_write'], allowed: ['read_write', 'read_only'], choose: 'one' },
    pkce: 'off',
    pkceOffReason: 'Not part of the OAuth reference.',
    token: {
      url: 'https://connect.stripe.com/oauth/token',
      body: 'form',
      // The client secret is the platform's secret key.
      clientAuth: 'body',
      // The reference lists grant_type, code and client_secret.
      omit: ['redirect_uri', 'code_verifier'],
    },
    response: {
      // The token lives until it is revoked; its refresh token only makes tokens of narrower scope.
      expiry: { kind: 'none' },
      metadata: { stripe_user_id: 'stripe_user_id' },
    },
  },
  connectionConfig: {
    stripe_user_id: {
      title: 'Stripe account',
      description: 'Id of the connected account.',
      kind: 'segment',
      automated: true,
    },
  },
  api: {
    baseUrl: 'https://api.stripe.com',
    auth: { in: 'header', name: 'Authorization', value: 'Bearer ${accessToken}' },
    verification: { method: 'GET', path: '/v1/account' },
    idempotencyHeader: 'Idempotency-Key',
  },
  // Authorised by the platform, with its secret key as user name; names the account instead of the token.
  disconnect: {
    kind: 'call',
    method: 'POST',
    url: 'https://connect.stripe.com/oauth/deauthorize',
    auth: { in: 'basic', username: '${clientSecret}', password: '' },
    body: {
      format: 'form',
      params: { client_id: '${clientId}', stripe_user_id: '${connectionConfig.stripe_user_id}' },
    },
    ends: 'account',
  },
  account: { idFrom: 'stripe_user_id' },
  webhooks: {
    verify: {
      kind: 'hmac',
      headers: ['stripe-signature'],
      algorithm: 'sha256',
      encoding: 'hex',
      parts: { signature: 'v1', timestamp: 't' },
      signed: '${timestamp}.${body}',
      timestamp: { unit: 'seconds', toleranceSeconds: 300 },
      secrets: ['integration'],
    },
    type: { paths: ['type'] },
    id: { paths: ['id'] },
    // Events of the platform itself have no `account`.
    route: [{ from: { paths: ['account'] }, by: 'account' }],
    at: { in: { paths: ['created'] }, unit: 'seconds' },
    meanings: { 'account.application.deauthorized': 'deauthorized' },
    setup:
      'Add the webhook URL as an endpoint for events on connected accounts; its signing secret (`whsec_…`) is the webhook secret.',
  },
  gotchas: [
    'Client id is the `ca_…` of the platform settings, client secret the platform’s secret key: live and test are two integrations.',
    'Stripe prefers calls with the platform’s own key and the header `Stripe-Account`; the connection’s token works too.',
    'Real money: send an `Idempotency-Key` with every POST.',
    'Not verified: the answer when an account that is already disconnected is disconnected again.',
  ],
  sources: [
    'https://docs.stripe.com/connect/oauth-reference (read 2026-11)',
    'https://docs.stripe.com/connect/oauth-standard-accounts (read 2026-11)',
    'https://docs.stripe.com/connect/webhooks (account.application.deauthorized; read 2026-11)',
    'https://docs.stripe.com/webhooks/signatures (as third parties describe it, read 2026-11)',
  ],
} satisfies ProviderSpec as ProviderSpec;

export default provider;
