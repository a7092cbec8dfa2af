import type { ProviderSpec } from './_spec/index.ts';

const provider = {
  name: 'xref',
  displayName: 'Xref',
  categories: ['hr', 'ats'],
  authMode: 'OAUTH2',
  docsUrl: 'https://github.com/xrefdev/openapi-oauth-docs',
  summary: 'Start reference checks and read their results in your Xref account.',
  oauth2: {
    // `state` is the only parameter the guide knows; the client id is a path segment.
    authorize: {
      url: 'https://login.xref.com/oauth/open-api/${clientId}',
      params: { client_id: null, response_type: null, redirect_uri: null, scope: null },
    },
    callback: { stateEcho: 'may-drop' },
    pkce: 'off',
    pkceOffReason: 'Not part of the Open API OAuth guide.',
    token: {
      url: 'https://api-open.xref.com/oauth/tokens',
      body: 'json',
      clientAuth: 'body',
      omit: ['grant_type', 'redirect_uri', 'code_verifier'],
    },
    response: { metadata: { xref_account_id: 'xref_account_id' } },
  },
  connectionConfig: {
    xref_account_id: {
      title: 'Xref account',
      description: 'Id of the connected Xref account.',
      kind: 'segment',
      automated: true,
    },
  },
  api: {
    baseUrl: 'https://api-open.xref.com',
    // The scheme word is `Token`, not `Bearer`.
    auth: { in: 'header', name: 'Authorization', value: 'Token ${accessToken}' },
    verification: { method: 'POST', path: '/auth' },
    retry: { after: ['retry-after'] },
  },
  // Answers with the one token that it ended.
  disconnect: {
    kind: 'call',
    method: 'POST',
    url: 'https://api-open.xref.com/oauth/deauthorize',
    endsReplaced: true,
  },
  account: { idFrom: 'xref_account_id', suggestedPolicy: 'share' },
  webhooks: {
    // Documented is only that a URL is called: signature, names and fields are assumptions, as the emulator makes them.
    verify: {
      kind: 'hmac',
      headers: ['x-xref-signature'],
      algorithm: 'sha256',
      encoding: 'hex',
      signed: '${body}',
      secrets: ['integration', 'client'],
      urlProves: 'Whether and how webhooks are signed is not documented.',
    },
    type: { paths: ['type'] },
    id: { paths: ['id'] },
    route: [
      {
        events: ['token.deauthorized'],
        from: { paths: ['data.object.access_code', 'data.object.access_token'] },
        by: 'token',
      },
      { from: { paths: ['account_id'] }, by: 'account' },
    ],
    meanings: { 'token.deauthorized': 'deauthorized' },
    redact: ['data.object.access_code', 'data.object.access_token'],
    setup:
      'Not verified: Xref documents no signature. If it sends none, use the webhook URLs of the connections, or `webhook_trust: none`.',
  },
  emulator: 'xref',
  gotchas: [
    'The connection is made for the whole Xref account; several of your end users may share one.',
    'The token acts as the account’s API key and has no stated end of life.',
    'A partner application is registered by email to integrations@xref.com; its callback field is named `redirect_url`.',
    'No sandbox is documented: develop against the emulator.',
  ],
  sources: ['https://github.com/xrefdev/openapi-oauth-docs (read 2026-11)'],
} satisfies ProviderSpec as ProviderSpec;

export default provider;
