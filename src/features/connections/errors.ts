import { defineErrors } from '../../base/errors.ts';

export const connectionErrors = defineErrors({
  unknown_connection: {
    status: 404,
    message: 'No connection has this id at this integration. List them with GET /connections.',
  },
  not_found: { status: 404, message: 'No connection has this id at this integration.' },
  missing_provider_config_key: {
    status: 400,
    message: 'Name the integration: `provider_config_key` in the query or the Provider-Config-Key header.',
  },
  invalid_body: { status: 400, message: 'The body does not fit. See `errors`.' },
});
