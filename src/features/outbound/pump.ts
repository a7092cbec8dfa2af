/**
 * Takes up what is due on this node and sends it.
 *
 *   pass    make deliveries of new events, then take what is due, endpoint by endpoint
 *   run     begin what an endpoint has room for; a slow endpoint holds its own slots only
 *   carry   one delivery: sign, send, store
 */
import { errorText } from '../../base/log.ts';
import { eventPlace } from '../connections/index.ts';
import { fanOut } from './fan-out.ts';
import { deliveryHeaders, messageIdOf, type SigningKeys } from './headers.ts';
import { Lane, type Waiting } from './lane.ts';
import { ATTEMPT_TIMEOUT_MS, CIRCUIT_FAILURES, LOST_MAX, OUTBOUND_LIMITS, type OutboundLimits } from './limits.ts';
import type { OutboundDeps } from './model.ts';
import { waitAfter } from './schedule.ts';
import { openSecrets } from './secrets.ts';
import { send, type Tried } from './send.ts';
import { createSettler, type Settled } from './settle.ts';
import { claimDeliveries, releaseClaims, selectDueEndpoints, takeProbe, type DueEndpoint } from './store-queue.ts';

/** What a stop grants to tries under way. */
const STOP_TIMEOUT_MS = 10_000;

export interface Pump {
  /** Something may be due. */
  wake(): void;
  /** Everything that is due now, to its end. */
  runDry(): Promise<void>;
  /** Takes up nothing more, gives back what was not begun, and waits for what is under way. */
  stop(): Promise<void>;
}

