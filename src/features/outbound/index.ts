/**
 * @module features/outbound
 *
 * What the app is told, and how it gets there. Owns tables `endpoint`, `delivery`, `delivery_attempt`, `event_sequence`,
 * `outbound_settings`; turns rows of `event` into deliveries. Invariants: an event that was committed is sent at least
 * once to every endpoint that is told of it, always under the same id and with the same bytes; one node at a time sends
 * a delivery; every try is kept; a failing endpoint delays nobody else; while results cannot be stored nothing more is
 * sent; an endpoint gets nothing as it was before a change; nothing is sent to an address that the egress guard refuses,
 * nor while a restored database waits to be accepted.
 */
export type { Attempt, Delivery, DeliveryState, Endpoint, OutboundDeps, OutboundSettings } from './model.ts';
export type { Endpoints } from './endpoints.ts';
export { createOutbound, type Outbound } from './service.ts';
export { outboundErrors } from './errors.ts';
export { CONTRACT_KINDS, KINDS, OWN_KINDS } from './kinds.ts';
export { outboundRoutes } from './routes/index.ts';
