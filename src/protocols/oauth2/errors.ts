import { defineErrors } from '../../base/errors.ts';

export const oauth2Errors = defineErrors({
  discovery_failed: {
    status: 400,
    message: 'The authorization server metadata of the configured issuer could not be read. Check `issuer`.',
    retryable: true,
  },
  incomplete_integration: {
    status: 400,
    message: 'The integration needs an issuer, or an authorization URL and a token URL.',
  },
  refresh_unsupported: { status: 400, message: 'This provider has no refresh.' },
});
