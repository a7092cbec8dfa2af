/** Steps 5 and 10 of the refresh protocol: answers that were journalled but never committed. */
import { commitTokens, type Committed, type Stored } from './commit.ts';
import type { Context } from './context.ts';
import { replyOf } from './journal.ts';
import type { Renewal } from './renewal.ts';
import type { Claim, CredentialRow } from './store.ts';
import { closeReply, selectOpenReplies } from './store-journal.ts';
import { isDoubtful } from './verdict.ts';

/** More open answers of one grant than any run of crashes leaves. */
const REPLIES_MAX = 8;

export type Adopted =
  | Committed
  /** Every answer of that exchange says that nothing was issued: the refresh token is as good as before. */
  | 'resolved'
  /** No answer holds what is looked for. */
  | 'none';

/**
 * Adopts the newest open answer. `same-token`: an answer to the refresh token that is stored now (a crash between
 * journal and commit). `any-newer`: one that brings another refresh token than the stored one, which is dead.
 */
export async function adoptReply(
  context: Context,
  stored: Stored,
  row: CredentialRow,
  claim: Claim,
  readAnswer: Renewal['read'],
  wanted: 'same-token' | 'any-newer',
): Promise<Adopted> {
  await context.journal.flushSpool();
  const place = { environmentId: claim.environmentId, connectionId: claim.connectionId };
  const replies = await selectOpenReplies(context.db, { ...place, afterEpoch: row.grant_epoch, limit: REPLIES_MAX });
  let clear = 0;
  let doubtful = 0;
  for (const reply of replies) {
    const sameToken = row.refresh_hash !== null && reply.rt_used_hash.equals(row.refresh_hash);
    const { epoch } = reply;
    if (wanted === 'same-token' ? !sameToken : epoch === claim.epoch) continue;
    const answer = replyOf(await context.journal.open({ ...place, epoch }, reply.reply_sealed));
    const read = readAnswer(answer, reply.received_at.getTime());
    const newer = read.ok && read.refreshToken !== undefined && read.refreshToken !== stored.refreshToken;
    if (read.ok && (wanted === 'same-token' || newer)) {
      return commitTokens(context, stored, claim, epoch, read, false);
    }
    if (!read.ok && isDoubtful(read)) doubtful += 1;
    else clear += 1;
    await closeReply(context.db, { ...place, epoch });
  }
  return clear > 0 && doubtful === 0 ? 'resolved' : 'none';
}
