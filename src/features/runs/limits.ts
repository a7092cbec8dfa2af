/** Every limit of runs. Tests shorten some; operators do not. Source: wire contract J.1, J.2. */
import type { RunKind } from './model.ts';

export interface RunLimits {
  /** Queued runs of this node at a time; syncs and asynchronous actions wait for one another, not for callers. */
  slots: number;
  /** A node that says nothing for so long has lost its runs. */
  leaseMs: number;
  beatMs: number;
  /** Work that no notification told of is found by then. */
  pollMs: number;
  sweepMs: number;
  /** What a stop grants to runs under way before they are handed back. */
  stopWaitMs: number;
}

export const RUN_LIMITS: RunLimits = {
  slots: 32,
  leaseMs: 15_000,
  beatMs: 3_000,
  pollMs: 1_000,
  sweepMs: 5_000,
  stopWaitMs: 5_000,
};

const HOUR_MS = 3_600_000;

/** Longest life of a run. */
export const TIMEOUT_MS: Readonly<Record<RunKind, number>> = {
  sync: 24 * HOUR_MS,
  action: 15 * 60_000,
  webhook: HOUR_MS,
  'on-event': 5 * 60_000,
};

/** Queued for longer, a run is not worth starting: a sync has its next slot by then. */
export const START_WITHIN_MS: Readonly<Record<RunKind, number>> = {
  sync: HOUR_MS,
  action: 24 * HOUR_MS,
  webhook: 24 * HOUR_MS,
  'on-event': 24 * HOUR_MS,
};

/** Synchronous runs of one environment on this node. */
export const EXECUTING_MAX = 500;
/** Functions that call functions. */
export const DEPTH_MAX = 5;
/** First wait before another try of a failed run; doubles up to a minute. */
export const RETRY_FIRST_MS = 1_000;
export const RETRY_MAX_MS = 60_000;
/** Before a run is taken up again that could not begin, because the database or a process was not to be had. */
export const HAND_BACK_WAIT_MS = 2_000;
/** Ended runs are kept for 15 days. */
export const KEEP_MS = 15 * 24 * HOUR_MS;
