/**
 * Takes up what is due on this node and sends it.
 *
 *   pass    make deliveries of new events, then take what is due, endpoint by endpoint
 *   run     begin what an endpoint has room for; a slow endpoint holds its own slots only
 *   carry   one delivery: sign, send, store
 */
import { isHawserError } from '../../base/errors.ts';
import { errorText } from '../../base/log.ts';
import { createStatistics } from '../../platform/postgres/index.ts';
import { attempt, type Outcome } from './attempt.ts';
import { fanOut } from './fan-out.ts';
import type { SigningKeys } from './headers.ts';
import { Lane, type Waiting } from './lane.ts';
import {
  ATTEMPT_TIMEOUT_MS,
  CIRCUIT_FAILURES,
  GATHER_MS,
  NUDGE_EVERY_MS,
  OUTBOUND_LIMITS,
  TROUBLE_FIRST_MS,
  TROUBLE_MAX_MS,
  type OutboundLimits,
} from './limits.ts';
import type { OutboundDeps } from './model.ts';
import { openSecrets } from './secrets.ts';
import { createSettler } from './settle.ts';
import { claimDeliveries, releaseClaims, selectDueEndpoints, takeProbe, type DueEndpoint } from './store-queue.ts';
import { isOurTrouble } from './trouble.ts';

/** What a stop grants to tries under way. */
const STOP_TIMEOUT_MS = 10_000;

export interface Pump {
  /** Something may be due. */
  wake(): void;
  /** An event was written: looks in a moment, so that a burst costs one look. */
  nudge(): void;
  /**
   * An endpoint has changed; without `id` all of the environment, without anything all there are. What was taken for it
   * and not begun goes back: from now on it is sent as the endpoint is now, or not at all.
   */
  changed(environmentId?: number, id?: string): void;
  /** Everything that is due now, to its end. */
  runDry(): Promise<void>;
  /** Takes up nothing more, gives back what was not begun, and waits for what is under way. */
  stop(): Promise<void>;
}

