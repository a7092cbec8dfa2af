import { z } from 'zod';
import { defineRoute, environmentOf } from '../../../base/route.ts';
import { ENVIRONMENT_SCOPES } from '../../environments/index.ts';
import { runErrors } from '../errors.ts';
import { resultToWire, runsToWire } from '../wire.ts';
import type { RunRouteDeps } from './index.ts';

/** One run with its output or its whole error; ours. */
export function getRunRoute(deps: RunRouteDeps) {
  return defineRoute({
    method: 'GET',
    path: '/runs/:id',
    summary: 'Get a run with its output or error',
    auth: { by: 'key', anyOf: ENVIRONMENT_SCOPES.runsRead },
    params: z.object({ id: z.uuid() }),
    errors: ['not_found'],
    async handle(request) {
      const run = await deps.runs.byUuid(environmentOf(request).id, request.params.id);
      if (run === undefined) throw runErrors.fail('not_found');
      const [wire] = await runsToWire(deps, [run]);
      return { body: { data: { ...wire, ...resultToWire(await deps.runs.result(run)) } } };
    },
  });
}
