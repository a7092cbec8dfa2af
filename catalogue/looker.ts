import type { ProviderSpec } from './_spec/index.ts';

const provider = {
  name: 'looker',
  displayName: 'Looker',
  categories: ['analytics'],
  authMode: 'TWO_STEP',
  docsUrl: 'https://cloud.google.com/looker/docs/api-auth',
  summary: 'Run queries and read dashboards of your Looker instance.',
  credentials: {
    client_id: {
      title: 'API client id',
      description: 'Of an API key of a Looker user: Admin, Users, Edit Keys.',
      kind: 'text',
      order: 1,
    },
    client_secret: {
      title: 'API client secret',
      description: 'Shown beside the id.',
      kind: 'text',
      secret: true,
      order: 2,
    },
  },
  connectionConfig: {
    hostname: {
      title: 'API host',
      description: 'Host of the instance; with port where the API has one of its own.',
      kind: 'host',
      example: 'acme.cloud.looker.com',
      order: 1,
    },
  },
  login: {
    token: {
      url: 'https://${connectionConfig.hostname}/api/4.0/login',
      body: 'form',
      params: { client_id: '${credentials.client_id}', client_secret: '${credentials.client_secret}' },
    },
  },
  api: {
    baseUrl: 'https://${connectionConfig.hostname}/api/4.0',
    auth: { in: 'header', name: 'Authorization', value: 'token ${accessToken}' },
    verification: { method: 'GET', path: '/user' },
    retry: { after: ['retry-after'] },
  },
  disconnect: {
    kind: 'call',
    method: 'DELETE',
    url: 'https://${connectionConfig.hostname}/api/4.0/logout',
  },
  gotchas: [
    'A session token lives an hour; the login is repeated with the API key when it ends.',
    'Disconnecting ends the session token. The API key stays until its owner deletes it.',
    'An instance on customer-hosted hardware often has its API on port 19999: write it behind the host.',
    'What the token may do is what the Looker user may do.',
  ],
  sources: ['https://cloud.google.com/looker/docs/reference/looker-api/latest/methods/ApiAuth/login (read 2026-11)'],
} satisfies ProviderSpec as ProviderSpec;

export default provider;
