import type { ProviderSpec } from './_spec/index.ts';

const provider = {
  name: 'shopify',
  displayName: 'Shopify',
  categories: ['e-commerce'],
  authMode: 'OAUTH2',
  docsUrl: 'https://shopify.dev/docs/apps/build/authentication-authorization/access-tokens/authorization-code-grant',
  summary: 'Read and change products, orders and customers of your shop.',
  oauth2: {
    authorize: { url: 'https://${connectionConfig.subdomain}.myshopify.com/admin/oauth/authorize' },
    callback: { stateEcho: 'always', signature: { param: 'hmac', unsigned: ['signature'] } },
    scopes: { default: ['read_products'], separator: ',' },
    pkce: 'off',
    pkceOffReason: 'Not part of the authorization code grant guide.',
    token: {
      url: 'https://${connectionConfig.subdomain}.myshopify.com/admin/oauth/access_token',
      body: 'form',
      clientAuth: 'body',
      // The guide lists client_id, client_secret, code and expiring, nothing else.
      omit: ['grant_type', 'redirect_uri', 'code_verifier'],
      // Public apps made since April 2026 may not use tokens without an end.
      params: { expiring: '1' },
    },
    // A refresh gives another refresh token and kills the old one.
    refresh: { rotation: { kind: 'strict' }, params: { grant_type: 'refresh_token' } },
    afterConnect: {
      url: 'https://${connectionConfig.subdomain}.myshopify.com/admin/api/2025-10/shop.json',
      metadata: { shop_id: 'shop.id' },
    },
  },
  connectionConfig: {
    subdomain: {
      title: 'Shop',
      description: 'The part before .myshopify.com in the address of your shop.',
      kind: 'label',
      example: 'acme',
    },
    shop_id: { title: 'Shop id', description: 'Id of the shop.', kind: 'segment', automated: true },
  },
  api: {
    baseUrl: 'https://${connectionConfig.subdomain}.myshopify.com',
    auth: { in: 'header', name: 'X-Shopify-Access-Token', value: '${accessToken}' },
    verification: { method: 'GET', path: '/admin/api/2025-10/shop.json' },
    retry: { after: ['retry-after'] },
  },
  // Uninstalls the app from the shop.
  disconnect: {
    kind: 'call',
    method: 'DELETE',
    url: 'https://${connectionConfig.subdomain}.myshopify.com/admin/api_permissions/current.json',
    ends: 'account',
  },
  account: { idFrom: 'shop_id' },
  webhooks: {
    verify: {
      kind: 'hmac',
      headers: ['x-shopify-hmac-sha256'],
      algorithm: 'sha256',
      encoding: 'base64',
      signed: '${body}',
      secrets: ['client'],
    },
    type: { headers: ['x-shopify-topic'] },
    id: { headers: ['x-shopify-webhook-id'] },
    route: [
      {
        from: { headers: ['x-shopify-shop-domain'] },
        by: 'connectionConfig.subdomain',
        stripSuffix: '.myshopify.com',
      },
      // Headers are not signed: what ends a connection names its shop in the body.
      {
        events: ['app/uninstalled'],
        from: { paths: ['myshopify_domain'] },
        by: 'connectionConfig.subdomain',
        stripSuffix: '.myshopify.com',
      },
    ],
    at: { in: { headers: ['x-shopify-triggered-at'] }, unit: 'date' },
    meanings: { 'app/uninstalled': 'deauthorized' },
    keepHeaders: ['x-shopify-shop-domain', 'x-shopify-api-version', 'x-shopify-event-id'],
    setup: 'Subscribe with the webhook URL as address; the client secret proves what comes.',
  },
  gotchas: [
    'One shop and app have one expiring token: connecting the shop a second time ends the first connection.',
    'A redirect whose `hmac` is not right is refused, beside state and cookie.',
    'Access tokens live an hour, refresh tokens 90 days without use.',
    'Deleting the last connection of a shop uninstalls the app from it.',
  ],
  sources: [
    'https://shopify.dev/docs/apps/build/authentication-authorization/access-tokens/authorization-code-grant (hmac; as the MIT library of Shopify computes it, read 2026-11)',
    'https://shopify.dev/docs/apps/build/authentication-authorization/access-tokens/offline-access-tokens (read 2026-11)',
    'https://shopify.dev/changelog/offline-access-tokens-now-support-expiry-and-refresh (read 2026-11)',
    'https://shopify.dev/tutorials/uninstall-an-app-with-an-api-call (read 2026-11)',
    'https://shopify.dev/docs/apps/build/webhooks (signature and headers, as third parties describe them, read 2026-11)',
  ],
} satisfies ProviderSpec as ProviderSpec;

export default provider;
