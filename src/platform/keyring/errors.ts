import { defineErrors } from '../../base/errors.ts';

export const keyringErrors = defineErrors({
  sealed: { status: 503, message: 'A stored secret cannot be opened with the present encryption key.' },
  key_service_unavailable: {
    status: 503,
    message: 'The service that holds the encryption key does not answer. Try again soon.',
    retryable: true,
  },
});
