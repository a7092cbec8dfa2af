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
  gotchas: [
    'People may uncheck scopes: compare what was granted with what you need.',
    'Limits are told as `X-RateLimit-Limit` and `-Usage` pairs (15 minutes, day) without a time to come back.',
    'Access tokens live six hours.',
  ],
  sources: ['https://developers.strava.com/docs/authentication/ (read 2026-11)'],
} satisfies ProviderSpec as ProviderSpec;

export default provider;
