import { z } from 'zod';
import { defineRoute, environmentOf } from '../../../base/route.ts';
import { ENVIRONMENT_SCOPES } from '../../environments/index.ts';
import { actionErrors } from '../errors.ts';
import { failureReply } from '../failure.ts';
import type { ActionRouteDeps } from './index.ts';

/** `GET /action/:id`: the output; 404 while it is queued, running or unknown; the last error once tries are used up. */
export function getActionRoute({ runs }: ActionRouteDeps) {
  return defineRoute({
    method: 'GET',
    path: '/action/:id',
    summary: 'Get the result of an asynchronous action',
    auth: { by: 'key', anyOf: ENVIRONMENT_SCOPES.actionsExecute },
    params: z.object({ id: z.uuid() }),
    errors: ['not_found', 'script_http_error', 'action_script_runtime_error'],
    async handle(request) {
      const run = await runs.byUuid(environmentOf(request).id, request.params.id);
      const result = run?.kind === 'action' ? await runs.result(run) : undefined;
      if (result === undefined) throw actionErrors.fail('not_found', { message: 'No ended action has this id.' });
      return result.ok ? { body: result.output ?? null } : failureReply(result.error);
    },
  });
}
