/** One try of a run that this node holds: context, script, end. */
import type { Clock } from '../../base/clock.ts';
import { HawserError, isHawserError } from '../../base/errors.ts';
import { errorText, type Log } from '../../base/log.ts';
import type { KillPoints } from '../../platform/kill-points.ts';
import type { Database, Sql } from '../../platform/postgres/index.ts';
import type { Sandbox, SandboxResult, ScriptContext, ScriptFailure } from '../../platform/sandbox/index.ts';
import { connectionErrors, type Connection, type Connections } from '../connections/index.ts';
import type { LiveConnection } from '../credentials/index.ts';
import type { Environments, Vault } from '../environments/index.ts';
import type { DeployedFunction, Functions } from '../functions/index.ts';
import { integrationErrors, type Integration, type IntegrationService } from '../integrations/index.ts';
import { runErrors } from './errors.ts';
import { createHost, type HostDeps, type HostRun } from './host/index.ts';
import { HAND_BACK_WAIT_MS, RETRY_FIRST_MS, RETRY_MAX_MS, TIMEOUT_MS } from './limits.ts';
import type { LogWriter, RunLog } from './logs.ts';
import type { Run, RunContext, RunHooks, RunKind, RunResult } from './model.ts';
import { createRedactor, type Redactor } from './redact.ts';
import { errorDetails, openJson, publicError, sealJson } from './sealed.ts';
import {
  addCounts,
  endRun,
  handBack,
  holdLease,
  requeueRun,
  selectSealed,
  toRun,
  type Ended,
  type Ending,
  type RunRow,
} from './store.ts';
import { releaseLocks } from './store-state.ts';

export interface PerformDeps {
  db: Database;
  clock: Clock;
  log: Log;
  vault: Vault;
  environments: Pick<Environments, 'byId'>;
  integrations: Pick<IntegrationService, 'byId'>;
  connections: Pick<Connections, 'byId'>;
  functions: Pick<Functions, 'byId' | 'code'>;
  sandbox: Pick<Sandbox, 'run'>;
  logs: LogWriter;
  host: HostDeps;
  hooks: ReadonlyMap<RunKind, RunHooks>;
  killPoints: KillPoints;
  nodeId: string;
  /** Ends a run outside a transaction, together with others. */
  end(ending: Ending): Promise<Ended | undefined>;
}

/** A run that this node holds. */
export interface HeldRun {
  environmentId: number;
  id: number;
  epoch: number;
  queued: boolean;
  abort: AbortController;
  /** The script may have begun: what fails from then on is a failed try. */
  hasBegun: boolean;
  /** Why it was aborted. */
  reason: 'lost' | 'cancelled' | 'stopping' | undefined;
}

export interface Task {
  row: RunRow;
  inputSealed: Buffer | null;
  /** At hand when the run was just asked for. */
  input?: { value: unknown };
  fn?: DeployedFunction;
  known?: { connection: Connection; integration: Integration };
  candidate?: LiveConnection | undefined;
  depth: number;
  timeoutMs?: number | undefined;
}

const ABORTED: Readonly<Record<NonNullable<HeldRun['reason']>, ScriptFailure>> = {
  lost: { code: 'run_superseded', message: 'Another node has taken this run over.' },
  cancelled: { code: 'script_aborted', message: 'The run was cancelled.' },
  stopping: { code: 'script_aborted', message: 'The server was stopped while the function ran.' },
};

/** What scripts say with `nango.log` is kept unless they ask for less: lines are bounded and go after 15 days. */
const LOGGER_LEVEL = 'info';
/** The end of a run is tried this often while the database is away; then the lease runs out. */
const END_TRIES = 6;
const END_WAIT_MS = 500;

