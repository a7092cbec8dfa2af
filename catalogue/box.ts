import type { ProviderSpec } from './_spec/index.ts';

const provider = {
  name: 'box',
  displayName: 'Box',
  categories: ['storage'],
  authMode: 'OAUTH2',
  docsUrl: 'https://developer.box.com/guides/authentication/oauth2/',
  summary: 'Read and change files and folders of your Box account.',
  oauth2: {
    authorize: { url: 'https://account.box.com/api/oauth2/authorize' },
    callback: { stateEcho: 'always' },
    // What may be done is set in the app; `scope` can only narrow it.
    pkce: 'off',
    pkceOffReason: 'Not part of the OAuth 2.0 guide.',
    token: { url: 'https://api.box.com/oauth2/token', body: 'form', clientAuth: 'body' },
    // A refresh token works once.
    refresh: { rotation: { kind: 'strict' } },
  },
  api: {
    baseUrl: 'https://api.box.com',
    auth: { in: 'header', name: 'Authorization', value: 'Bearer ${accessToken}' },
    verification: { method: 'GET', path: '/2.0/users/me' },
    retry: { after: ['retry-after'] },
  },
  disconnect: {
    kind: 'call',
    method: 'POST',
    url: 'https://api.box.com/oauth2/revoke',
    auth: { in: 'none' },
    body: {
      format: 'form',
      params: {
        client_id: '${clientId}',
        client_secret: '${clientSecret}',
        token: '${refreshToken} || ${accessToken}',
      },
    },
  },
  webhooks: {
    verify: {
      kind: 'hmac',
      // One for each of the app’s two keys.
      headers: ['box-signature-primary', 'box-signature-secondary'],
      algorithm: 'sha256',
      encoding: 'base64',
      signed: '${body}${timestamp}',
      timestamp: { header: 'box-delivery-timestamp', unit: 'date', toleranceSeconds: 600 },
      secrets: ['integration'],
    },
    type: { paths: ['trigger'] },
    id: { headers: ['box-delivery-id'] },
    route: [],
    keepHeaders: ['box-delivery-timestamp'],
    setup:
      'Generate a signature key in the app’s webhook settings: it is the webhook secret. An event names the file and who changed it, not whose webhook it is: create each webhook with the webhook URL of its connection as `address`.',
  },
  gotchas: [
    'A refresh token works once and lives 60 days; an answer that gets lost can end the connection.',
    'Uploads go to upload.box.com and need a Base-Url-Override.',
    'Downloads answer with a redirect, which is not followed.',
    'Not verified: the answer when a token that is already dead is revoked.',
  ],
  sources: [
    'https://developer.box.com/guides/authentication/tokens/revoke (read 2026-11)',
    'https://developer.box.com/guides/authentication/tokens/refresh (read 2026-11)',
    'https://developer.box.com/guides/webhooks/v2/signatures-v2/ (read 2026-11)',
  ],
} satisfies ProviderSpec as ProviderSpec;

export default provider;
