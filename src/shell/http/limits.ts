/** Every limit of the edge, with its reason. Tests lower them; operators do not. */
export interface EdgeLimits {
  /** A request head must be complete within this time: slow clients hold no socket for long. */
  headersTimeoutMs: number;
  /** The body of a declared route must be complete within this time; 1 MiB needs 70 kB/s. */
  bodyTimeoutMs: number;
  /** A caller that does not read its answer is cut after this time. */
  replyTimeoutMs: number;
  /** Between two requests of one connection: longer than the 60 s of usual load balancers, so that they close first. */
  keepAliveTimeoutMs: number;
  /** Request line and headers together. The proxy forwards up to 16 KiB of headers beside our own. */
  headerBytesMax: number;
  /** Header lines of one request. The proxy forwards up to 100. */
  headersMax: number;
  /** A filter of 4,096 characters fits percent-encoded. */
  urlBytesMax: number;
  /** The wire contract allows 75 MB; no declared route of ours needs more than this unless it says so. */
  bodyBytesMax: number;
  /** Our forms have a handful of short fields. */
  formBytesMax: number;
  /** Nested objects and lists of one JSON body. `JSON.stringify` breaks at some thousands. */
  jsonDepthMax: number;
  /** Keys and list items of one JSON body: 1 MiB could hold half a million, each checked and each an issue. */
  jsonValuesMax: number;
  /** Issues told about one request: nobody reads more, and they could be larger than the request. */
  issuesMax: number;
  /** Sockets of this process, below the usual limit of open files. */
  socketsMax: number;
  /** Sockets of one address that have not shown a valid key or session token, whatever they do. */
  strangersPerAddressMax: number;
  /** Those of them that do nothing: no complete request for {@link strangerPatienceMs}. The oldest are closed. */
  waitingPerAddressMax: number;
  /** A burst of new connections needs a moment until the first requests are read. */
  strangerPatienceMs: number;
}

export const EDGE_LIMITS: EdgeLimits = {
  headersTimeoutMs: 10_000,
  bodyTimeoutMs: 15_000,
  replyTimeoutMs: 60_000,
  keepAliveTimeoutMs: 72_000,
  headerBytesMax: 32_768,
  headersMax: 150,
  urlBytesMax: 16_384,
  bodyBytesMax: 1_048_576,
  formBytesMax: 16_384,
  jsonDepthMax: 64,
  jsonValuesMax: 10_000,
  issuesMax: 20,
  socketsMax: 10_000,
  strangersPerAddressMax: 500,
  waitingPerAddressMax: 50,
  strangerPatienceMs: 2_000,
};

/** How often deadlines and waiting sockets are looked at. */
export const WATCH_INTERVAL_MS = 500;
