import { isHawserError } from '../../base/errors.ts';
import { errorText, type Log } from '../../base/log.ts';
import type { Database } from '../../platform/postgres/index.ts';
import type { Vault } from '../environments/index.ts';
import type { FunctionKind } from './model.ts';
import { deleteOldTasks, endTask, insertTask, selectTask, type TaskKind, type TaskRow } from './store-tasks.ts';

export interface TaskError {
  code: string;
  message: string;
  payload?: unknown;
}

/** Work asked for over the API, whose outcome is fetched later. Kept for a day. */
export interface FunctionTask {
  id: string;
  kind: TaskKind;
  state: TaskRow['state'];
  integrationKey: string;
  functionType: FunctionKind;
  createdAt: Date;
  startedAt: Date | undefined;
  completedAt: Date | undefined;
  /** What the work resolved to. */
  result: Record<string, unknown> | undefined;
  error: TaskError | undefined;
}

export interface FunctionTasks {
  /** Begins the work in this process. An error of ours becomes the task's. */
  start(
    environmentId: number,
    task: { kind: TaskKind; integrationKey: string; functionType: FunctionKind },
    work: () => Promise<Record<string, unknown>>,
  ): Promise<FunctionTask>;
  find(environmentId: number, kind: TaskKind, id: string): Promise<FunctionTask | undefined>;
  /** Waits for what is under way. */
  drain(): Promise<void>;
}

const LOST: TaskError = {
  code: 'execution_environment_unavailable',
  message: 'The node that worked on this is gone. Ask again.',
};

export function createFunctionTasks({ db, vault, log }: { db: Database; vault: Vault; log: Log }): FunctionTasks {
  const underWay = new Set<Promise<void>>();
  const placeOf = (environmentId: number, id: string) => ({
    environmentId,
    table: 'function_task',
    row: id,
    column: 'result_sealed',
  });

  async function toTask(environmentId: number, row: TaskRow): Promise<FunctionTask> {
    const kept =
      row.result_sealed === null
        ? {}
        : (JSON.parse(await vault.open(placeOf(environmentId, row.id), row.result_sealed)) as {
            result?: Record<string, unknown>;
            error?: TaskError;
          });
    return {
      id: row.id,
      kind: row.kind,
      state: row.is_lost ? 'failed' : row.state,
      integrationKey: row.integration_key,
      functionType: row.function_type,
      createdAt: row.created_at,
      startedAt: row.started_at ?? undefined,
      completedAt: row.completed_at ?? undefined,
      result: kept.result,
      error: row.is_lost ? LOST : kept.error,
    };
  }

  async function perform(
    environmentId: number,
    { id, kind }: TaskRow,
    work: () => Promise<Record<string, unknown>>,
  ): Promise<void> {
    let kept: { result?: Record<string, unknown>; error?: TaskError };
    try {
      kept = { result: await work() };
    } catch (error) {
      if (!isHawserError(error)) log.error('work on a function failed', { kind, error: errorText(error) });
      kept = {
        error: isHawserError(error)
          ? { code: error.code, message: error.message, payload: error.payload }
          : { code: `${kind}_error`, message: 'Something unexpected failed. The log of the server says more.' },
      };
    }
    const sealed = await vault.seal(placeOf(environmentId, id), JSON.stringify(kept));
    await endTask(db, environmentId, id, kept.error === undefined ? 'success' : 'failed', sealed);
  }

  return {
    async start(environmentId, task, work) {
      await deleteOldTasks(db);
      const row = await insertTask(db, environmentId, task);
      const working = perform(environmentId, row, work)
        .catch((error: unknown) => log.error('an outcome was not kept', { kind: task.kind, error: errorText(error) }))
        .finally(() => underWay.delete(working));
      underWay.add(working);
      return toTask(environmentId, row);
    },
    async find(environmentId, kind, id) {
      const row = await selectTask(db, environmentId, kind, id);
      return row && toTask(environmentId, row);
    },
    async drain() {
      await Promise.all(underWay);
    },
  };
}
