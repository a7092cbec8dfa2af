/** What the holder of a claim does: recover, send, journal, commit or explain. Steps 5 to 10. */
import { isHawserError } from '../../base/errors.ts';
import type { TokenAnswer } from '../../protocols/oauth2/index.ts';
import type { Session } from '../../platform/postgres/index.ts';
import { connectionErrors } from '../connections/index.ts';
import { adoptReply } from './adopt.ts';
import { commitTokens, noteDeadGrant, noteFailure } from './commit.ts';
import type { Context } from './context.ts';
import { credentialErrors, refreshError, type RefreshFailure } from './errors.ts';
import { exchange, type Exchanged, type Holding } from './exchange.ts';
import { HAND_OUT_MARGIN_MS } from './expiry.ts';
import type { LiveConnection } from './model.ts';
import type { Attempt, RefreshJob } from './refresh.ts';
import type { Prepared, Renewal } from './renewal.ts';
import { claimRefresh, releaseClaim, selectCredential, type Claim, type CredentialRow } from './store.ts';
import { closeReply } from './store-journal.ts';
import { isDoubtful, isExclusive, RESENDS_MAX, resendWindowMs } from './verdict.ts';

/** Wire contract J.1: back-off after a failed refresh. */
const BACKOFF_MS = 30_000;
/** Nodes that failed together do not come back together. */
const BACKOFF_JITTER_SHARE = 0.2;
/** A provider that asks for more is asked again anyway: customers wait. */
const RETRY_AFTER_MAX_MS = 3_600_000;

/** An exchange starts in this part of its lease or not at all: it may take 10 s, and journal and commit follow. */
const SEND_SHARE = 0.5;

export interface Claimed extends RefreshJob {
  renewal: Renewal;
  live: LiveConnection;
  refreshToken: string | undefined;
  /** As before the claim, with the claim's epoch. */
  row: CredentialRow;
  session: Session | undefined;
  leaseMs: number;
  /** Monotonic time before the claim was sent: the lease ends no earlier than this plus `leaseMs`. */
  claimedAtMs: number;
}

export async function sendClaimed(context: Context, claimed: Claimed): Promise<Attempt> {
  const { row, renewal } = claimed;
  const { rotation } = renewal;
  const claim: Claim = {
    environmentId: claimed.environmentId,
    connectionId: claimed.connectionId,
    gen: row.gen,
    epoch: row.lease_epoch,
  };
  const recovered = row.intent_open || claimed.answered ? await recover(context, claimed, claim) : 'resolved';
  if (recovered !== 'unresolved' && recovered !== 'resolved') return recovered;
  if (claimed.answered && !row.intent_open) {
    // Our late answer is no longer there: whether to send is for the usual checks to say.
    await releaseClaim(context.db, claim, { keepIntent: false, untilEnd: false });
    return 'unanswered';
  }
  const unresolved = recovered === 'unresolved' && rotation.kind !== 'none';

  // An unknown expiry is an end nobody can wait for.
  const ended = claimed.refused || row.left_ms === null || row.left_ms <= 0;
  if (unresolved && isExclusive(rotation) && !ended) {
    await releaseClaim(context.db, claim, { keepIntent: true, untilEnd: true });
    if (claimed.force) {
      throw credentialErrors.fail('connection_refresh_backoff', {
        message: 'The answer to an earlier refresh was lost. The stored token is served to its end before another try.',
      });
    }
    return 'held';
  }

  const made = await prepare(context, claimed, claim);
  if (made.kind === 'local') return accept(context, claimed, claim, made.tokens);
  const { request } = made;
  const startedAtMs = context.clock.monotonicMs();
  let unknown = unresolved;
  for (let sends = 1; ; sends += 1) {
    const result = await exchange(context, request, holdingOf(context, claimed, claim));
    if (result.kind === 'not-sent' && result.why !== 'unreachable') {
      await releaseClaim(context.db, claim, { keepIntent: unresolved, untilEnd: false });
      return 'busy';
    }
    const read = result.kind === 'answer' ? readAnswer(context, claimed, result) : undefined;
    if (read?.ok) return accept(context, claimed, claim, read);
    const lost = result.kind === 'lost';
    const doubtful = lost || (read !== undefined && isDoubtful(read));
    unknown ||= doubtful && rotation.kind !== 'none';
    if (read?.kind === 'invalid_grant') return refuse(context, claimed, claim, unknown);

    const elapsedMs = context.clock.monotonicMs() - startedAtMs;
    if (doubtful && sends <= RESENDS_MAX && elapsedMs < resendWindowMs(rotation, lost)) {
      if (read !== undefined) await closeReply(context.db, claim);
      if (await claimAgain(context, claimed, claim)) continue;
      return 'busy';
    }
    const failure = failureOf(result, read);
    await fail(context, claimed, claim, failure, {
      status: read?.status,
      retryAfterMs: read?.retryAfterMs,
      // What was unknown stays unknown until an answer resolves it.
      unknown,
      untilEnd: unknown && isExclusive(rotation) && !ended,
      cause: result.kind === 'answer' ? undefined : result.cause,
    });
  }
}

