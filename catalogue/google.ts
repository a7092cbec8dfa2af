import type { ProviderSpec } from './_spec/index.ts';

const provider = {
  name: 'google',
  displayName: 'Google',
  categories: ['productivity', 'storage'],
  authMode: 'OAUTH2',
  docsUrl: 'https://developers.google.com/identity/protocols/oauth2/web-server',
  setupGuideUrl: 'https://developers.google.com/identity/protocols/oauth2/web-server#creatingcred',
  summary: 'Use the Google services that you allow, such as Drive or Calendar.',
  oauth2: {
    authorize: {
      url: 'https://accounts.google.com/o/oauth2/v2/auth',
      // A refresh token comes with `offline` only, and for a person who agreed before only with `consent`.
      params: { access_type: 'offline', prompt: 'consent' },
    },
    callback: { stateEcho: 'always' },
    scopes: { default: ['openid', 'email', 'profile'] },
    pkce: 'S256',
    token: { url: 'https://oauth2.googleapis.com/token', body: 'form', clientAuth: 'body' },
    // The answer to a refresh has no refresh token: the first one is kept.
    refresh: { rotation: { kind: 'none' } },
  },
  api: {
    baseUrl: 'https://www.googleapis.com',
    auth: { in: 'header', name: 'Authorization', value: 'Bearer ${accessToken}' },
    verification: { method: 'GET', path: '/oauth2/v3/userinfo' },
    retry: { after: ['retry-after'] },
  },
  // Like RFC 7009 without client authentication; a token that is gone answers 400 `invalid_token`.
  disconnect: {
    kind: 'call',
    method: 'POST',
    url: 'https://oauth2.googleapis.com/revoke',
    auth: { in: 'none' },
    body: { format: 'form', params: { token: '${refreshToken} || ${accessToken}' } },
    goneErrors: ['invalid_token'],
  },
  webhooks: {
    // What the channel was given as `token`; the body is empty, or a list of what changed.
    verify: { kind: 'token', in: { headers: ['x-goog-channel-token'] }, secrets: ['integration'] },
    type: { headers: ['x-goog-resource-state'] },
    // A message number is one of its channel only.
    repeats: true,
    route: [],
    keepHeaders: [
      'x-goog-channel-id',
      'x-goog-channel-expiration',
      'x-goog-message-number',
      'x-goog-resource-id',
      'x-goog-resource-uri',
      'x-goog-changed',
    ],
    setup:
      'Make the webhook secret up and give it as `token` of every `watch` call (Drive, Calendar and others), with the webhook URL of the connection as `address`. Push messages of Cloud Pub/Sub, as Gmail sends them, are signed otherwise and are not taken.',
  },
  gotchas: [
    'Services with a host of their own (such as gmail.googleapis.com) need a Base-Url-Override.',
    'While the consent screen is in testing, refresh tokens end after 7 days.',
    'The verification call needs the scope `openid` or `email`.',
    'Revoking ends the grant of the app and this person: their other connections of the same app stop too.',
  ],
  sources: [
    'https://developers.google.com/identity/protocols/oauth2/web-server (read 2026-11)',
    'https://developers.google.com/workspace/drive/api/guides/push (read 2026-11)',
  ],
} satisfies ProviderSpec as ProviderSpec;

export default provider;
