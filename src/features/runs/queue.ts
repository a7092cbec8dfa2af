/**
 * Takes up queued runs on this node and keeps their leases. The row is the job: queue and record cannot disagree.
 *
 *   fill     take heads of lanes while slots are free: after a notification, an end, or the poll
 *   beat     prolong every lease of this node in one statement; learn what was lost or cancelled
 *   sweep    give the runs of dead nodes to others; end what nobody will start any more; forget old records
 */
import type { Clock } from '../../base/clock.ts';
import { errorText, type Log } from '../../base/log.ts';
import { createStatistics, isUniqueViolation, type Database, type Sql } from '../../platform/postgres/index.ts';
import { KEEP_MS, type RunLimits } from './limits.ts';
import { mayRepeat, type HeldRun } from './perform.ts';
import {
  beat,
  claimRuns,
  deleteOld,
  endLocked,
  forgetOldKeys,
  lockLate,
  lockLost,
  LOST_MAX,
  requeueLost,
  selectDueEnvironments,
  type Claimed,
} from './store-queue.ts';
import { notifyQueued, type RunRow } from './store.ts';

/** Lanes looked at per statement beyond those that can be taken. */
const LANES_SPARE = 16;
/** Statements per environment and pass: what is behind them has its turn in the next pass. */
const HOPS_MAX = 20;
/** Of the slots: runs of one environment may last for hours, and others must not wait for them. */
const ENVIRONMENT_SHARE = 0.75;
const SWEEP_BATCH = 100;
const DELETE_BATCH = 2_000;
/** Old records are looked for once in so many sweeps. */
const CLEAN_EVERY = 60;

export interface QueueDeps {
  db: Database;
  clock: Clock;
  log: Log;
  nodeId: string;
  limits: RunLimits;
  held: ReadonlyMap<string, HeldRun>;
  /** Starts a claimed run; must not reject. */
  begin(row: Claimed): void;
  /** Tells the kind's hooks of a run that ends without having run to its end. In the transaction that ends it. */
  ended(tx: Sql, row: RunRow, error: { code: string; message: string }, cancelled: boolean): Promise<void>;
}

export interface Queue {
  /** Something may be due. */
  wake(): void;
  sweep(): Promise<void>;
  /** Subscribes; takes up work until `stopTaking`, which resolves when nothing more will begin, and goes on beating until `stop`. */
  start(): { stopTaking(): Promise<void>; stop(): Promise<void> };
}

