import type { ProviderSpec } from './_spec/index.ts';

const provider = {
  name: 'zendesk',
  displayName: 'Zendesk',
  categories: ['support', 'ticketing'],
  authMode: 'OAUTH2',
  docsUrl: 'https://developer.zendesk.com/api-reference/ticketing/oauth/grant_type_tokens/',
  summary: 'Read and change tickets and users of your Zendesk account.',
  oauth2: {
    authorize: { url: 'https://${connectionConfig.subdomain}.zendesk.com/oauth/authorizations/new' },
    callback: { stateEcho: 'always' },
    scopes: { default: ['read', 'write'] },
    pkce: 'S256',
    token: {
      url: 'https://${connectionConfig.subdomain}.zendesk.com/oauth/tokens',
      body: 'json',
      clientAuth: 'body',
      sendScope: true,
    },
    // "Invalidating the previous access and refresh tokens".
    refresh: { rotation: { kind: 'strict' } },
  },
  connectionConfig: {
    subdomain: {
      title: 'Subdomain',
      description: 'The part before .zendesk.com in your address.',
      kind: 'label',
      example: 'acme',
    },
  },
  api: {
    baseUrl: 'https://${connectionConfig.subdomain}.zendesk.com',
    auth: { in: 'header', name: 'Authorization', value: 'Bearer ${accessToken}' },
    verification: { method: 'GET', path: '/api/v2/users/me.json' },
    retry: { after: ['retry-after'] },
    idempotencyHeader: 'Idempotency-Key',
  },
  disconnect: {
    kind: 'call',
    method: 'DELETE',
    url: 'https://${connectionConfig.subdomain}.zendesk.com/api/v2/oauth/tokens/current',
  },
  webhooks: {
    verify: {
      kind: 'hmac',
      headers: ['x-zendesk-webhook-signature'],
      algorithm: 'sha256',
      encoding: 'base64',
      signed: '${timestamp}${body}',
      // The page names no window.
      timestamp: { header: 'x-zendesk-webhook-signature-timestamp', unit: 'date', toleranceSeconds: 300 },
      secrets: ['integration'],
      urlProves: 'Each webhook has a signing secret of its own, and the integration has one.',
    },
    // Set for webhooks that are subscribed to events; those of triggers have the body that their author wrote.
    type: { paths: ['type'] },
    id: { headers: ['x-zendesk-webhook-invocation-id'] },
    route: [],
    keepHeaders: ['x-zendesk-account-id', 'x-zendesk-webhook-id'],
    setup:
      'Create the webhook in each Zendesk account with the webhook URL of its connection as endpoint. With one account only, its signing secret can be the webhook secret.',
  },
  gotchas: [
    'An OAuth client belongs to one account; to connect other accounts it must be a global client.',
    'A code works for two minutes.',
    'Not verified: the call that ends the current token; it is known from descriptions by others only.',
  ],
  sources: [
    'https://developer.zendesk.com/api-reference/ticketing/oauth/grant_type_tokens/ (read 2026-11)',
    'https://developer.zendesk.com/documentation/api-basics/authentication/refresh-token (read 2026-11)',
    'https://developer.zendesk.com/documentation/webhooks/verifying/ (read 2026-11)',
    'https://developer.zendesk.com/documentation/webhooks/anatomy-of-a-webhook-request (headers; read 2026-11)',
  ],
} satisfies ProviderSpec as ProviderSpec;

export default provider;
