/** An inbound event as the API tells it; ours. */
import { z } from 'zod';
import { integrationErrors, PROVIDER_CONFIG_KEY, type IntegrationService } from '../integrations/index.ts';
import type { ListedEvent } from './model.ts';
import type { EventFilter } from './store-read.ts';

const stamp = z.iso.datetime({ offset: true }).transform((text) => new Date(text));

/** Where a list or a replay goes on. */
export const eventCursor = z.string().regex(/^[0-9]{1,15}$/, 'The cursor of an event.');

/** Which events a list or a replay is about. */
export const eventFilter = {
  provider_config_key: PROVIDER_CONFIG_KEY.optional(),
  state: z.enum(['received', 'routed', 'parked']).optional(),
  type: z.string().min(1).max(1_024).optional(),
  received_after: stamp.optional(),
  received_before: stamp.optional(),
};

export function eventToWire(event: ListedEvent) {
  return {
    id: event.uuid,
    provider_config_key: event.integrationKey,
    /** Of the URL it was sent to; null for the URL of the integration. */
    connection_id: event.connectionId ?? null,
    type: event.type ?? null,
    trust: event.trust,
    state: event.state,
    reason: event.reason ?? null,
    error: event.error ?? null,
    attempts: event.attempts,
    matched: event.matched,
    body_bytes: event.bodyBytes,
    headers: event.headers,
    received_at: event.receivedAt.toISOString(),
    routed_at: event.routedAt?.toISOString() ?? null,
    /** Give it as `cursor` or `after` to read on behind it. */
    cursor: String(event.id),
  };
}

/** The filter of a list or a replay, as the store wants it. Errors: `unknown_provider_config`. */
export async function readFilter(
  integrations: Pick<IntegrationService, 'byKey'>,
  environmentId: number,
  filter: z.output<z.ZodObject<typeof eventFilter>>,
): Promise<EventFilter> {
  const key = filter.provider_config_key;
  const integration = key === undefined ? undefined : await integrations.byKey(environmentId, key);
  if (key !== undefined && integration === undefined) throw integrationErrors.fail('unknown_provider_config');
  return {
    environmentId,
    integrationId: integration?.id,
    state: filter.state,
    type: filter.type,
    receivedAfter: filter.received_after,
    receivedBefore: filter.received_before,
  };
}
