/**
 * Takes up what is due on this node and sends it.
 *
 *   pass    make deliveries of new events, then fill free slots, a fair share per endpoint
 *   carry   one delivery: sign, send, store; its slot is free again when the result is stored
 *
 * A slow endpoint holds its own slots only: while many slots are taken, every endpoint gets one.
 */
import { errorText } from '../../base/log.ts';
import { fanOut } from './fan-out.ts';
import { deliveryHeaders, messageIdOf, type SigningKeys } from './headers.ts';
import { LOST_MAX, OUTBOUND_LIMITS, type OutboundLimits } from './limits.ts';
import type { OutboundDeps } from './model.ts';
import { waitAfter } from './schedule.ts';
import { openSecrets } from './secrets.ts';
import { send, type Tried } from './send.ts';
import { createSettler, type Settled } from './settle.ts';
import {
  claimDeliveries,
  selectDueEndpoints,
  takeProbe,
  type ClaimedDelivery,
  type DueEndpoint,
} from './store-queue.ts';
import { eventPlace } from '../connections/index.ts';

/** What a stop grants to tries under way. */
const STOP_TIMEOUT_MS = 10_000;

export interface Pump {
  /** Something may be due. */
  wake(): void;
  /** One look: makes deliveries, starts what fits. Resolves to how much was begun. */
  pass(): Promise<number>;
  /** Everything that is due now, to its end. */
  runDry(): Promise<void>;
  /** Takes up nothing more and waits for what is under way. */
  stop(): Promise<void>;
}

