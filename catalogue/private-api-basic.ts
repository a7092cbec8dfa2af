import type { ProviderSpec } from './_spec/index.ts';

const provider = {
  name: 'private-api-basic',
  displayName: 'Private API (Basic)',
  categories: ['dev-tools', 'other'],
  authMode: 'BASIC',
  docsUrl: 'https://www.rfc-editor.org/rfc/rfc7617',
  summary: 'Use this API with a user name and password of yours.',
  credentials: {
    username: { title: 'User name', description: 'May not hold a colon.', kind: 'text', optional: true, order: 1 },
    password: { title: 'Password', description: 'May be empty.', kind: 'text', secret: true, optional: true, order: 2 },
  },
  integrationConfig: {
    base_url: {
      title: 'API base URL',
      description: 'Proxied calls go below it. Without it each call needs a Base-Url-Override.',
      kind: 'url',
      example: 'https://api.example.com',
      optional: true,
    },
  },
  api: {
    baseUrl: '${integrationConfig.base_url}',
    auth: { in: 'basic', username: '${username}', password: '${password}' },
    retry: { after: ['retry-after'] },
  },
  disconnect: {
    kind: 'unsupported',
    customerMustDo: 'A password cannot be revoked from here: change it where it was set.',
  },
  gotchas: [
    'For an API key sent as user name, leave the password empty.',
    'There is no verification call: wrong credentials are noticed at the first call.',
    'A server on a private address must be listed in `HAWSER_EGRESS_ALLOW`.',
  ],
  sources: ['https://www.rfc-editor.org/rfc/rfc7617 (section 2; read 2026-11)'],
} satisfies ProviderSpec as ProviderSpec;

export default provider;
