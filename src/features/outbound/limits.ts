/** How deliveries are paced. Every limit has its reason. */

const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/**
 * Wait before each try: 14 in 6.1 days, so that an app that is down over a long weekend loses nothing. Each is spread by
 * 10 %, so that what failed together does not come back together.
 */
export const SCHEDULE_MS: readonly number[] = [
  0,
  5 * SECOND_MS,
  30 * SECOND_MS,
  5 * MINUTE_MS,
  30 * MINUTE_MS,
  2 * HOUR_MS,
  5 * HOUR_MS,
  10 * HOUR_MS,
  14 * HOUR_MS,
  20 * HOUR_MS,
  DAY_MS,
  DAY_MS,
  DAY_MS,
  DAY_MS,
];

/** What an endpoint may ask for with `Retry-After`: a mistake there must not hold an event for days. */
export const RETRY_AFTER_MAX_MS = HOUR_MS;
/** Name, connection and answer of one try. Source: wire contract D.4. */
export const ATTEMPT_TIMEOUT_MS = 20 * SECOND_MS;
/** Kept of every answer. */
export const ANSWER_KEPT_BYTES = 4_096;
/** Read of an answer so that its connection can be kept; more is cut off. */
export const ANSWER_BYTES_MAX = 64 * 1024;
/** Failures in a row after which an endpoint gets one try at a time. */
export const CIRCUIT_FAILURES = 5;
/** Pause of an open circuit: doubles from the first to the second. */
export const CIRCUIT_FIRST_MS = 30 * SECOND_MS;
export const CIRCUIT_MAX_MS = 5 * MINUTE_MS;
/** An endpoint that has failed for so long and works again gets at once what was put off. */
export const RECOVERY_AFTER_MS = 10 * MINUTE_MS;
/** Pause before a database that is away or full is asked again: doubles from the first to the second. */
export const TROUBLE_FIRST_MS = 100;
export const TROUBLE_MAX_MS = 2 * SECOND_MS;
/** What an event waits for company, so that a burst costs one look. */
export const GATHER_MS = 10;
/** Between two looks because of events: a steady stream of them costs no more than 20 looks a second. */
export const NUDGE_EVERY_MS = 50;
/** Failing for so long, without one success, disables an endpoint. Source: Svix's rule. */
export const DISABLE_AFTER_MS = 5 * DAY_MS;
/** Events and their deliveries are kept, and can be replayed, for so long. */
export const KEEP_MS = 30 * DAY_MS;
/** How long the secret before a rotation signs as well, unless asked otherwise; and at most. */
export const ROTATION_GRACE_MS = DAY_MS;
export const ROTATION_GRACE_MAX_MS = 30 * DAY_MS;
/** Tries that ended without a word, because their node did. Source: fault 23. */
export const LOST_MAX = 5;
/** An environment has no more endpoints of its own; those of connections do not count. */
export const ENDPOINTS_MAX = 50;

export interface OutboundLimits {
  /** How often new events and due deliveries are looked for. What this node writes itself, it looks for at once. */
  pollMs: number;
  sweepMs: number;
  /** Longer than a try and the writing of its result. */
  leaseMs: number;
  /** Tries of this node under way. */
  slots: number;
  /** Tries under way to one endpoint. */
  slotsPerEndpoint: number;
}

export const OUTBOUND_LIMITS: OutboundLimits = {
  pollMs: 1_000,
  sweepMs: MINUTE_MS,
  leaseMs: MINUTE_MS,
  slots: 256,
  slotsPerEndpoint: 8,
};
