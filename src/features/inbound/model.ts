import type { WebhookLookup, WebhookMeaning } from '../../../catalogue/_spec/index.ts';
import type { Sql } from '../../platform/postgres/index.ts';

/**
 * A provider's webhook as received. Moves:
 *
 *   received ─▶ routed            told to the app, its functions and the slices that want to know
 *   received ─▶ parked(no_match)  nobody it is about is known; looked at again when a connection comes or changes
 *   received ─▶ parked(poison)    could not be handled so often that it is given up
 *   parked ─▶ routed              a connection matches now
 *   routed, parked ─▶ received    replayed
 */
export type InboundState = 'received' | 'routed' | 'parked';

/** What proved the event genuine. Everything that follows from it carries this. */
export type Trust = 'signature' | 'url' | 'none';

/** An event as those who handle it see it. */
export interface InboundEvent {
  /** Public id. */
  id: string;
  environmentId: number;
  integrationId: number;
  /** Unique key of the integration. */
  integrationKey: string;
  /** Name of the provider. */
  provider: string;
  /** As the provider calls it. */
  type?: string;
  /** What the type means to us, by the catalogue. */
  meaning?: WebhookMeaning;
  /** Parsed: JSON, the fields of a form, or text. Secrets are still in it. */
  body: unknown;
  /** Lower-case names; only those the catalogue lists. */
  headers: Record<string, string>;
  receivedAt: Date;
  /** By the provider's clock where it tells, but never later than `receivedAt`. */
  happenedAt: Date;
  trust: Trust;
  /** Whom it names: the values, and where they were looked up. */
  about?: { by: WebhookLookup; values: string[] };
}

/** A connection that an event is about. */
export interface MatchedConnection {
  /** Row id. */
  id: number;
  /** Public id. */
  connectionId: string;
  integrationId: number;
}

/** What a handler says about the rest of the way. */
export interface HookAnswer {
  /** False: the app is not told. Anything else replaces the body it is told. */
  forward?: unknown;
  /** The event is dealt with although no living connection matched: it is not parked. */
  settled?: boolean;
}

/**
 * Handles an event in the transaction that marks it routed, before the app is told. Called also when nobody matched.
 * What it throws rolls everything back; after five times the event is parked. For an event without a meaning, what it
 * writes may stand before what the app is told of earlier ones.
 */
export type InboundHook = (
  event: InboundEvent,
  connections: MatchedConnection[],
  sql: Sql,
) => Promise<HookAnswer | undefined>;

/** An event as lists show it. */
export interface ListedEvent {
  id: number;
  uuid: string;
  integrationKey: string;
  connectionId: string | undefined;
  trust: Trust;
  type: string | undefined;
  headers: Record<string, string>;
  state: InboundState;
  reason: 'no_match' | 'poison' | undefined;
  error: string | undefined;
  attempts: number;
  matched: number;
  bodyBytes: number;
  receivedAt: Date;
  routedAt: Date | undefined;
}
