import { isHawserError } from '../../base/errors.ts';
import { errorText } from '../../base/log.ts';
import type { Connection } from '../connections/index.ts';
import type { Accounts, AccountsDeps } from './model.ts';
import { elsewhereNote, list, members } from './listing.ts';
import { admit, decide } from './policy.ts';
import { becameReady, wasDeauthorized } from './provider-events.ts';
import { askReadiness } from './readiness.ts';
import { isSameGrant, settle } from './settle.ts';
import { existsElsewhere, selectNotReady } from './store.ts';

/** Providers review accounts within days; an event that got lost costs an hour at most. */
const SWEEP_INTERVAL_MS = 3_600_000;
/** Asked about in one round: more than any app has at one time. */
const ASKED_MAX = 10_000;
const BATCH_MAX = 100;

export function createAccounts(deps: AccountsDeps): Accounts {
  const { db, clock, log, integrations, connections, credentials } = deps;

  async function ask(connection: Connection): Promise<void> {
    const { environmentId, integrationId, connectionId } = connection;
    const integration = await integrations.byId(environmentId, integrationId);
    if (integration?.provider.account?.readiness === undefined) return;
    const live = await credentials.live(environmentId, integration.uniqueKey, connectionId);
    const told = await askReadiness(deps, integration, connection.connectionConfig, live.credential);
    if (told.ready !== true) return;
    await db.transaction((tx) => becameReady(deps, tx, integration, [connection]));
  }

  async function askQuietly(environmentId: number, id: number): Promise<void> {
    try {
      const connection = await connections.byId(environmentId, id);
      if (connection !== undefined) await ask(connection);
    } catch (error) {
      if (!isHawserError(error)) throw error;
      log.warn('an account could not be asked whether it is ready', { connection: id, error: errorText(error) });
    }
  }

  async function sweep(): Promise<number> {
    if (deps.isQuarantined?.() === true) return 0;
    let asked = 0;
    let last = { environment_id: 0, id: 0 };
    while (asked < ASKED_MAX) {
      const waiting = await selectNotReady(db, last, BATCH_MAX);
      for (const one of waiting) await askQuietly(one.environment_id, one.id);
      asked += waiting.length;
      last = waiting.at(-1) ?? last;
      if (waiting.length < BATCH_MAX) break;
    }
    return asked;
  }

  return {
    readiness: (...input) => askReadiness(deps, ...input),
    async admit(tx, arrival) {
      const admission = await admit(connections, tx, arrival);
      const { environmentId, accountId, integration } = arrival;
      const isElsewhere =
        accountId !== undefined &&
        (await existsElsewhere(tx, { environmentId, provider: integration.provider.name, accountId }));
      return { ...admission, note: isElsewhere ? elsewhereNote(integration.provider) : undefined };
    },
    async takesPlace(arrival, credential) {
      const { existing, grantOf } = await decide(connections, db, arrival);
      const grantRow = grantOf ?? existing?.id;
      if (grantRow === undefined) return false;
      const users = await connections.ofGrant(db, arrival.environmentId, grantRow);
      const other = users.find(({ id }) => id !== existing?.id);
      if (other === undefined) return false;
      const stored = await credentials.open(other);
      return stored === undefined || !isSameGrant(stored.credential, credential);
    },
    settle: (tx, input) => settle(deps, tx, input),
    async refused({ environmentId, integration, connectionId, accountId }, credential, reconnect) {
      await db.transaction(async (tx) => {
        const holder =
          (await connections.byPublicId(environmentId, integration.id, connectionId, tx)) ??
          reconnect ??
          (accountId === undefined
            ? undefined
            : await connections.anyOfAccount(tx, environmentId, integration.id, accountId));
        if (holder !== undefined) await deps.disconnect.replaced(tx, holder, integration, credential);
      });
    },
    async onProviderEvent(event, matched, tx) {
      if (event.meaning === undefined) return undefined;
      const integration = await integrations.byId(event.environmentId, event.integrationId);
      if (integration === undefined) return undefined;
      const found = await Promise.all(matched.map(({ id }) => connections.byId(event.environmentId, id, tx)));
      const living = found.filter((connection) => connection !== undefined);
      switch (event.meaning) {
        case 'account_ready':
          return becameReady(deps, tx, integration, living);
        case 'deauthorized':
          return wasDeauthorized(deps, tx, event, integration, living);
      }
    },
    list: (environmentId, query) => list(deps, environmentId, query),
    members: (...query) => members(deps, ...query),
    sweep,
    start() {
      let sweeping = false;
      return clock.every(SWEEP_INTERVAL_MS, () => {
        if (sweeping) return;
        sweeping = true;
        sweep()
          .catch((error: unknown) => log.warn('the sweep of accounts failed', { error: errorText(error) }))
          .finally(() => {
            sweeping = false;
          });
      });
    },
  };
}
