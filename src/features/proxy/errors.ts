import { defineErrors } from '../../base/errors.ts';

export const proxyErrors = defineErrors({
  missing_provider_config_key: {
    status: 400,
    message: 'The header Provider-Config-Key is missing: send the unique key of the integration.',
  },
  missing_connection_id: {
    status: 400,
    message: 'The header Connection-Id is missing: send the id of the connection.',
  },
  invalid_headers: { status: 400, message: 'A header of the call does not fit. See `errors`.' },
  invalid_endpoint: {
    status: 400,
    message: 'The path behind /proxy cannot be joined to the address of the provider.',
  },
  base_url_override_disabled: {
    status: 400,
    message: 'Base-Url-Override is switched off. List the allowed origins in HAWSER_BASE_URL_OVERRIDE.',
  },
  base_url_override_not_allowed: {
    status: 400,
    message: 'This Base-Url-Override is not allowed. List its origin in HAWSER_BASE_URL_OVERRIDE.',
  },
  missing_api_url: {
    status: 400,
    message: 'This integration has no API address. Set its API base URL, or send an allowed Base-Url-Override.',
  },
  missing_signing_key: {
    status: 424,
    message:
      'The provider wants every call signed, and what signs it is missing. Set the client of the integration, or let the customer connect again.',
  },
  egress_refused: { status: 400, message: 'The address of the provider may not be called.' },
  request_too_large: { status: 413, message: 'The body of the request is larger than the proxy passes on.' },
  request_timeout: { status: 408, message: 'The body of the request stopped in the middle.' },
  forbidden: { status: 403, message: 'Insufficient scope. Required: environment:proxy' },
  connection_spent: {
    status: 424,
    message: 'This single-use grant has done its one write, or may have done it. Let the customer connect again.',
  },
  account_not_ready: {
    status: 409,
    message:
      'The account behind this connection is not ready for this call yet, and the provider would refuse it. It can be read; the event `account.ready` tells when the rest works.',
  },
  connection_write_in_flight: {
    status: 409,
    message: 'Another write on this single-use grant is under way. Nothing was sent for this one.',
  },
});
