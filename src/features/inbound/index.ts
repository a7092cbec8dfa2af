/**
 * @module features/inbound
 *
 * Providers' webhooks: proven, stored, acknowledged, then told to those they are about. Owns tables `inbound_event`
 * and `webhook_url`.
 *
 * `gateway.ts` finds where it belongs · `receive.ts` proves, reads and stores · `worker.ts` takes up what is due ·
 * `route-event.ts` finds the connections and tells hooks, functions and the app.
 * Invariants: nothing is acknowledged before its row is durable; what is neither proven nor declared trusted is not
 * stored; one event of an integration is stored once, where anything in it tells a repeated one; hooks, forwards and runs
 * of an event happen in the transaction that marks it routed; a body is sealed at rest, and what the catalogue calls a
 * secret in it goes to hooks only.
 */
export type { HookAnswer, InboundEvent, InboundHook, InboundState, MatchedConnection, Trust } from './model.ts';
export { inboundErrors } from './errors.ts';
export { JSON_DEPTH_MAX, JSON_VALUES_MAX } from './limits.ts';
export { inboundRoutes, type InboundRouteDeps } from './routes/index.ts';
export { createInbound, type Inbound, type InboundDeps, type InboundEdge } from './service.ts';
