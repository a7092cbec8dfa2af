/** Inbound events and webhook URLs as the API tells them; ours. */
import { z } from 'zod';
import { CONNECTION_ID, connectionErrors, type Connection, type Connections } from '../connections/index.ts';
import {
  integrationErrors,
  PROVIDER_CONFIG_KEY,
  type Integration,
  type IntegrationService,
} from '../integrations/index.ts';
import type { ListedEvent } from './model.ts';
import type { ConnectionUrl } from './service.ts';
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

/** A path and a query that name a connection. */
export const connectionParams = z.object({ connectionId: CONNECTION_ID });
export const connectionQuery = z.strictObject({ provider_config_key: PROVIDER_CONFIG_KEY });

/** Errors: `unknown_provider_config`, `unknown_connection`. */
export async function connectionNamed(
  deps: { integrations: Pick<IntegrationService, 'byKey'>; connections: Pick<Connections, 'byPublicId'> },
  environmentId: number,
  { params, query }: { params: z.output<typeof connectionParams>; query: z.output<typeof connectionQuery> },
): Promise<{ integration: Integration; connection: Connection }> {
  const integration = await deps.integrations.byKey(environmentId, query.provider_config_key);
  if (integration === undefined) throw integrationErrors.fail('unknown_provider_config');
  const connection = await deps.connections.byPublicId(environmentId, integration.id, params.connectionId);
  if (connection === undefined) throw connectionErrors.fail('unknown_connection');
  return { integration, connection };
}

/** Without the right to read credentials the URL stays untold. */
export function urlToWire({ url, previousUntil }: ConnectionUrl, mayRead: boolean) {
  return { webhook_url: mayRead ? url : null, previous_until: previousUntil?.toISOString() ?? null };
}
