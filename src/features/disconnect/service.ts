import { errorText } from '../../base/log.ts';
import type { Sql } from '../../platform/postgres/index.ts';
import { grantRowOf, type Connection } from '../connections/index.ts';
import type { Credential } from '../credentials/index.ts';
import { adoptLateGrants } from './late.ts';
import { letGo, type LetGo } from './let-go.ts';
import type { Disconnect, DisconnectDeps, DisconnectResult, TaskSecret } from './model.ts';
import { openSecret, sealSecret } from './secret.ts';
import {
  claimDueTasks,
  finishTask,
  forgetEchoes,
  noteEcho,
  noteEchoesOf,
  postponeTask,
  selectLetGo,
  selectTask,
  upsertTask,
  type TaskRow,
} from './store.ts';

export type { Disconnect } from './model.ts';

/** How long the caller of a delete waits for the provider. */
const REPLY_WAIT_MS = 5_000;
/** Longer than the provider's deadline and the commit after it: nobody else asks meanwhile. */
const LEASE_MS = 60_000;
const RETRY_FIRST_MS = 60_000;
const RETRY_MAX_MS = 6 * 3_600_000;
/** A retry's token is kept no longer than this. */
const GIVE_UP_MS = 7 * 24 * 3_600_000;
/** A provider's own event about a disconnect of ours is expected for this long. */
const ECHO_MS = 24 * 3_600_000;
const SWEEP_INTERVAL_MS = 10_000;
const BATCH_MAX = 10;
const SHARED_DETAIL = 'This copy was wiped; the grant stays, because another connection uses the same token.';
const ACCOUNT_DETAIL =
  'This copy was wiped; the grant stays, because the provider would end the other connections of the account with it.';
const MEMBERS_DETAIL = 'This connection has left; the grant stays, because other members of the account use it.';
const QUARANTINE_DETAIL = 'The provider is asked once the operator has accepted the restored database.';
const GONE_DETAIL = 'The integration or its provider is no longer known here.';

