/** `peek` and `live`: hand out what is valid, refresh what is due, explain what is dead. */
import { LRUCache } from 'lru-cache';
import { errorText } from '../../base/log.ts';
import { connectionErrors, grantRowOf } from '../connections/index.ts';
import { recoveryErrors } from '../recovery/index.ts';
import type { CacheEntry } from './cache.ts';
import type { Context } from './context.ts';
import { REFUSED_DAYS_MAX } from './commit.ts';
import { credentialErrors } from './errors.ts';
import { EXPIRING_MS } from './expiry.ts';
import { loadByName, loadByRow, type Loaded } from './load.ts';
import type { LiveConnection, ReadOptions } from './model.ts';
import { assertAllowed, isRefreshFailure, runRefresh, type RefreshJob } from './refresh.ts';

/** The longest a caller waits for a refresh; it runs on without them. */
const CALLER_WAIT_MS = 25_000;
/** A refresh that another one has just put off is asked for again. */
const TRIES_MAX = 3;
/** A refresh behind the callers' backs that failed is not started again before this. */
const QUIET_MS = 30_000;
const REMEMBERED_MAX = 10_000;

export interface Reader {
  peek(environmentId: number, integrationKey: string, connectionId: string): LiveConnection | undefined;
  live(
    environmentId: number,
    integrationKey: string,
    connectionId: string,
    options?: ReadOptions,
  ): Promise<LiveConnection>;
  /** Collapsed refresh; joins one that runs. */
  refresh(loaded: Pick<Loaded, 'live'>, how: { force: boolean; refused: boolean; urgent: boolean }): Promise<Loaded>;
  /** Takes no new refresh and waits for the running ones. */
  drain(): Promise<void>;
}

export function createReader(context: Context): Reader {
  const { cache, clock, log } = context;
  const running = new Map<string, { job: RefreshJob; promise: Promise<Loaded> }>();
  /** Row → monotonic time before which no refresh is started unasked. */
  const quiet = new LRUCache<string, number>({ max: REMEMBERED_MAX });

  function refresh(
    { live }: Pick<Loaded, 'live'>,
    how: { force: boolean; refused: boolean; urgent: boolean },
  ): Promise<Loaded> {
    if (context.isQuarantined()) return Promise.reject(recoveryErrors.fail('quarantined'));
    return refreshGrant({ live }, how).then((loaded) => ownOf(context, live, loaded));
  }

  function refreshGrant(
    { live }: Pick<Loaded, 'live'>,
    how: { force: boolean; refused: boolean; urgent: boolean },
  ): Promise<Loaded> {
    const { environmentId } = live.connection;
    const id = grantRowOf(live.connection);
    const key = `${environmentId}:${id}`;
    const other = running.get(key);
    if (other !== undefined) {
      other.job.refused ||= how.refused;
      if (how.urgent) {
        other.job.urgent = true;
        other.job.ticket?.hurry();
      }
      // A refresh nobody forced may decline; who forces one then starts their own.
      if (how.force && !other.job.force) return other.promise.then(keep(live), () => refresh({ live }, how));
      return other.promise;
    }
    if (context.stopping.signal.aborted) return Promise.reject(credentialErrors.fail('draining'));
    const job: RefreshJob = {
      environmentId,
      connectionId: id,
      seenGen: live.generation,
      ticket: undefined,
      answered: false,
      ...how,
    };
    const promise = runRefresh(context, job).finally(() => running.delete(key));
    running.set(key, { job, promise });
    return promise;
  }

  /** After an unforced refresh: its result if it moved the generation, else a forced one. */
  function keep(live: LiveConnection) {
    return (loaded: Loaded): Loaded | Promise<Loaded> =>
      loaded.row.gen === live.generation ? refresh(loaded, { force: true, refused: false, urgent: true }) : loaded;
  }

  function refreshBehind(live: LiveConnection): void {
    const key = `${live.connection.environmentId}:${grantRowOf(live.connection)}`;
    if (running.has(key) || clock.monotonicMs() < (quiet.get(key) ?? 0)) return;
    quiet.set(key, clock.monotonicMs() + QUIET_MS);
    refresh({ live }, { force: false, refused: false, urgent: false }).catch((error: unknown) => {
      log.debug('a refresh behind the callers’ backs failed; the token is still valid', {
        connection: live.connection.id,
        error: errorText(error),
      });
    });
  }

  function cached(environmentId: number, integrationKey: string, connectionId: string): CacheEntry | undefined {
    return cache.get(environmentId, integrationKey, connectionId);
  }

  async function read(
    environmentId: number,
    integrationKey: string,
    connectionId: string,
    options: ReadOptions = {},
  ): Promise<LiveConnection> {
    const hit = options.force ? undefined : cached(environmentId, integrationKey, connectionId);
    if (hit !== undefined) {
      if (clock.monotonicMs() >= hit.dueAtMs) refreshBehind(hit.live);
      return hit.live;
    }
    const loaded = await loadByName(context, environmentId, integrationKey, connectionId);
    refuseDead(loaded, options.force === true);
    if (!loaded.refreshable) {
      if (!context.isQuarantined()) await noteEnd(context, loaded);
      return loaded.live;
    }
    if (options.force) return (await patiently(refresh(loaded, { force: true, refused: false, urgent: true }))).live;
    switch (loaded.usability) {
      case 'endless':
      case 'fresh':
        return loaded.live;
      case 'due':
        if (mayTry(loaded)) refreshBehind(loaded.live);
        return loaded.live;
      case 'closing':
      case 'ended':
        return renewOrKeep(loaded);
    }
  }

  /** Waits for the refresh; a token that still has seconds to live is handed out when that fails. */
  async function renewOrKeep(loaded: Loaded): Promise<LiveConnection> {
    const isValid = (one: Loaded) => clock.monotonicMs() - one.readAtMs < (one.row.left_ms ?? 0);
    try {
      if (isDead(loaded)) throw deadError(loaded);
      assertAllowed({ force: false }, loaded.row);
      let before = loaded;
      for (let tries = 1; ; tries += 1) {
        const renewed = await patiently(refresh(before, { force: false, refused: false, urgent: true }));
        // Judged by what the refresh has read: its row is the younger one.
        if (renewed.row.gen !== loaded.row.gen || isValid(renewed)) return renewed.live;
        // It was put off to the end of the token, which has come meanwhile.
        if (tries === TRIES_MAX) throw credentialErrors.fail('connection_refresh_backoff');
        before = renewed;
      }
    } catch (error) {
      if (!isRefreshFailure(error) || !isValid(loaded)) throw error;
      return loaded.live;
    }
  }

  async function patiently(refreshing: Promise<Loaded>): Promise<Loaded> {
    const answered = new AbortController();
    const late = clock.sleep(CALLER_WAIT_MS, answered.signal).then(
      () => {
        throw credentialErrors.fail('connection_refresh_backoff', { detail: 'the refresh still runs' });
      },
      () => refreshing, // aborted: the refresh was first
    );
    try {
      return await Promise.race([refreshing, late]);
    } finally {
      answered.abort();
      late.catch(() => {}); // already reported through the race
    }
  }

  return {
    peek(environmentId, integrationKey, connectionId) {
      const entry = cached(environmentId, integrationKey, connectionId);
      return entry !== undefined && clock.monotonicMs() < entry.dueAtMs ? entry.live : undefined;
    },
    live: read,
    refresh,
    async drain() {
      context.stopping.abort();
      context.pace.end(credentialErrors.fail('draining'));
      await Promise.allSettled([...running.values()].map(({ promise }) => promise));
    },
  };
}

