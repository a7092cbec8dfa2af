import { defineErrors } from '../../base/errors.ts';

export const actionErrors = defineErrors({
  not_found: { status: 404, message: 'This integration has no such action. List them with GET /scripts/config.' },
  disabled_resource: { status: 404, message: 'This action is disabled.' },
  unknown_provider: { status: 400, message: 'No integration has this key in this environment.' },
  missing_provider_config_key: {
    status: 400,
    message: 'The header Provider-Config-Key is missing: send the unique key of the integration.',
  },
  missing_connection_id: {
    status: 400,
    message: 'The header Connection-Id is missing: send the id of the connection.',
  },
  invalid_headers: { status: 400, message: 'A header of the call does not fit. See `errors`.' },
  invalid_action_input: { status: 400, message: 'The input does not fit the action. See `errors`.' },
  invalid_action_output: {
    status: 400,
    message: 'What the action returned does not fit its output model. See `errors`. Its effects have happened.',
  },
  action_schema_unusable: {
    status: 400,
    message: 'The JSON schema of this action cannot be used. Deploy it again, or set `metadata.validation` to "off".',
  },
  connection_validation_failed: { status: 400, message: 'The connection was refused by a check of the app.' },
});
