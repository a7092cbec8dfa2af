/** An inbound event as the API tells it; ours. */
import { z } from 'zod';
import { integrationErrors, PROVIDER_CONFIG_KEY, type IntegrationService } from '../integrations/index.ts';
import type { ListedEvent } from './model.ts';

const stamp = z.iso.datetime({ offset: true }).transform((text) => new Date(text));

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

/** Row id of the integration a filter names. Errors: `unknown_provider_config`. */
export async function integrationIdOf(
  integrations: Pick<IntegrationService, 'byKey'>,
  environmentId: number,
  key: string | undefined,
): Promise<number | undefined> {
  if (key === undefined) return undefined;
  const integration = await integrations.byKey(environmentId, key);
  if (integration === undefined) throw integrationErrors.fail('unknown_provider_config');
  return integration.id;
}
