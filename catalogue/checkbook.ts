import type { ProviderSpec } from './_spec/index.ts';

const provider = {
  name: 'checkbook',
  displayName: 'Checkbook',
  categories: ['payment', 'invoicing'],
  authMode: 'OAUTH2',
  docsUrl: 'https://docs.checkbook.io/docs/connect-with-oauth',
  summary: 'Send or request digital checks from your Checkbook account.',
  oauth2: {
    authorize: { url: 'https://app.checkbook.io/oauth/authorize' },
    // State is not mentioned in the guide.
    callback: { stateEcho: 'may-drop' },
    // "One of the following values": scopes are not combined.
    scopes: { default: ['check'], allowed: ['check', 'check_receive', 'single-use'], choose: 'one' },
    pkce: 'off',
    pkceOffReason: 'Not part of the user authorization guide.',
    token: {
      url: 'https://app.checkbook.io/web/v1/auth/oauth/token',
      body: 'form',
      clientAuth: 'body',
      omit: ['code_verifier'],
      sendScope: true,
    },
    // Whether the refresh token changes is not documented: handled as strict.
    refresh: { rotation: { kind: 'unknown' } },
  },
  api: {
    baseUrl: 'https://api.checkbook.io',
    auth: { in: 'header', name: 'Authorization', value: 'bearer ${accessToken}' },
    verification: { method: 'GET', path: '/v3/user' },
    retry: { after: ['retry-after'] },
    // Each list has a name of its own: `response_path` comes with the call.
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
    customerMustDo: 'Checkbook has no revocation call: remove the app under Settings → Developer in Checkbook.',
  },
  webhooks: {
    verify: {
      kind: 'hmac',
      headers: ['signature'],
      algorithm: 'sha256',
      encoding: 'hex',
      parts: { signature: 'signature', nonce: 'nonce' },
      // Nothing between them.
      signed: '${body}${nonce}',
      secrets: ['integration'],
    },
    // CHECK, INVOICE or PREFUND_ACCOUNT: what the thin event is about.
    type: { paths: ['type'] },
    // Neither event id nor account: a check is found by the id under which a sync has stored it.
    route: [{ from: { paths: ['id'] }, by: 'record' }],
    setup:
      'Set the webhook key of the developer settings as the webhook secret. Events name no account: give each connection its own webhook URL, or sync the checks.',
  },
  emulator: 'checkbook',
  gotchas: [
    'Real money: send an `Idempotency-Key` with every POST. The same key with another body makes a second check.',
    'A `single-use` grant pays once; the connection then becomes `spent` and is never retried.',
    'Amounts are decimal US dollars, not cents; dates carry no zone.',
    'Production and sandbox have separate keys and hosts: use `checkbook-sandbox` for the sandbox.',
  ],
  sources: [
    'https://docs.checkbook.io/docs/user-authorization (read 2026-11)',
    'https://docs.checkbook.io/docs/bearer-token (read 2026-11)',
    'https://docs.checkbook.io/docs/webhooks (read 2026-11)',
  ],
} satisfies ProviderSpec as ProviderSpec;

export default provider;
