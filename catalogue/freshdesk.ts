import type { ProviderSpec } from './_spec/index.ts';

const provider = {
  name: 'freshdesk',
  displayName: 'Freshdesk',
  categories: ['support', 'ticketing'],
  authMode: 'API_KEY',
  docsUrl: 'https://developers.freshdesk.com/api/#authentication',
  summary: 'Read and change tickets and contacts of your Freshdesk account.',
  credentials: {
    apiKey: {
      title: 'API key',
      description: 'From your profile settings, “View API key”.',
      kind: 'text',
      secret: true,
    },
  },
  connectionConfig: {
    subdomain: {
      title: 'Subdomain',
      description: 'The part before .freshdesk.com in your address.',
      kind: 'label',
      example: 'acme',
    },
  },
  api: {
    baseUrl: 'https://${connectionConfig.subdomain}.freshdesk.com',
    // HTTP Basic: the key is the user name, the password is any text.
    auth: { in: 'basic', username: '${apiKey}', password: 'X' },
    verification: { method: 'GET', path: '/api/v2/agents/me' },
    retry: { after: ['retry-after'] },
  },
  disconnect: {
    kind: 'unsupported',
    customerMustDo: 'An API key cannot be revoked from here: delete it where it was made.',
  },
  gotchas: [
    'A key acts as the agent it belongs to, with that agent’s permissions.',
    'Not verified: the letter X as password is taken from examples; any text is said to do.',
  ],
  sources: ['https://docs.n8n.io/integrations/builtin/credentials/freshdesk (subdomain and key; read 2026-11)'],
} satisfies ProviderSpec as ProviderSpec;

export default provider;