export function createPump(deps: OutboundDeps): Pump {
  const { db, clock, log } = deps;
  const { vault } = deps.environments;
  const limits: OutboundLimits = { ...OUTBOUND_LIMITS, ...deps.limits };
  const settler = createSettler(deps);
  const running = new Set<Promise<void>>();
  const perEndpoint = new Map<string, number>();
  const shift = (): number => deps.shiftMs?.() ?? 0;
  let stopped = false;
  let isCut = false;
  let passing: Promise<number> | undefined;
  let again = false;

  function wake(): void {
    if (stopped) return;
    if (passing !== undefined) {
      again = true;
      return;
    }
    passing = pass()
      .catch((error: unknown) => {
        log.warn('no deliveries could be taken up; trying again', { error: errorText(error) });
        return 0;
      })
      .finally(() => {
        passing = undefined;
        if (!again) return;
        again = false;
        wake();
      });
  }

  async function pass(): Promise<number> {
    if (deps.isQuarantined()) return 0;
    const handled = await fanOut(deps);
    // There may be more: what is due has its turn in between.
    if (handled > 0) again = true;
    return handled + (await fill());
  }

  async function fill(): Promise<number> {
    if (running.size >= limits.slots) return 0;
    const due = await selectDueEndpoints(db, shift());
    let begun = 0;
    for (const [at, endpoint] of due.entries()) {
      const free = limits.slots - running.size;
      if (free <= 0 || stopped) break;
      const share = Math.max(1, Math.floor(free / (due.length - at)));
      const key = keyOf(endpoint);
      const taken = perEndpoint.get(key) ?? 0;
      const isCrowded = running.size * 2 >= limits.slots;
      const most = endpoint.half_open || isCrowded ? 1 : limits.slotsPerEndpoint;
      const room = Math.min(most - taken, share);
      if (room > 0) begun += await take(endpoint, room);
    }
    return begun;
  }

  async function take(endpoint: DueEndpoint, limit: number): Promise<number> {
    const place = { environmentId: endpoint.environment_id, id: endpoint.id };
    const { leaseMs } = limits;
    if (endpoint.half_open && !(await takeProbe(db, place, { leaseMs, shiftMs: shift() }))) return 0;
    let keys: SigningKeys;
    try {
      keys = await keysOf(endpoint);
    } catch (error) {
      log.error('an endpoint cannot be signed for', { endpoint: endpoint.id, error: errorText(error) });
      return 0;
    }
    const claimed = await claimDeliveries(db, {
      environmentId: place.environmentId,
      endpointId: place.id,
      owner: deps.nodeId,
      leaseMs,
      limit,
      shiftMs: shift(),
    });
    for (const one of claimed) begin(endpoint, keys, one);
    return claimed.length;
  }

  function begin(endpoint: DueEndpoint, keys: SigningKeys, one: ClaimedDelivery): void {
    const key = keyOf(endpoint);
    perEndpoint.set(key, (perEndpoint.get(key) ?? 0) + 1);
    const work = carry(endpoint, keys, one)
      .catch((error: unknown) =>
        // Its lease ends, and then it is sent again.
        log.error('a delivery could not be sent', { delivery: one.id, error: errorText(error) }),
      )
      .finally(() => {
        running.delete(work);
        const left = (perEndpoint.get(key) ?? 1) - 1;
        if (left === 0) perEndpoint.delete(key);
        else perEndpoint.set(key, left);
        wake();
      });
    running.add(work);
  }

  async function keysOf(endpoint: DueEndpoint): Promise<SigningKeys> {
    const signing = await deps.environments.webhookSigningKeys(endpoint.environment_id);
    return { secrets: await openSecrets(vault, endpoint), key: signing.current, previousKey: signing.previous };
  }

  async function carry(endpoint: DueEndpoint, keys: SigningKeys, one: ClaimedDelivery): Promise<void> {
    const environmentId = endpoint.environment_id;
    const messageId = messageIdOf(one.uuid);
    if (one.lost > LOST_MAX) {
      const error = `lost: ${LOST_MAX} servers ended while they sent this.`;
      return settler.settle(settledOf(endpoint, one, messageId, { ...unsent(), error }, 'parked', undefined));
    }
    let body: Buffer;
    try {
      if (one.sealed === null) throw new Error('no body');
      body = Buffer.from(await vault.open(eventPlace(environmentId, one.uuid), one.sealed), 'utf8');
    } catch (error) {
      log.error('the body of a delivery cannot be read', { delivery: one.id, error: errorText(error) });
      // A key that is away for a moment must not cost an event; one that stays away must not cost a neighbour's turn.
      if (one.lost < LOST_MAX) return;
      const text = 'unreadable: The body of this event cannot be opened.';
      return settler.settle(settledOf(endpoint, one, messageId, { ...unsent(), error: text }, 'parked', undefined));
    }
    const headers = deliveryHeaders({
      messageId,
      sequence: one.sequence ?? undefined,
      occurredAt: one.occurred_at,
      provider: one.provider_headers ?? undefined,
      body,
      keys,
      attempts: one.attempts,
      nowMs: clock.now(),
    });
    const tried = await send(deps, { url: new URL(endpoint.url), headers, body });
    // Our own stop is no answer of the endpoint: the lease ends and somebody else sends.
    if (isCut) return;
    deps.killPoints.reach('W7');
    const isGood = tried.status !== undefined && tried.status >= 200 && tried.status < 300;
    const waitMs = isGood ? undefined : waitAfter(one.step + 1, one.id, tried.retryAfterMs);
    const state = isGood ? 'delivered' : waitMs === undefined ? 'failed' : 'pending';
    const settled = settledOf(endpoint, one, messageId, tried, state, waitMs);
    if (tried.answer.length > 0) {
      const place = { environmentId, table: 'delivery_attempt', row: `${one.id}:${one.lease_epoch}` };
      const text = tried.answer.toString('utf8');
      settled.result.answerSealed = await vault.seal({ ...place, column: 'answer_sealed' }, text);
    }
    await settler.settle(settled);
  }

  function unsent(): Tried {
    const at = new Date(clock.now());
    return { at, durationMs: 0, status: undefined, error: undefined, answer: Buffer.alloc(0), retryAfterMs: undefined };
  }

  const isBusy = (): boolean => running.size > 0 || passing !== undefined;

  async function quiet(): Promise<void> {
    while (isBusy()) await Promise.all([...running, passing]);
  }

  return {
    wake,
    pass,
    async runDry() {
      do await quiet();
      while ((await pass()) > 0 || running.size > 0);
    },
    async stop() {
      stopped = true;
      const ended = new AbortController();
      const late = clock.sleep(STOP_TIMEOUT_MS, ended.signal).then(
        () => {
          isCut = true;
          return undefined;
        },
        () => undefined, // everything ended in time
      );
      await Promise.race([quiet(), late]);
      ended.abort();
    },
  };
}

function settledOf(
  endpoint: DueEndpoint,
  one: ClaimedDelivery,
  messageId: string,
  tried: Tried,
  state: Settled['result']['state'],
  waitMs: number | undefined,
): Settled {
  return {
    result: {
      environmentId: endpoint.environment_id,
      endpointId: endpoint.id,
      id: one.id,
      epoch: one.lease_epoch,
      state,
      step: one.step + 1,
      waitMs,
      at: tried.at,
      durationMs: tried.durationMs,
      status: tried.status,
      error: tried.error,
      answerSealed: undefined,
    },
    messageId,
    kind: one.type,
    wasFailing: endpoint.failures > 0 || endpoint.half_open,
    isSent: state !== 'parked',
    retryAfterMs: tried.retryAfterMs,
  };
}

function keyOf(endpoint: DueEndpoint): string {
  return `${endpoint.environment_id}:${endpoint.id}`;
}
