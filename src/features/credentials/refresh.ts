/**
 * One refresh of one connection, by the protocol of the header of this slice. The caller has made sure that this
 * process runs one at a time per connection (step 2); other processes are kept out by the claim.
 */
import { isHawserError } from '../../base/errors.ts';
import type { Session } from '../../platform/postgres/index.ts';
import { connectionErrors } from '../connections/index.ts';
import { recoveryErrors } from '../recovery/index.ts';
import type { Context } from './context.ts';
import { credentialErrors, refreshError, type RefreshFailure } from './errors.ts';
import { REFUSED_DAYS_MAX } from './commit.ts';
import { loadByRow, type Loaded } from './load.ts';
import type { PaceLimits, Ticket } from './pace.ts';
import { renewalOf } from './renewal.ts';
import { sendClaimed } from './send.ts';
import { claimRefresh, selectCredential, tryRefreshLock, type CredentialRow } from './store.ts';
import { reserveStart } from './store-pace.ts';
import { isExclusive } from './verdict.ts';

/** How long a refresh by another node is waited for: its exchange, and some. */
const OTHER_WAIT_MS = 20_000;
/** Step 2: how often the row is looked at meanwhile. */
const POLL_FIRST_MS = 100;
const POLL_MAX_MS = 1_000;
/** Exchanges of this node with one token server. */
const SHARED_RUNNING_MAX = 20;
/** Each holds one of 8 lock sessions; one slow provider must not take them all. */
const EXCLUSIVE_RUNNING_MAX = 3;
const SESSIONS_MAX = 6;

export interface RefreshJob {
  environmentId: number;
  connectionId: number;
  /** What the caller saw: a newer generation is what it wants. */
  seenGen: number;
  /** Bypasses back-off and exhaustion. */
  force: boolean;
  /** The provider answers 401 to the stored access token: it has ended, whatever its expiry says. */
  refused: boolean;
  /** Somebody waits for the token. */
  urgent: boolean;
  ticket: Ticket | undefined;
  /** Our own answer came after the claim was lost and waits in the journal: adopting it needs nobody's leave. */
  answered: boolean;
}

/**
 * Resolves to the connection as stored afterwards: with a newer generation, or with the old one when the protocol
 * forbids to send its refresh token now (`loaded.row.gen` tells).
 *
 * Errors: `connection_refresh_backoff`, `connection_refresh_exhausted`, `refresh_token_external_error`,
 * `connection_needs_reauth`, `unknown_connection`, and those of discovery and database.
 */
export async function runRefresh(context: Context, job: RefreshJob): Promise<Loaded> {
  const { clock } = context;
  const giveUpAtMs = clock.monotonicMs() + OTHER_WAIT_MS;
  let { seenGen } = job;
  let seenFailureMs: number | undefined;
  let pollMs = POLL_FIRST_MS;
  for (;;) {
    const loaded = await loadByRow(context, job.environmentId, job.connectionId);
    const { row } = loaded;
    if (row.gen !== seenGen || !loaded.refreshable) return loaded;
    seenFailureMs ??= failureMs(row);
    if (!job.answered) {
      if (failureMs(row) > seenFailureMs && !row.leased) {
        throw refreshError((row.last_failure ?? 'refused') as RefreshFailure); // another node's try failed while we waited
      }
      assertAllowed(job, row);
    }
    const result = row.leased ? 'busy' : await attempt(context, job, loaded);
    switch (result) {
      case 'done':
      case 'held':
        return loadByRow(context, job.environmentId, job.connectionId);
      case 'adopted-ended':
        // The adopted answer is old: its own refresh token is now the one to use.
        seenGen += 1;
        continue;
      case 'overtaken':
      case 'unanswered':
      case 'busy':
        if (result !== 'busy') job.answered = result === 'overtaken';
        if (clock.monotonicMs() > giveUpAtMs) {
          throw credentialErrors.fail('connection_refresh_backoff', { detail: 'another node still refreshes' });
        }
        if (context.stopping.signal.aborted) throw credentialErrors.fail('draining');
        await clock.sleep(pollMs);
        pollMs = Math.min(pollMs * 1.5, POLL_MAX_MS);
    }
  }
}

