/** Takes up due events on this node: after a store, a wake-up of another node, or the poll. */
import { isHawserError } from '../../base/errors.ts';
import type { Clock } from '../../base/clock.ts';
import { errorText, type Log } from '../../base/log.ts';
import { createStatistics } from '../../platform/postgres/index.ts';
import {
  ATTEMPTS_MAX,
  CLAIM_MAX,
  GATHER_MS,
  KEEP_MS,
  LANES_MAX,
  LEASE_MS,
  POLL_INTERVAL_MS,
  RETRY_FIRST_MS,
  SWEEP_BATCH,
  SWEEP_INTERVAL_MS,
  TOGETHER_MAX,
} from './limits.ts';
import { routeEvents, type RouteDeps } from './route-event.ts';
import { claimDue, deleteOld, giveBack, markFailed, wakeParked, type DueEvent } from './store-work.ts';

export interface WorkerDeps extends RouteDeps {
  clock: Clock;
  log: Log;
}

export interface Worker {
  /** Something may be due. */
  wake(): void;
  /** Handles what is due now; resolves to how many events. */
  work(): Promise<number>;
  /** Works until the returned function has resolved. */
  start(): () => Promise<void>;
}

export function createWorker(deps: WorkerDeps): Worker {
  const { db, clock, log } = deps;
  const state = { running: false, stopping: false };
  let working: Promise<unknown> | undefined;
  /** Taken up and not handled, because the database was away. */
  let stranded: DueEvent[] = [];
  const foundMore = createStatistics(deps, 'inbound_event');
  let again = false;

  function wake(): void {
    if (!state.running) return;
    if (working !== undefined) {
      again = true;
      return;
    }
    // Events that come at the same time share a transaction: each alone would cost several times as much.
    working = clock
      .sleep(GATHER_MS)
      .then(work)
      .catch((error: unknown) => log.warn('inbound events could not be taken up', { error: errorText(error) }))
      .finally(() => {
        working = undefined;
        if (!again) return;
        again = false;
        wake();
      });
  }

  async function work(): Promise<number> {
    let count = 0;
    for (;;) {
      if (stranded.length > 0) {
        await giveBack(db, stranded);
        stranded = [];
      }
      const due = await claimDue(db, CLAIM_MAX, LEASE_MS);
      count += due.length;
      await handle(due);
      if (due.length < CLAIM_MAX || state.stopping) return count;
      foundMore();
    }
  }

  /** In order within an integration; some integrations at the same time. */
  async function handle(due: readonly DueEvent[]): Promise<void> {
    const lanes = [...Map.groupBy(due, (event) => `${event.environmentId}:${event.integrationId}`).values()];
    const take = async (): Promise<void> => {
      for (let lane = lanes.shift(); lane !== undefined; lane = lanes.shift()) {
        for (let at = 0; at < lane.length; at += TOGETHER_MAX) await handleTogether(lane.slice(at, at + TOGETHER_MAX));
      }
    };
    await Promise.all(Array.from({ length: Math.min(LANES_MAX, lanes.length) }, take));
  }

  /** What makes one of them fail shall not hold up the others: then each goes alone. */
  async function handleTogether(events: readonly DueEvent[]): Promise<void> {
    try {
      await routeEvents(deps, events);
    } catch (error) {
      if (isHawserError(error) && error.retryable) stranded.push(...events);
      else for (const event of events) await handleOne(event);
    }
  }

  async function handleOne(event: DueEvent): Promise<void> {
    try {
      await routeEvents(deps, [event]);
    } catch (error) {
      const code = isHawserError(error) ? error.code : 'internal_error';
      log.error('an inbound event could not be handled', { event: event.uuid, code, error: errorText(error) });
      // A database that is away says nothing about the event.
      if (isHawserError(error) && error.retryable) {
        stranded.push(event);
        return;
      }
      const isLast = event.attempts >= ATTEMPTS_MAX;
      const waitMs = isLast ? undefined : RETRY_FIRST_MS * 2 ** (event.attempts - 1);
      await markFailed(db, event, code, waitMs).catch((failure: unknown) =>
        log.warn('the failure of an inbound event could not be noted', { error: errorText(failure) }),
      );
    }
  }

  async function wakeIntegration(payload: string): Promise<void> {
    const [environmentId = 0, integrationId = 0] = payload.split(':').map(Number);
    while (state.running && (await wakeParked(db, environmentId, integrationId, CLAIM_MAX)) > 0) wake();
  }

  async function sweep(): Promise<void> {
    while (state.running && (await deleteOld(db, KEEP_MS, SWEEP_BATCH)) === SWEEP_BATCH);
  }

  const told = (what: string, done: Promise<unknown>): void =>
    void done.catch((error: unknown) => log.warn(what, { error: errorText(error) }));

  return {
    wake,
    work,
    start() {
      state.running = true;
      const subscription = db.listen('hawser_inbound', (payload) =>
        told('parked events could not be woken', wakeIntegration(payload)),
      );
      told('parked events are found by polling only', subscription);
      const stopPolling = clock.every(POLL_INTERVAL_MS, wake);
      const stopSweeping = clock.every(SWEEP_INTERVAL_MS, () => told('old inbound events stay', sweep()));
      wake();
      return async () => {
        state.running = false;
        state.stopping = true;
        stopPolling();
        stopSweeping();
        await working;
        await subscription.then(
          (unsubscribe) => unsubscribe(),
          () => undefined, // it never subscribed
        );
      };
    },
  };
}