export function createPump(deps: OutboundDeps): Pump {
  const { db, clock, log } = deps;
  const { vault } = deps.environments;
  const limits: OutboundLimits = { ...OUTBOUND_LIMITS, ...deps.limits };
  const settler = createSettler(deps);
  const working = new Set<Promise<void>>();
  const lanes = new Map<string, Lane>();
  const shift = (): number => deps.shiftMs?.() ?? 0;
  let running = 0;
  let stopped = false;
  let isCut = false;
  let passing: Promise<number> | undefined;
  let again = false;
  let isTroubled = false;

  function wake(): void {
    if (stopped) return;
    if (passing !== undefined) {
      again = true;
      return;
    }
    passing = pass()
      .then((begun) => {
        isTroubled = false;
        return begun;
      })
      .catch((error: unknown) => {
        // Several looks a second fail together: the first one says so.
        if (!isTroubled) log.warn('events cannot be sent at the moment; trying again', { error: errorText(error) });
        isTroubled = true;
        return 0;
      })
      .finally(() => {
        passing = undefined;
        if (!again) return;
        again = false;
        wake();
      });
  }

  /** Resolves to how much was begun. */
  async function pass(): Promise<number> {
    if (deps.isQuarantined()) return 0;
    let failure: unknown;
    const handled = await fanOut(deps).catch((error: unknown) => {
      failure = error; // what is due goes out all the same
      return 0;
    });
    // There may be more: what is due has its turn in between.
    if (handled > 0) again = true;
    const taken = await fill();
    if (failure !== undefined) throw failure;
    return handled + taken;
  }

  async function fill(): Promise<number> {
    let taken = 0;
    for (const endpoint of await selectDueEndpoints(db, shift())) {
      if (running >= limits.slots || stopped) break;
      taken += await take(endpoint);
    }
    return taken;
  }

  /** While many slots are taken every endpoint gets one, so that the slow ones do not take the rest. */
  function mostOf({ endpoint }: Pick<Lane, 'endpoint'>): number {
    return endpoint.half_open || running * 2 >= limits.slots ? 1 : limits.slotsPerEndpoint;
  }

  async function take(endpoint: DueEndpoint): Promise<number> {
    const place = { environmentId: endpoint.environment_id, id: endpoint.id };
    const { leaseMs } = limits;
    const key = `${place.environmentId}:${place.id}`;
    // Its failures are being stored: then the row says whether it may be tried.
    if ((lanes.get(key)?.misses ?? 0) >= CIRCUIT_FAILURES) return 0;
    const room = lanes.get(key)?.roomFor(mostOf({ endpoint })) ?? mostOf({ endpoint });
    if (room <= 0) return 0;
    if (endpoint.half_open && !(await takeProbe(db, place, { leaseMs, shiftMs: shift() }))) return 0;
    let keys: SigningKeys;
    try {
      keys = await keysOf(endpoint);
    } catch (error) {
      log.error('an endpoint cannot be signed for', { endpoint: endpoint.id, error: errorText(error) });
      return 0;
    }
    const claim = { environmentId: place.environmentId, endpointId: place.id, owner: deps.nodeId };
    const beginByMs = clock.monotonicMs() + Math.max(leaseMs / 2, leaseMs - ATTEMPT_TIMEOUT_MS - STOP_TIMEOUT_MS);
    const claimed = await claimDeliveries(db, { ...claim, leaseMs, limit: room, shiftMs: shift() });
    const lane = lanes.get(key) ?? new Lane(endpoint, keys);
    lanes.set(key, lane);
    lane.endpoint = endpoint;
    lane.keys = keys;
    lane.add(claimed, beginByMs);
    run(key, lane);
    return claimed.length;
  }

  async function keysOf(endpoint: DueEndpoint): Promise<SigningKeys> {
    const signing = await deps.environments.webhookSigningKeys(endpoint.environment_id);
    return { secrets: await openSecrets(vault, endpoint), key: signing.current, previousKey: signing.previous };
  }

  function run(key: string, lane: Lane): void {
    const slots = stopped ? 0 : limits.slots;
    while (running < slots) {
      const one = lane.next(mostOf(lane), clock.monotonicMs());
      if (one === undefined) break;
      lane.running += 1;
      running += 1;
      track(carry(key, lane, one));
    }
    if (lane.isEmpty) lanes.delete(key);
  }

  function track(work: Promise<void>): void {
    const ended = work
      .catch((error: unknown) =>
        // Its lease ends, and then it is taken again.
        log.error('a delivery could not be dealt with', { error: errorText(error) }),
      )
      .finally(() => working.delete(ended));
    working.add(ended);
  }

  async function carry(key: string, lane: Lane, one: Waiting): Promise<void> {
    let settled: Settled | undefined;
    try {
      settled = await attempt(lane, one);
    } finally {
      lane.running -= 1;
      running -= 1;
    }
    lane.misses = settled?.result.state === 'delivered' ? 0 : lane.misses + 1;
    if (lane.misses >= CIRCUIT_FAILURES) giveBack(lane);
    lane.unstored += 1;
    run(key, lane);
    if (settled !== undefined) await settler.settle(settled);
    lane.unstored -= 1;
    run(key, lane);
    if (lane.queue.length < limits.slotsPerEndpoint) wake();
  }

  /** What is not begun goes back to its place: nobody is asked so often who does not answer. */
  function giveBack(lane: Lane): void {
    const rest = lane.queue.splice(0);
    if (rest.length > 0) track(releaseClaims(db, lane.endpoint.environment_id, rest));
  }

  /** Undefined: nothing came of it, and its lease ends. */
  async function attempt(lane: Lane, one: Waiting): Promise<Settled | undefined> {
    const { endpoint } = lane;
    const environmentId = endpoint.environment_id;
    const messageId = messageIdOf(one.uuid);
    const parked = (error: string): Settled =>
      settledOf(endpoint, one, messageId, { ...unsent(), error }, 'parked', undefined);
    if (one.lost > LOST_MAX) return parked(`lost: ${LOST_MAX} servers ended while they sent this.`);
    let body: Buffer;
    try {
      if (one.sealed === null) throw new Error('no body');
      body = Buffer.from(await vault.open(eventPlace(environmentId, one.uuid), one.sealed), 'utf8');
    } catch (error) {
      log.error('the body of a delivery cannot be read', { delivery: one.id, error: errorText(error) });
      // A key that is away for a moment must not cost an event; one that stays away must not cost a neighbour's turn.
      return one.lost < LOST_MAX ? undefined : parked('unreadable: The body of this event cannot be opened.');
    }
    const headers = deliveryHeaders({
      messageId,
      sequence: one.sequence ?? undefined,
      occurredAt: one.occurred_at,
      provider: one.provider_headers ?? undefined,
      body,
      keys: lane.keys,
      attempts: one.attempts,
      nowMs: clock.now(),
    });
    const tried = await send(deps, { url: new URL(endpoint.url), headers, body });
    // Our own stop is no answer of the endpoint: the lease ends and somebody else sends.
    if (isCut) return undefined;
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
    return settled;
  }

  function unsent(): Tried {
    const at = new Date(clock.now());
    return { at, durationMs: 0, status: undefined, error: undefined, answer: Buffer.alloc(0), retryAfterMs: undefined };
  }

  const isBusy = (): boolean => working.size > 0 || passing !== undefined;

  async function quiet(): Promise<void> {
    while (isBusy()) await Promise.all([...working, passing]);
  }

  return {
    wake,
    async runDry() {
      do await quiet();
      while ((await pass()) > 0 || isBusy());
    },
    async stop() {
      stopped = true;
      for (const lane of lanes.values()) giveBack(lane);
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
  one: Waiting,
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
