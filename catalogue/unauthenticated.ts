import type { ProviderSpec } from './_spec/index.ts';

const provider = {
  name: 'unauthenticated',
  displayName: 'Open API (no credential)',
  categories: ['dev-tools', 'other'],
  authMode: 'NONE',
  docsUrl: 'https://www.rfc-editor.org/rfc/rfc9110',
  summary: 'Use a public API that asks for no credential.',
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
    auth: { in: 'none' },
    retry: { after: ['retry-after'] },
  },
  disconnect: { kind: 'nothing' },
  webhooks: {
    verify: { kind: 'none' },
    type: { paths: ['type'] },
    route: [{ from: { paths: ['connectionId'] }, by: 'connectionId' }],
    setup:
      'Nothing proves such webhooks: use the webhook URLs of the connections, or `webhook_trust: none`. The body says `type` and `connectionId`.',
  },
  gotchas: ['No credential is stored or sent; the connection only gives a name to who calls.'],
  sources: ['https://www.rfc-editor.org/rfc/rfc9110 (read 2026-11)'],
} satisfies ProviderSpec as ProviderSpec;

export default provider;
