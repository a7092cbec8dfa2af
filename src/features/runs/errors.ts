import { defineErrors } from '../../base/errors.ts';

export const runErrors = defineErrors({
  not_found: { status: 404, message: 'No such run. List them with GET /runs.' },
  run_superseded: {
    status: 409,
    message: 'This run has lost its lease: another node has taken its work over. Nothing was written.',
  },
  too_many_runs: {
    status: 429,
    message: 'Too many functions of this environment run at the moment. Try again soon, or run them asynchronously.',
    retryable: true,
  },
  idempotency_key_reused: {
    status: 409,
    message: 'This Idempotency-Key was used with another request within the last 24 hours. Send a new key.',
  },
  checkpoint_conflict: {
    status: 409,
    message: 'Somebody else has moved this checkpoint since it was read. Read it again.',
  },
  invalid_checkpoint: {
    status: 400,
    message: 'A checkpoint is a flat object of strings, numbers and booleans, at most 16 KB as JSON.',
  },
  invalid_lock: { status: 400, message: 'A lock has a key of 1 to 255 characters and a ttlMs above 0.' },
  invalid_metadata: { status: 400, message: 'Metadata is an object, at most 1 MB as JSON.' },
  invalid_script_call: {
    status: 400,
    message: 'A method of the script object was called with arguments that do not fit.',
  },
  unknown_script_method: { status: 400, message: 'The script object has no such method in this kind of function.' },
  run_depth_exceeded: {
    status: 400,
    message: 'Functions may call one another five levels deep. Does one of them call itself?',
  },
  sync_control_unavailable: { status: 501, message: 'This server runs no syncs.' },
  too_many_variables: { status: 400, message: 'An environment has at most 500 variables.' },
});
