import { z } from 'zod';
import { defineRoute, environmentOf } from '../../../base/route.ts';
import { ENVIRONMENT_SCOPES } from '../../environments/index.ts';
import { eventCursor, eventFilter, eventToWire, readFilter } from '../wire.ts';
import type { InboundRouteDeps } from './index.ts';

const LIMIT_MAX = 100;
const LIMIT_DEFAULT = 20;
/** Longer than a usual load balancer waits for an answer, nobody should. */
const WAIT_SECONDS_MAX = 25;

/** Webhooks as received, newest first; with `after` oldest first, and then it can wait for new ones. Ours. */
export function listInboundEventsRoute(deps: InboundRouteDeps) {
  return defineRoute({
    method: 'GET',
    path: '/inbound-events',
    summary: 'List the webhooks of providers as received',
    auth: { by: 'key', anyOf: ENVIRONMENT_SCOPES.inboundRead },
    query: z
      .strictObject({
        ...eventFilter,
        limit: z.coerce.number().int().min(1).max(LIMIT_MAX).optional(),
        cursor: eventCursor.optional(),
        after: eventCursor.optional(),
        wait_seconds: z.coerce.number().int().min(0).max(WAIT_SECONDS_MAX).optional(),
      })
      .refine((query) => query.cursor === undefined || query.after === undefined, {
        message: '`cursor` reads towards the past and `after` towards the present: give one of them.',
        path: ['after'],
      }),
    errors: ['unknown_provider_config'],
    async handle(request) {
      const { query } = request;
      const environmentId = environmentOf(request).id;
      const limit = query.limit ?? LIMIT_DEFAULT;
      const events = await deps.inbound.list(
        {
          ...(await readFilter(deps.integrations, environmentId, query)),
          limit: limit + 1,
          ...(query.cursor !== undefined && { before: Number(query.cursor) }),
          ...(query.after !== undefined && { after: Number(query.after) }),
        },
        { waitMs: query.after === undefined ? 0 : (query.wait_seconds ?? 0) * 1_000, signal: request.signal },
      );
      const page = events.slice(0, limit);
      const last = page.at(-1);
      const hasMore = events.length > limit && last !== undefined;
      return { body: { events: page.map(eventToWire), next_cursor: hasMore ? String(last.id) : null } };
    },
  });
}
