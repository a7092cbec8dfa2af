import type { ProviderSpec } from './_spec/index.ts';

const provider = {
  name: 'oauth2-generic',
  displayName: 'Any OAuth 2.0 server',
  categories: ['other', 'dev-tools'],
  authMode: 'OAUTH2',
  docsUrl: 'https://www.rfc-editor.org/rfc/rfc6749',
  summary: 'Use your account at this service.',
  oauth2: {
    issuer: '${integrationConfig.issuer}',
    authorize: { url: '${integrationConfig.authorization_url}' },
    callback: { stateEcho: 'always' },
    pkce: 'S256',
    token: { url: '${integrationConfig.token_url}', body: 'form', clientAuth: 'body' },
    refresh: { rotation: { kind: 'unknown' } },
    choices: {
      scope_separator: {
        space: { scopeSeparator: ' ' },
        comma: { scopeSeparator: ',' },
        plus: { scopeSeparator: '+' },
      },
      pkce: { S256: { pkce: 'S256' }, off: { pkce: 'off', pkceOffReason: 'Switched off in the integration.' } },
      token_auth: { body: { clientAuth: 'body' }, basic: { clientAuth: 'basic' }, none: { clientAuth: 'none' } },
      rotation: {
        none: { rotation: { kind: 'none' } },
        // The shortest grace that identity products ship with; a longer one at the server only helps.
        overlap: { rotation: { kind: 'overlap', graceSeconds: 30 } },
        strict: { rotation: { kind: 'strict' } },
        unknown: { rotation: { kind: 'unknown' } },
      },
    },
  },
  integrationConfig: {
    issuer: {
      title: 'Issuer',
      description: 'Address whose metadata (OpenID discovery or RFC 8414) tells the other URLs. Copy it exactly.',
      kind: 'url',
      example: 'https://login.example.com',
      optional: true,
      order: 1,
    },
    authorization_url: {
      title: 'Authorization URL',
      description: 'Needed without an issuer; replaces the one of the metadata.',
      kind: 'url',
      optional: true,
      order: 2,
    },
    token_url: {
      title: 'Token URL',
      description: 'Needed without an issuer; replaces the one of the metadata.',
      kind: 'url',
      optional: true,
      order: 3,
    },
    revocation_url: {
      title: 'Revocation URL',
      description: 'RFC 7009 endpoint, called when a connection is deleted. Default: the one of the metadata, if any.',
      kind: 'url',
      optional: true,
      order: 4,
    },
    api_base_url: {
      title: 'API base URL',
      description: 'Proxied calls go below it. Without it each call needs a Base-Url-Override.',
      kind: 'url',
      example: 'https://api.example.com',
      optional: true,
      order: 5,
    },
    scope_separator: {
      title: 'Scope separator',
      description: 'What joins scopes in the authorization URL.',
      kind: 'enum',
      options: ['space', 'comma', 'plus'],
      default: 'space',
      optional: true,
      order: 6,
    },
    pkce: {
      title: 'PKCE',
      description: 'Switch it off only for a server that refuses it.',
      kind: 'enum',
      options: ['S256', 'off'],
      default: 'S256',
      optional: true,
      order: 7,
    },
    token_auth: {
      title: 'Client authentication',
      description: 'How client id and secret reach the token endpoint; `none` is a public client.',
      kind: 'enum',
      options: ['body', 'basic', 'none'],
      default: 'body',
      optional: true,
      order: 8,
    },
    rotation: {
      title: 'Refresh token rotation',
      description:
        'What becomes of a used refresh token: it stays (`none`), works on for a while (`overlap`), dies at once (`strict`).',
      kind: 'enum',
      options: ['none', 'overlap', 'strict', 'unknown'],
      default: 'unknown',
      optional: true,
      order: 9,
    },
  },
  api: {
    baseUrl: '${integrationConfig.api_base_url}',
    auth: { in: 'header', name: 'Authorization', value: 'Bearer ${accessToken}' },
    retry: { after: ['retry-after'] },
  },
  disconnect: { kind: 'rfc7009', url: '${integrationConfig.revocation_url}', optional: true },
  gotchas: [
    'Give an issuer, or an authorization URL and a token URL.',
    'With an issuer the `iss` of the answer is checked (RFC 9207).',
    'A server on a private address must be listed in `HAWSER_EGRESS_ALLOW`.',
    'Leave the rotation at `unknown` unless the server documents it: unknown is handled as strict, the safe side.',
  ],
  sources: [
    'https://www.rfc-editor.org/rfc/rfc6749 (read 2026-11)',
    'https://www.rfc-editor.org/rfc/rfc8414 (read 2026-11)',
    'https://www.rfc-editor.org/rfc/rfc7009 (read 2026-11)',
  ],
} satisfies ProviderSpec as ProviderSpec;

export default provider;
