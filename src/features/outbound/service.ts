import { errorText } from '../../base/log.ts';
import type { Sql } from '../../platform/postgres/index.ts';
import { createDeliveries, type Deliveries } from './deliveries.ts';
import { createEndpoints, type Endpoints } from './endpoints.ts';
import { KEEP_MS, OUTBOUND_LIMITS } from './limits.ts';
import type { OutboundDeps } from './model.ts';
import { createPump } from './pump.ts';
import { deleteOldEvents, deleteUnusedOverrides } from './store-events.ts';

const DELETE_BATCH = 2_000;

export interface Outbound {
  readonly endpoints: Endpoints;
  readonly deliveries: Deliveries;
  /** Sends everything that is due now, to its end; for tests and benchmarks. */
  runDry(): Promise<void>;
  /** Deletes what is older than it is kept. */
  sweep(): Promise<void>;
  /** True when a sync that changed nothing is told of. */
  tellsUnchanged(sql: Sql, environmentId: number): Promise<boolean>;
  /** Takes up work until the returned function has resolved; nothing while quarantined. */
  start(): () => Promise<void>;
}

export function createOutbound(deps: OutboundDeps): Outbound {
  const { db, clock, log } = deps;
  const limits = { ...OUTBOUND_LIMITS, ...deps.limits };
  const pump = createPump(deps);
  const endpoints = createEndpoints(deps, pump);

  async function sweep(): Promise<void> {
    for (;;) if ((await deleteOldEvents(db, KEEP_MS, DELETE_BATCH)) < DELETE_BATCH) break;
    await deleteUnusedOverrides(db, KEEP_MS, DELETE_BATCH);
  }

  /** Other nodes change endpoints as well. What was missed while there was no way to hear may be any of them. */
  function watchChanges(): () => Promise<void> {
    const subscribe = () =>
      db
        .listen('hawser_changed', (payload) => {
          const [table, environmentId, id] = payload.split(':');
          if (table === 'endpoint') pump.changed(Number(environmentId), id);
        })
        .catch((error: unknown) => {
          log.warn('changes of endpoints at other nodes are not heard of', { error: errorText(error) });
          return undefined;
        });
    let subscribed = subscribe();
    const stopState = db.onListenState(() => {
      pump.changed();
      subscribed = subscribed.then((unsubscribe) => unsubscribe ?? subscribe());
    });
    return async () => {
      stopState();
      await (
        await subscribed
      )?.();
    };
  }

  return {
    endpoints,
    deliveries: createDeliveries(deps, pump.wake),
    runDry: pump.runDry,
    sweep,
    tellsUnchanged: async (sql, environmentId) => (await endpoints.settings(sql, environmentId)).onSyncCompletionAlways,
    start() {
      let sweeping: Promise<void> | undefined;
      const stopPolling = clock.every(limits.pollMs, pump.wake);
      const stopLooking = deps.connections.onEvents(pump.nudge);
      const stopWatching = watchChanges();
      const stopSweeping = clock.every(limits.sweepMs, () => {
        sweeping ??= sweep()
          .catch((error: unknown) => log.warn('old events could not be deleted', { error: errorText(error) }))
          .finally(() => {
            sweeping = undefined;
          });
      });
      return async () => {
        stopPolling();
        stopLooking();
        stopSweeping();
        await pump.stop();
        await stopWatching();
        await sweeping;
      };
    },
  };
}
