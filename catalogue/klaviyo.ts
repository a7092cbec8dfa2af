import type { ProviderSpec } from './_spec/index.ts';

const provider = {
  name: 'klaviyo',
  displayName: 'Klaviyo',
  categories: ['marketing'],
  authMode: 'API_KEY',
  docsUrl: 'https://developers.klaviyo.com/en/docs/authenticate_',
  summary: 'Read and change profiles, lists and campaigns of your Klaviyo account.',
  credentials: {
    apiKey: {
      title: 'API key',
      description: 'Private key that begins with pk_, from Settings → API keys.',
      kind: 'text',
      secret: true,
    },
  },
  api: {
    baseUrl: 'https://a.klaviyo.com',
    // Its own scheme word.
    auth: { in: 'header', name: 'Authorization', value: 'Klaviyo-API-Key ${apiKey}' },
    // Every call needs a revision; the caller's own header wins.
    headers: { revision: '2025-10-15' },
    verification: { method: 'GET', path: '/api/accounts' },
    retry: { after: ['retry-after'] },
  },
  disconnect: {
    kind: 'unsupported',
    customerMustDo: 'An API key cannot be revoked from here: delete it where it was made.',
  },
  gotchas: [
    'A private key has scopes; the verification call needs `accounts:read`.',
    'A wrong key may be answered with 400 instead of 401.',
  ],
  sources: ['https://developers.klaviyo.com/en/docs/authenticate_ (read 2026-11)'],
} satisfies ProviderSpec as ProviderSpec;

export default provider;