/** Performs the try to its end in the database. Never rejects. */
export async function perform(deps: PerformDeps, task: Task, held: HeldRun): Promise<{ run: Run; result: RunResult }> {
  const redactor = createRedactor();
  let isPassing = false;
  const failed = (error: unknown): ScriptFailure => {
    isPassing = isHawserError(error) && error.retryable;
    return failureOf(deps, error);
  };
  const scene =
    held.reason === 'stopping' ? ABORTED.stopping : await openScene(deps, task, held, redactor).catch(failed);
  let result: SandboxResult;
  if (!('context' in scene)) result = { ok: false, error: scene };
  else {
    try {
      result = await runScript(deps, task, held, scene, redactor);
      if (result.ok) {
        const hooks = deps.hooks.get(task.row.kind);
        hooks?.checkOutput?.(scene.context, result.output);
        await hooks?.completing?.(scene.context);
      }
    } catch (error) {
      result = { ok: false, error: failed(error) };
    }
  }
  if (!held.hasBegun && (isPassing || held.reason === 'stopping')) {
    const waitMs = held.reason === 'stopping' ? 0 : HAND_BACK_WAIT_MS;
    if (await handedBack(deps, task, held, waitMs)) return { run: toRun({ ...task.row, state: 'queued' }), result };
  }
  if (!result.ok && held.reason !== undefined) {
    const because = ABORTED[held.reason];
    // A script that fails on its way out has not failed: it was told to stop.
    result = { ok: false, error: { ...result.error, ...because } };
  }
  const clean: RunResult = result.ok ? result : { ok: false, error: redact(result.error, redactor) };
  const run = await settle(deps, task, held, 'context' in scene ? scene : undefined, clean);
  // Committed; the caller or the app is not told yet.
  deps.killPoints.reach(run.kind === 'sync' ? 'S6' : 'A4');
  return { run, result: clean };
}

interface Scene {
  context: RunContext;
  log: RunLog;
  fn: DeployedFunction;
  connection: Connection;
  integration: Integration;
  hasLocks: boolean;
}

async function openScene(deps: PerformDeps, task: Task, held: HeldRun, redactor: Redactor): Promise<Scene> {
  const { row } = task;
  const environmentId = row.environment_id;
  const fn = task.fn ?? (await deps.functions.byId(environmentId, row.function_id));
  if (fn === undefined) {
    throw runErrors.fail('not_found', { message: `The function ${row.function_name} was deleted before it ran.` });
  }
  const connection =
    task.known?.connection ??
    (row.connection_id === null ? undefined : await deps.connections.byId(environmentId, row.connection_id));
  if (connection === undefined) {
    throw connectionErrors.fail('unknown_connection', {
      message: 'The connection was deleted before the function ran.',
    });
  }
  const integration = task.known?.integration ?? (await deps.integrations.byId(environmentId, row.integration_id));
  if (integration === undefined) throw integrationErrors.fail('unknown_provider_config');
  const lease = { environmentId, id: row.id, owner: deps.nodeId, epoch: held.epoch };
  const log = deps.logs.of({ environmentId, id: row.id }, redactor);
  const context: RunContext = {
    run: toRun(row),
    fn,
    connection,
    integration,
    async fence(tx) {
      if (!(await holdLease(tx, lease))) throw runErrors.fail('run_superseded');
    },
    note: (level, message, payload) => log.say(level, message, payload),
    count: (tx, model, counts) => addCounts(tx, lease, model, counts),
  };
  return { context, log, fn, connection, integration, hasLocks: row.attempts > 1 };
}