export function createDisconnect(deps: DisconnectDeps): Disconnect {
  const { db, clock, log, vault, connections, credentials } = deps;
  const isQuarantined = deps.isQuarantined ?? (() => false);
  const running = new Set<Promise<unknown>>();

  function track<T>(promise: Promise<T>): Promise<T> {
    const ended: Promise<unknown> = promise.then(
      () => running.delete(ended),
      () => running.delete(ended), // the caller handles the error
    );
    running.add(ended);
    return promise;
  }

  /**
   * Deletes the connection and moves its secret into a task, all or nothing. Resolves to undefined when it was let go
   * before. `claimed`: the caller works on the task at once.
   */
  async function begin(tx: Sql, known: Connection, claimed: boolean): Promise<TaskRow | undefined> {
    const { environmentId, id: connectionId } = known;
    // Who uses a grant may have changed since the caller looked.
    const connection = await connections.byId(environmentId, connectionId, tx);
    if (connection === undefined) return undefined;
    await connections.lockGrant(tx, environmentId, grantRowOf(connection));
    if (!(await connections.markDeleted(tx, environmentId, connectionId))) return undefined;
    await connections.setState(tx, { environmentId, id: connectionId, state: 'disconnecting' });
    await deps.events?.deleted(tx, connection);
    const taken = await credentials.take(tx, connection);
    return addGrants(tx, connection, taken === 'shared' || taken === undefined ? [] : [taken], {
      isShared: taken === 'shared',
      told: false,
      attempts: claimed ? 1 : 0,
      dueInMs: claimed ? LEASE_MS : 0,
    });
  }

  /** A task with these grants beside those it still has. */
  async function addGrants(
    tx: Sql,
    connection: Connection,
    grants: Credential[],
    values: { isShared: boolean; told: boolean; attempts: number; dueInMs: number },
  ): Promise<TaskRow> {
    const { environmentId, id: connectionId, integrationId, connectionConfig } = connection;
    const { isShared, ...task } = values;
    // A task that is not there yet cannot be locked: two that add to it would lose one of theirs.
    await connections.lockGrant(tx, environmentId, connectionId);
    const waiting = await selectTask(tx, environmentId, connectionId, { lock: true });
    const old = waiting && (await openSecret(vault, waiting));
    const secret: TaskSecret = {
      integrationId,
      connectionConfig,
      grants: [...(old?.grants ?? []), ...grants],
      ...(isShared && { isShared }),
    };
    const hashes = grants.map((grant) =>
      grant.type === 'OAUTH2' ? credentials.tokenHash(environmentId, grant.access_token) : undefined,
    );
    return upsertTask(tx, {
      environmentId,
      connectionId,
      sealed: await sealSecret(vault, { environmentId, connectionId }, secret),
      giveUpInMs: GIVE_UP_MS,
      echoHashes: grants.length === 0 ? null : (await Promise.all(hashes)).filter((hash) => hash !== undefined),
      ...task,
      // The app still has to hear of a disconnect that is under way.
      told: task.told && (waiting?.told ?? true),
    });
  }

  /** One try: provider, then outcome. A kill between the two makes the next try find the token gone. */
  async function work(task: TaskRow): Promise<DisconnectResult> {
    const { environment_id: environmentId, connection_id: connectionId } = task;
    const secret = await openSecret(vault, task);
    const result = await askProvider(environmentId, connectionId, secret);
    deps.killPoints.reach('L1');
    if (result.outcome !== 'retry') return finish(task, secret, result);
    if ((task.patience_ms ?? 0) <= 0) {
      return finish(task, secret, { ...result, outcome: 'failed', detail: `Given up after 7 days. ${result.detail}` });
    }
    const waitMs = Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** Math.min(task.attempts - 1, 20));
    const spread = ((connectionId * 7_919 + task.attempts * 104_729) % 2_000) / 10_000 - 0.1;
    const dueInMs = Math.min(waitMs * (1 + spread), Math.max(task.patience_ms ?? 0, 1));
    await postponeTask(db, { environmentId, connectionId, detail: result.detail, dueInMs });
    log.warn('a provider has not let go of a grant yet; trying again later', {
      connection: connectionId,
      attempts: task.attempts,
    });
    return { outcome: 'pending', detail: result.detail };
  }

  async function askProvider(
    environmentId: number,
    connectionId: number,
    secret: TaskSecret | undefined,
  ): Promise<LetGo & { isAsked: boolean }> {
    if (secret === undefined || secret.grants.length === 0) {
      const detail = secret?.isShared === true ? MEMBERS_DETAIL : 'There was no credential to revoke.';
      return { outcome: 'revoked', detail, isAsked: false };
    }
    const integration = await deps.integrations.byId(environmentId, secret.integrationId);
    if (integration === undefined) return { outcome: 'unsupported', detail: GONE_DETAIL, isAsked: false };
    const { disconnect } = integration.provider;
    const endsAll = 'ends' in disconnect && disconnect.ends === 'account';
    if (endsAll && (await connections.hasSibling(environmentId, connectionId))) {
      return { outcome: 'revoked', detail: ACCOUNT_DETAIL, isAsked: false };
    }
    let result: LetGo = { outcome: 'revoked' };
    let isAsked = false;
    for (const grant of secret.grants) {
      if (grant.type === 'OAUTH2' && (await credentials.findByToken(environmentId, grant.access_token)).length > 0) {
        result = { outcome: 'revoked', detail: SHARED_DETAIL };
        continue;
      }
      isAsked = true;
      result = await letGo(deps, integration, secret.connectionConfig, grant);
      if (result.outcome === 'retry') break;
    }
    return { ...result, isAsked };
  }

  /** The outcome, the wiped secret, the state and the event: one transaction. */
  async function finish(
    task: TaskRow,
    secret: TaskSecret | undefined,
    { outcome, detail, isAsked }: DisconnectResult & { isAsked: boolean },
  ): Promise<DisconnectResult> {
    const { environment_id: environmentId, connection_id: connectionId } = task;
    const integration = secret && (await deps.integrations.byId(environmentId, secret.integrationId));
    const done = await db.transaction(async (tx) => {
      // Connection before task, as everybody locks them.
      await connections.lockGrant(tx, environmentId, connectionId);
      if (!(await finishTask(tx, { environmentId, connectionId, outcome, detail, sealed: task.sealed, isAsked })))
        return false;
      if (task.told) return true;
      await connections.setState(tx, { environmentId, id: connectionId, state: 'disconnected', reason: outcome });
      await connections.writeEvent(tx, {
        environmentId,
        type: 'connection.disconnected',
        connectionId,
        payload: { outcome, detail: detail ?? null, integration: integration?.uniqueKey ?? null },
      });
      return true;
    });
    if (done) {
      deps.activity.record({
        environmentId,
        kind: 'disconnect',
        ok: outcome !== 'failed',
        connectionId,
        integration: integration?.uniqueKey,
        summary: `${task.told ? 'Let go of an earlier grant' : 'Disconnected'}: ${outcome}${detail === undefined ? '' : `. ${detail}`}`,
        detail: { outcome, attempts: task.attempts },
      });
    }
    return { outcome, detail };
  }

  /** Errors of one task do not stop the others: its lease ends and it is tried again. */
  async function workQuietly(task: TaskRow): Promise<void> {
    try {
      await work(task);
    } catch (error) {
      log.error('a disconnect could not be worked on', { connection: task.connection_id, error: errorText(error) });
    }
  }

  async function sweep(): Promise<number> {
    if (isQuarantined()) return 0;
    await adoptLateGrants(deps, GIVE_UP_MS);
    await forgetEchoes(db, ECHO_MS);
    let worked = 0;
    for (;;) {
      const due = await claimDueTasks(db, LEASE_MS, BATCH_MAX);
      await Promise.all(due.map(workQuietly));
      worked += due.length;
      if (due.length < BATCH_MAX) return worked;
    }
  }

  async function statusOf(environmentId: number, connectionId: number) {
    const task = await selectTask(db, environmentId, connectionId);
    return (
      task && {
        outcome: task.outcome,
        detail: task.detail ?? undefined,
        attempts: task.attempts,
        nextAttemptAt: task.next_attempt_at ?? undefined,
        finishedAt: task.finished_at ?? undefined,
        echoedAt: task.echoed_at ?? undefined,
      }
    );
  }

  return {
    async connection(environmentId, connection) {
      await deps.events?.deleting(connection);
      const waits = isQuarantined();
      const task = await db.transaction((tx) => begin(tx, connection, !waits));
      if (task === undefined) {
        const status = await statusOf(environmentId, connection.id);
        return status ? { outcome: status.outcome, detail: status.detail } : { outcome: 'pending' };
      }
      if (waits) return { outcome: 'pending', detail: QUARANTINE_DETAIL };
      const asking = track(work(task)).catch((error: unknown): DisconnectResult => {
        log.error('a disconnect could not be worked on', { connection: connection.id, error: errorText(error) });
        return { outcome: 'pending' };
      });
      const answered = new AbortController();
      const late = clock.sleep(REPLY_WAIT_MS, answered.signal).then(
        (): DisconnectResult => ({ outcome: 'pending', detail: 'The provider has not answered yet.' }),
        () => asking, // aborted: the provider was first
      );
      const result = await Promise.race([asking, late]);
      answered.abort();
      return result;
    },
    async enqueue(tx, connection) {
      await begin(tx, connection, false);
    },
    async replaced(tx, connection, { provider }, grant) {
      if (provider.disconnect.kind !== 'call' || provider.disconnect.endsReplaced !== true) return;
      await addGrants(tx, connection, [grant], { isShared: false, told: true, attempts: 0, dueInMs: 0 });
    },
    async echoed(tx, environmentId, token) {
      return noteEcho(tx, environmentId, await credentials.tokenHash(environmentId, token));
    },
    letGoOf: selectLetGo,
    noteEchoes: noteEchoesOf,
    sweep,
    start() {
      let sweeping = false;
      const stop = clock.every(SWEEP_INTERVAL_MS, () => {
        if (sweeping) return;
        sweeping = true;
        track(sweep())
          .catch((error: unknown) => log.warn('the sweep of disconnects failed', { error: errorText(error) }))
          .finally(() => {
            sweeping = false;
          });
      });
      return async () => {
        stop();
        await Promise.all(running);
      };
    },
    outcomeOf: statusOf,
  };
}
