import type { ProviderSpec } from './_spec/index.ts';

const provider = {
  name: 'ashby',
  displayName: 'Ashby',
  categories: ['ats', 'hr'],
  authMode: 'API_KEY',
  docsUrl: 'https://developers.ashbyhq.com/reference/authentication',
  summary: 'Read and change candidates and jobs of your Ashby account.',
  credentials: {
    apiKey: { title: 'API key', description: 'From Admin → Integrations → API keys.', kind: 'text', secret: true },
  },
  api: {
    baseUrl: 'https://api.ashbyhq.com',
    // HTTP Basic: the key is the user name, the password is empty.
    auth: { in: 'basic', username: '${apiKey}', password: '' },
    headers: { Accept: 'application/json; version=1' },
    // Reads are POSTs too; a body is needed, be it empty.
    verification: {
      method: 'POST',
      path: '/apiKey.info',
      headers: { 'Content-Type': 'application/json' },
      body: '{}',
    },
    retry: { after: ['retry-after'] },
  },
  disconnect: {
    kind: 'unsupported',
    customerMustDo: 'An API key cannot be revoked from here: delete it where it was made.',
  },
  webhooks: {
    verify: {
      kind: 'hmac',
      headers: ['ashby-signature'],
      algorithm: 'sha256',
      encoding: 'hex',
      prefix: 'sha256=',
      signed: '${body}',
      secrets: ['integration'],
      urlProves: 'The secret token is chosen in each Ashby account, and the integration has one.',
    },
    // `ping` when a webhook is made or changed.
    type: { paths: ['action'] },
    route: [],
    setup:
      'Create the webhook in the Ashby admin with the webhook URL of the connection, and the webhook secret as its secret token.',
  },
  gotchas: [
    'Every call is a POST with a JSON body, also reads.',
    'A wrong key answers 403, a missing one 401.',
    'A key has permissions per module; the verification call needs those of “API keys”.',
  ],
  sources: [
    'https://developers.ashbyhq.com/reference/authentication (read 2026-11)',
    'https://developers.ashbyhq.com/reference/introduction (read 2026-11)',
    'https://developers.ashbyhq.com/docs/authenticating-webhooks (read 2026-11)',
    'https://developers.ashbyhq.com/docs/setting-up-webhooks (read 2026-11)',
  ],
} satisfies ProviderSpec as ProviderSpec;

export default provider;
