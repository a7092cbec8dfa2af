import type { ProviderSpec } from './_spec/index.ts';

const provider = {
  name: 'slack',
  displayName: 'Slack',
  categories: ['communication'],
  authMode: 'OAUTH2',
  docsUrl: 'https://docs.slack.dev/authentication/installing-with-oauth',
  setupGuideUrl: 'https://docs.slack.dev/quickstart',
  summary: 'Read and post messages in your Slack workspace.',
  oauth2: {
    // `scope` asks for the bot, `user_scope` (session: `user_scopes`) for the person; one of them is needed.
    authorize: { url: 'https://slack.com/oauth/v2/authorize' },
    callback: { stateEcho: 'always' },
    scopes: { default: ['users:read'], separator: ',' },
    pkce: 'off',
    pkceOffReason: 'Switching PKCE on at Slack turns the app into a public client, and cannot be undone.',
    token: {
      url: 'https://slack.com/api/oauth.v2.access',
      body: 'form',
      // The reference prefers Basic to id and secret in the body.
      clientAuth: 'basic',
    },
    response: {
      // Every answer is a 200; `ok` tells.
      success: { path: 'ok', equals: true },
      errorStatus: 200,
      // The bot's token; when only user scopes were asked for there is none, and the person's is nested.
      accessToken: ['access_token', 'authed_user.access_token'],
      errorKinds: {
        invalid_code: 'invalid_grant',
        code_already_used: 'invalid_grant',
        invalid_refresh_token: 'invalid_grant',
        token_revoked: 'invalid_grant',
        bad_client_secret: 'invalid_client',
        invalid_client_id: 'invalid_client',
        invalid_scope: 'invalid_scope',
      },
      metadata: {
        team_id: 'team.id',
        authed_user_id: 'authed_user.id',
        bot_user_id: 'bot_user_id',
        app_id: 'app_id',
      },
    },
    // Only with token rotation switched on; "The refresh token is then revoked" (rotation guide).
    refresh: { rotation: { kind: 'strict' } },
  },
  connectionConfig: {
    team_id: { title: 'Workspace', description: 'Id of the Slack workspace.', kind: 'segment', automated: true },
    authed_user_id: { title: 'Person', description: 'Id of who installed the app.', kind: 'segment', automated: true },
    bot_user_id: {
      title: 'Bot',
      description: 'Id of the bot whose token is used. Without it the token is a person’s.',
      kind: 'segment',
      automated: true,
      optional: true,
    },
    app_id: { title: 'App', description: 'Id of the Slack app.', kind: 'segment', automated: true },
  },
  api: {
    baseUrl: 'https://slack.com/api',
    auth: { in: 'header', name: 'Authorization', value: 'Bearer ${accessToken}' },
    // Any scope will do.
    verification: {
      method: 'POST',
      path: '/auth.test',
      headers: { 'content-type': 'application/json; charset=utf-8' },
      body: '{}',
    },
    retry: { after: ['retry-after'] },
    refusal: {
      success: { path: 'ok', equals: true },
      code: 'error',
      unauthorized: ['token_revoked', 'invalid_auth', 'account_inactive', 'token_expired', 'not_authed'],
    },
  },
  disconnect: {
    kind: 'call',
    method: 'POST',
    url: 'https://slack.com/api/auth.revoke',
    success: { path: 'ok', equals: true },
    goneErrors: ['token_revoked', 'invalid_auth', 'account_inactive', 'token_expired'],
  },
  account: { idFrom: 'team_id' },
  webhooks: {
    verify: {
      kind: 'hmac',
      headers: ['x-slack-signature'],
      algorithm: 'sha256',
      encoding: 'hex',
      prefix: 'v0=',
      signed: 'v0:${timestamp}:${body}',
      timestamp: { header: 'x-slack-request-timestamp', unit: 'seconds', toleranceSeconds: 300 },
      // The signing secret of the app, which is not its client secret.
      secrets: ['integration'],
    },
    type: { paths: ['event.type', 'type'] },
    id: { paths: ['event_id'] },
    route: [{ from: { paths: ['team_id', 'team.id'] }, by: 'account' }],
    at: { in: { paths: ['event_time'] }, unit: 'seconds' },
    meanings: {
      app_uninstalled: 'deauthorized',
      // Ids of people and bots; an end of ours is told as well.
      tokens_revoked: {
        is: 'deauthorized',
        lists: [
          { path: 'event.tokens.bot', config: 'bot_user_id' },
          { path: 'event.tokens.oauth', config: 'authed_user_id', unless: 'bot_user_id' },
        ],
        echoesEach: true,
      },
    },
    challenge: { kind: 'body', when: { path: 'type', equals: 'url_verification' }, reply: 'challenge' },
    setup:
      'Set the signing secret of the app as the webhook secret, then give the webhook URL as the request URL. Subscribe to `app_uninstalled` and `tokens_revoked`.',
  },
  gotchas: [
    'API errors come with status 200 and `ok: false`: check `ok`. An error that speaks of the token is noticed here and handled like a 401, but the answer itself is passed on and not repeated.',
    'With bot and user scopes together the bot’s token is used; the person’s is in the raw credentials, `authed_user`.',
    'Tokens end after 12 hours only when token rotation is on in the app’s settings; else they never end.',
  ],
  sources: [
    'https://docs.slack.dev/reference/methods/auth.test (read 2026-11)',
    'https://docs.slack.dev/reference/methods/oauth.v2.access (read 2026-11)',
    'https://docs.slack.dev/authentication/using-token-rotation (read 2026-11)',
    'https://docs.slack.dev/changelog/2026/03/30/pkce (read 2026-11)',
    'https://api.slack.com/authentication/verifying-requests-from-slack (read 2026-11)',
    'https://api.slack.com/events/tokens_revoked (read 2026-11)',
  ],
} satisfies ProviderSpec as ProviderSpec;

export default provider;
