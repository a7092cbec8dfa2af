/**
 * Time as a port. Wall time is for what people and other systems read; durations use the monotonic reading, which no
 * clock change moves. Production binds {@link systemClock} (platform/clock.ts); tests bind a hand-driven one.
 */
export interface Clock {
  /** Wall time in milliseconds since 1970. */
  now(): number;
  /** Milliseconds from an arbitrary start; never goes back. */
  monotonicMs(): number;
  /** Resolves after `ms`; rejects with the signal's reason when aborted. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** Calls `run` every `ms` until the returned function is called. Does not keep the process alive. */
  every(ms: number, run: () => void): () => void;
}
