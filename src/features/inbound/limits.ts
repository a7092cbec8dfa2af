/** Every limit of the gateway, with its reason. */

/** Abuse case 34: larger than any provider's webhook, small enough to hold many. */
export const BODY_BYTES_MAX = 1_048_576;
/** Looked at, whoever sends: longer than nearly every webhook, and a signature over it costs some 150 µs. */
export const UNPROVEN_BYTES_MAX = 65_536;
/** Nested deeper, no provider writes; `JSON.stringify` breaks at some thousands. */
export const JSON_DEPTH_MAX = 64;
/** Providers send up to some hundred events with some dozen fields at once. */
export const JSON_VALUES_MAX = 100_000;
/** Events in one body, where it is a list. */
export const LIST_ITEMS_MAX = 1_000;
/** A body of more bytes goes to the database alone: batches stay small. */
export const TOGETHER_BYTES_MAX = 65_536;
/** A header that is kept. */
export const HEADER_CHARS_MAX = 1_024;
/** An answer to a challenge. */
export const CHALLENGE_CHARS_MAX = 2_048;

/** Events taken up at once by one node. */
export const CLAIM_MAX = 50;
/** Events of one integration that share a transaction: few enough that nobody waits for its row locks. */
export const TOGETHER_MAX = 25;
/** Rows the app is told by, written at once: one event may be for every connection of an integration. */
export const TOLD_TOGETHER_MAX = 100;
/** Bodies of such rows; more only takes memory. */
export const TOLD_BYTES_MAX = 1_048_576;
/** What an event waits for company: a burst becomes few transactions, and nobody notices. */
export const GATHER_MS = 25;
/** Integrations whose events are handled at the same time: a slow one does not hold up the others. */
export const LANES_MAX = 4;
/** Held for longer, an event is taken up by another node: a dead one's wait no longer. Who comes late finds it taken. */
export const LEASE_MS = 5_000;
/** What no wake-up told of is found by then. */
export const POLL_INTERVAL_MS = 1_000;
/** Fault 23: then it is parked. */
export const ATTEMPTS_MAX = 5;
/** First wait after a failure; doubles. */
export const RETRY_FIRST_MS = 1_000;
/**
 * Waits between looks for a connection; then every hour until {@link LOOKS_MAX}. A new connection ends the wait, but not
 * one that is just being stored while its event is looked at: for it the first wait is short.
 */
export const LOOK_WAITS_MS: readonly number[] = [1_000, 10_000, 60_000, 300_000, 900_000];
export const LOOK_WAIT_LAST_MS = 3_600_000;
/** Three days of hours: after that only a new connection or a replay. */
export const LOOKS_MAX = LOOK_WAITS_MS.length + 72;
/** After this the app is told of an event that nobody matches; sooner, a connection may be about to come. ADR 0005. */
export const TELL_UNMATCHED_MS = 10_000;

/** How long the webhook URL before a rotation is good as well, unless asked otherwise; and at most. */
export const URL_GRACE_HOURS = 24;
export const URL_GRACE_HOURS_MAX = 720;

/** As long as deliveries can be replayed; longer than the 72 h in which a repeated event must be known. */
export const KEEP_MS = 30 * 24 * 3_600_000;
export const SWEEP_INTERVAL_MS = 600_000;
export const SWEEP_BATCH = 2_000;

/** How often a caller that waits for new events looks for them. */
export const LIST_POLL_MS = 500;