async function runScript(
  deps: PerformDeps,
  task: Task,
  held: HeldRun,
  scene: Scene,
  redactor: Redactor,
): Promise<SandboxResult> {
  const { context, fn, connection, integration } = scene;
  const { run } = context;
  const [prepared, code, environment, input, variables] = await Promise.all([
    deps.hooks.get(run.kind)?.prepare(context),
    deps.functions.code(run.environmentId, fn.codeHash),
    deps.environments.byId(run.environmentId),
    task.input === undefined ? openJson(deps.vault, run, 'input_sealed', task.inputSealed) : task.input.value,
    deps.host.variables.list(run.environmentId),
  ]);
  const level = variables.find((one) => one.name === 'NANGO_LOGGER_LEVEL')?.value;
  const scriptContext: ScriptContext = {
    kind: run.kind === 'webhook' ? 'sync' : run.kind,
    name: fn.name,
    connectionId: connection.connectionId,
    providerConfigKey: integration.uniqueKey,
    provider: integration.provider.name,
    environmentName: environment?.name ?? '',
    environmentId: run.environmentId,
    nangoConnectionId: connection.id,
    runId: run.uuid,
    attributes: fn.definition.attributes,
    ...(integration.provider.api.paginate !== undefined && {
      paginate: integration.provider.api.paginate as unknown as Record<string, unknown>,
    }),
    loggerLevel: isLevel(level) ? level : LOGGER_LEVEL,
    ...(prepared?.context as Partial<ScriptContext> | undefined),
  };
  const host: HostRun = {
    run,
    fn,
    connection,
    integration,
    candidate: task.candidate,
    variant: scriptContext.variant ?? 'base',
    depth: task.depth,
    redactor,
    log: scene.log,
    signal: held.abort.signal,
    get hasLocks() {
      return scene.hasLocks;
    },
    set hasLocks(value) {
      scene.hasLocks = value;
    },
    fence: (tx) => context.fence(tx),
  };
  deps.killPoints.reach('A1');
  const result = await deps.sandbox.run({
    environmentId: run.environmentId,
    bundle: { hash: fn.codeHash, code: code.js },
    entry: run.kind === 'webhook' ? 'onWebhook' : 'exec',
    input,
    context: scriptContext,
    limits: { timeoutMs: task.timeoutMs ?? prepared?.timeoutMs ?? TIMEOUT_MS[run.kind] },
    host: createHost(deps.host, host, prepared?.host),
    signal: held.abort.signal,
    ...(prepared?.alone !== undefined && { alone: prepared.alone }),
  });
  held.hasBegun = true;
  deps.killPoints.reach('A3');
  if (!result.ok) host.log.say('error', result.error.message, { code: result.error.code });
  return result;
}

/** A run from the queue that could not even begin is nobody's failure: it is taken up again. Never rejects. */
async function handedBack(deps: PerformDeps, { row }: Task, held: HeldRun, waitMs: number): Promise<boolean> {
  if (row.lane === null || held.reason === 'cancelled' || held.reason === 'lost') return false;
  const lease = { environmentId: row.environment_id, id: row.id, owner: deps.nodeId, epoch: held.epoch };
  for (let tries = 1; tries <= END_TRIES; tries++) {
    try {
      const isBack = await handBack(deps.db, { ...lease, waitMs });
      if (isBack) deps.log.info('a run that could not begin waits in the queue again', { run: row.uuid });
      return isBack;
    } catch (error) {
      deps.log.warn('a run could not be handed back', { run: row.uuid, error: errorText(error) });
    }
    await deps.clock.sleep(END_WAIT_MS * 2 ** (tries - 1));
  }
  return false;
}

/** Writes how the try ended. While the database is away it is tried again; a run of somebody else's is let be. */
async function settle(
  deps: PerformDeps,
  task: Task,
  held: HeldRun,
  scene: Scene | undefined,
  result: RunResult,
): Promise<Run> {
  const { row } = task;
  for (let tries = 1; held.reason !== 'lost'; tries++) {
    try {
      return await settleOnce(deps, task, held, scene, result);
    } catch (error) {
      const retryable = isHawserError(error) && error.retryable;
      const superseded = isHawserError(error, 'run_superseded');
      if (!retryable || tries >= END_TRIES) {
        if (!superseded)
          deps.log.error('the end of a run could not be written', { run: row.uuid, error: errorText(error) });
        break;
      }
    }
    await deps.clock.sleep(END_WAIT_MS * 2 ** (tries - 1));
  }
  return toRun({ ...row, state: 'running' });
}

