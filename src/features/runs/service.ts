import { randomId } from '../../base/ids.ts';
import { isHawserError } from '../../base/errors.ts';
import { errorText } from '../../base/log.ts';
import type { Sql } from '../../platform/postgres/index.ts';
import { checkpoints } from './checkpoints.ts';
import { runErrors } from './errors.ts';
import type { HostDeps } from './host/index.ts';
import { DEPTH_MAX, EXECUTING_MAX, RUN_LIMITS, START_WITHIN_MS, TIMEOUT_MS, type RunLimits } from './limits.ts';
import { createLogWriter } from './logs.ts';
import type { ExecuteOptions, Run, RunContext, RunHooks, RunKind, RunRequest, RunResult, Runs } from './model.ts';
import { perform, type HeldRun, type PerformDeps, type Task } from './perform.ts';
import { createQueue } from './queue.ts';
import { resultOf, sealJson } from './sealed.ts';
import {
  endRuns,
  forgetIdempotency,
  insertRun,
  insertStarted,
  notifyQueued,
  selectByIdempotency,
  selectByUuid,
  selectRuns,
  selectSealed,
  toRun,
  type Ending,
  type NewRun,
  type RunRow,
} from './store.ts';
import { selectLogs } from './store-state.ts';
import { endLocked, isLaneActive, markCancelled } from './store-queue.ts';
import { createTogether } from '../../base/together.ts';
import { createVariables } from './variables.ts';

export type RunsDeps = Omit<PerformDeps, 'logs' | 'host' | 'hooks' | 'end'> &
  Omit<HostDeps, 'variables' | 'execute' | 'functions' | 'connections' | 'integrations'> & {
    functions: HostDeps['functions'];
    connections: HostDeps['connections'] & PerformDeps['connections'];
    integrations: HostDeps['integrations'];
    /** Tests shorten them. */
    limits?: Partial<RunLimits>;
  };

/** How often the caller of a repeated request looks whether the first one has ended. */
const AWAIT_POLL_MS = 100;

