import { z } from 'zod';
import { defineRoute, environmentOf } from '../../../base/route.ts';
import { ENVIRONMENT_SCOPES } from '../../environments/index.ts';
import { runErrors } from '../errors.ts';
import type { RunRouteDeps } from './index.ts';

const LIMIT_MAX = 1_000;

/** What the function said, oldest first; ours. `after` reads on behind a line. */
export function listRunLogsRoute({ runs }: RunRouteDeps) {
  return defineRoute({
    method: 'GET',
    path: '/runs/:id/logs',
    summary: 'List the log lines of a run',
    auth: { by: 'key', anyOf: ENVIRONMENT_SCOPES.runsRead },
    params: z.object({ id: z.uuid() }),
    query: z.strictObject({
      limit: z.coerce.number().int().min(1).max(LIMIT_MAX).optional(),
      after: z.coerce.number().int().min(0).optional(),
    }),
    errors: ['not_found'],
    async handle(request) {
      const run = await runs.byUuid(environmentOf(request).id, request.params.id);
      if (run === undefined) throw runErrors.fail('not_found');
      const { limit = LIMIT_MAX, after = 0 } = request.query;
      const lines = await runs.logs(run, { limit, after });
      return { body: { logs: lines.map((line) => ({ ...line, at: line.at.toISOString() })), state: run.state } };
    },
  });
}
