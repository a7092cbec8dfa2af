/** Deliveries as people look at them and send them again. */
import { eventPlace } from '../connections/index.ts';
import { outboundErrors } from './errors.ts';
import type { Attempt, Delivery, OutboundDeps } from './model.ts';
import {
  replayDeliveries,
  selectAttempts,
  selectDeliveries,
  selectDelivery,
  type AttemptRow,
  type DeliveryFilter,
} from './store-list.ts';

const REPLAY_BATCH = 2_000;
const ATTEMPTS_SHOWN = 100;

export interface Deliveries {
  /** Newest first. */
  list(filter: DeliveryFilter, page: { limit: number; before?: number | undefined }): Promise<Delivery[]>;
  /** With the body as it is sent, and its latest tries, newest first. Errors: `unknown_delivery`. */
  get(
    environmentId: number,
    id: number,
  ): Promise<{ delivery: Delivery; body: string | undefined; attempts: Attempt[] }>;
  /**
   * Sends it again, now, under the same id. One that is being sent is left alone.
   * Errors: `unknown_delivery`, `endpoint_disabled`, `delivery_parked`.
   */
  replay(environmentId: number, id: number): Promise<void>;
  /** Sends again what the filter names; resolves to how many. Those of disabled endpoints are left out. */
  replayAll(filter: DeliveryFilter): Promise<number>;
}

export function createDeliveries(deps: OutboundDeps, wake: () => void): Deliveries {
  const { db } = deps;
  const { vault } = deps.environments;
  const shift = (): number => deps.shiftMs?.() ?? 0;

  async function attemptOf(environmentId: number, deliveryId: number, row: AttemptRow): Promise<Attempt> {
    const place = { environmentId, table: 'delivery_attempt', row: `${deliveryId}:${row.epoch}` };
    return {
      at: row.at,
      durationMs: row.duration_ms,
      status: row.status ?? undefined,
      error: row.error ?? undefined,
      answer:
        row.answer_sealed === null ? '' : await vault.open({ ...place, column: 'answer_sealed' }, row.answer_sealed),
    };
  }

  async function detailOf(environmentId: number, id: number) {
    const found = await selectDelivery(db, environmentId, id);
    if (found === undefined) throw outboundErrors.fail('unknown_delivery');
    return found;
  }

  return {
    list: (filter, page) => selectDeliveries(db, filter, page),
    async get(environmentId, id) {
      const { delivery, sealed, eventUuid } = await detailOf(environmentId, id);
      const rows = await selectAttempts(db, environmentId, id, ATTEMPTS_SHOWN);
      return {
        delivery,
        body: sealed && (await vault.open(eventPlace(environmentId, eventUuid), sealed)),
        attempts: await Promise.all(rows.map((row) => attemptOf(environmentId, id, row))),
      };
    },
    async replay(environmentId, id) {
      const { sealed, endpointState } = await detailOf(environmentId, id);
      if (sealed === undefined) throw outboundErrors.fail('delivery_parked');
      if (endpointState === 'disabled') throw outboundErrors.fail('endpoint_disabled');
      await replayDeliveries(db, { environmentId }, { id, after: 0, limit: 1, shiftMs: shift() });
      wake();
    },
    async replayAll(filter) {
      let count = 0;
      let after: number | undefined = 0;
      while (after !== undefined) {
        const batch: { count: number; after: number | undefined } = await replayDeliveries(db, filter, {
          after,
          limit: REPLAY_BATCH,
          shiftMs: shift(),
        });
        count += batch.count;
        after = batch.after;
      }
      wake();
      return count;
    },
  };
}
