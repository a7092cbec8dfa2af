import { runErrors } from './errors.ts';
import type { Checkpoints } from './model.ts';
import { deleteCheckpoint, selectCheckpoint, writeCheckpoint } from './store-state.ts';

/** As JSON. A checkpoint is a cursor, not a store. */
const CHECKPOINT_BYTES_MAX = 16 * 1024;

/** Checks what a script wants to keep. Errors: `invalid_checkpoint`. */
export function readCheckpointData(value: unknown): Record<string, string | number | boolean> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw runErrors.fail('invalid_checkpoint');
  for (const [name, one] of Object.entries(value)) {
    const fits = typeof one === 'boolean' || (typeof one === 'number' && Number.isFinite(one)) || isText(one);
    if (!fits || !isText(name)) throw runErrors.fail('invalid_checkpoint');
  }
  if (Buffer.byteLength(JSON.stringify(value)) > CHECKPOINT_BYTES_MAX) throw runErrors.fail('invalid_checkpoint');
  return value as Record<string, string | number | boolean>;
}

/** PostgreSQL stores no zero byte and no half character. */
function isText(value: unknown): value is string {
  return typeof value === 'string' && !value.includes('\0') && value.isWellFormed();
}

/** Where functions stopped. */
export const checkpoints: Checkpoints = {
  get: selectCheckpoint,
  async save(tx, place, data, expected) {
    const version = await writeCheckpoint(tx, place, data, expected);
    if (version === undefined) throw runErrors.fail('checkpoint_conflict');
    return version;
  },
  clear: deleteCheckpoint,
};
