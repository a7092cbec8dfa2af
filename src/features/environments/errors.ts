import { defineErrors } from '../../base/errors.ts';

/** Wire contract A.1. */
export const API_KEYS_MAX = 50;

export const environmentErrors = defineErrors({
  conflict: { status: 409, message: 'An environment or key of that name exists already. Choose another name.' },
  sealed: {
    status: 503,
    message: 'A stored secret cannot be opened with the present encryption key. Start with the right key.',
  },
  too_many_api_keys: {
    status: 400,
    message: `An environment has at most ${API_KEYS_MAX} API keys. Delete one that nobody uses any more.`,
  },
  unknown_api_key: {
    status: 404,
    message: 'This environment has no such API key. List them with `hawser keys api list`.',
  },
  unknown_scope: { status: 400, message: 'There is no such scope.' },
  rotation_running: { status: 409, message: 'Another rotation of keys is running. Wait for its end.', retryable: true },
  nodes_lack_key: {
    status: 409,
    message: 'A running node does not have the active encryption key. Give it to every node and restart it first.',
    retryable: true,
  },
});
