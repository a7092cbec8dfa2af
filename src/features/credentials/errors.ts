import { defineErrors } from '../../base/errors.ts';

export const credentialErrors = defineErrors({
  connection_refresh_backoff: {
    status: 424,
    message:
      'The last refresh of this connection failed less than 30 seconds ago, or one is still running. Try again soon.',
    retryable: true,
  },
  connection_refresh_exhausted: {
    status: 424,
    message: 'The provider has refused to refresh this connection for days. Ask the customer to reconnect.',
  },
  refresh_token_external_error: {
    status: 400,
    message: 'The access token could not be refreshed at the provider.',
    retryable: true,
  },
  connection_needs_reauth: {
    status: 424,
    message: 'The provider no longer accepts this connection. Ask the customer to reconnect.',
  },
  client_credentials_fetch_error: {
    status: 400,
    message: 'The provider gave no token for these client credentials.',
  },
  two_step_credentials_fetch_error: { status: 400, message: 'The provider’s login gave no token.' },
  invalid_credentials: { status: 424, message: 'The credential of this connection cannot be used.' },
  draining: { status: 503, message: 'This node is shutting down. Try again.', retryable: true },
});

/**
 * Why a refresh brought no new token; kept in `credential.last_failure`.
 *
 * Provider said: `invalid_grant`, `invalid_client`, `invalid_scope`, `refused`, `rate_limited`, `provider_down`,
 * `malformed`. Transport: `unreachable` (nothing was sent), `lost_reply` (sent, no usable answer).
 */
export type RefreshFailure =
  | 'invalid_grant'
  | 'invalid_client'
  | 'invalid_scope'
  | 'refused'
  | 'rate_limited'
  | 'provider_down'
  | 'malformed'
  | 'unreachable'
  | 'lost_reply';

const sentences: Record<RefreshFailure, string> = {
  invalid_grant: 'The provider no longer accepts the refresh token. Ask the customer to reconnect.',
  invalid_client: 'The provider refuses the client id or secret of the integration. Correct them in the integration.',
  invalid_scope: 'The provider refuses the scope of this connection. Ask the customer to reconnect.',
  refused: 'The provider refused to refresh the access token.',
  rate_limited: 'The provider limits token requests at the moment. The refresh is repeated later.',
  provider_down: 'The provider’s token endpoint fails at the moment. The refresh is repeated later.',
  malformed: 'The provider’s token endpoint sent an answer that is no token answer. The refresh is repeated later.',
  unreachable: 'The provider’s token endpoint could not be reached. The refresh is repeated later.',
  lost_reply: 'The provider’s token endpoint did not answer completely. The refresh is repeated later.',
};

/** The public error for a failure. `status` is that of the provider's answer, if there was one. */
export function refreshError(failure: RefreshFailure, status?: number, cause?: unknown) {
  if (failure === 'invalid_grant') {
    return credentialErrors.fail('connection_needs_reauth', { message: sentences[failure], cause });
  }
  return credentialErrors.fail('refresh_token_external_error', {
    message: sentences[failure],
    payload: { kind: failure, ...(status === undefined ? {} : { status }) },
    cause,
  });
}

/** The public sentence for a failure. */
export function failureSentence(failure: RefreshFailure): string {
  return sentences[failure];
}