export function createQueue(deps: QueueDeps): Queue {
  const { db, clock, log, nodeId, limits, held } = deps;
  const cursors = new Map<number, string>();
  let lastEnvironment = 0;
  const state = { taking: false };
  const foundMore = createStatistics(deps, 'run');
  let filling: Promise<void> | undefined;
  let again = false;
  let cleanIn = 1;

  /** Slots that nobody has; with an environment, those it may take of them. */
  function free(environmentId?: number): number {
    const queued = [...held.values()].filter((one) => one.queued);
    const left = limits.slots - queued.length;
    if (environmentId === undefined) return left;
    const own = queued.filter((one) => one.environmentId === environmentId);
    return Math.min(left, Math.ceil(limits.slots * ENVIRONMENT_SHARE) - own.length);
  }

  function wake(): void {
    if (!state.taking) return;
    if (filling !== undefined) {
      again = true;
      return;
    }
    filling = fill()
      .catch((error: unknown) => log.warn('no runs could be taken up; trying again', { error: errorText(error) }))
      .finally(() => {
        filling = undefined;
        if (again) {
          again = false;
          wake();
        }
      });
  }

  async function fill(): Promise<void> {
    if (free() <= 0) return;
    const due = await selectDueEnvironments(db);
    for (const known of cursors.keys()) if (!due.includes(known)) cursors.delete(known);
    // Another environment begins each time, and none takes more than its share while others wait.
    const split = due.findIndex((id) => id > lastEnvironment);
    const turn = split <= 0 ? due : [...due.slice(split), ...due.slice(0, split)];
    for (let index = 0; index < turn.length && state.taking && free() > 0; index++) {
      const environmentId = turn[index] as number;
      const share = Math.max(1, Math.ceil(free() / (turn.length - index)));
      await fillFrom(environmentId, Math.min(share, free(environmentId)));
      lastEnvironment = environmentId;
    }
  }

  async function fillFrom(environmentId: number, share: number): Promise<void> {
    let left = share;
    let wrapped = (cursors.get(environmentId) ?? '') === '';
    for (let hop = 0; hop < HOPS_MAX && left > 0 && state.taking; hop++) {
      const after = cursors.get(environmentId) ?? '';
      const answer = await claimFrom(environmentId, after, left);
      if (answer === undefined) continue;
      for (const row of answer.claimed) deps.begin(row);
      if (answer.claimed.length === left) foundMore();
      left -= answer.claimed.length;
      cursors.set(environmentId, answer.lastLane ?? '');
      if (answer.lastLane === undefined) {
        if (wrapped) return;
        wrapped = true;
      }
    }
  }

  async function claimFrom(environmentId: number, after: string, limit: number) {
    try {
      return await claimRuns(db, {
        environmentId,
        after,
        owner: nodeId,
        leaseMs: limits.leaseMs,
        lanes: limit + LANES_SPARE,
        limit,
      });
    } catch (error) {
      // Another node took a run of one of these lanes at the same moment: the next look sees it.
      if (isUniqueViolation(error, 'run_lane')) return undefined;
      throw error;
    }
  }

  async function keepLeases(): Promise<void> {
    const own = [...held.values()];
    if (own.length === 0) return;
    const { lost, cancelled } = await beat(db, nodeId, limits.leaseMs, own);
    for (const one of lost) abort(one, 'lost');
    for (const one of cancelled) abort(one, 'cancelled');
  }

  function abort(which: { environmentId: number; id: number; epoch?: number }, reason: 'lost' | 'cancelled'): void {
    const one = held.get(`${which.environmentId}:${which.id}`);
    // Ended meanwhile, or held anew under a later epoch.
    if (one === undefined || (which.epoch !== undefined && one.epoch !== which.epoch)) return;
    if (one.reason !== undefined) return;
    one.reason = reason;
    one.abort.abort();
  }

  async function sweep(): Promise<void> {
    for (;;) {
      const moved = await db.transaction(async (tx) => {
        const lost = await lockLost(tx, SWEEP_BATCH);
        for (const row of lost) await takeFromDeadNode(tx, row);
        if (lost.length > 0) await notifyQueued(tx);
        return lost.length;
      });
      if (moved < SWEEP_BATCH) break;
    }
    for (;;) {
      const ended = await db.transaction(async (tx) => {
        const late = await lockLate(tx, SWEEP_BATCH);
        for (const row of late) {
          await end(tx, row, 'function_start_timeout', 'The run waited too long for its turn and was given up.');
        }
        return late.length;
      });
      if (ended < SWEEP_BATCH) break;
    }
    cleanIn -= 1;
    if (cleanIn > 0) return;
    cleanIn = CLEAN_EVERY;
    const forgotten = await forgetOldKeys(db, DELETE_BATCH);
    const deleted = await deleteOld(db, KEEP_MS, DELETE_BATCH);
    // There is more: a busy node ends more runs in five minutes than one statement should delete.
    if (forgotten === DELETE_BATCH || deleted === DELETE_BATCH) cleanIn = 1;
  }

  async function takeFromDeadNode(tx: Sql, row: RunRow): Promise<void> {
    if (row.cancel_requested) {
      await end(tx, row, 'script_aborted', 'The run was cancelled.', true);
    } else if (row.lane === null) {
      await end(tx, row, 'script_aborted', 'The server that ran this function was lost.');
    } else if (row.lost + 1 >= LOST_MAX) {
      const message = `Given up: ${LOST_MAX} servers were lost while they ran this function.`;
      await end(tx, row, 'function_runtime_crashed', message);
    } else if (mayRepeat(row)) {
      log.warn('a run was taken from a node that is gone', { run: row.uuid, function: row.function_name });
      await requeueLost(tx, row);
    } else {
      const message = 'The server that ran this action was lost. It is not repeated, because it may have had effects.';
      await end(tx, row, 'script_aborted', message);
    }
  }

  async function end(tx: Sql, row: RunRow, code: string, message: string, cancelled = false): Promise<void> {
    await endLocked(tx, row, cancelled ? 'cancelled' : 'failed', { code, message });
    await deps.ended(tx, row, { code, message }, cancelled);
  }

  return {
    wake,
    sweep,
    start() {
      state.taking = true;
      const subscription = db.listen('hawser_run', (payload) => {
        if (payload === 'queued') return wake();
        const [what, environmentId, id] = payload.split(':');
        if (what === 'cancel') abort({ environmentId: Number(environmentId), id: Number(id) }, 'cancelled');
      });
      subscription.catch((error: unknown) =>
        log.warn('runs are found by polling only: no notifications', { error: errorText(error) }),
      );
      const guard = once(log);
      const stopPolling = clock.every(limits.pollMs + spreadOf(nodeId, limits.pollMs / 5), wake);
      const stopBeating = clock.every(limits.beatMs, guard('the leases of runs could not be prolonged', keepLeases));
      const stopSweeping = clock.every(
        limits.sweepMs + spreadOf(nodeId, limits.sweepMs / 5),
        guard('the sweep of runs failed; it runs again soon', sweep),
      );
      wake();
      return {
        async stopTaking() {
          state.taking = false;
          stopPolling();
          stopSweeping();
          await filling;
        },
        async stop() {
          stopBeating();
          await subscription.then(
            (unsubscribe) => unsubscribe(),
            () => undefined, // it never subscribed
          );
        },
      };
    },
  };
}

/** Runs one at a time; a failure is told and the next turn comes. */
function once(log: Log) {
  return (message: string, work: () => Promise<void>) => {
    let working = false;
    return (): void => {
      if (working) return;
      working = true;
      work()
        .catch((error: unknown) => log.warn(message, { error: errorText(error) }))
        .finally(() => {
          working = false;
        });
    };
  };
}

/** Keeps the nodes of one installation from looking at the same moment. */
function spreadOf(nodeId: string, rangeMs: number): number {
  let sum = 0;
  for (const char of nodeId) sum = (sum * 31 + char.charCodeAt(0)) % 1_000_003;
  return Math.floor((sum / 1_000_003) * rangeMs);
}
