import type { ProviderSpec } from './_spec/index.ts';

const provider = {
  name: 'apple-app-store',
  displayName: 'App Store Connect',
  categories: ['dev-tools'],
  authMode: 'JWT',
  docsUrl: 'https://developer.apple.com/documentation/appstoreconnectapi/generating-tokens-for-api-requests',
  summary: 'Read and manage your apps, builds and reports in App Store Connect.',
  credentials: {
    privateKeyId: {
      title: 'Key id',
      description: 'Of the API key, under Users and Access, Integrations.',
      kind: 'text',
      example: '2X9R4HXF34',
      order: 1,
    },
    issuerId: {
      title: 'Issuer id',
      description: 'Shown above the list of keys.',
      kind: 'text',
      example: '57246542-96fe-1a63-e053-0824d011072a',
      order: 2,
    },
    privateKey: {
      title: 'Private key',
      description: 'The content of the `.p8` file; it can be downloaded once.',
      kind: 'text',
      secret: true,
      order: 3,
    },
  },
  jwt: {
    algorithm: 'ES256',
    key: '${credentials.privateKey}',
    header: { kid: '${credentials.privateKeyId}' },
    claims: { iss: '${credentials.issuerId}', aud: 'appstoreconnect-v1' },
    // Tokens of more than 20 minutes are refused for most calls.
    lifetimeSeconds: 900,
  },
  api: {
    baseUrl: 'https://api.appstoreconnect.apple.com',
    auth: { in: 'header', name: 'Authorization', value: 'Bearer ${accessToken}' },
    verification: { method: 'GET', path: '/v1/apps?limit=1' },
    retry: { after: ['retry-after'] },
  },
  disconnect: {
    kind: 'unsupported',
    customerMustDo: 'Revoke the API key in App Store Connect, under Users and Access, Integrations.',
  },
  gotchas: [
    'Team keys only: an individual key has no issuer id.',
    'The key is EC on the curve P-256; paste the whole file, with its first and last line.',
    'A token lives 15 minutes and is signed here.',
    'The verification call needs a role that may list apps.',
  ],
  sources: [
    'https://developer.apple.com/documentation/appstoreconnectapi/generating-tokens-for-api-requests (read 2026-11)',
  ],
} satisfies ProviderSpec as ProviderSpec;

export default provider;
