/** How a failed run is told to its caller (wire contract A.4, B.9). */
import type { ScriptFailure } from '../../platform/sandbox/index.ts';

/** Statuses of codes that scripts end with; an error of ours that a script did not catch is a 500 as well. */
const STATUS: Readonly<Record<string, number>> = {
  script_http_error: 424,
  script_api_rate_limit_error: 424,
  connection_refresh_exhausted: 424,
  connection_refresh_backoff: 424,
  connection_needs_reauth: 424,
  connection_spent: 424,
  script_aborted: 410,
  script_output_too_large: 400,
  invalid_action_input: 400,
  invalid_action_output: 400,
  action_schema_unusable: 400,
  unknown_connection: 400,
  unknown_provider_config: 400,
  too_many_runs: 429,
  run_depth_exceeded: 400,
};

/** The whole envelope of a failed run. */
export function failureReply(failure: ScriptFailure): { status: number; body: object } {
  const { code, message, payload, upstream } = failure;
  return {
    status: STATUS[code] ?? 500,
    body: {
      error: {
        code,
        message,
        ...(payload !== undefined && { payload }),
        ...(upstream !== undefined && { upstream }),
      },
    },
  };
}
