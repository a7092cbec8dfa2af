/** Step 8 of the refresh protocol: commit by compare-and-set, and its counterparts for failures. */
import { errorText } from '../../base/log.ts';
import type { TokenAnswer } from '../../protocols/oauth2/index.ts';
import type { ConnectionState } from '../connections/index.ts';
import type { Context } from './context.ts';
import { failureSentence, type RefreshFailure } from './errors.ts';
import { isDatabaseTrouble } from './exchange.ts';
import { isMachine, type Credential, type LiveConnection, type MachineCredential } from './model.ts';
import { learnedAnew } from './learned.ts';
import { withTokens } from './renewal.ts';
import { sealGrant } from './seal.ts';
import {
  commitDurably,
  commitRefresh,
  failRefresh,
  selectCredential,
  type Claim,
  type FailureValues,
} from './store.ts';
import { closeReply, selectAdopted } from './store-journal.ts';

/** Waits between two tries to commit while the database is away. */
const RETRY_FIRST_MS = 100;
const RETRY_MAX_MS = 2_000;
/** Wire contract I.4: days of refusal after which nobody tries unasked. */
export const REFUSED_DAYS_MAX = 4;
/** States that a new token ends. */
const HEALED_STATES: ConnectionState[] = ['needs_reauth', 'expiring'];
/** States that a dead grant ends. */
const FAILING_STATES: ConnectionState[] = ['active', 'expiring', 'not_ready', 'pending'];

/** What a refresh starts from. */
export interface Stored {
  live: LiveConnection;
  refreshToken: string | undefined;
}

type Tokens = Extract<TokenAnswer, { ok: true }>;

export type Committed =
  | 'committed'
  /** Another claim or a new grant came first: nothing was written. */
  | 'overtaken'
  /** The connection was deleted meanwhile; its answer waits in the journal to be revoked. */
  | 'gone';

/** The stored credential with a new answer over it: a missing refresh token keeps the old one. */
export function renewed(
  old: Extract<Credential, { type: 'OAUTH2' }> | MachineCredential,
  oldRefreshToken: string | undefined,
  tokens: Tokens,
): Credential {
  if (isMachine(old)) return withTokens(old, tokens);
  return {
    type: 'OAUTH2',
    access_token: tokens.accessToken,
    refresh_token: tokens.refreshToken ?? oldRefreshToken,
    expires_at: tokens.expiresAtMs === undefined ? undefined : new Date(tokens.expiresAtMs).toISOString(),
    raw: tokens.raw,
    config_override: old.config_override,
  };
}

/** Commits the tokens of a journalled answer. Repeats while the database is away; never gives an answer up. */
export async function commitTokens(
  context: Context,
  { live, refreshToken }: Stored,
  claim: Claim,
  replyEpoch: number,
  tokens: Tokens,
  forced: boolean,
): Promise<Committed> {
  const { db, clock, log, killPoints } = context;
  const { credential } = live;
  if (credential.type !== 'OAUTH2' && !isMachine(credential)) throw new Error('this credential is never refreshed');
  const place = { environmentId: claim.environmentId, connectionId: claim.connectionId };
  const grant = await sealGrant(
    context.vault,
    place,
    renewed(credential, refreshToken, tokens),
    tokens.scope ?? live.scope,
  );
  const from: ConnectionState[] = forced ? [...HEALED_STATES, 'revoked_by_provider'] : HEALED_STATES;
  const { connection, integration } = live;
  const learned = learnedAnew(integration.provider, connection.connectionConfig, tokens.metadata);
  if (learned.refused.length > 0) {
    log.warn('a refresh told values that are not usable; the old ones stay', {
      connection: connection.id,
      integration: integration.uniqueKey,
      fields: learned.refused.join(', '),
    });
  }
  let waitMs = RETRY_FIRST_MS;
  killPoints.reach('K8', place.connectionId);
  for (;;) {
    const crash: { error?: unknown } = {};
    try {
      const done = await db.transaction(async (tx) => {
        await commitDurably(tx);
        // Connection before credential, as everybody locks them: no deadlock with a reconnect or a delete.
        await context.connections.lockGrant(tx, place.environmentId, place.connectionId);
        if (!(await commitRefresh(tx, claim, grant, tokens.expiresAtMs))) return false;
        await closeReply(tx, { ...place, epoch: replyEpoch, adoptedGen: claim.gen + 1 });
        if (Object.keys(learned.values).length > 0) {
          await context.connections.learn(tx, place.environmentId, place.connectionId, learned.values);
        }
        await context.connections.setGrantState(tx, {
          environmentId: place.environmentId,
          grantRow: place.connectionId,
          state: 'active',
          from,
        });
        void reachWithCommit(context, place.connectionId, crash);
        return true;
      });
      if (crash.error !== undefined) throw crash.error;
      context.cache.drop(place.environmentId, place.connectionId);
      killPoints.reach('K10', place.connectionId);
      return done ? 'committed' : await whyNot(context, claim, replyEpoch);
    } catch (error) {
      if (!isDatabaseTrouble(error)) throw error;
      log.warn('new tokens are journalled but not yet committed; trying again', {
        connection: place.connectionId,
        error: errorText(error),
      });
    }
    await clock.sleep(waitMs);
    waitMs = Math.min(waitMs * 2, RETRY_MAX_MS);
  }
}

