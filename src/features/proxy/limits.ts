/** Every limit of the proxy. Tests lower them; operators do not. */
export interface ProxyLimits {
  /** From sending the request to the head of the answer. Slow report endpoints answer within half of it. */
  headersTimeoutMs: number;
  /** Longest silence inside the provider's body. */
  bodyIdleTimeoutMs: number;
  /** Longest silence of the caller, sending its body or reading the answer, while the provider waits for it. */
  callerIdleTimeoutMs: number;
  /** Bytes of a request body. It is streamed, so the limit guards bandwidth, not memory. */
  requestBytesMax: number;
  /** Bytes of an answer as the provider sends it. An endless answer must end somewhere. */
  responseBytesMax: number;
  /** Bytes of an answer after `Decompress: true`. */
  inflatedBytesMax: number;
  /** Inflated bytes per compressed byte; real JSON stays below 100. */
  inflateRatioMax: number;
  /** A body of this size is kept in memory, so that a 401 can be answered by a refresh and one repetition. */
  replayBytesMax: number;
  /** The same when the caller asked for retries: it accepts the memory and the delay. */
  retryReplayBytesMax: number;
  /** A body that the signature of the request covers must be at hand whole. */
  signedBodyBytesMax: number;
  /** Forwarded headers. Real calls carry fewer than 20. */
  headersMax: number;
  /** Names and values of the forwarded headers together; Node's own limit for a whole head is 16 KiB. */
  headerBytesMax: number;
  /** A longer wait is not kept by a sleeping request: the caller gets the provider's answer at once. */
  retryWaitMsMax: number;
  /** Whole life of a write that uses up a single-use grant: its outcome must be settled some day. */
  singleUseWriteMsMax: number;
}

export const PROXY_LIMITS: ProxyLimits = {
  headersTimeoutMs: 60_000,
  bodyIdleTimeoutMs: 60_000,
  callerIdleTimeoutMs: 60_000,
  requestBytesMax: 1024 ** 3,
  responseBytesMax: 5 * 1024 ** 3,
  inflatedBytesMax: 100 * 1024 ** 2,
  inflateRatioMax: 200,
  replayBytesMax: 64 * 1024,
  retryReplayBytesMax: 1024 ** 2,
  signedBodyBytesMax: 8 * 1024 ** 2,
  headersMax: 100,
  headerBytesMax: 16 * 1024,
  retryWaitMsMax: 10 * 60_000,
  singleUseWriteMsMax: 5 * 60_000,
};

/** Largest value of the `Retries` header: templates use up to 10. */
export const RETRIES_MAX = 10;

/** How often stalled callers are looked for. */
export const WATCH_INTERVAL_MS = 5_000;

/** How often writes that a dead node has left open are looked for. */
export const CLAIM_SWEEP_INTERVAL_MS = 60_000;

/** Below this many inflated bytes the ratio says nothing: a kilobyte of spaces is no bomb. */
export const INFLATE_RATIO_FROM_BYTES = 1024 ** 2;

/** The path in an activity line; longer ones are cut. */
export const ACTIVITY_PATH_CHARS_MAX = 200;

/** Activity lines of equal good calls in one window; the others are counted in one line. */
export const EQUAL_LINES_MAX = 10;

/** How long equal calls are counted together: a person sees the line at once. */
export const EQUAL_WINDOW_MS = 250;

/** Kinds of calls that are counted at the same time; paths with an id in them are a kind each. */
export const EQUAL_KINDS_MAX = 1_000;
