/** Which endpoints are told of an event. */
import { wantsKind } from './kinds.ts';
import type { Endpoint, OutboundSettings } from './model.ts';

export const DEFAULT_SETTINGS: OutboundSettings = {
  onAuthCreation: true,
  onAuthRefreshError: true,
  onSyncCompletionAlways: false,
  onSyncError: true,
  onAsyncActionCompletion: true,
};

/** Whether the environment wants to hear of it at all (wire contract D.1, D.2). */
export function isWanted(settings: OutboundSettings, kind: string, payload: unknown): boolean {
  const { operation, success } = payload as { operation?: unknown; success?: unknown };
  switch (kind) {
    case 'auth':
      if (operation === 'refresh') return settings.onAuthRefreshError;
      // An override is told whatever the switch says.
      return operation === 'override' || settings.onAuthCreation;
    case 'sync':
      return success === false ? settings.onSyncError : true;
    case 'async_action':
      return settings.onAsyncActionCompletion;
    default:
      return true;
  }
}

/**
 * The endpoints of an environment that get an event. A connection's own URL replaces primary and secondary; `override`
 * is its endpoint.
 */
export function audienceOf(
  endpoints: readonly Endpoint[],
  event: { kind: string; payload: unknown; override: Endpoint | undefined },
): Endpoint[] {
  const only = aimedAt(event);
  return endpoints.filter((endpoint) => {
    if (only !== undefined) return endpoint.id === only;
    if (event.kind === 'delivery.failing' && failingOf(event.payload) === endpoint.id) return false;
    if (endpoint.role === 'override')
      return endpoint.id === event.override?.id && wantsKind(endpoint.kinds, event.kind);
    if (event.override !== undefined && endpoint.role !== 'additional') return false;
    return wantsKind(endpoint.kinds, event.kind);
  });
}

/** A test is for one endpoint. */
function aimedAt(event: { kind: string; payload: unknown }): string | undefined {
  return event.kind === 'endpoint.test' ? failingOf(event.payload) : undefined;
}

/** An endpoint that is not reached need not be told so. */
function failingOf(payload: unknown): string | undefined {
  const { endpointId } = payload as { endpointId?: unknown };
  return typeof endpointId === 'string' ? endpointId : undefined;
}
