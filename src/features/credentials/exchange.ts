/** Steps 6 and 7 of the refresh protocol: send once, journal before looking. */
import { isHawserError } from '../../base/errors.ts';
import { errorText } from '../../base/log.ts';
import type { TokenRequest } from '../../protocols/machine-token/index.ts';
import type { HttpAnswer } from '../../protocols/oauth2/index.ts';
import { UpstreamFailure } from '../../platform/upstream/index.ts';
import type { Session } from '../../platform/postgres/index.ts';
import type { Context } from './context.ts';
import { keptReply } from './journal.ts';
import { probeSession } from './store.ts';

/** The whole exchange, body included. Short enough that the answer is journalled well inside the lease. */
const EXCHANGE_TIMEOUT_MS = 10_000;
const REPLY_BYTES_MAX = 256 * 1024;
/** Shorter than the server's own keepalive, so that under a partition the holder gives up first. */
const PROBE_TIMEOUT_MS = 3_000;

export interface Holding {
  environmentId: number;
  connectionId: number;
  integrationId: number;
  epoch: number;
  rtUsedHash: Buffer;
  /** Monotonic time after which nothing is sent: the rest of the lease is for exchange, journal and commit. */
  sendUntilMs: number;
  /** Holds the advisory lock of a provider that must never see a token twice. */
  session: Session | undefined;
  /** The database's clock, carried on by the monotonic one. */
  databaseNowMs(): number;
}

export type Exchanged =
  /** Certainly nothing reached the provider. `lease`: the claim is too old; `session`: the lock may be lost. */
  | { kind: 'not-sent'; why: 'unreachable' | 'lease' | 'session'; cause: unknown }
  /** The request may have been served; its answer is lost. */
  | { kind: 'lost'; cause: unknown }
  | { kind: 'answer'; answer: HttpAnswer };

class NotNow extends Error {
  readonly why: 'lease' | 'session';
  constructor(why: 'lease' | 'session') {
    super(`not sent: ${why}`);
    this.why = why;
  }
}

/** Sends the request once, over a fresh socket, and resolves when its answer is in the journal. */
export async function exchange(context: Context, request: TokenRequest, holding: Holding): Promise<Exchanged> {
  const { killPoints, clock } = context;
  if (holding.session !== undefined && !(await probe(context, holding.session))) {
    return { kind: 'not-sent', why: 'session', cause: undefined };
  }
  const crash = new AbortController();
  let answer;
  try {
    answer = await context.upstream.call({
      method: request.method,
      url: request.url,
      headers: request.headers,
      ...(request.body === undefined ? {} : { body: request.body }),
      ...(request.tls === undefined ? {} : { tls: request.tls }),
      timeoutMs: EXCHANGE_TIMEOUT_MS,
      bodyBytesMax: REPLY_BYTES_MAX,
      fresh: true,
      signal: crash.signal,
      onRequestSent() {
        if (clock.monotonicMs() > holding.sendUntilMs) throw new NotNow('lease');
        if (holding.session?.alive === false) throw new NotNow('session');
        killPoints.reach('K2', holding.connectionId);
        // The bytes go out in this same turn; the microtask runs right after.
        queueMicrotask(() => reachAfterSend(context, holding, crash));
      },
      onAnswerStarted: (part) => killPoints.reach(part === 'head' ? 'K4' : 'K5', holding.connectionId),
    });
  } catch (error) {
    if (crash.signal.aborted) throw crash.signal.reason;
    if (error instanceof NotNow) return { kind: 'not-sent', why: error.why, cause: error };
    if (!(error instanceof UpstreamFailure)) throw error;
    if (!error.requestSent) return { kind: 'not-sent', why: 'unreachable', cause: error };
    return { kind: 'lost', cause: error };
  }
  killPoints.reach('K6', holding.connectionId);
  const place = { environmentId: holding.environmentId, connectionId: holding.connectionId, epoch: holding.epoch };
  await context.journal.keep({
    ...place,
    rtUsedHash: holding.rtUsedHash,
    replySealed: await context.journal.seal(place, keptReply(holding.integrationId, answer)),
    receivedAtMs: holding.databaseNowMs(),
  });
  killPoints.reach('K7', holding.connectionId);
  return { kind: 'answer', answer };
}

/** K3: the request is out, the provider has it or will have it. */
function reachAfterSend(context: Context, { connectionId }: Holding, crash: AbortController): void {
  try {
    context.killPoints.reach('K3', connectionId);
  } catch (error) {
    crash.abort(error); // only a test's kill point throws
  }
}

/** True when the session, and with it the lock, is certainly still ours. */
async function probe(context: Context, session: Session): Promise<boolean> {
  const answered = new AbortController();
  const late = context.clock.sleep(PROBE_TIMEOUT_MS, answered.signal).then(
    () => false,
    () => false, // aborted: the answer was first
  );
  const alive = probeSession(session).then(
    () => session.alive,
    (error: unknown) => {
      context.log.warn('the lock of a refresh was lost before anything was sent', { error: errorText(error) });
      return false;
    },
  );
  try {
    return await Promise.race([alive, late]);
  } finally {
    answered.abort();
  }
}

/** True for a database that is away for now: what was begun must be repeated, not given up. */
export function isDatabaseTrouble(error: unknown): boolean {
  return isHawserError(error, 'database_unavailable', 'database_busy', 'database_full', 'database_commit_unknown');
}