function failureMs(row: CredentialRow): number {
  return row.last_failure_at?.getTime() ?? 0;
}

/** Errors: `connection_refresh_backoff`, `connection_refresh_exhausted`. */
export function assertAllowed(job: { force: boolean }, row: CredentialRow): void {
  if (job.force) return;
  if (row.failures >= REFUSED_DAYS_MAX) throw credentialErrors.fail('connection_refresh_exhausted');
  if ((row.backoff_ms ?? 0) > 0) throw credentialErrors.fail('connection_refresh_backoff');
}

export type Attempt =
  /** The generation moved. */
  | 'done'
  /** An old answer was adopted, but its access token has ended too. */
  | 'adopted-ended'
  /** The outcome of an earlier send is unknown: the stored token is served to its end first. */
  | 'held'
  /** Somebody else is at it. */
  | 'busy'
  /** Somebody else was faster, and our answer waits in the journal. */
  | 'overtaken'
  /** Our late answer is no longer in the journal. */
  | 'unanswered';

async function attempt(context: Context, job: RefreshJob, loaded: Loaded): Promise<Attempt> {
  const { live } = loaded;
  const { leaseMs, startsPerSecond } = context.times;
  // Discovery may call out, so it comes before the lease.
  const renewal = await renewalOf(context, live, loaded.refreshToken);
  const exclusive = isExclusive(renewal.rotation);
  const tickets: Ticket[] = [];
  let session: Session | undefined;
  const enter = async (lane: string, limits: PaceLimits) => {
    const ticket = context.pace.enter(lane, limits, job.urgent);
    tickets.push(ticket);
    job.ticket = ticket;
    await ticket.turn;
  };
  try {
    await enter(renewal.lane, {
      running: exclusive ? EXCLUSIVE_RUNNING_MAX : SHARED_RUNNING_MAX,
      reserve: () => reserveStart(context.db, renewal.lane, startsPerSecond),
    });
    if (exclusive) {
      await enter('\0sessions', { running: SESSIONS_MAX });
      session = await context.db.session();
      if (!(await tryRefreshLock(session, job.environmentId, job.connectionId))) return 'busy';
    }
    // It may have been found while this one waited for its turn.
    if (context.isQuarantined()) throw recoveryErrors.fail('quarantined');
    const claimedAtMs = context.clock.monotonicMs();
    const row = await claimRefresh(context.db, {
      environmentId: job.environmentId,
      connectionId: job.connectionId,
      gen: loaded.row.gen,
      owner: context.nodeId,
      leaseMs,
      force: job.force || job.answered,
    });
    if (row === undefined) return await whyNoClaim(context, job, loaded.row.gen);
    context.killPoints.reach('K1', job.connectionId);
    return await sendClaimed(context, {
      ...job,
      renewal,
      live,
      refreshToken: loaded.refreshToken,
      row,
      session,
      leaseMs,
      claimedAtMs,
    });
  } finally {
    session?.release();
    for (const ticket of tickets) ticket.release();
    job.ticket = undefined;
  }
}

/** A claim that found no row: the connection is being deleted, or somebody was faster, with or without success. */
async function whyNoClaim(context: Context, job: RefreshJob, gen: number): Promise<Attempt> {
  const row = await selectCredential(context.db, job.environmentId, job.connectionId);
  if (row === undefined) throw connectionErrors.fail('unknown_connection');
  return row.gen === gen ? 'busy' : 'done';
}

/** True for errors that say "this refresh failed", after which a token that is still valid is handed out. */
export function isRefreshFailure(error: unknown): boolean {
  return !isHawserError(error, 'unknown_connection', 'unknown_provider_config', 'sealed');
}
