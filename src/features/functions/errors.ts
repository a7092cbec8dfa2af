import { defineErrors } from '../../base/errors.ts';

export const functionErrors = defineErrors({
  concurrent_deployment: {
    status: 409,
    message: 'Another deployment of this environment is under way. Try again when it has ended.',
    retryable: true,
  },
  deploy_script_security_rejected: {
    status: 400,
    message: 'A bundle was refused: it is no CommonJS script that can be loaded. Compile the project and deploy again.',
  },
  invalid_cli_version: { status: 400, message: 'This client is too old. Use release 0.70 or newer.' },
  not_found: { status: 404, message: 'No such function in this environment.' },
  ambiguous_function: {
    status: 409,
    message: 'Several functions have this name. Say which one with `type`.',
  },
  function_managed_by_deploy: {
    status: 400,
    message: 'This function comes from a project. Remove it there and deploy again.',
  },
  compilation_error: { status: 400, message: 'The code does not compile. See `payload`.' },
  integration_not_found: { status: 404, message: 'No integration has this key in this environment.' },
  connection_not_found: { status: 404, message: 'No connection of this integration has this id.' },
  dryrun_not_found: { status: 404, message: 'No dry run has this id. They are kept for one day.' },
  deployment_not_found: { status: 404, message: 'No deployment has this id. They are kept for one day.' },
  dryrun_error: { status: 500, message: 'The dry run failed.' },
  deployment_error: { status: 500, message: 'The deployment failed.' },
  execution_environment_unavailable: {
    status: 503,
    message: 'The node that worked on this is gone. Ask again.',
    retryable: true,
  },
  not_implemented: { status: 501, message: 'Hawser does not do this.' },
  invalid_body: { status: 400, message: 'The body does not fit. See `errors`.' },
});
