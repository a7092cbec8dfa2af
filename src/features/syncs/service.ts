import { createVariant, deleteVariant, moveSyncs, setPeriod, triggerSyncs } from './control.ts';
import { followFunctions } from './follow.ts';
import { syncHooks } from './hooks.ts';
import type { Syncs, SyncsDeps } from './model.ts';
import { queueDue, startLooking } from './schedule.ts';
import { readStatus } from './status.ts';
import { existsSubscriber, selectHasRunWithin } from './store.ts';
import { queueWebhookRuns, webhookHooks } from './webhook.ts';

/** Puts schedules behind the deployed syncs. Registers itself with runs and functions. */
export function createSyncs(deps: SyncsDeps): Syncs {
  deps.runs.register('sync', syncHooks(deps));
  deps.runs.register('webhook', webhookHooks(deps));
  deps.functions.onChange((tx, environmentId, change) => followFunctions(deps, tx, environmentId, change));
  const sweep = (): Promise<number> => queueDue(deps);
  return {
    trigger: (target, names, mode, trigger = 'api') => triggerSyncs(deps, target, names, mode, trigger),
    start: (target, names) => moveSyncs(deps, target, names, 'started'),
    pause: (target, names) => moveSyncs(deps, target, names, 'paused'),
    status: (target, names) => readStatus(deps, target, names),
    setPeriod: (target, name, periodMs) => setPeriod(deps, target, name, periodMs),
    createVariant: (target, name) => createVariant(deps, target, name),
    deleteVariant: (target, name) => deleteVariant(deps, target, name),
    hasSubscribers: (sql, environmentId, integrationId) => existsSubscriber(sql, environmentId, integrationId),
    onWebhook: (tx, call) => queueWebhookRuns(deps, tx, call),
    hasRunWithin: (environmentId, syncId, ageMs) => selectHasRunWithin(deps.db, environmentId, syncId, ageMs),
    sweep,
    startSchedules: () => startLooking(deps, sweep),
  };
}
