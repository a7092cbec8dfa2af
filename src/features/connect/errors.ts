import { defineErrors } from '../../base/errors.ts';

export const errors = defineErrors({
  invalid_body: { status: 400, message: 'The body is not valid. See `errors`.' },
  invalid_query_params: { status: 400, message: 'The query is not valid. See `errors`.' },
  invalid_connect_session_token_format: {
    status: 401,
    message: 'The connect session token is missing or malformed. Create a session with POST /connect/sessions.',
  },
  unknown_connect_session_token: {
    status: 401,
    message:
      'This connect session has ended: it was used, deleted, or is older than 30 minutes. Start again from the app.',
  },
  deprecated_authentication: {
    status: 401,
    message: 'Public keys are not supported. Create a connect session and pass its token.',
  },
  unknown_provider_config: { status: 404, message: 'There is no integration with this key.' },
  integration_not_allowed: { status: 400, message: 'This connect session does not allow this integration.' },
  invalid_auth_mode: { status: 400, message: 'This integration does not connect in this way.' },
  invalid_connection: {
    status: 400,
    message: 'The connection to repair is gone. Connect anew instead of reconnecting.',
  },
  invalid_scope: { status: 400, message: 'The scopes of this integration are not valid for its provider.' },
  integration_not_ready: { status: 400, message: 'This integration has no client id and secret yet.' },
  url_param_err: { status: 400, message: 'A value that is part of an address is missing or not valid.' },
  return_to_not_allowed: {
    status: 400,
    message: 'This return address is not on the list of allowed origins.',
  },
  state_err: {
    status: 400,
    message: 'This authorization is not open here: it was already used, or is older than 10 minutes. Start again.',
  },
  state_cookie_err: {
    status: 400,
    message: 'This authorization was started in another browser, or cookies are blocked. Start again in this browser.',
  },
  callback_err: { status: 400, message: 'The provider did not grant access.' },
  iss_err: { status: 400, message: 'The answer came from another issuer than the one asked. Nothing was stored.' },
  request_token_external_error: { status: 400, message: 'The provider gave no request token.', retryable: true },
  token_err: { status: 400, message: 'The provider did not exchange the code for a token.', retryable: true },
  connection_test_failed: { status: 400, message: 'The credentials were not accepted by the provider.' },
  provider_unreachable: {
    status: 400,
    message: 'The provider could not be reached. Try again later.',
    retryable: true,
  },
  server_error: {
    status: 500,
    message: 'Something went wrong on our side. Nothing was stored; try again.',
    retryable: true,
  },
  not_found: { status: 404, message: 'There is no such page.' },
});

/** Our codes as the waiting client knows them (wire contract C.2); a code not listed goes as it is. */
const SOCKET_TYPES: Record<string, string> = {
  unknown_provider_config: 'unknown_config_key',
  invalid_auth_mode: 'auth_mode_err',
  integration_not_ready: 'provider_config_err',
  invalid_connection: 'connection_not_found',
  iss_err: 'callback_err',
  request_token_external_error: 'token_err',
  provider_unreachable: 'token_err',
  server_error: 'unknown_err',
};

/** The error type of the socket message for one of our codes. */
export function socketType(code: string): string {
  return SOCKET_TYPES[code] ?? code;
}