export function createPump(deps: OutboundDeps): Pump {
  const { db, clock, log } = deps;
  const { vault } = deps.environments;
  const limits: OutboundLimits = { ...OUTBOUND_LIMITS, ...deps.limits };
  const settler = createSettler(deps, { roomAgain: goOn, disabled: changed });
  const working = new Set<Promise<void>>();
  const lanes = new Map<string, Lane>();
  const shift = (): number => deps.shiftMs?.() ?? 0;
  const foundMore = createStatistics(deps, 'delivery');
  let running = 0;
  let stopped = false;
  let isCut = false;
  let passing: Promise<number> | undefined;
  let again = false;
  let isNudged = false;
  /** Monotonic: when events were last looked for because one was written. */
  let nudgedMs = 0;
  let isTroubled = false;
  /** Monotonic: a database that is away or full is not asked before. */
  let pausedUntilMs = 0;
  let pauseMs = 0;
  /** How often endpoints have changed. */
  let changes = 0;

  function wake(): void {
    if (stopped || clock.monotonicMs() < pausedUntilMs) return;
    if (passing !== undefined) {
      again = true;
      return;
    }
    passing = pass()
      .then((begun) => {
        isTroubled = false;
        pauseMs = 0;
        return begun;
      })
      .catch((error: unknown) => {
        // Several looks a second fail together: the first one says so.
        if (!isTroubled) log.warn('events cannot be sent at the moment; trying again', { error: errorText(error) });
        isTroubled = true;
        if (isOurTrouble(error)) pause();
        return 0;
      })
      .finally(() => {
        passing = undefined;
        if (!again) return;
        again = false;
        wake();
      });
  }

  function pause(): void {
    pauseMs = Math.min(Math.max(pauseMs * 2, TROUBLE_FIRST_MS), TROUBLE_MAX_MS);
    pausedUntilMs = clock.monotonicMs() + pauseMs;
  }

  function nudge(): void {
    if (stopped || isNudged) return;
    isNudged = true;
    void clock.sleep(Math.max(GATHER_MS, nudgedMs + NUDGE_EVERY_MS - clock.monotonicMs())).then(() => {
      isNudged = false;
      nudgedMs = clock.monotonicMs();
      wake();
      return undefined;
    });
  }

  /** Resolves to how much was begun. */
  async function pass(): Promise<number> {
    if (deps.isQuarantined() || settler.isHeld) return 0;
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
    runAll();
    const before = changes;
    let taken = 0;
    let failure: unknown;
    for (const endpoint of await selectDueEndpoints(db, shift())) {
      if (running >= limits.slots || stopped || settler.isHeld) break;
      taken += await take(endpoint, before).catch((error: unknown) => {
        // Other environments may have their keys at hand; they have no other database.
        if (!isHawserError(error, 'key_service_unavailable')) throw error;
        failure = error;
        return 0;
      });
      // What was read of the others may be of yesterday.
      if (changes !== before) {
        again = true;
        break;
      }
    }
    if (failure !== undefined) throw failure;
    return taken;
  }

  /** While many slots are taken every endpoint gets one, so that the slow ones do not take the rest. */
  function mostOf({ endpoint }: Pick<Lane, 'endpoint'>): number {
    return endpoint.half_open || running * 2 >= limits.slots ? 1 : limits.slotsPerEndpoint;
  }

  async function take(endpoint: DueEndpoint, before: number): Promise<number> {
    const place = { environmentId: endpoint.environment_id, id: endpoint.id };
    const { leaseMs } = limits;
    const key = keyOf(place.environmentId, place.id);
    // Its failures are being stored: then the row says whether it may be tried.
    if ((lanes.get(key)?.misses ?? 0) >= CIRCUIT_FAILURES) return 0;
    const room = lanes.get(key)?.roomFor(mostOf({ endpoint })) ?? mostOf({ endpoint });
    if (room <= 0) return 0;
    let keys: SigningKeys;
    try {
      keys = await keysOf(endpoint);
    } catch (error) {
      if (isOurTrouble(error)) throw error;
      log.error('an endpoint cannot be signed for', { endpoint: endpoint.id, error: errorText(error) });
      return 0;
    }
    if (endpoint.half_open && !(await takeProbe(db, place, { leaseMs, shiftMs: shift() }))) return 0;
    const claim = { environmentId: place.environmentId, endpointId: place.id, owner: deps.nodeId };
    const beginByMs = clock.monotonicMs() + Math.max(leaseMs / 2, leaseMs - ATTEMPT_TIMEOUT_MS - STOP_TIMEOUT_MS);
    const claimed = await claimDeliveries(db, { ...claim, leaseMs, limit: room, shiftMs: shift() });
    if (claimed.length === room) foundMore();
    const lane = lanes.get(key) ?? new Lane(endpoint, keys);
    if (stopped || changes !== before) {
      putBack(lane, claimed);
      return 0;
    }
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
    putBack(lane, lane.takeLate(clock.monotonicMs()));
    // What cannot be stored is not sent either.
    const slots = stopped || settler.isHeld ? 0 : limits.slots;
    while (running < slots) {
      const one = lane.next(mostOf(lane));
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
    const outcome = await attempt(deps, lane, one, () => isCut).catch((error: unknown): Outcome => {
      if (isOurTrouble(error)) {
        pause();
        return 'not begun';
      }
      log.error('a delivery could not be dealt with', { delivery: one.id, error: errorText(error) });
      return 'nothing';
    });
    lane.running -= 1;
    running -= 1;
    if (outcome === 'not begun') putBack(lane, [one]);
    const settled = typeof outcome === 'string' ? undefined : outcome;
    if (settled?.isSent === true) lane.misses = settled.result.state === 'delivered' ? 0 : lane.misses + 1;
    if (lane.misses >= CIRCUIT_FAILURES) putBack(lane, lane.queue.splice(0));
    lane.unstored += 1;
    run(key, lane);
    if (settled !== undefined) await settler.settle(settled);
    lane.unstored -= 1;
    run(key, lane);
    if (lane.queue.length < limits.slotsPerEndpoint) wake();
  }

  /** What is not begun goes back to its place in the queue. */
  function putBack(lane: Lane, claims: Parameters<typeof releaseClaims>[2]): void {
    if (claims.length > 0) track(releaseClaims(db, lane.endpoint.environment_id, claims).then(wake));
  }

  function changed(environmentId?: number, id?: string): void {
    changes += 1;
    const prefix = environmentId === undefined ? '' : keyOf(environmentId, id ?? '');
    for (const [key, lane] of lanes) {
      if (!key.startsWith(prefix)) continue;
      lane.version += 1;
      putBack(lane, lane.queue.splice(0));
    }
  }

  /** Begins what waits: a lane that found every slot taken may have nothing under way whose end would run it again. */
  function runAll(): void {
    for (const [key, lane] of lanes) run(key, lane);
  }

  /** Results are stored again: what was held back goes on. */
  function goOn(): void {
    runAll();
    wake();
  }

  const isBusy = (): boolean => working.size > 0 || passing !== undefined;

  async function quiet(): Promise<void> {
    while (isBusy()) await Promise.all([...working, passing]);
  }

  return {
    wake,
    nudge,
    changed,
    async runDry() {
      do await quiet();
      while ((await pass()) > 0 || isBusy());
    },
    async stop() {
      stopped = true;
      changed();
      settler.stop();
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

function keyOf(environmentId: number, id: string): string {
  return `${environmentId}:${id}`;
}
