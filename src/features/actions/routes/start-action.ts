import { z } from 'zod';
import { defineRoute, environmentOf } from '../../../base/route.ts';
import { CONNECTION_ID } from '../../connections/index.ts';
import { ENVIRONMENT_SCOPES } from '../../environments/index.ts';
import { PROVIDER_CONFIG_KEY } from '../../integrations/index.ts';
import { actionErrors } from '../errors.ts';
import { failureReply } from '../failure.ts';
import type { ActionRouteDeps } from './index.ts';

/** Input of an action; larger things belong at a URL. */
const BODY_BYTES_MAX = 10 * 1024 ** 2;
const IDEMPOTENCY_KEY = z
  .string()
  .min(1)
  .max(255)
  .regex(/^[\x21-\x7e]+$/, 'Visible ASCII characters.');

/** `POST /action/trigger`: 200 with the action's output, or 202 with where to ask for it. */
export function triggerActionRoute({ actions }: ActionRouteDeps) {
  return defineRoute({
    method: 'POST',
    path: '/action/trigger',
    summary: 'Run an action, now or (X-Async: true) later',
    auth: { by: 'key', anyOf: ENVIRONMENT_SCOPES.actionsExecute },
    headers: z.object({
      'connection-id': CONNECTION_ID.optional(),
      'provider-config-key': PROVIDER_CONFIG_KEY.optional(),
      'x-async': z.enum(['true', 'false', '']).optional(),
      'x-max-retries': z.union([z.literal(''), z.coerce.number().int().min(0).max(5)]).optional(),
      'idempotency-key': IDEMPOTENCY_KEY.optional(),
    }),
    body: z.strictObject({ action_name: z.string().min(1).max(255), input: z.unknown().optional() }),
    bodyBytesMax: BODY_BYTES_MAX,
    errors: [
      'unknown_provider_config',
      'unknown_connection',
      'not_found',
      'disabled_resource',
      'missing_provider_config_key',
      'missing_connection_id',
      'invalid_action_input',
      'invalid_action_output',
      'idempotency_key_reused',
      'too_many_runs',
      'script_http_error',
      'action_script_runtime_error',
    ],
    async handle(request) {
      const { headers, body } = request;
      const key = headers['provider-config-key'];
      const connectionId = headers['connection-id'];
      if (key === undefined) throw actionErrors.fail('missing_provider_config_key');
      if (connectionId === undefined) throw actionErrors.fail('missing_connection_id');
      const target = await actions.find(environmentOf(request).id, key, connectionId, body.action_name);
      const idempotencyKey = headers['idempotency-key'];
      if (headers['x-async'] === 'true') {
        const retries = Number(headers['x-max-retries'] ?? 0);
        const run = await actions.runLater(target, body.input, { retries, idempotencyKey });
        const statusUrl = `/action/${run.uuid}`;
        return { status: 202, headers: { location: statusUrl }, body: { id: run.uuid, statusUrl } };
      }
      const { run, result } = await actions.runNow(target, body.input, { idempotencyKey });
      const own = { 'x-hawser-run-id': run.uuid };
      if (result.ok) return { headers: own, body: result.output ?? null };
      return { ...failureReply(result.error), headers: own };
    },
  });
}
