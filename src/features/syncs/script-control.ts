import { z } from 'zod';
import type { SyncControl } from '../runs/index.ts';
import { syncErrors } from './errors.ts';
import type { Syncs, TriggerMode } from './model.ts';

const options = z
  .union([
    z.object({ reset: z.boolean().optional(), emptyCache: z.boolean().optional() }),
    z.enum(['incremental', 'full_refresh', 'full_refresh_and_clear_cache']),
    z.boolean(),
    z.null(),
  ])
  .optional();

/** What scripts may ask of syncs (wire contract F.3). */
export function scriptSyncControl(syncs: Pick<Syncs, 'trigger' | 'start'>): SyncControl {
  return {
    trigger: (target, sync, given) => syncs.trigger(target, [sync], readMode(given), 'script'),
    start: (target, names) => syncs.start(target, names),
  };
}

function readMode(given: unknown): TriggerMode {
  const parsed = options.safeParse(given);
  if (!parsed.success) throw syncErrors.fail('invalid_body', { message: 'triggerSync takes `{reset, emptyCache}`.' });
  const asked = parsed.data ?? {};
  if (typeof asked === 'boolean') return { reset: asked, emptyCache: false };
  if (typeof asked === 'string') {
    return { reset: asked !== 'incremental', emptyCache: asked === 'full_refresh_and_clear_cache' };
  }
  const reset = asked.reset === true;
  return { reset, emptyCache: reset && asked.emptyCache === true };
}