/** A refresh belongs to the grant; who asked wants their own connection with it. */
async function ownOf(context: Context, live: LiveConnection, loaded: Loaded): Promise<Loaded> {
  if (loaded.live.connection.id === live.connection.id) return loaded;
  return loadByRow(context, live.connection.environmentId, live.connection.id);
}

function mayTry(loaded: Loaded): boolean {
  return !isDead(loaded) && loaded.row.failures < REFUSED_DAYS_MAX && (loaded.row.backoff_ms ?? 0) <= 0;
}

/** The provider has refused the refresh token: what is left is the access token, to its end. */
function isDead({ live: { connection } }: Loaded): boolean {
  const { state, stateReason } = connection;
  return state === 'needs_reauth' && (stateReason === 'revoked' || stateReason === 'lost_rotation');
}

function deadError(loaded: Loaded) {
  const exhausted = loaded.row.failures >= REFUSED_DAYS_MAX;
  return credentialErrors.fail(exhausted ? 'connection_refresh_exhausted' : 'connection_needs_reauth');
}

/** Errors: `connection_needs_reauth` for what a verified event revoked, `unknown_connection` for what was let go. */
function refuseDead(loaded: Loaded, force: boolean): void {
  const { state } = loaded.live.connection;
  if (state === 'disconnecting' || state === 'disconnected') throw connectionErrors.fail('unknown_connection');
  if (state === 'revoked_by_provider' && !(force && loaded.refreshable)) {
    throw credentialErrors.fail('connection_needs_reauth');
  }
}

/** A token that nobody can renew: announced a day before, and told once when it has ended (wire contract I.1). */
async function noteEnd(context: Context, loaded: Loaded): Promise<void> {
  const { connection } = loaded.live;
  const leftMs = loaded.row.left_ms;
  if (leftMs === null || leftMs > EXPIRING_MS) return;
  const place = { environmentId: connection.environmentId, grantRow: grantRowOf(connection) };
  if (leftMs > 0) {
    if (connection.state !== 'active') return;
    await context.connections.setGrantState(context.db, { ...place, state: 'expiring', from: ['active'] });
    return;
  }
  if (connection.state !== 'active' && connection.state !== 'expiring') return;
  await context.connections.setGrantState(context.db, {
    ...place,
    state: 'needs_reauth',
    reason: 'expired',
    from: ['active', 'expiring'],
  });
}
