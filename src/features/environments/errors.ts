import { defineErrors } from '../../base/errors.ts';

export const environmentErrors = defineErrors({
  conflict: { status: 409, message: 'An environment or key of that name exists already. Choose another name.' },
  sealed: {
    status: 503,
    message: 'A stored secret cannot be opened with the present encryption key. Start with the right key.',
  },
});
