/** Messages on the pipe between host and child: 4 bytes of length, big endian, then JSON in UTF-8. */
import type { SandboxRun, ScriptContext, ScriptFailure } from './model.ts';
import type { SandboxLimits } from './limits.ts';

/** From the host. */
export type ToChild =
  | { t: 'hello'; limits: SandboxLimits }
  | {
      t: 'run';
      id: string;
      /** Once per bundle and process. */
      code?: string;
      hash: string;
      entry: SandboxRun['entry'];
      input: unknown;
      context: ScriptContext;
      softTimeoutMs: number;
      outputBytesMax: number;
    }
  | { t: 'reply'; id: string; n: number; value: unknown }
  | { t: 'reply'; id: string; n: number; error: HostFailure }
  | { t: 'abort'; id: string; code: AbortCode; message: string }
  | { t: 'ping'; n: number };

/** From the child. Nothing in it is believed unchecked. */
export type ToHost =
  | { t: 'ready' }
  | { t: 'call'; id: string; n: number; m: string; a: unknown[] }
  | { t: 'done'; id: string; out?: unknown }
  | { t: 'fail'; id: string; error: ScriptFailure }
  | { t: 'pong'; n: number };

export type AbortCode = 'script_aborted' | 'execution_timeout';

/** Why the host refused a call. */
export interface HostFailure {
  code: string;
  message: string;
  status?: number;
  payload?: unknown;
  upstream?: ScriptFailure['upstream'];
}

const HEAD_BYTES = 4;

/** One frame. `json` is written as it is. */
export function frameOf(json: string): Buffer {
  const length = Buffer.byteLength(json);
  const frame = Buffer.allocUnsafe(HEAD_BYTES + length);
  frame.writeUInt32BE(length, 0);
  frame.write(json, HEAD_BYTES);
  return frame;
}

/**
 * Cuts what arrives into messages. Errors: Error for a frame over `bytesMax`, before any of it is kept.
 */
export function createDecoder(bytesMax: number, take: (json: Buffer) => void): (chunk: Buffer) => void {
  let parts: Buffer[] = [];
  let have = 0;
  let need = -1;
  return (chunk) => {
    parts.push(chunk);
    have += chunk.length;
    for (;;) {
      if (have < (need < 0 ? HEAD_BYTES : need)) return;
      let all = parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts, have);
      parts = [];
      // Frames that are whole already are cut without copying.
      while (all.length >= (need < 0 ? HEAD_BYTES : need)) {
        if (need < 0) {
          need = all.readUInt32BE(0);
          if (need > bytesMax) throw new Error(`a message of ${need} bytes, more than ${bytesMax}`);
          all = all.subarray(HEAD_BYTES);
        } else {
          const json = all.subarray(0, need);
          all = all.subarray(need);
          need = -1;
          take(json);
        }
      }
      have = all.length;
      if (have > 0) parts.push(all);
    }
  };
}

/**
 * True when a JSON text has at most `max` brackets that open, wherever they stand: then nothing in it lies deeper. Most
 * records are told apart by this without a look at each byte.
 */
export function isSurelyFlat(json: string, max: number): boolean {
  let left = max;
  for (const open of ['{', '[']) {
    for (let at = json.indexOf(open); at !== -1; at = json.indexOf(open, at + 1)) {
      left -= 1;
      if (left < 0) return false;
    }
  }
  return true;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** True when arrays and objects of a JSON text lie deeper than `max`; reads bytes, so that no parser can be broken. */
export function isDeeperThan(json: Buffer, max: number): boolean {
  let depth = 0;
  for (let at = 0; at < json.length; at += 1) {
    const byte = json[at];
    if (byte === QUOTE) {
      // Texts are most of a message: `indexOf` is many times faster than looking at each byte.
      for (at = json.indexOf(QUOTE, at + 1); at !== -1 && isEscaped(json, at); at = json.indexOf(QUOTE, at + 1));
      if (at === -1) return false;
    } else if (byte === 0x5b || byte === 0x7b) {
      depth += 1;
      if (depth > max) return true;
    } else if (byte === 0x5d || byte === 0x7d) depth -= 1;
  }
  return false;
}

function isEscaped(json: Buffer, at: number): boolean {
  let slashes = 0;
  while (json[at - 1 - slashes] === BACKSLASH) slashes += 1;
  return slashes % 2 === 1;
}
