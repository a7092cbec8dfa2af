/**
 * The one write that a single-use grant allows (Checkbook pays with it). Before the write is sent, a row claims it for
 * this node; two writes at the same moment, on any node, then cannot both go out.
 *
 *   no row, or settled ─▶ open       claimed, the write is sent
 *   open ─▶ no row                   refused by the provider, or never sent: free again
 *   open ─▶ settled, state spent     done, or the outcome is unknown
 *
 * A node that dies leaves an open row. It counts as "outcome unknown" once it is older than any write lives, unless the
 * customer has connected again since: told by the next write, or by a sweep.
 */
import { randomId } from '../../base/ids.ts';
import { errorText } from '../../base/log.ts';
import { connectionErrors, type ConnectionState } from '../connections/index.ts';
import type { LiveConnection } from '../credentials/index.ts';
import { proxyErrors } from './errors.ts';
import type { ProxyLimits } from './limits.ts';
import type { ProxyDeps, WriteClaim } from './model.ts';
import type { Call } from './read-call.ts';
import { deleteClaim, insertClaim, replaceClaim, selectOpenClaim, selectStaleClaims, settleClaim } from './store.ts';

/** States that a grant of unknown outcome is moved from; a connection that has ended otherwise stays as it is. */
const USABLE: ConnectionState[] = ['active', 'expiring', 'not_ready', 'needs_reauth'];

/** With one of these a GET may be a write to the provider. */
const METHOD_OVERRIDES = ['x-http-method-override', 'x-http-method', 'x-method-override'];

const READING_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);

/** True when this call would use up the grant of this connection. */
export function usesUpGrant(call: Call, live: LiveConnection): boolean {
  const scope = live.integration.provider.api.spentAfterWriteWithScope;
  if (scope === undefined) return false;
  if (READING_METHODS.has(call.method) && !METHOD_OVERRIDES.some((name) => call.headers.has(name))) return false;
  return (live.scope ?? '').split(/[\s,+]+/).includes(scope);
}

/** Claims ended in one sweep; a node that dies leaves a handful. */
const SWEPT_MAX = 100;

export interface SingleUseWrites {
  /** Claims the write. Errors: `connection_spent`, `connection_write_in_flight`, `unknown_connection`. */
  claim(live: LiveConnection): Promise<WriteClaim>;
  /** Settles what dead nodes have left. Resolves to the number of claims that were ended. */
  sweep(): Promise<number>;
  /** Resolves when no write of this node is under way. */
  settled(): Promise<void>;
}

/** What an answer says about a write. Only a refusal by status is sure that nothing was done. */
function outcomeOf(status: number): 'used' | 'refused' | 'unknown' {
  if (status >= 200 && status < 300) return 'used';
  return status >= 400 && status < 500 && status !== 408 ? 'refused' : 'unknown';
}

export function createSingleUseWrites(
  deps: Pick<ProxyDeps, 'db' | 'connections' | 'credentials' | 'log'>,
  limits: ProxyLimits,
): SingleUseWrites {
  const { db, connections, credentials, log } = deps;
  // Twice the longest life of a write: the node that holds it has surely given up.
  const staleMs = limits.singleUseWriteMsMax * 2;
  const underWay = new Set<Promise<void>>();

  async function markUnknown(environmentId: number, id: number, claim: string): Promise<void> {
    await db.transaction(async (tx) => {
      await connections.setState(tx, { environmentId, id, state: 'spent', reason: 'outcome_unknown', from: USABLE });
      await settleClaim(tx, environmentId, id, claim);
    });
  }

  /** Somebody else's open claim: in flight, left by a dead node, or left from a grant that is no more. */
  async function meetOpenClaim(live: LiveConnection, claim: string): Promise<void> {
    const { environmentId, id } = live.connection;
    const open = await selectOpenClaim(db, environmentId, id, staleMs);
    if (open === undefined || !open.isStale) throw proxyErrors.fail('connection_write_in_flight');
    const now = await connections.byId(environmentId, id);
    const reconnected = now?.state === 'active' && now.stateSince > open.claimedAt;
    if (reconnected && (await replaceClaim(db, environmentId, id, open.claim, claim))) return;
    if (reconnected) throw proxyErrors.fail('connection_write_in_flight');
    await markUnknown(environmentId, id, open.claim);
    throw proxyErrors.fail('connection_spent');
  }

  /** True when the claim is of an earlier grant than the one that is there now. */
  async function isOfEarlierGrant(environmentId: number, id: number, claimedAt: Date): Promise<boolean> {
    const now = await connections.byId(environmentId, id);
    return now === undefined || (now.state === 'active' && now.stateSince > claimedAt);
  }

  function openClaim(live: LiveConnection, claim: string): WriteClaim {
    const { environmentId, id } = live.connection;
    const settled = Promise.withResolvers<void>();
    underWay.add(settled.promise);
    let ending: Promise<void> | undefined;
    async function end(outcome: 'used' | 'refused' | 'unknown'): Promise<void> {
      try {
        if (outcome === 'refused') await deleteClaim(db, environmentId, id, claim);
        else if (outcome === 'unknown') await markUnknown(environmentId, id, claim);
        else {
          await credentials.spend(live);
          await db.transaction(async (tx) => {
            // A state that says "reconnect" is no way around: a spent grant is spent.
            await connections.setState(tx, { environmentId, id, state: 'spent', from: ['needs_reauth'] });
            await settleClaim(tx, environmentId, id, claim);
          });
        }
      } catch (error) {
        // The claim stays and keeps refusing writes: the safe side.
        const fields = { outcome, connection: id, error: errorText(error) };
        log.error('a single-use write could not be settled; its grant stays blocked', fields);
      } finally {
        underWay.delete(settled.promise);
        settled.resolve();
      }
    }
    return {
      answered: (status) => (ending ??= end(outcomeOf(status))),
      failed: (sent) => (ending ??= end(sent ? 'unknown' : 'refused')),
    };
  }

  return {
    async sweep() {
      const stale = await selectStaleClaims(db, staleMs, SWEPT_MAX);
      for (const { environmentId, id, claim, claimedAt } of stale) {
        if (await isOfEarlierGrant(environmentId, id, claimedAt)) await settleClaim(db, environmentId, id, claim);
        else await markUnknown(environmentId, id, claim);
      }
      return stale.length;
    },
    async settled() {
      await Promise.all(underWay);
    },
    async claim(live) {
      const { environmentId, id } = live.connection;
      const claim = randomId();
      if (!(await insertClaim(db, environmentId, id, claim))) await meetOpenClaim(live, claim);
      // Read after the claim: whoever spent the grant before has said so by now.
      const now = await connections.byId(environmentId, id);
      if (now === undefined || now.state === 'spent') {
        await settleClaim(db, environmentId, id, claim);
        throw now === undefined ? connectionErrors.fail('unknown_connection') : proxyErrors.fail('connection_spent');
      }
      return openClaim(live, claim);
    },
  };
}
