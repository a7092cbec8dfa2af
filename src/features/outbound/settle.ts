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
  TROUBLE_FIRST_MS,
  TROUBLE_MAX_MS,
} from './limits.ts';
import type { OutboundDeps } from './model.ts';
import { disableEndpoint, noteFailures, noteSuccess, pullForward } from './store-health.ts';
import { attemptKey, storeResults, type Result } from './store-queue.ts';
import { announceChange } from './store.ts';
import { isOurTrouble } from './trouble.ts';

/** A try, and what it says about its endpoint. */
export interface Settled {
  result: Result;
  messageId: string;
  kind: string;
  /** Where it was sent. */
  url: string;
  /** The endpoint had failures when the delivery was taken. */
  wasFailing: boolean;
  /** Nobody is to blame for a try that was never sent. */
  isSent: boolean;
  retryAfterMs: number | undefined;
}

const ATTEMPTS_PER_BATCH = 500;

export interface Settler {
  /** Resolves once it is stored; or could not be, and then the lease ends and it is sent again. Never rejects. */
  settle(one: Settled): Promise<void>;
  /** The database is away or full, and results wait for it: nothing more should be sent. */
  readonly isHeld: boolean;
  /** From now on what cannot be stored is dropped. */
  stop(): void;
}

interface Told {
  /** What was held is stored. */
  roomAgain(): void;
  /** An endpoint is disabled from now on. */
  disabled(environmentId: number, id: string): void;
}

export function createSettler(deps: OutboundDeps, told: Told): Settler {
  const { db, clock, log } = deps;
  const stopping = new AbortController();
  let waiting: { one: Settled; done: () => void }[] = [];
  let writing = false;
  let isHeld = false;
  let pauseMs = TROUBLE_FIRST_MS;

  async function drain(): Promise<void> {
    writing = true;
    while (waiting.length > 0) {
      const batch = waiting.slice(0, ATTEMPTS_PER_BATCH);
      try {
        await storeEach(batch.map(({ one }) => one));
      } catch (error) {
        if (!stopping.signal.aborted) {
          await hold(error);
          continue;
        }
        log.warn('results of deliveries could not be stored; they are sent again', {
          count: batch.length,
          error: errorText(error),
        });
      }
      waiting = waiting.slice(batch.length);
      for (const { done } of batch) done();
    }
    writing = false;
    if (!isHeld) return;
    isHeld = false;
    pauseMs = TROUBLE_FIRST_MS;
    if (stopping.signal.aborted) return;
    log.info('results of deliveries are stored again');
    told.roomAgain();
  }

  /** The app must not be sent the same again and again because of our own trouble: results are kept until there is room. */
  async function hold(cause: unknown): Promise<void> {
    if (!isHeld) log.warn('results of deliveries wait for the database; nothing is sent', { error: errorText(cause) });
    isHeld = true;
    await clock.sleep(pauseMs, stopping.signal).catch(() => undefined); // stopping: one more try
    pauseMs = Math.min(pauseMs * 2, TROUBLE_MAX_MS);
  }

  /** Errors: those that say nothing about what is to be stored. */
  async function storeEach(batch: readonly Settled[]): Promise<void> {
    try {
      return await store(batch);
    } catch (error) {
      if (isOurTrouble(error)) throw error;
      if (batch.length === 1) {
        // Removed while it was called: there is nothing to be stored any more.
        if (isForeignKeyViolation(error)) return;
        const delivery = batch[0]?.result.id;
        log.error('the result of a delivery cannot be stored; it is sent again', { delivery, error: errorText(error) });
        return;
      }
    }
    // One that cannot be stored must not cost the others.
    const half = batch.length >> 1;
    await storeEach(batch.slice(0, half));
    await storeEach(batch.slice(half));
  }

  async function store(batch: readonly Settled[]): Promise<void> {
    const shiftMs = deps.shiftMs?.() ?? 0;
    const results = batch.map(({ result }) => result);
    const troubled = troubledOf(batch);
    if (troubled.length === 0) {
      await storeResults(db, results, shiftMs);
      return;
    }
    const disabled = await db.transaction(async (tx) => {
      const fresh = await storeResults(tx, results, shiftMs);
      const places: Place[] = [];
      for (const group of troubled) {
        // The answer to a commit may have been lost: what was counted then is not counted again.
        const unheard = group.filter(({ result }) => fresh.has(attemptKey(result)));
        if (unheard.length > 0 && (await judge(deps, tx, unheard, shiftMs))) places.push(placeOf(unheard));
      }
      return places;
    });
    for (const { environmentId, id } of disabled) told.disabled(environmentId, id);
  }

  return {
    settle: (one) =>
      new Promise((done) => {
        waiting.push({ one, done });
        if (!writing) void drain();
      }),
    get isHeld() {
      return isHeld;
    },
    stop: () => stopping.abort(),
  };
}

interface Place {
  environmentId: number;
  id: string;
}

function placeOf(group: readonly Settled[]): Place {
  const { environmentId, endpointId } = (group[0] as Settled).result;
  return { environmentId, id: endpointId };
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

/** What the tries of one endpoint say about it. Resolves to true when it is disabled because of them. */
async function judge(deps: OutboundDeps, tx: Sql, group: readonly Settled[], shiftMs: number): Promise<boolean> {
  const place = placeOf(group);
  const { environmentId, id } = place;
  if (group.some(({ result }) => result.state === 'delivered')) {
    if (await noteSuccess(tx, place, RECOVERY_AFTER_MS, shiftMs)) await pullForward(tx, place);
  }
  const failed = group.filter(({ result }) => result.state !== 'delivered');
  if (failed.length === 0) return false;
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
  if (failing === undefined) return false; // removed meanwhile
  // Said by the URL that it had before, it says nothing about the one it has.
  const isGone = failed.some(({ result, url }) => result.status === 410 && url === failing.url);
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
  const isDisabled = reason !== undefined && (await disableEndpoint(tx, place, reason));
  if (isDisabled) {
    await announceChange(tx, environmentId, id);
    await tell(reason, null);
  }
  for (const { result, messageId, kind } of failed) {
    // Nobody is told that the telling failed.
    if (result.state !== 'failed' || kind === 'delivery.failing') continue;
    deps.log.warn('an event was given up: every try of its schedule failed', { message: messageId, endpoint: id });
    await tell('exhausted', String(result.id));
  }
  return isDisabled;
}
