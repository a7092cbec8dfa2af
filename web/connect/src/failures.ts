import type { ConnectError } from './api.ts';
import type { TextName } from './texts.ts';

/** What a failure means to the person: one sentence, one next step. */
export interface Failure {
  text: TextName;
  next: 'retry' | 'tab' | 'close';
  /** The server's sentence is about what the person typed: show it in the first place. */
  own?: boolean;
}

const FAILURES: Record<string, Failure> = {
  access_denied: { text: 'errRefused', next: 'retry' },
  blocked_by_browser: { text: 'errBlocked', next: 'tab' },
  network: { text: 'errNetwork', next: 'retry' },
  connection_test_failed: { text: 'errProvider', next: 'retry', own: true },
  invalid_query_params: { text: 'errUnknown', next: 'retry', own: true },
  invalid_body: { text: 'errUnknown', next: 'retry', own: true },
  url_param_err: { text: 'errUnknown', next: 'retry', own: true },
  callback_err: { text: 'errProvider', next: 'retry' },
  token_err: { text: 'errProvider', next: 'retry' },
  state_cookie_err: { text: 'errCookies', next: 'retry' },
  state_err: { text: 'errOver', next: 'close' },
  unknown_connect_session_token: { text: 'errOver', next: 'close' },
  invalid_connect_session_token_format: { text: 'errOver', next: 'close' },
  connection_not_found: { text: 'errGone', next: 'close' },
  invalid_connection: { text: 'errGone', next: 'close' },
  no_token: { text: 'errNoToken', next: 'close' },
};

const SETUP = new Set([
  'provider_config_err',
  'invalid_client',
  'auth_mode_err',
  'invalid_auth_mode',
  'invalid_scope',
  'unknown_config_key',
  'unknown_provider_config',
  'integration_not_allowed',
  'egress_refused',
  'emulator_unavailable',
  'incomplete_integration',
  'discovery_failed',
]);

export function failureOf(error: ConnectError): Failure {
  if (SETUP.has(error.type)) return { text: 'errSetup', next: 'close' };
  return FAILURES[error.type] ?? { text: 'errUnknown', next: 'retry' };
}
