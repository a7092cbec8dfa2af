/** `onWebhook` of syncs: runs that a provider's event causes, and what they do beyond a common run. */
import type { Sql } from '../../platform/postgres/index.ts';
import type { RunHooks } from '../runs/index.ts';
import { recordMethods, successes, syncOf } from './hooks.ts';
import type { SyncsDeps, WebhookCall } from './model.ts';
import { selectSubscribed } from './store.ts';

type Deps = Pick<SyncsDeps, 'db' | 'functions' | 'runs'>;

/**
 * Queues a run of each enabled sync, in its base variant, of these connections that subscribes to one of the names or to
 * `*` (wire contract E). Of one sync they run one after the other, beside its schedule.
 */
export async function queueWebhookRuns(deps: Deps, tx: Sql, call: WebhookCall): Promise<void> {
  const { environmentId, integrationId, connectionIds, names, body } = call;
  if (connectionIds.length === 0) return;
  const syncs = await selectSubscribed(tx, { environmentId, integrationId, connectionIds, names: [...names, '*'] });
  for (const { id, functionId, connectionId } of syncs) {
    const fn = await deps.functions.byId(environmentId, functionId);
    if (fn === undefined || !fn.enabled) continue;
    await deps.runs.enqueue(tx, {
      environmentId,
      kind: 'webhook',
      trigger: 'webhook',
      fn,
      connection: { id: connectionId },
      syncId: id,
      input: body,
      lane: `webhook:${id}`,
    });
  }
}

/** Records are written as by a sync; where it stopped and when it was last good stay the schedule's. */
export function webhookHooks(deps: Pick<SyncsDeps, 'db' | 'records' | 'connections' | 'killPoints'>): RunHooks {
  return {
    async prepare(context) {
      const sync = await syncOf(deps, context);
      return {
        context: {
          syncId: sync.uuid,
          variant: sync.variant,
          models: context.fn.definition.models,
          trackDeletes: false,
          emptyCache: false,
        },
        host: recordMethods(deps, context, sync),
      };
    },
    async finished(tx, context, result) {
      if (!result.ok) return;
      const { run, connection, integration, fn } = context;
      const head = {
        from: 'nango',
        type: 'sync',
        connectionId: connection.connectionId,
        providerConfigKey: integration.uniqueKey,
        syncName: fn.name,
        syncVariant: 'base',
        syncType: 'WEBHOOK',
      };
      for (const payload of successes(head, context)) {
        await deps.connections.writeEvent(tx, {
          environmentId: run.environmentId,
          type: 'sync',
          connectionId: connection.id,
          payload,
        });
      }
    },
  };
}
