import type { ProviderSpec } from './_spec/index.ts';

const provider = {
  name: 'paypal',
  displayName: 'PayPal',
  categories: ['payment'],
  authMode: 'OAUTH2_CC',
  docsUrl: 'https://developer.paypal.com/api/rest/authentication/',
  setupGuideUrl: 'https://developer.paypal.com/api/rest/',
  summary: 'Read and make payments, invoices and payouts of your PayPal account.',
  credentials: {
    client_id: {
      title: 'Client id',
      description: 'Of a REST app in your PayPal developer dashboard.',
      kind: 'text',
      order: 1,
    },
    client_secret: {
      title: 'Client secret',
      description: 'Shown beside the client id.',
      kind: 'text',
      secret: true,
      order: 2,
    },
  },
  connectionConfig: {
    api_host: {
      title: 'Account',
      description: 'Live, or the sandbox; each has apps of its own.',
      kind: 'enum',
      options: ['api-m.paypal.com', 'api-m.sandbox.paypal.com'],
      default: 'api-m.paypal.com',
      order: 1,
    },
  },
  clientCredentials: {
    token: { url: 'https://${connectionConfig.api_host}/v1/oauth2/token', body: 'form' },
    clientAuth: 'basic',
  },
  api: {
    baseUrl: 'https://${connectionConfig.api_host}',
    auth: { in: 'header', name: 'Authorization', value: 'Bearer ${accessToken}' },
    retry: { after: ['retry-after'] },
  },
  disconnect: {
    kind: 'unsupported',
    customerMustDo: 'Delete the REST app, or make a new secret for it, in the PayPal developer dashboard.',
  },
  gotchas: [
    'Every customer brings a REST app of their own: client id and secret come from the Connect form.',
    'A token lives about nine hours; the answer tells the exact time, and the scopes of the app.',
    'Sandbox and live are two hosts with separate apps.',
  ],
  sources: [
    'https://developer.paypal.com/docs/api/reference/get-an-access-token/ (read 2026-11)',
    'https://developer.paypal.com/reference/get-an-access-token (read 2026-11)',
  ],
} satisfies ProviderSpec as ProviderSpec;

export default provider;
