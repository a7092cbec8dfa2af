import type { ProviderSpec } from './_spec/index.ts';

const provider = {
  name: 'github-app',
  displayName: 'GitHub (App)',
  categories: ['dev-tools', 'ticketing'],
  authMode: 'APP',
  docsUrl: 'https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app',
  setupGuideUrl:
    'https://docs.github.com/en/apps/creating-github-apps/registering-a-github-app/registering-a-github-app',
  summary: 'Use the repositories on which you install the app.',
  app: {
    installUrl: '${appLink}/installations/new',
    linkHosts: ['github.com'],
    installationUrl: 'https://api.github.com/app/installations/${connectionConfig.installation_id}',
    changedAt: ['created_at', 'updated_at'],
    metadata: { account_id: 'account.id', account_login: 'account.login' },
    tokenUrl: 'https://api.github.com/app/installations/${connectionConfig.installation_id}/access_tokens',
    headers: { Accept: 'application/vnd.github+json', 'X-GitHub-Api-Version': '2022-11-28' },
    response: { accessToken: ['token'], expiry: { path: 'expires_at', kind: 'at' }, lifetimeSeconds: 3600 },
  },
  connectionConfig: {
    installation_id: {
      title: 'Installation',
      description: 'Id of the installation.',
      kind: 'segment',
      automated: true,
    },
    account_id: {
      title: 'Account id',
      description: 'Of the user or organization on which the app is installed.',
      kind: 'segment',
      automated: true,
    },
    account_login: {
      title: 'Account',
      description: 'Name of that user or organization.',
      kind: 'text',
      automated: true,
    },
  },
  api: {
    baseUrl: 'https://api.github.com',
    auth: { in: 'header', name: 'Authorization', value: 'Bearer ${accessToken}' },
    headers: { Accept: 'application/vnd.github+json', 'X-GitHub-Api-Version': '2022-11-28' },
    verification: { method: 'GET', path: '/installation/repositories?per_page=1' },
    retry: { at: ['x-ratelimit-reset'], after: ['retry-after'], remaining: 'x-ratelimit-remaining' },
  },
  disconnect: { kind: 'call', method: 'DELETE', url: 'https://api.github.com/installation/token' },
  account: { idFrom: 'account_id' },
  webhooks: {
    verify: {
      kind: 'hmac',
      headers: ['x-hub-signature-256'],
      algorithm: 'sha256',
      encoding: 'hex',
      prefix: 'sha256=',
      signed: '${body}',
      secrets: ['integration'],
    },
    type: { headers: ['x-github-event'] },
    id: { headers: ['x-github-delivery'] },
    route: [{ from: { paths: ['installation.id'] }, by: 'connectionConfig.installation_id' }],
    // Another installation has another id, so that the event needs no time.
    meanings: { installation: { is: 'deauthorized', when: { path: 'action', equals: 'deleted' } } },
    setup: 'Give the webhook URL to the GitHub App and set its webhook secret.',
  },
  gotchas: [
    'The integration has credentials of type `APP`: `app_id`, `app_link` (`https://github.com/apps/<name>`) and `private_key`.',
    'Setup URL of the app: `<server>/app-auth/connect`, with "Redirect on update" switched on.',
    'The id of the installation comes in the address and could be anybody’s. It is believed only when GitHub says that it was made or changed during the flow. Where that is not enough, also ask for the user’s authorization.',
    'A token lives an hour; a new one is asked for with the key of the app.',
    'Disconnecting ends the token. The installation stays until an owner removes it.',
    'An installation that needs an owner’s approval ends with a sentence that says so.',
  ],
  sources: [
    'https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/generating-a-json-web-token-jwt-for-a-github-app (its steps as quoted elsewhere, read 2026-11)',
    'https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/generating-an-installation-access-token-for-a-github-app (the endpoint as described elsewhere, read 2026-11)',
    'https://docs.github.com/en/apps/creating-github-apps/registering-a-github-app/about-the-setup-url (known by heart, not read 2026-11)',
    'https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries (read 2026-11)',
    'https://docs.github.com/en/webhooks/webhook-events-and-payloads#installation (known by heart, not read 2026-11)',
  ],
} satisfies ProviderSpec as ProviderSpec;

export default provider;
