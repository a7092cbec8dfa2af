import type { ProviderSpec } from './_spec/index.ts';

const provider = {
  name: 'oauth2-client-credentials',
  displayName: 'Any OAuth 2.0 server (client credentials)',
  categories: ['dev-tools', 'other'],
  authMode: 'OAUTH2_CC',
  docsUrl: 'https://www.rfc-editor.org/rfc/rfc6749#section-4.4',
  summary: 'Use this API with a client of yours.',
  credentials: {
    client_id: { title: 'Client id', description: 'The id of your API client.', kind: 'text', order: 1 },
    client_secret: {
      title: 'Client secret',
      description: 'Empty when the client proves itself with a key or a certificate.',
      kind: 'text',
      secret: true,
      optional: true,
      order: 2,
    },
    client_private_key: {
      title: 'Private key',
      description: 'PEM. Signs the client assertion, or belongs to the certificate.',
      kind: 'text',
      secret: true,
      optional: true,
      order: 3,
    },
    client_certificate: {
      title: 'Client certificate',
      description: 'PEM. Presented to the token server and the API.',
      kind: 'text',
      optional: true,
      order: 4,
    },
  },
  connectionConfig: {
    oauth_scopes: {
      title: 'Scopes',
      description: 'Separated by commas or spaces. Empty: what the client was given.',
      kind: 'text',
      optional: true,
      order: 1,
    },
  },
  clientCredentials: {
    token: {
      url: '${integrationConfig.token_url}',
      params: { audience: '${integrationConfig.audience}', resource: '${integrationConfig.resource}' },
    },
    clientAuth: 'body',
    assertion: {
      audience: '${integrationConfig.assertion_audience}',
      keyId: '${integrationConfig.assertion_key_id}',
    },
    certificate: 'optional',
    choices: {
      token_auth: {
        body: { clientAuth: 'body' },
        basic: { clientAuth: 'basic' },
        private_key_jwt: { clientAuth: 'private_key_jwt' },
        tls: { clientAuth: 'tls' },
      },
      assertion_algorithm: {
        RS256: { algorithm: 'RS256' },
        PS256: { algorithm: 'PS256' },
        ES256: { algorithm: 'ES256' },
      },
    },
  },
  integrationConfig: {
    token_url: {
      title: 'Token URL',
      description: 'Where the client asks for a token.',
      kind: 'url',
      example: 'https://login.example.com/oauth/token',
      order: 1,
    },
    api_base_url: {
      title: 'API base URL',
      description: 'Proxied calls go below it. Without it each call needs a Base-Url-Override.',
      kind: 'url',
      example: 'https://api.example.com',
      optional: true,
      order: 2,
    },
    token_auth: {
      title: 'Client authentication',
      description: 'How the client proves itself: secret in the body, HTTP Basic, a signed assertion, a certificate.',
      kind: 'enum',
      options: ['body', 'basic', 'private_key_jwt', 'tls'],
      default: 'body',
      optional: true,
      order: 3,
    },
    assertion_algorithm: {
      title: 'Signing algorithm',
      description: 'Of the client assertion.',
      kind: 'enum',
      options: ['RS256', 'PS256', 'ES256'],
      default: 'RS256',
      optional: true,
      order: 4,
    },
    assertion_key_id: {
      title: 'Key id',
      description: 'The `kid` of the client assertion, where the server wants one.',
      kind: 'text',
      optional: true,
      order: 5,
    },
    assertion_audience: {
      title: 'Assertion audience',
      description: 'Default: the token URL.',
      kind: 'text',
      optional: true,
      order: 6,
    },
    audience: {
      title: 'Audience',
      description: 'Parameter `audience` of the token request, where the server wants one.',
      kind: 'text',
      optional: true,
      order: 7,
    },
    resource: {
      title: 'Resource',
      description: 'Parameter `resource` of the token request (RFC 8707), where the server wants one.',
      kind: 'text',
      optional: true,
      order: 8,
    },
  },
  api: {
    baseUrl: '${integrationConfig.api_base_url}',
    auth: { in: 'header', name: 'Authorization', value: 'Bearer ${accessToken}' },
    retry: { after: ['retry-after'] },
  },
  disconnect: {
    kind: 'unsupported',
    customerMustDo: 'Delete the API client, or change its secret, where it was made.',
  },
  gotchas: [
    'Each customer brings a client of their own; the integration holds no client id and secret.',
    'The client is tried when it is typed: a wrong secret is told at once.',
    'A token whose answer tells no expiry is taken to live 55 minutes.',
    'A certificate is presented to the token server and the API, never to a Base-Url-Override.',
    'A server on a private address must be listed in `HAWSER_EGRESS_ALLOW`.',
  ],
  sources: [
    'https://www.rfc-editor.org/rfc/rfc6749 (section 4.4; read 2026-11)',
    'https://www.rfc-editor.org/rfc/rfc7523 (sections 2.2 and 3; read 2026-11)',
    'https://www.rfc-editor.org/rfc/rfc8705 (section 2; read 2026-11)',
  ],
} satisfies ProviderSpec as ProviderSpec;

export default provider;