/** More turns of the promise queue than lie between here and the COMMIT on the wire. */
const TURNS_TO_COMMIT = 100;

/** K9: the commit is out. Its answer cannot be read before the promise queue is empty. */
async function reachWithCommit(context: Context, connectionId: number, crash: { error?: unknown }): Promise<void> {
  for (let turn = 0; turn < TURNS_TO_COMMIT; turn += 1) await undefined;
  try {
    context.killPoints.reach('K9', connectionId);
  } catch (error) {
    crash.error = error; // only a test's kill point throws
  }
}

/** Tells a commit whose answer was lost from one that somebody else overtook. */
async function whyNot(context: Context, claim: Claim, replyEpoch: number): Promise<Committed> {
  const place = { environmentId: claim.environmentId, connectionId: claim.connectionId };
  if ((await selectAdopted(context.db, { ...place, epoch: replyEpoch })) === claim.gen + 1) return 'committed';
  const row = await selectCredential(context.db, claim.environmentId, claim.connectionId);
  return row === undefined ? 'gone' : 'overtaken';
}

/**
 * Notes a refresh that brought nothing. The app is told once, when failing begins; after four days of refusal the
 * connection needs its customer. A database that is away is no reason to fail twice: the lease ends by itself.
 */
export async function noteFailure(
  context: Context,
  claim: Claim,
  failure: RefreshFailure,
  values: Omit<FailureValues, 'failure'>,
  begins: boolean,
): Promise<void> {
  const { environmentId, connectionId: grantRow } = claim;
  try {
    await context.db.transaction(async (tx) => {
      await context.connections.lockGrant(tx, environmentId, grantRow);
      const days = await failRefresh(tx, claim, { ...values, failure });
      if (days === undefined) return;
      await closeReply(tx, claim);
      if (days >= REFUSED_DAYS_MAX) {
        await context.connections.setGrantState(tx, {
          environmentId,
          grantRow,
          state: 'needs_reauth',
          reason: 'revoked',
          from: FAILING_STATES,
        });
      } else if (begins) {
        for (const { id } of await context.connections.ofGrant(tx, environmentId, grantRow)) {
          await context.connections.writeEvent(tx, {
            environmentId,
            type: 'auth',
            connectionId: id,
            payload: {
              operation: 'refresh',
              success: false,
              error: { type: failure, description: failureSentence(failure) },
            },
          });
        }
      }
    });
  } catch (error) {
    if (!isDatabaseTrouble(error)) throw error;
    context.log.warn('a failed refresh could not be noted; its lease ends by itself', {
      connection: grantRow,
      error: errorText(error),
    });
  }
}

/** Step 10: the grant is dead. One event; false when the claim is no longer ours, and then nothing was written. */
export async function noteDeadGrant(
  context: Context,
  claim: Claim,
  reason: 'revoked' | 'lost_rotation',
  backoffMs: number,
): Promise<boolean> {
  const { environmentId, connectionId: grantRow } = claim;
  return context.db.transaction(async (tx) => {
    await context.connections.lockGrant(tx, environmentId, grantRow);
    const values = { failure: 'invalid_grant', backoffMs, unknown: false, untilEnd: false, counts: false };
    if ((await failRefresh(tx, claim, values)) === undefined) return false;
    await closeReply(tx, claim);
    const state = 'needs_reauth';
    await context.connections.setGrantState(tx, { environmentId, grantRow, state, reason, from: FAILING_STATES });
    return true;
  });
}
