/** A key service as a cloud has it, in this process: the key never leaves it, calls take time, fail, and are counted. */
import { randomBytes } from 'node:crypto';
import { systemClock } from '../clock.ts';
import { KEY_BYTES, openBytes, sealBytes } from './cipher.ts';
import type { KeyWrapper } from './model.ts';

export interface FakeKms {
  /** Makes a key and resolves to the door to it. */
  createKey(id: string): KeyWrapper;
  calls: { wrap: number; unwrap: number };
  /** False: every call fails, as when the service is away. */
  up: boolean;
}

/** `latencyMs`: how long each call takes. Default 1. */
export function startFakeKms(options: { latencyMs?: number } = {}): FakeKms {
  const keys = new Map<string, Buffer>();
  const kms: FakeKms = {
    calls: { wrap: 0, unwrap: 0 },
    up: true,
    createKey(id) {
      keys.set(id, randomBytes(KEY_BYTES));
      const arrive = async (kind: 'wrap' | 'unwrap'): Promise<void> => {
        kms.calls[kind] += 1;
        await systemClock.sleep(options.latencyMs ?? 1);
        if (!kms.up) throw Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });
      };
      return {
        id,
        async wrap(dataKey, context) {
          await arrive('wrap');
          return sealBytes(keys.get(id) as Buffer, id, context, dataKey);
        },
        async unwrap(wrapped, context) {
          await arrive('unwrap');
          return openBytes((keyId) => (keyId === id ? keys.get(id) : undefined), context, wrapped);
        },
      };
    },
  };
  return kms;
}
