/** Stores what became of tries, many at a time: while one batch is written the next one gathers. */
import { errorText } from '../../base/log.ts';
import { isForeignKeyViolation, type Sql } from '../../platform/postgres/index.ts';
import {
  CIRCUIT_FAILURES,
  CIRCUIT_FIRST_MS,
  CIRCUIT_MAX_MS,
  DISABLE_AFTER_MS,
  RECOVERY_AFTER_MS,
  RETRY_AFTER_MAX_MS,
} from './limits.ts';
import type { OutboundDeps } from './model.ts';
import { disableEndpoint, noteFailures, noteSuccess, pullForward } from './store-health.ts';
import { storeResults, type Result } from './store-queue.ts';

/** A try, and what it says about its endpoint. */
export interface Settled {
  result: Result;
  messageId: string;
  kind: string;
  /** The endpoint had failures when the delivery was taken. */
  wasFailing: boolean;
  /** Nobody is to blame for a try that was never sent. */
  isSent: boolean;
  retryAfterMs: number | undefined;
}

const ATTEMPTS_PER_BATCH = 500;

export interface Settler {
  /** Resolves once it is stored, or could not be: then the lease ends and it is sent again. Never rejects. */
  settle(one: Settled): Promise<void>;
}

export function createSettler(deps: OutboundDeps): Settler {
  const { db, log } = deps;
  let waiting: { one: Settled; done: () => void }[] = [];
  let writing = false;

  async function drain(): Promise<void> {
    writing = true;
    while (waiting.length > 0) {
      const batch = waiting.slice(0, ATTEMPTS_PER_BATCH);
      waiting = waiting.slice(batch.length);
      const settled = batch.map(({ one }) => one);
      try {
        await store(settled).catch(async (error: unknown) => {
          // An endpoint was removed while it was called: what is left of the batch is stored.
          if (!isForeignKeyViolation(error)) throw error;
          await store(settled);
        });
      } catch (error) {
        log.warn('results of deliveries could not be stored; they are sent again', {
          count: batch.length,
          error: errorText(error),
        });
      }
      for (const { done } of batch) done();
    }
    writing = false;
  }

  async function store(batch: readonly Settled[]): Promise<void> {
    const shiftMs = deps.shiftMs?.() ?? 0;
    const results = batch.map(({ result }) => result);
    const troubled = troubledOf(batch);
    if (troubled.length === 0) return storeResults(db, results, shiftMs);
    await db.transaction(async (tx) => {
      await storeResults(tx, results, shiftMs);
      for (const group of troubled) await judge(deps, tx, group, shiftMs);
    });
  }

  return {
    settle: (one) =>
      new Promise((done) => {
        waiting.push({ one, done });
        if (!writing) void drain();
      }),
  };
}

/** Tries by endpoint, without the endpoints that are well and stay so. In one order, so that two nodes do not block. */
function troubledOf(batch: readonly Settled[]): Settled[][] {
  const groups = Map.groupBy(
    batch.filter(({ isSent }) => isSent),
    ({ result }) => `${result.environmentId}:${result.endpointId}`,
  );
  return [...groups]
    .filter(([, group]) => group.some(({ wasFailing, result }) => wasFailing || result.state !== 'delivered'))
    .toSorted(([left], [right]) => (left < right ? -1 : 1))
    .map(([, group]) => group);
}

/** What the tries of one endpoint say about it. */
async function judge(deps: OutboundDeps, tx: Sql, group: readonly Settled[], shiftMs: number): Promise<void> {
  const { environmentId, endpointId: id } = (group[0] as Settled).result;
  const place = { environmentId, id };
  if (group.some(({ result }) => result.state === 'delivered')) {
    if (await noteSuccess(tx, place, RECOVERY_AFTER_MS, shiftMs)) await pullForward(tx, place);
  }
  const failed = group.filter(({ result }) => result.state !== 'delivered');
  if (failed.length === 0) return;
  const isAlive = failed.length < group.length;
  const holds = failed.flatMap(({ result, retryAfterMs }) =>
    retryAfterMs !== undefined && (result.status === 429 || result.status === 503) ? [retryAfterMs] : [],
  );
  const failing = await noteFailures(
    tx,
    { ...place, failures: isAlive ? 1 : failed.length },
    {
      failures: CIRCUIT_FAILURES,
      firstMs: CIRCUIT_FIRST_MS,
      maxMs: CIRCUIT_MAX_MS,
      disableMs: DISABLE_AFTER_MS,
      holdMs: holds.length === 0 ? undefined : Math.min(Math.max(...holds), RETRY_AFTER_MAX_MS),
    },
    shiftMs,
  );
  if (failing === undefined) return; // removed meanwhile
  const isGone = failed.some(({ result }) => result.status === 410);
  const reason = isGone ? 'gone' : failing.is_over ? 'failing' : undefined;
  const tell = (why: 'gone' | 'failing' | 'exhausted', delivery: string | null): Promise<void> =>
    deps.connections.writeEvent(tx, {
      environmentId,
      type: 'delivery.failing',
      payload: {
        endpointId: id,
        url: failing.url,
        reason: why,
        failingSince: failing.failing_since.toISOString(),
        deliveryId: delivery,
      },
    });
  if (reason !== undefined && (await disableEndpoint(tx, place, reason))) await tell(reason, null);
  for (const { result, messageId, kind } of failed) {
    // Nobody is told that the telling failed.
    if (result.state !== 'failed' || kind === 'delivery.failing') continue;
    deps.log.warn('an event was given up: every try of its schedule failed', { message: messageId, endpoint: id });
    await tell('exhausted', String(result.id));
  }
}
