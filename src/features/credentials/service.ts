import { isHawserError } from '../../base/errors.ts';
import { errorText } from '../../base/log.ts';
import { chosenOAuth2, readTokenAnswer } from '../../protocols/oauth2/index.ts';
import type { Sql } from '../../platform/postgres/index.ts';
import { grantRowOf, type Connection, type ConnectionState } from '../connections/index.ts';
import { createLiveCache } from './cache.ts';
import type { Context } from './context.ts';
import { createJournal, replyOf } from './journal.ts';
import type { Credential, Credentials, CredentialsDeps, LateGrant, RefreshTimes } from './model.ts';
import { createPace } from './pace.ts';
import { createReader } from './read.ts';
import { openGrant, sealGrant } from './seal.ts';
import { deleteCredential, selectByAccessHash, selectCredential, upsertGrant } from './store.ts';
import { closeReply, deleteClosedOf, deleteReply, selectLateReplies } from './store-journal.ts';
import { sweepCredentials } from './sweep.ts';
import { createUnauthorized } from './unauthorized.ts';

const SWEEP_INTERVAL_MS = 60_000;
const REFRESH_TIMES: RefreshTimes = { leaseMs: 30_000, startsPerSecond: 20 };
/** Waits between two tries to flush the spool at shutdown. */
const DRAIN_RETRY_MS = 500;

export type { Credentials } from './model.ts';

/** Answers spooled by an earlier process are flushed by the first sweep. */
export function createCredentials(deps: CredentialsDeps): Credentials {
  const { db, vault, connections, log, clock } = deps;
  const context: Context = {
    ...deps,
    times: { ...REFRESH_TIMES, ...deps.times },
    isQuarantined: deps.isQuarantined ?? (() => false),
    journal: createJournal(deps),
    cache: createLiveCache(deps),
    pace: createPace(clock),
    stopping: new AbortController(),
  };
  const reader = createReader(context);
  const unauthorized = createUnauthorized(context, (loaded) =>
    reader.refresh(loaded, { force: false, refused: true, urgent: true }),
  );

  let sweeping = false;
  async function sweepQuietly(): Promise<void> {
    if (sweeping) return;
    sweeping = true;
    try {
      await sweepCredentials(context, reader);
    } catch (error) {
      log.warn('the sweep of credentials failed; it runs again in a minute', { error: errorText(error) });
    }
    sweeping = false;
  }

  async function wipe(tx: Sql, connection: Connection) {
    const row = await deleteCredential(tx, connection.environmentId, grantRowOf(connection));
    await deleteClosedOf(tx, connection.environmentId, grantRowOf(connection));
    context.cache.drop(connection.environmentId, grantRowOf(connection));
    return row;
  }

  return {
    async write(tx, { connection, credential, facts }) {
      const place = { environmentId: connection.environmentId, connectionId: grantRowOf(connection) };
      const expiresAtMs = facts.expiresAt?.getTime() ?? expiryOf(credential);
      const grant = await sealGrant(vault, place, credential, facts.scope);
      await upsertGrant(tx, grant, expiresAtMs === undefined ? null : expiresAtMs - clock.now());
      // This node reads its own write; what a reading in between keeps is dropped by the notification.
      context.cache.drop(place.environmentId, place.connectionId);
    },
    peek: (...name) => reader.peek(...name),
    live: (...name) => reader.live(...name),
    afterUnauthorized: (live) => unauthorized.after(live),
    async spend({ connection }) {
      const { environmentId } = connection;
      const grantRow = grantRowOf(connection);
      const from: ConnectionState[] = ['active', 'expiring', 'not_ready'];
      await connections.setGrantState(db, { environmentId, grantRow, state: 'spent', from });
      context.cache.drop(environmentId, grantRow);
    },
    async findByToken(environmentId, token) {
      const rows = await selectByAccessHash(db, environmentId, await vault.lookupHash(environmentId, token));
      const found = await Promise.all(rows.map((row) => connections.ofGrant(db, environmentId, row)));
      return found.flat();
    },
    tokenHash: (environmentId, token) => vault.lookupHash(environmentId, token),
    async forget(tx, connection) {
      await wipe(tx, connection);
    },
    async take(tx, connection) {
      const { environmentId, id } = connection;
      const users = await connections.ofGrant(tx, environmentId, grantRowOf(connection));
      if (users.some((user) => user.id !== id)) return 'shared';
      const row = await wipe(tx, connection);
      return row && openGrant(vault, row);
    },
    async open(connection, sql = db) {
      const row = await selectCredential(sql, connection.environmentId, grantRowOf(connection));
      return (
        row && {
          credential: await openGrant(vault, row),
          scope: row.scope ?? undefined,
          authorizedAt: row.authorized_at,
        }
      );
    },
    late: (limit) => readLate(context, limit),
    wipeLate: (tx, grant) => deleteReply(tx, grant.environmentId, grant.journalId),
    get unflushed() {
      return context.journal.unflushed;
    },
    sweep: () => sweepCredentials(context, reader),
    start() {
      void sweepQuietly();
      return clock.every(SWEEP_INTERVAL_MS, () => void sweepQuietly());
    },
    async drain() {
      const ended = reader.drain();
      deps.killPoints.reach('K12');
      await ended;
      // An exit with an answer on disk only would be safe, but the next node should not have to wait for this disk.
      for (;;) {
        try {
          await context.journal.flushSpool();
          break;
        } catch (error) {
          log.error('provider answers are still on disk; waiting for the database', { error: errorText(error) });
        }
        await clock.sleep(DRAIN_RETRY_MS);
      }
      await context.cache.close();
    },
  };
}

function expiryOf(credential: Credential): number | undefined {
  if (!('expires_at' in credential) || credential.expires_at === undefined) return undefined;
  const expiresAtMs = Date.parse(credential.expires_at);
  return Number.isNaN(expiresAtMs) ? undefined : expiresAtMs;
}

/** Opens the answers of deleted connections; those without a token are closed in passing. */
async function readLate(context: Context, limit: number): Promise<LateGrant[]> {
  await context.journal.flushSpool();
  const late: LateGrant[] = [];
  for (const row of await selectLateReplies(context.db, limit)) {
    const place = { environmentId: row.environment_id, connectionId: row.connection_id, epoch: row.epoch };
    try {
      const kept = await context.journal.open(place, row.reply_sealed);
      const integration = await context.integrations.byId(row.environment_id, kept.integrationId);
      const oauth2 =
        integration &&
        chosenOAuth2({
          provider: integration.provider,
          integrationConfig: integration.integrationConfig,
          connectionConfig: {},
        });
      const read = oauth2 && readTokenAnswer(oauth2, replyOf(kept), row.received_at.getTime());
      if (!read?.ok) {
        await closeReply(context.db, place);
        continue;
      }
      late.push({
        environmentId: row.environment_id,
        connectionId: row.connection_id,
        integrationId: kept.integrationId,
        journalId: row.id,
        accessToken: read.accessToken,
        refreshToken: read.refreshToken,
      });
    } catch (error) {
      if (!isHawserError(error, 'sealed')) throw error;
      context.log.error('a late answer cannot be opened', { connection: row.connection_id, error: errorText(error) });
    }
  }
  return late;
}
