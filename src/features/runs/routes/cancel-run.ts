import { z } from 'zod';
import { defineRoute, environmentOf } from '../../../base/route.ts';
import { ENVIRONMENT_SCOPES } from '../../environments/index.ts';
import { runErrors } from '../errors.ts';
import type { RunRouteDeps } from './index.ts';

/** Cancels a queued or running run, on whatever node it runs; ours. An ended one stays as it is. */
export function cancelRunRoute({ db, runs }: RunRouteDeps) {
  return defineRoute({
    method: 'POST',
    path: '/runs/:id/cancel',
    summary: 'Cancel a run',
    auth: { by: 'key', anyOf: ENVIRONMENT_SCOPES.runsCancel },
    params: z.object({ id: z.uuid() }),
    query: z.strictObject({}),
    errors: ['not_found'],
    async handle(request) {
      const environmentId = environmentOf(request).id;
      const run = await runs.byUuid(environmentId, request.params.id);
      if (run === undefined) throw runErrors.fail('not_found');
      const count = await db.transaction((tx) => runs.cancel(tx, { environmentId, id: run.id }));
      return { body: { success: true, cancelled: count > 0 } };
    },
  });
}
