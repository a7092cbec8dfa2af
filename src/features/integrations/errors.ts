import { defineErrors } from '../../base/errors.ts';

export const integrationErrors = defineErrors({
  unknown_provider_config: {
    status: 400,
    message: 'No integration has this key in this environment. List them with GET /integrations.',
  },
  not_found: { status: 404, message: 'No integration has this key in this environment.' },
  invalid_body: { status: 400, message: 'The body does not fit. See `errors`.' },
  emulator_unavailable: {
    status: 503,
    message: 'This integration is emulated, but no emulator runs. Start with `hawser dev` or set HAWSER_EMULATOR_URL.',
  },
  discovery_failed: {
    status: 400,
    message: 'The authorization server metadata of the configured issuer could not be read. Check `issuer`.',
    retryable: true,
  },
  incomplete_integration: {
    status: 400,
    message: 'The integration lacks a setting this provider needs.',
  },
});