export async function createRuns(deps: RunsDeps): Promise<Runs> {
  const { db, clock, log, vault } = deps;
  const limits = { ...RUN_LIMITS, ...deps.limits };
  const hooks = new Map<RunKind, RunHooks>();
  const held = new Map<string, HeldRun>();
  const ending = new Set<Promise<unknown>>();
  const executing = new Map<number, number>();
  const variables = await createVariables({ db, vault });
  const logs = createLogWriter({ db, clock, log });
  let stopping = false;
  const startTogether = createTogether((values: readonly NewRun[]) => insertStarted(db, values), { clock });
  const performDeps: PerformDeps = {
    ...deps,
    hooks,
    logs,
    end: createTogether((ends: readonly Ending[]) => endRuns(db, ends), { clock }),
    host: { ...deps, variables, execute: (request, options) => execute(request, options) },
  };
  const queue = createQueue({
    db,
    clock,
    log,
    limits,
    held,
    nodeId: deps.nodeId,
    begin(row) {
      const task: Task = { row, inputSealed: row.input_sealed, depth: 0 };
      void run(task, true).then(() => queue.wake());
    },
    ended,
  });

  async function run(task: Task, queued: boolean, signal?: AbortSignal): Promise<{ run: Run; result: RunResult }> {
    const { environment_id: environmentId, id, lease_epoch: epoch } = task.row;
    const own: HeldRun = {
      environmentId,
      id,
      epoch,
      queued,
      abort: new AbortController(),
      hasBegun: false,
      reason: undefined,
    };
    const key = `${environmentId}:${id}`;
    const onAbort = (): void => {
      own.reason ??= 'cancelled';
      own.abort.abort();
    };
    if (stopping) own.reason = 'stopping';
    // Its lease had run out unnoticed, and this node has taken it up again itself.
    const earlier = held.get(key);
    if (earlier !== undefined) {
      earlier.reason ??= 'lost';
      earlier.abort.abort();
    }
    held.set(key, own);
    if (signal?.aborted === true) onAbort();
    signal?.addEventListener('abort', onAbort, { once: true });
    const work = perform(performDeps, task, own);
    ending.add(work);
    try {
      return await work;
    } finally {
      signal?.removeEventListener('abort', onAbort);
      ending.delete(work);
      if (held.get(key) === own) held.delete(key);
    }
  }

  async function newRun(request: Partial<RunRequest> & Omit<RunRequest, 'lane'>): Promise<NewRun> {
    const { environmentId, kind, fn } = request;
    const uuid = randomId();
    const { idempotency } = request;
    const [inputSealed, idempotencyHash, requestHash] = await Promise.all([
      sealJson(vault, { environmentId, uuid }, 'input_sealed', request.input),
      idempotency === undefined ? null : vault.lookupHash(environmentId, idempotency.key),
      idempotency === undefined ? null : vault.lookupHash(environmentId, idempotency.request),
    ]);
    return {
      environmentId,
      uuid,
      kind,
      trigger: request.trigger,
      functionId: fn.id,
      functionName: fn.name,
      version: fn.version,
      integrationId: fn.integrationId,
      connectionId: request.connection.id === 0 ? null : request.connection.id,
      syncId: request.syncId ?? null,
      lane: request.lane ?? null,
      slotAt: request.slotAt ?? null,
      runAt: request.runAt ?? null,
      startInMs: request.lane === undefined ? null : START_WITHIN_MS[kind],
      attemptsMax: 1 + (request.retries ?? 0),
      inputSealed,
      idempotencyHash,
      requestHash,
      owner: request.lane === undefined ? deps.nodeId : null,
      leaseMs: limits.leaseMs,
    };
  }

  /** The run that an idempotency key names already. Errors: `idempotency_key_reused`. */
  async function insertOrFind(sql: Sql, values: NewRun): Promise<{ row: RunRow; isNew: boolean } | undefined> {
    const { environmentId, idempotencyHash, requestHash } = values;
    for (let tries = 0; tries < 3; tries++) {
      const row = await insertRun(sql, values);
      if (row !== undefined) return { row, isNew: true };
      if (idempotencyHash === null || requestHash === null) return undefined;
      const earlier = await selectByIdempotency(sql, environmentId, idempotencyHash);
      if (earlier?.stale === true) await forgetIdempotency(sql, environmentId, earlier.id);
      else if (earlier !== undefined) {
        if (!earlier.request_hash.equals(requestHash)) throw runErrors.fail('idempotency_key_reused');
        return { row: earlier, isNew: false };
      }
      // Forgotten by a sweep meanwhile: free again.
    }
    return undefined;
  }

  async function execute(
    request: Omit<RunRequest, 'lane' | 'slotAt' | 'runAt' | 'retries'>,
    options: ExecuteOptions = {},
  ): Promise<{ run: Run; result: RunResult }> {
    const { environmentId } = request;
    const depth = options.depth ?? 0;
    if (depth > DEPTH_MAX) throw runErrors.fail('run_depth_exceeded');
    const others = executing.get(environmentId) ?? 0;
    if (others >= EXECUTING_MAX || stopping) throw runErrors.fail('too_many_runs');
    executing.set(environmentId, others + 1);
    try {
      const values = await newRun(request);
      const plain = request.idempotency === undefined && request.syncId === undefined;
      const found = plain ? { row: await startTogether(values), isNew: true } : await insertOrFind(db, values);
      if (found === undefined) throw runErrors.fail('not_found');
      if (!found.isNew) return await awaited(found.row, options.signal);
      const task: Task = {
        row: found.row,
        inputSealed: null,
        input: { value: request.input },
        fn: request.fn,
        ...(request.known !== undefined && { known: request.known }),
        candidate: options.candidate,
        depth,
        timeoutMs: options.timeoutMs,
      };
      return await run(task, false, options.signal);
    } finally {
      const now = (executing.get(environmentId) ?? 1) - 1;
      if (now === 0) executing.delete(environmentId);
      else executing.set(environmentId, now);
    }
  }

  /** The result of a run that another call has started, as soon as there is one. */
  async function awaited(row: RunRow, signal?: AbortSignal): Promise<{ run: Run; result: RunResult }> {
    const untilMs = clock.monotonicMs() + TIMEOUT_MS[row.kind];
    for (;;) {
      const now = await selectSealed(db, row.environment_id, row.id);
      if (now === undefined) throw runErrors.fail('not_found');
      const result = await resultOf(vault, now);
      if (result !== undefined) return { run: toRun(now), result };
      if (clock.monotonicMs() > untilMs) throw runErrors.fail('not_found', { message: 'The run has not ended yet.' });
      await clock.sleep(AWAIT_POLL_MS, signal);
    }
  }

  /** Tells the hooks of a kind that a run ended without them. What of it is gone already needs no telling. */
  async function ended(tx: Sql, row: RunRow, error: { code: string; message: string }, cancelled: boolean) {
    const { finished, tells } = hooks.get(row.kind) ?? {};
    if (finished === undefined || row.connection_id === null || tells?.(toRun(row)) === false) return;
    const [fn, connection, integration] = await Promise.all([
      deps.functions.byId(row.environment_id, row.function_id),
      deps.connections.byId(row.environment_id, row.connection_id),
      deps.integrations.byId(row.environment_id, row.integration_id),
    ]);
    if (fn === undefined || connection === undefined || integration === undefined) return;
    const context: RunContext = {
      run: toRun(row),
      fn,
      connection,
      integration,
      note: () => undefined,
      fence: () => Promise.reject(runErrors.fail('run_superseded')),
      count: () => Promise.reject(runErrors.fail('run_superseded')),
    };
    await finished(tx, context, { ok: false, error, cancelled });
  }

  return {
    execute,
    variables,
    checkpoints,
    async enqueue(tx, request) {
      const { environmentId, lane } = request;
      if (request.unlessActive === true && (await isLaneActive(tx, environmentId, lane))) return undefined;
      const found = await insertOrFind(tx, await newRun(request));
      if (found === undefined) return undefined;
      if (found.isNew) await notifyQueued(tx);
      return toRun(found.row);
    },
    async cancel(tx, filter) {
      const { running, queued } = await markCancelled(tx, filter);
      for (const row of queued) {
        await endLocked(tx, row, 'cancelled', { code: 'script_aborted', message: 'The run was cancelled.' });
        await ended(tx, row, { code: 'script_aborted', message: 'The run was cancelled.' }, true);
      }
      return running.length + queued.length;
    },
    async byUuid(environmentId, uuid) {
      const row = await selectByUuid(db, environmentId, uuid);
      return row && toRun(row);
    },
    async result({ environmentId, id }) {
      const row = await selectSealed(db, environmentId, id);
      return row && resultOf(vault, row);
    },
    async list(query) {
      return (await selectRuns(db, query)).map(toRun);
    },
    async logs(of, options = {}) {
      await logs.flush();
      const lines = await selectLogs(db, of, { limit: options.limit ?? 1_000, after: options.after ?? 0 });
      return lines.map(({ payload, ...line }) => ({ ...line, ...(payload !== null && { payload }) }));
    },
    register(kind, added) {
      if (hooks.has(kind)) throw new Error(`two slices want the runs of kind ${kind}`);
      hooks.set(kind, added);
    },
    start() {
      const active = queue.start();
      let stopped: Promise<void> | undefined;
      return () => (stopped ??= stop(active));
    },
  };

  /** Lets runs end for some seconds; what is left is handed back, or ended when nobody may repeat it. */
  async function stop(active: ReturnType<typeof queue.start>): Promise<void> {
    stopping = true;
    const taken = active.stopTaking();
    const waited = new AbortController();
    const late = clock.sleep(limits.stopWaitMs, waited.signal).catch(() => undefined); // all ended in time
    await Promise.race([taken.then(() => Promise.allSettled(ending)), late]);
    waited.abort();
    for (const one of held.values()) {
      one.reason ??= 'stopping';
      one.abort.abort();
    }
    await Promise.allSettled(ending);
    try {
      await logs.close();
      await notifyQueued(db);
    } catch (error) {
      if (!isHawserError(error)) throw error;
      log.warn('other nodes could not be told of runs that were handed back', { error: errorText(error) });
    }
    await active.stop();
  }
}
