import { defineErrors } from '../../base/errors.ts';

/** Why an address outside may not be called. Both are raised before any byte leaves. */
export const errors = defineErrors({
  egress_refused: {
    status: 400,
    message: 'This address may not be called. List the exact host:port in HAWSER_EGRESS_ALLOW when it is yours.',
  },
  egress_unresolved: {
    status: 400,
    message: 'The name of this host could not be resolved. Check the spelling and try again.',
    retryable: true,
  },
});
