import { defineErrors } from '../../base/errors.ts';

export const sandboxErrors = defineErrors({
  sandbox_unavailable: {
    status: 503,
    message: 'No process could be started to run the function. Look at the log of this node: memory, process limits.',
    retryable: true,
  },
});
