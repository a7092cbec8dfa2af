import type { ProviderSpec } from './_spec/index.ts';

const provider = {
  name: 'ghost-admin',
  displayName: 'Ghost (Admin API)',
  categories: ['cms'],
  authMode: 'JWT',
  docsUrl: 'https://docs.ghost.org/admin-api',
  summary: 'Read and write posts, pages and members of your Ghost site.',
  credentials: {
    privateKey: {
      title: 'Admin API key',
      description: 'Of a custom integration in your Ghost settings: two parts with a colon between them.',
      kind: 'text',
      secret: true,
      order: 1,
    },
  },
  connectionConfig: {
    adminDomain: {
      title: 'Admin domain',
      description: 'The host under which you open Ghost Admin.',
      kind: 'host',
      example: 'acme.ghost.io',
      order: 1,
    },
  },
  jwt: {
    algorithm: 'HS256',
    split: { field: 'privateKey', at: ':', into: ['keyId', 'keySecret'] },
    key: '${credentials.keySecret}',
    keyEncoding: 'hex',
    header: { kid: '${credentials.keyId}' },
    claims: { aud: '/admin/' },
    // Ghost refuses tokens older than five minutes.
    lifetimeSeconds: 300,
  },
  api: {
    baseUrl: 'https://${connectionConfig.adminDomain}/ghost/api/admin',
    auth: { in: 'header', name: 'Authorization', value: 'Ghost ${accessToken}' },
    headers: { 'Accept-Version': 'v5.0' },
    verification: { method: 'GET', path: '/config/' },
  },
  disconnect: {
    kind: 'unsupported',
    customerMustDo: 'Delete the custom integration, or regenerate its key, in the Ghost settings.',
  },
  gotchas: [
    'The first part of the key names it (`kid`), the second one signs; it is hexadecimal.',
    'A token is valid for five minutes; a new one is signed here, nobody is asked.',
    'A site in a subdirectory is not covered: the API address is taken to be at the root of the admin domain.',
    'The clocks of the two machines must agree to well under five minutes.',
  ],
  sources: ['https://docs.ghost.org/admin-api (section Token authentication; read 2026-11)'],
} satisfies ProviderSpec as ProviderSpec;

export default provider;
