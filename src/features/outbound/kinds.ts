/**
 * Every kind of event the app may be told of. Those of the wire contract (D.2) keep its shape; ours have one of their
 * own. Other slices write events by type and payload; what a payload holds stands here.
 */
import { z } from 'zod';

/** Shapes of the wire contract; what an endpoint set by its settings gets. */
export const CONTRACT_KINDS = ['auth', 'sync', 'forward', 'async_action'] as const;

/** Ours: kind → what stands under `data`. */
export const OWN_KINDS = {
  /** The state of a connection has changed. */
  'connection.state': z.object({ state: z.string(), reason: z.string().nullable() }),
  /** A connection that the app deleted was let go of at the provider, or could not be. */
  'connection.disconnected': z.object({
    outcome: z.enum(['pending', 'revoked', 'unsupported', 'failed']),
    detail: z.string().nullable(),
    integration: z.string().nullable(),
  }),
  /** The provider has ended a connection. */
  'connection.deauthorized': z.looseObject({}),
  /** An account that was not ready can be used. */
  'account.ready': z.looseObject({}),
  /** Records of a model were added, updated or deleted. Only for endpoints that ask for it. */
  'records.changed': z.object({
    syncName: z.string(),
    model: z.string(),
    added: z.number(),
    updated: z.number(),
    deleted: z.number(),
    modifiedAfter: z.string(),
  }),
  /** An endpoint was disabled, or an event was given up. */
  'delivery.failing': z.object({
    endpointId: z.string(),
    url: z.string(),
    reason: z.enum(['gone', 'failing', 'exhausted']),
    failingSince: z.string().nullable(),
    deliveryId: z.string().nullable(),
  }),
  /** Sent on demand, to see whether an endpoint works. */
  'endpoint.test': z.object({ endpointId: z.string() }),
} as const;

export const KINDS: readonly string[] = [...CONTRACT_KINDS, ...Object.keys(OWN_KINDS)];

/** Not sent unless an endpoint names it. */
export const FEED_KIND = 'records.changed';

export function isContractKind(kind: string): boolean {
  return (CONTRACT_KINDS as readonly string[]).includes(kind);
}

/** Whether an endpoint with this filter gets a kind. No filter: everything that need not be asked for. */
export function wantsKind(filter: readonly string[] | undefined, kind: string): boolean {
  return filter === undefined ? kind !== FEED_KIND : filter.includes(kind);
}
