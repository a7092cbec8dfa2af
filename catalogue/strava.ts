import type { ProviderSpec } from './_spec/index.ts';

const provider = {
  name: 'strava',
  displayName: 'Strava',
  categories: ['sports'],
  authMode: 'OAUTH2',
  docsUrl: 'https://developers.strava.com/docs/authentication/',
  summary: 'Read your activities and profile.',
  oauth2: {
    authorize: { url: 'https://www.strava.com/oauth/authorize', params: { approval_prompt: 'auto' } },
    callback: { stateEcho: 'always' },
    scopes: { default: ['read'], separator: ',' },
    pkce: 'off',
    pkceOffReason: 'Not part of the authentication guide.',
    token: {
      url: 'https://www.strava.com/oauth/token',
      body: 'form',
      clientAuth: 'body',
      // The guide lists client_id, client_secret, code and grant_type.
      omit: ['redirect_uri', 'code_verifier'],
    },
    response: {
      // Epoch seconds, beside a relative `expires_in`.
      expiry: { path: 'expires_at', kind: 'at', unit: 'seconds' },
      metadata: { athlete_id: 'athlete.id' },
    },
    // The latest refresh token must be used; an older one stops at once.
    refresh: { rotation: { kind: 'strict' } },
  },
  connectionConfig: {
    athlete_id: { title: 'Athlete', description: 'Id of the athlete.', kind: 'segment', automated: true },
  },
  api: {
    baseUrl: 'https://www.strava.com/api/v3',
    auth: { in: 'header', name: 'Authorization', value: 'Bearer ${accessToken}' },
    verification: { method: 'GET', path: '/athlete' },
  },
  disconnect: { kind: 'call', method: 'POST', url: 'https://www.strava.com/oauth/deauthorize' },
  account: { idFrom: 'athlete_id' },
  webhooks: {
    // Nothing is signed; the verify token comes only with the question by which the URL is checked.
    verify: { kind: 'none' },
    type: { paths: ['aspect_type'] },
    route: [{ from: { paths: ['owner_id'] }, by: 'account' }],
    challenge: {
      kind: 'get',
      param: 'hub.challenge',
      field: 'hub.challenge',
      token: 'hub.verify_token',
      secrets: ['integration'],
    },
    setup:
      'Make the webhook secret up and give it as `verify_token`, with the webhook URL as `callback_url`. An app has one subscription for all athletes and events are not signed: set `webhook_trust` to `none`, and ask the API before acting on one. That an athlete has revoked access (`updates.authorized` = `false`) is passed on and ends nothing.',
  },
  gotchas: [
    'People may uncheck scopes: compare what was granted with what you need.',
    'Limits are told as `X-RateLimit-Limit` and `-Usage` pairs (15 minutes, day) without a time to come back.',
    'Access tokens live six hours.',
  ],
  sources: [
    'https://developers.strava.com/docs/authentication/ (read 2026-11)',
    'https://developers.strava.com/docs/webhooks/ (read 2026-11)',
  ],
} satisfies ProviderSpec as ProviderSpec;

export default provider;
