/** Endpoints and deliveries as the API tells them. */
import { z } from 'zod';
import { KINDS } from './kinds.ts';
import type { Attempt, Delivery, Endpoint, EndpointStatus, OutboundSettings } from './model.ts';

export const endpointUrl = z.url({ protocol: /^https?$/ }).max(2_048);
export const endpointKinds = z
  .array(z.enum(KINDS as [string, ...string[]]))
  .min(1)
  .max(KINDS.length);
export const endpointParams = z.object({ id: z.uuid() });
export const graceHours = z.number().min(0).max(720);

/** `id` of a delivery. */
export const deliveryId = z.string().regex(/^[1-9][0-9]{0,15}$/, 'The id of a delivery.');

/** What names deliveries, in queries and bodies. */
export const deliveryFilter = {
  endpoint_id: z.uuid().optional(),
  kind: z.string().min(1).max(100).optional(),
  connection_id: z.string().min(1).max(255).optional(),
  state: z.enum(['pending', 'delivered', 'failed', 'parked']).optional(),
  since: z.iso.datetime({ offset: true }).optional(),
  until: z.iso.datetime({ offset: true }).optional(),
};

export function readFilter(
  environmentId: number,
  given: { [K in keyof typeof deliveryFilter]?: z.output<(typeof deliveryFilter)[K]> },
) {
  return {
    environmentId,
    endpointId: given.endpoint_id,
    kind: given.kind,
    connectionId: given.connection_id,
    state: given.state,
    since: given.since === undefined ? undefined : new Date(given.since),
    until: given.until === undefined ? undefined : new Date(given.until),
  };
}

export function endpointToWire(endpoint: Endpoint) {
  return {
    id: endpoint.id,
    role: endpoint.role,
    url: endpoint.url,
    description: endpoint.description ?? null,
    /** Null: every kind but the feed of records. */
    kinds: endpoint.kinds ?? null,
    state: endpoint.state,
    disabled_reason: endpoint.disabledReason ?? null,
    disabled_at: endpoint.disabledAt?.toISOString() ?? null,
    failing_since: endpoint.failingSince?.toISOString() ?? null,
    failures: endpoint.failures,
    paused_until: endpoint.openUntil?.toISOString() ?? null,
    previous_secret_until: endpoint.previousUntil?.toISOString() ?? null,
    created_at: endpoint.createdAt.toISOString(),
  };
}

export function endpointStatusToWire(endpoint: EndpointStatus) {
  return {
    ...endpointToWire(endpoint),
    /** Since when the oldest delivery that waits has been due. Null: none is. */
    oldest_due_at: endpoint.oldestDueAt?.toISOString() ?? null,
  };
}

export function deliveryToWire(delivery: Delivery) {
  return {
    id: String(delivery.id),
    message_id: delivery.messageId,
    kind: delivery.kind,
    endpoint_id: delivery.endpointId,
    url: delivery.url,
    connection_id: delivery.connectionId ?? null,
    sequence: delivery.sequence ?? null,
    state: delivery.state,
    attempts: delivery.attempts,
    next_attempt_at: delivery.nextAttemptAt?.toISOString() ?? null,
    last_status: delivery.lastStatus ?? null,
    last_error: delivery.lastError ?? null,
    occurred_at: delivery.occurredAt.toISOString(),
    created_at: delivery.createdAt.toISOString(),
    finished_at: delivery.finishedAt?.toISOString() ?? null,
  };
}

export function attemptToWire(attempt: Attempt) {
  return {
    at: attempt.at.toISOString(),
    duration_ms: attempt.durationMs,
    status: attempt.status ?? null,
    error: attempt.error ?? null,
    answer: attempt.answer,
  };
}

export function settingsToWire(settings: OutboundSettings, endpoints: readonly Endpoint[]) {
  const urlOf = (role: string): string | null => endpoints.find((one) => one.role === role)?.url ?? null;
  return {
    primary_url: urlOf('primary'),
    secondary_url: urlOf('secondary'),
    on_auth_creation: settings.onAuthCreation,
    on_auth_refresh_error: settings.onAuthRefreshError,
    on_sync_completion_always: settings.onSyncCompletionAlways,
    on_sync_error: settings.onSyncError,
    on_async_action_completion: settings.onAsyncActionCompletion,
  };
}
