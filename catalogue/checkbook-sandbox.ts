import type { ProviderSpec } from './_spec/index.ts';
import production from './checkbook.ts';

const provider = {
  name: 'checkbook-sandbox',
  displayName: 'Checkbook (sandbox)',
  categories: ['payment', 'invoicing'],
  authMode: 'OAUTH2',
  docsUrl: 'https://docs.checkbook.io/docs/connect-with-oauth',
  summary: 'Send or request test checks from your Checkbook sandbox account.',
  oauth2: {
    authorize: { url: 'https://sandbox.app.checkbook.io/oauth/authorize' },
    // State is not mentioned in the guide.
    callback: { stateEcho: 'may-drop' },
    // "One of the following values": scopes are not combined.
    scopes: { default: ['check'], allowed: ['check', 'check_receive', 'single-use'], choose: 'one' },
    pkce: 'off',
    pkceOffReason: 'Not part of the user authorization guide.',
    token: {
      url: 'https://sandbox.app.checkbook.io/web/v1/auth/oauth/token',
      body: 'form',
      clientAuth: 'body',
      omit: ['code_verifier'],
      sendScope: true,
    },
    // Whether the refresh token changes is not documented: handled as strict.
    refresh: { rotation: { kind: 'unknown' } },
  },
  api: {
    // The words are swapped: `sandbox.app.` for the pages, `api.sandbox.` for the API.
    baseUrl: 'https://api.sandbox.checkbook.io',
    auth: { in: 'header', name: 'Authorization', value: 'bearer ${accessToken}' },
    verification: { method: 'GET', path: '/v3/user' },
    retry: { after: ['retry-after'] },
    paginate: {
      type: 'offset',
      offset_name_in_request: 'page',
      offset_start_value: 1,
      offset_calculation_method: 'per-page',
      limit_name_in_request: 'per_page',
    },
    idempotencyHeader: 'Idempotency-Key',
    spentAfterWriteWithScope: 'single-use',
  },
  disconnect: {
    kind: 'unsupported',
    customerMustDo:
      'Checkbook has no revocation call: remove the app under Settings → Developer in the Checkbook sandbox.',
  },
  webhooks: production.webhooks,
  emulator: 'checkbook-sandbox',
  gotchas: [
    'Sandbox keys and hosts are separate from production; the `demo` host is another thing and has no real OAuth.',
    'Sign-up codes in the sandbox are always `123123`; micro-deposits are 0.07 and 0.15.',
    'A `single-use` grant pays once; the connection then becomes `spent` and is never retried.',
  ],
  sources: [
    'https://docs.checkbook.io/docs/environments (read 2026-11)',
    'https://docs.checkbook.io/docs/user-authorization (read 2026-11)',
    'https://docs.checkbook.io/docs/bearer-token (read 2026-11)',
    'https://docs.checkbook.io/docs/webhooks (read 2026-11)',
  ],
} satisfies ProviderSpec as ProviderSpec;

export default provider;