async function settleOnce(
  deps: PerformDeps,
  task: Task,
  held: HeldRun,
  scene: Scene | undefined,
  result: RunResult,
): Promise<Run> {
  const { db, vault } = deps;
  const { row } = task;
  const lease = { environmentId: row.environment_id, id: row.id, owner: deps.nodeId, epoch: held.epoch };
  const error = result.ok ? null : publicError(result.error);
  const waitMs = result.ok ? undefined : waitBeforeRetry(row, held);
  if (waitMs !== undefined && (await requeueRun(db, { ...lease, waitMs, error }))) {
    return toRun({ ...row, state: 'queued', error });
  }
  const state = result.ok ? 'succeeded' : held.reason === 'cancelled' ? 'cancelled' : 'failed';
  const outputSealed = await sealJson(
    vault,
    { environmentId: row.environment_id, uuid: row.uuid },
    'output_sealed',
    result.ok ? result.output : errorDetails(result.error),
  );
  const kindHooks = deps.hooks.get(row.kind);
  const finished =
    scene !== undefined && kindHooks?.tells?.(scene.context.run) !== false ? kindHooks?.finished : undefined;
  const end = async (sql: Sql, write: (ending: Ending) => Promise<Ended | undefined>): Promise<Ended> => {
    const at = await write({ ...lease, state, outputSealed, error });
    if (at !== undefined) return at;
    // The commit of an earlier try may have come through although nobody heard of it.
    const now = await selectSealed(sql, row.environment_id, row.id);
    if (now?.lease_epoch === held.epoch && now.finished_at !== null) {
      return { finished_at: now.finished_at, cancel_requested: now.cancel_requested, counts: now.counts };
    }
    throw runErrors.fail('run_superseded');
  };
  let ended: Ended;
  if (finished === undefined && scene?.hasLocks !== true) ended = await end(db, deps.end);
  else {
    ended = await db.transaction(async (tx) => {
      const at = await end(tx, (ending) => endRun(tx, ending));
      await releaseLocks(tx, { environmentId: row.environment_id, runId: row.id });
      if (finished !== undefined && scene !== undefined) {
        const told = result.ok
          ? ({ ok: true } as const)
          : ({ ok: false, error: result.error, cancelled: state === 'cancelled' } as const);
        await finished(tx, { ...scene.context, run: toRun({ ...row, state, error, ...at }) }, told);
      }
      return at;
    });
  }
  return toRun({ ...row, state, error, ...ended });
}

/** Undefined: this was the last try. */
function waitBeforeRetry(row: RunRow, held: HeldRun): number | undefined {
  if (row.lane === null || held.reason === 'cancelled') return undefined;
  if (held.reason === 'stopping') return mayRepeat(row) ? 0 : undefined;
  const failures = row.kind === 'action' ? row.attempts : row.attempts - row.lost;
  if (failures >= row.attempts_max) return undefined;
  return Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** Math.min(failures - 1, 10));
}

/** An action that was cut off may have paid: it is repeated only by those who asked for tries. */
export function mayRepeat(row: Pick<RunRow, 'kind' | 'attempts' | 'attempts_max' | 'lane'>): boolean {
  return row.lane !== null && (row.kind !== 'action' || row.attempts < row.attempts_max);
}

function failureOf(deps: Pick<PerformDeps, 'log'>, error: unknown): ScriptFailure {
  if (error instanceof HawserError) {
    return {
      code: error.code,
      message: error.message,
      ...(error.payload !== undefined && { payload: error.payload }),
      ...(error.errors !== undefined && { payload: { errors: error.errors } }),
    };
  }
  deps.log.error('a function could not be run', { error: errorText(error) });
  return { code: 'script_internal_error', message: 'The function could not be run: an error inside the server.' };
}

function redact(error: ScriptFailure, redactor: Redactor): ScriptFailure {
  return { ...(redactor.json(error) as ScriptFailure), code: error.code };
}

function isLevel(level: string | undefined): level is NonNullable<ScriptContext['loggerLevel']> {
  return level !== undefined && ['debug', 'info', 'warn', 'error', 'off'].includes(level);
}
