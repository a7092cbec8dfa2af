/** The caller's body on its way in: at hand whole when it is small, else streamed to the provider as it comes. */
import type { IncomingMessage } from 'node:http';
import type { BodyPlan } from './body-plan.ts';
import type { Call } from './read-call.ts';

export class CallerBody {
  readonly request: IncomingMessage;
  readonly plan: BodyPlan;
  /** Of a body that is at hand. */
  bytes: Buffer | null = null;
  readonly #announced: Call['body'];
  #progress = -1;
  #sinceMs = 0;

  constructor(request: IncomingMessage, announced: Call['body'], plan: BodyPlan) {
    this.request = request;
    this.plan = plan;
    this.#announced = announced;
  }

  /** It goes to the provider as it comes, so that a try which has begun to send it is the only one. */
  get isStreamed(): boolean {
    return this.#announced !== undefined && !this.plan.collects;
  }

  /** Undefined: there is none, or it is not known before the end. */
  get length(): number | undefined {
    return this.#announced?.length;
  }

  /** Reads a small body to its end. Nothing happens when the caller leaves before. */
  collect(onCollected: () => void): void {
    const chunks: Buffer[] = [];
    this.request.on('data', (chunk: Buffer) => chunks.push(chunk));
    this.request.on('end', () => {
      this.bytes = chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks);
      onCollected();
    });
  }

  /** Calls `onTooLarge` once more than `bytesMax` have passed. Does not start the flow. */
  count(bytesMax: number, onTooLarge: () => void): void {
    let bytes = 0;
    // Paused first: a listener alone would start the flow before the upstream listens.
    this.request.pause();
    this.request.on('data', (chunk: Buffer) => {
      const before = bytes;
      bytes += chunk.length;
      if (before <= bytesMax && bytes > bytesMax) onTooLarge();
    });
  }

  /** True while the caller is asked for more of it. */
  get isAwaited(): boolean {
    return this.#announced !== undefined && !this.request.readableEnded && !this.request.isPaused();
  }

  /** Milliseconds in which the caller has neither sent nor read; 0 while nobody waits for the caller. */
  silenceMs(waitsForCaller: boolean, nowMs: number): number {
    const { socket } = this.request;
    const progress = socket.bytesRead + socket.bytesWritten - socket.writableLength;
    if (!waitsForCaller || progress !== this.#progress) {
      this.#progress = progress;
      this.#sinceMs = nowMs;
    }
    return nowMs - this.#sinceMs;
  }
}
