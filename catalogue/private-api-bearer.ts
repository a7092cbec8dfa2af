import type { ProviderSpec } from './_spec/index.ts';

const provider = {
  name: 'private-api-bearer',
  displayName: 'Private API (Bearer)',
  categories: ['dev-tools', 'other'],
  authMode: 'API_KEY',
  docsUrl: 'https://www.rfc-editor.org/rfc/rfc6750',
  summary: 'Use this API with a key of yours.',
  credentials: {
    apiKey: {
      title: 'API key',
      description: 'Sent as `Authorization: Bearer …` with every call.',
      kind: 'text',
      secret: true,
    },
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
    auth: { in: 'header', name: 'Authorization', value: 'Bearer ${apiKey}' },
    retry: { after: ['retry-after'] },
  },
  disconnect: {
    kind: 'unsupported',
    customerMustDo: 'A key cannot be revoked from here: delete it where it was made.',
  },
  gotchas: [
    'There is no verification call: a wrong key is noticed at the first call.',
    'A server on a private address must be listed in `HAWSER_EGRESS_ALLOW`.',
  ],
  sources: ['https://www.rfc-editor.org/rfc/rfc6750 (section 2.1; read 2026-11)'],
} satisfies ProviderSpec as ProviderSpec;

export default provider;
