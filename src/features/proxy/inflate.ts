/** Inflates an answer for `Decompress: true`, within limits, with back-pressure both ways. */
import { createBrotliDecompress, createGunzip, createInflate, createZstdDecompress } from 'node:zlib';
import type { Transform } from 'node:stream';
import { INFLATE_RATIO_FROM_BYTES } from './limits.ts';

export interface Inflater {
  /** False: wait for `onDrain`. */
  write(chunk: Buffer): boolean;
  end(): void;
  pause(): void;
  resume(): void;
  destroy(): void;
}

export interface InflateEvents {
  onData(chunk: Buffer): void;
  onEnd(): void;
  onDrain(): void;
  /** Damaged, cut short, or larger than the limits. Nothing follows. */
  onError(code: 'ERR_BODY_TOO_LARGE' | 'ERR_BODY_DAMAGED'): void;
}

const decoders: Readonly<Record<string, () => Transform>> = {
  gzip: createGunzip,
  'x-gzip': createGunzip,
  deflate: createInflate,
  br: createBrotliDecompress,
  zstd: createZstdDecompress,
};

/** True for an answer that {@link createInflater} can read: one known coding. Source: RFC 9110 8.4.1. */
export function canInflate(contentEncoding: string | string[] | undefined): contentEncoding is string {
  return typeof contentEncoding === 'string' && Object.hasOwn(decoders, contentEncoding.trim().toLowerCase());
}

export function createInflater(
  contentEncoding: string,
  limits: { inflatedBytesMax: number; inflateRatioMax: number },
  events: InflateEvents,
): Inflater {
  const decoder = (decoders[contentEncoding.trim().toLowerCase()] as () => Transform)();
  let bytesIn = 0;
  let bytesOut = 0;
  let done = false;
  const fail = (code: 'ERR_BODY_TOO_LARGE' | 'ERR_BODY_DAMAGED'): void => {
    if (done) return;
    done = true;
    decoder.destroy();
    events.onError(code);
  };
  decoder.on('data', (chunk: Buffer) => {
    if (done) return;
    bytesOut += chunk.length;
    const ratioSpeaks = bytesOut > INFLATE_RATIO_FROM_BYTES;
    if (bytesOut > limits.inflatedBytesMax || (ratioSpeaks && bytesOut > bytesIn * limits.inflateRatioMax)) {
      fail('ERR_BODY_TOO_LARGE');
    } else events.onData(chunk);
  });
  decoder.on('drain', () => {
    if (!done) events.onDrain();
  });
  decoder.on('end', () => {
    if (done) return;
    done = true;
    events.onEnd();
  });
  decoder.on('error', () => fail('ERR_BODY_DAMAGED'));
  return {
    write(chunk) {
      if (done) return true;
      bytesIn += chunk.length;
      return decoder.write(chunk);
    },
    end: () => void decoder.end(),
    pause: () => void decoder.pause(),
    resume: () => void decoder.resume(),
    destroy() {
      done = true;
      decoder.destroy();
    },
  };
}
