import type { ProviderSpec } from './_spec/index.ts';

const provider = {
  name: 'notion',
  displayName: 'Notion',
  categories: ['productivity', 'knowledge-base'],
  authMode: 'OAUTH2',
  docsUrl: 'https://developers.notion.com/docs/authorization',
  summary: 'Read and change the Notion pages that you choose.',
  oauth2: {
    // Pages are chosen on the consent screen; there are no scopes.
    authorize: { url: 'https://api.notion.com/v1/oauth/authorize', params: { owner: 'user' } },
    callback: { stateEcho: 'always' },
    pkce: 'off',
    pkceOffReason: 'Not part of the authorization guide.',
    token: {
      url: 'https://api.notion.com/v1/oauth/token',
      body: 'json',
      clientAuth: 'basic',
      headers: { 'Notion-Version': '2022-06-28' },
    },
    response: {
      expiry: { kind: 'none' },
      metadata: { workspace_id: 'workspace_id', bot_id: 'bot_id' },
    },
    // "Generating a new access token and new refresh token"; what becomes of the old one is not said.
    refresh: { rotation: { kind: 'unknown' } },
  },
  connectionConfig: {
    workspace_id: { title: 'Workspace', description: 'Id of the workspace.', kind: 'segment', automated: true },
    bot_id: { title: 'Bot', description: 'Id of this authorization.', kind: 'segment', automated: true },
  },
  api: {
    baseUrl: 'https://api.notion.com',
    auth: { in: 'header', name: 'Authorization', value: 'Bearer ${accessToken}' },
    // Every call needs a version; the caller's own header wins.
    headers: { 'Notion-Version': '2022-06-28' },
    verification: { method: 'GET', path: '/v1/users/me' },
    retry: { after: ['retry-after'] },
    paginate: {
      type: 'cursor',
      cursor_path_in_response: 'next_cursor',
      cursor_name_in_request: 'start_cursor',
      response_path: 'results',
      limit_name_in_request: 'page_size',
    },
  },
  disconnect: {
    kind: 'call',
    method: 'POST',
    url: 'https://api.notion.com/v1/oauth/revoke',
    auth: { in: 'basic', username: '${clientId}', password: '${clientSecret}' },
    body: { format: 'json', params: { token: '${accessToken}' } },
    goneErrors: ['invalid_grant'],
  },
  account: { idFrom: 'workspace_id' },
  webhooks: {
    verify: {
      kind: 'hmac',
      headers: ['x-notion-signature'],
      algorithm: 'sha256',
      encoding: 'hex',
      prefix: 'sha256=',
      signed: '${body}',
      secrets: ['integration'],
    },
    type: { paths: ['type'] },
    id: { paths: ['id'] },
    route: [{ from: { paths: ['workspace_id'] }, by: 'account' }],
    setup:
      'The first request brings the `verification_token`, unsigned: set `webhook_trust` to `none`, create the subscription with the webhook URL, read the token with `GET /inbound-events`, enter it at Notion, set it as the webhook secret, and remove `webhook_trust`.',
  },
  gotchas: [
    'The app sees only pages that were shared with it on the consent screen or later.',
    'Older integrations get no refresh token; their access token has no end.',
    'Send a `Notion-Version` of your own to use a newer API.',
    'Not verified: `owner=user` and the answer when a dead token is revoked.',
  ],
  sources: [
    'https://developers.notion.com/reference/refresh-a-token (read 2026-11)',
    'https://developers.notion.com/reference/revoke-token (read 2026-11)',
    'https://developers.notion.com/reference/webhooks (as third parties describe it, read 2026-11)',
  ],
} satisfies ProviderSpec as ProviderSpec;

export default provider;
