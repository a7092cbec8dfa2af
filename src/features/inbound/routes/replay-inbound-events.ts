import { z } from 'zod';
import { defineRoute, environmentOf } from '../../../base/route.ts';
import { ENVIRONMENT_SCOPES } from '../../environments/index.ts';
import { eventCursor, eventFilter, readFilter } from '../wire.ts';
import type { InboundRouteDeps } from './index.ts';

const IDS_MAX = 100;
/** One statement; what is behind it is asked for with the `next_cursor` of the answer as `after`. */
const LIMIT_MAX = 10_000;

/** Handles stored webhooks again, oldest first, as if they had just come: one, those of a filter, of a time; ours. */
export function replayInboundEventsRoute(deps: InboundRouteDeps) {
  return defineRoute({
    method: 'POST',
    path: '/inbound-events/replay',
    summary: 'Handle stored webhooks again',
    auth: { by: 'key', anyOf: ENVIRONMENT_SCOPES.inboundReplay },
    query: z.strictObject({}),
    body: z
      .strictObject({
        ...eventFilter,
        ids: z.array(z.uuid()).min(1).max(IDS_MAX).optional(),
        limit: z.number().int().min(1).max(LIMIT_MAX).optional(),
        after: eventCursor.optional(),
      })
      .refine(({ limit: _limit, after: _after, ...which }) => Object.keys(which).length > 0, {
        message: 'Say which events: `ids`, or at least one property of a filter.',
      }),
    errors: ['unknown_provider_config'],
    async handle(request) {
      const { body } = request;
      const environmentId = environmentOf(request).id;
      const limit = body.limit ?? LIMIT_MAX;
      const { count, last } = await deps.inbound.replay(
        { ...(await readFilter(deps.integrations, environmentId, body)), uuids: body.ids },
        { limit, after: body.after === undefined ? undefined : Number(body.after) },
      );
      const hasMore = count === limit;
      return { body: { replayed: count, has_more: hasMore, next_cursor: hasMore ? String(last) : null } };
    },
  });
}