/** Step 5: an earlier exchange was left open. `resolved`: its refresh token was certainly not used up. */
async function recover(
  context: Context,
  claimed: Claimed,
  claim: Claim,
): Promise<Exclude<Attempt, 'held' | 'overtaken' | 'unanswered'> | 'resolved' | 'unresolved'> {
  const adopted = await adoptReply(context, claimed, claimed.row, claim, readerOf(claimed), 'same-token');
  switch (adopted) {
    case 'committed':
      note(context, claimed.live, true, 'Adopted the provider’s answer to a refresh that was interrupted');
      return afterAdoption(context, claimed);
    case 'overtaken':
      return 'busy';
    case 'gone':
      throw connectionErrors.fail('unknown_connection');
    case 'resolved':
      return 'resolved';
    case 'none':
      return 'unresolved';
  }
}

/** The adopted token may have ended long ago, and who forces a refresh wants a new one. */
async function afterAdoption(context: Context, claimed: Claimed): Promise<'done' | 'adopted-ended'> {
  const row = await selectCredential(context.db, claimed.environmentId, claimed.connectionId);
  const leftMs = row?.left_ms ?? Number.POSITIVE_INFINITY;
  return leftMs <= HAND_OUT_MARGIN_MS ? 'adopted-ended' : 'done';
}

/** A request that cannot even be built is a setting to correct: the lease is given back. */
async function prepare(context: Context, claimed: Claimed, claim: Claim): Promise<Prepared> {
  try {
    return await claimed.renewal.prepare(databaseNowMs(context, claimed));
  } catch (error) {
    await releaseClaim(context.db, claim, { keepIntent: claimed.row.intent_open, untilEnd: false });
    throw error;
  }
}

function holdingOf(context: Context, claimed: Claimed, claim: Claim): Holding {
  return {
    environmentId: claim.environmentId,
    connectionId: claim.connectionId,
    integrationId: claimed.live.integration.id,
    epoch: claim.epoch,
    rtUsedHash: claimed.row.refresh_hash ?? Buffer.alloc(0),
    sendUntilMs: claimed.claimedAtMs + claimed.leaseMs * SEND_SHARE,
    session: claimed.session,
    databaseNowMs: () => databaseNowMs(context, claimed),
  };
}

/** The database's clock, carried on by the monotonic one: our own wall clock may be wrong by hours (fault 15). */
function databaseNowMs(context: Context, claimed: Claimed): number {
  return claimed.row.now.getTime() + (context.clock.monotonicMs() - claimed.claimedAtMs);
}

function readAnswer(context: Context, claimed: Claimed, result: Extract<Exchanged, { kind: 'answer' }>): TokenAnswer {
  return claimed.renewal.read(result.answer, databaseNowMs(context, claimed));
}

function readerOf({ renewal }: Claimed): Renewal['read'] {
  return (answer, nowMs) => renewal.read(answer, nowMs);
}

/** Step 8. */
async function accept(
  context: Context,
  claimed: Claimed,
  claim: Claim,
  tokens: Extract<TokenAnswer, { ok: true }>,
): Promise<Attempt> {
  switch (await commitTokens(context, claimed, claim, claim.epoch, tokens, claimed.force)) {
    case 'committed':
      note(context, claimed.live, true, 'Refreshed the access token');
      return 'done';
    case 'overtaken':
      // The answer stays in the journal: for now, if the winner got nothing, or for the day its token turns out dead.
      context.log.warn('a refresh ended after its lease; its answer is kept in the journal', {
        connection: claim.connectionId,
      });
      return 'overtaken';
    case 'gone':
      throw connectionErrors.fail('unknown_connection');
  }
}

