/** What a sync's run does beyond a common one: records, deletions, where it stopped, and what the app is told. */
import { noKillPoints, reachWithCommit } from '../../platform/kill-points.ts';
import type { Sql } from '../../platform/postgres/index.ts';
import type { RecordPlace } from '../records/index.ts';
import type { RunContext, RunHooks } from '../runs/index.ts';
import { syncErrors } from './errors.ts';
import { modelsOf, storedModel } from './models.ts';
import type { Sync, SyncsDeps } from './model.ts';
import { clearEmptyFirst, deleteMark, insertMark, makeDue, noteOutcome, selectMark, selectSync } from './store.ts';

/** Wire contract J.1. */
const RUN_MAX_MS = 24 * 3_600_000;
/** A sync that took longer gets a process of its own: nobody else's crash ends it. */
const ALONE_FROM_MS = 60_000;
const LIST_PAGE = 1_000;

type Deps = Pick<SyncsDeps, 'db' | 'records' | 'connections' | 'killPoints' | 'tellsUnchanged'>;

export function syncHooks(deps: Deps): RunHooks {
  const { db, records } = deps;
  return {
    async prepare(context) {
      const sync = await syncOf(deps, context);
      if (sync.emptyFirst) {
        const { environmentId, connectionId } = sync;
        const models = modelsOf(context.fn, sync.variant);
        await records.empty(environmentId, connectionId, models, (tx) => context.fence(tx));
        await db.transaction(async (tx) => {
          await context.fence(tx);
          await clearEmptyFirst(tx, sync);
        });
      }
      return {
        timeoutMs: RUN_MAX_MS,
        alone: (sync.lastDurationMs ?? 0) >= ALONE_FROM_MS,
        context: {
          syncId: sync.uuid,
          variant: sync.variant,
          models: context.fn.definition.models,
          trackDeletes: context.fn.definition.trackDeletes,
          emptyCache: sync.emptyFirst,
          ...(sync.lastSuccessAt !== undefined &&
            context.fn.definition.syncType !== 'full' && { lastSyncDate: sync.lastSuccessAt.toISOString() }),
        },
        host: recordMethods(deps, context, sync),
      };
    },

    /** The older `trackDeletes` of a definition: a run that lists everything deletes what it did not see. */
    async completing(context) {
      const { trackDeletes, syncType } = context.fn.definition;
      if (!trackDeletes) return;
      const sync = await syncOf(deps, context);
      // It was asked for what is new since then: what it did not see may well be there.
      if (syncType === 'incremental' && sync.lastSuccessAt !== undefined) return;
      for (const model of context.fn.definition.models) {
        await deleteUnseen(deps, context, sync, model, context.run.id);
      }
    },

    async finished(tx, context, result) {
      const { run, connection, integration, fn } = context;
      if (run.syncId === undefined) return;
      const before = await selectSync(tx, run.environmentId, run.syncId);
      if (before === undefined) return; // deleted while it ran: nobody wants to know any more
      // It saved where it stopped, because its time was up: the next run goes on from there, at once.
      const isInterrupted = !result.ok && result.error.code === 'script_interrupted';
      if (isInterrupted) await makeDue(tx, before);
      const outcome = result.ok || isInterrupted ? 'succeeded' : result.cancelled ? 'cancelled' : 'failed';
      await noteOutcome(tx, {
        environmentId: run.environmentId,
        id: before.id,
        outcome,
        // A reset cancels what runs: where that had got to must stay forgotten, even if it ended well just then.
        succeededAt: result.ok && !run.cancelRequested ? run.startedAt : undefined,
        durationMs: run.durationMs,
        counts: run.counts,
      });
      if (outcome === 'cancelled') return;
      const head = {
        from: 'nango',
        type: 'sync',
        connectionId: connection.connectionId,
        providerConfigKey: integration.uniqueKey,
        syncName: fn.name,
        syncVariant: before.variant,
        syncType: before.lastSuccessAt === undefined ? 'INITIAL' : 'INCREMENTAL',
      };
      const isWell = result.ok || isInterrupted;
      const always = isWell && ((await deps.tellsUnchanged?.(tx, run.environmentId)) ?? false);
      const told = isWell ? successes(head, context, always) : [failure(head, context, result.error)];
      for (const payload of told) {
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

/** One event per model with news (wire contract D.2); `always`: and without. */
export function successes(head: object, { run, fn }: RunContext, always = false): object[] {
  const startedAt = (run.startedAt ?? run.queuedAt).toISOString();
  return fn.definition.models.flatMap((model) => {
    const counts = run.counts[model] ?? { added: 0, updated: 0, deleted: 0 };
    if (!always && counts.added + counts.updated + counts.deleted === 0) return [];
    return [
      {
        ...head,
        model,
        success: true,
        modifiedAfter: startedAt,
        queryTimeStamp: startedAt,
        responseResults: { added: counts.added, updated: counts.updated, deleted: counts.deleted },
      },
    ];
  });
}

function failure(head: object, { run, fn }: RunContext, error: { code: string; message: string }): object {
  return {
    ...head,
    model: fn.definition.models.join(','),
    success: false,
    error: { type: error.code, description: error.message },
    startedAt: (run.startedAt ?? run.queuedAt).toISOString(),
    failedAt: (run.finishedAt ?? run.startedAt ?? run.queuedAt).toISOString(),
  };
}

/** The methods only syncs have (wire contract F.4); each write is one transaction that holds the run's lease. */
export function recordMethods(deps: Deps, context: RunContext, sync: Sync) {
  const { db, records, killPoints = noKillPoints } = deps;
  const { run, fn } = context;
  const place = (model: string): RecordPlace => {
    if (!fn.definition.models.includes(model)) {
      throw syncErrors.fail('unknown_model', {
        message: `The sync ${fn.name} does not declare the model ${model.slice(0, 100)}. Add it to \`models\` and deploy.`,
      });
    }
    return {
      environmentId: run.environmentId,
      connectionId: run.connectionId,
      model: storedModel(model, sync.variant),
    };
  };
  const writer = (action: 'save' | 'update' | 'delete') => async (list: unknown[], model: string) => {
    const counts = await records.write({
      ...place(model),
      action,
      records: list,
      syncId: sync.id,
      generation: run.id,
      onWarning: (message) => context.note('warn', message),
      async inTransaction(tx, counted) {
        killPoints.reach('S2');
        await holdAndCount(context, tx, model, counted);
        void reachWithCommit(killPoints, 'S4');
      },
    });
    killPoints.reach('S3');
    return counts;
  };
  return {
    batchSave: writer('save'),
    batchUpdate: writer('update'),
    batchDelete: writer('delete'),
    async getRecordsByIds(ids: string[], model: string) {
      const found = await records.byIds(place(model), ids.map(String));
      return found.map((record) => [String(record.id), record]);
    },
    listRecords: (model: string, cursor: string | null) =>
      records.list({
        ...place(model),
        limit: LIST_PAGE,
        cursor: cursor ?? undefined,
        actions: ['ADDED', 'UPDATED'],
      }),
    async trackDeletesStart(model: string) {
      place(model);
      await db.transaction(async (tx) => {
        await context.fence(tx);
        await insertMark(tx, sync, model, run.id);
      });
      return null;
    },
    async trackDeletesEnd(model: string) {
      place(model);
      const since = await selectMark(db, sync, model);
      if (since === undefined) throw syncErrors.fail('no_generation');
      return deleteUnseen(deps, context, sync, model, since);
    },
    deleteRecordsFromPreviousExecutions: (model: string) => deleteUnseen(deps, context, sync, model, run.id),
    async setMergingStrategy({ strategy }: { strategy: 'override' | 'ignore_if_modified_after' }, model: string) {
      const isSet = await records.setMergingStrategy({ ...place(model), generation: run.id, strategy });
      if (!isSet)
        context.note('warn', `The merging strategy of ${model} was set before in this run; the first one counts.`);
      return null;
    },
  };
}

async function deleteUnseen(deps: Deps, context: RunContext, sync: Sync, model: string, since: number) {
  const { run } = context;
  const { deletedKeys } = await deps.records.deleteNotSavedSince({
    environmentId: run.environmentId,
    connectionId: run.connectionId,
    model: storedModel(model, sync.variant),
    syncId: sync.id,
    since,
    inTransaction: async (tx, counts) => {
      await holdAndCount(context, tx, model, counts);
      deps.killPoints?.reach('S5');
      await deleteMark(tx, sync, model);
    },
  });
  return { deletedKeys };
}

async function holdAndCount(
  context: RunContext,
  tx: Sql,
  model: string,
  { added, updated, deleted }: { added: number; updated: number; deleted: number },
): Promise<void> {
  await context.fence(tx);
  if (added + updated + deleted > 0) await context.count(tx, model, { added, updated, deleted });
}

export async function syncOf({ db }: Pick<Deps, 'db'>, { run }: RunContext): Promise<Sync> {
  const sync = run.syncId === undefined ? undefined : await selectSync(db, run.environmentId, run.syncId);
  if (sync === undefined) throw syncErrors.fail('unknown_sync');
  return sync;
}
