/** The caller's body on its way in: collected when small, counted when its length is unknown. */
import type { IncomingMessage } from 'node:http';

/** Reads a small body to its end. Nothing happens when the caller leaves before. */
export function collectBody(request: IncomingMessage, onBody: (body: Buffer) => void): void {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => onBody(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks)));
}

/** Calls `onTooLarge` once more than `bytesMax` have passed. Does not start the flow. */
export function countBody(request: IncomingMessage, bytesMax: number, onTooLarge: () => void): void {
  let bytes = 0;
  // Paused first: a listener alone would start the flow before the upstream listens.
  request.pause();
  request.on('data', (chunk: Buffer) => {
    const before = bytes;
    bytes += chunk.length;
    if (before <= bytesMax && bytes > bytesMax) onTooLarge();
  });
}

/** Notices a caller that neither sends nor reads while it is waited for. */
export class StallMeter {
  #progress = -1;
  #sinceMs = 0;

  /** Milliseconds of silence so far; 0 while nobody waits for the caller. */
  silenceMs(request: IncomingMessage, waitsForCaller: boolean, nowMs: number): number {
    const { socket } = request;
    const progress = socket.bytesRead + socket.bytesWritten - socket.writableLength;
    if (!waitsForCaller || progress !== this.#progress) {
      this.#progress = progress;
      this.#sinceMs = nowMs;
    }
    return nowMs - this.#sinceMs;
  }
}