/** Step 10: a newer generation or a journalled answer, else the customer. */
async function refuse(context: Context, claimed: Claimed, claim: Claim, unknown: boolean): Promise<Attempt> {
  const row = await selectCredential(context.db, claim.environmentId, claim.connectionId);
  if (row === undefined) throw connectionErrors.fail('unknown_connection');
  if (row.gen !== claim.gen) return 'done';
  if (row.lease_epoch !== claim.epoch) return 'busy';
  const adopted = await adoptReply(context, claimed, row, claim, readerOf(claimed), 'any-newer');
  if (adopted === 'committed') {
    note(context, claimed.live, true, 'Adopted an earlier answer of the provider in place of a dead refresh token');
    // The grant that was refused may have taken its access tokens along: prove the adopted one.
    return 'adopted-ended';
  }
  if (adopted === 'overtaken') return 'busy';
  if (adopted === 'gone') throw connectionErrors.fail('unknown_connection');
  const reason = unknown ? 'lost_rotation' : 'revoked';
  if (!(await noteDeadGrant(context, claim, reason, BACKOFF_MS))) return 'busy';
  note(context, claimed.live, false, `The provider refused the refresh token (${reason}): the customer must reconnect`);
  throw refreshError('invalid_grant');
}

/** A new epoch for sending the same token again; false: somebody else took over. */
async function claimAgain(context: Context, claimed: Claimed, claim: Claim): Promise<boolean> {
  const sentAtMs = context.clock.monotonicMs();
  const again = await claimRefresh(context.db, {
    environmentId: claim.environmentId,
    connectionId: claim.connectionId,
    gen: claim.gen,
    owner: context.nodeId,
    leaseMs: claimed.leaseMs,
    force: true,
    reclaim: claim.epoch,
  });
  if (again === undefined) return false;
  claim.epoch = again.lease_epoch;
  claimed.row = again;
  claimed.claimedAtMs = sentAtMs;
  return true;
}

function failureOf(result: Exchanged, read: TokenAnswer | undefined): RefreshFailure {
  if (read !== undefined && !read.ok) return read.kind;
  return result.kind === 'lost' ? 'lost_reply' : 'unreachable';
}

/** Ends the claim without a token. Errors: always, the public one. */
async function fail(
  context: Context,
  claimed: Claimed,
  claim: Claim,
  failure: RefreshFailure,
  facts: {
    status: number | undefined;
    retryAfterMs: number | undefined;
    unknown: boolean;
    untilEnd: boolean;
    cause: unknown;
  },
): Promise<never> {
  const { live, row } = claimed;
  const baseMs = Math.max(BACKOFF_MS, Math.min(facts.retryAfterMs ?? 0, RETRY_AFTER_MAX_MS));
  const spread = ((row.lease_epoch * 7_919 + row.connection_id) % 1_000) / 1_000;
  await noteFailure(
    context,
    claim,
    failure,
    {
      backoffMs: baseMs * (1 + spread * BACKOFF_JITTER_SHARE),
      unknown: facts.unknown,
      untilEnd: facts.untilEnd,
      counts: failure === 'refused' || failure === 'invalid_scope',
    },
    row.last_failure === null,
  );
  const words =
    failure === 'invalid_client'
      ? 'The provider refuses the client id or secret of this integration: no connection of it can be refreshed'
      : `Refresh failed (${failure}${facts.status === undefined ? '' : ` ${facts.status}`})`;
  note(context, live, false, words, { failure, ...(facts.status === undefined ? {} : { status: facts.status }) });
  const cause = isHawserError(facts.cause) ? facts.cause : undefined;
  throw refreshError(failure, facts.status, cause);
}

function note(
  context: Context,
  live: LiveConnection,
  ok: boolean,
  summary: string,
  detail: Record<string, string | number | boolean> = {},
): void {
  const { environmentId, id } = live.connection;
  const integration = live.integration.uniqueKey;
  context.activity.record({ environmentId, kind: 'refresh', ok, connectionId: id, integration, summary, detail });
  const line = { connection: id, integration, ...detail };
  if (ok) context.log.info(summary, line);
  else context.log.warn(summary, line);
}
