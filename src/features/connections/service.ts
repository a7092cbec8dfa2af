import type { Clock } from '../../base/clock.ts';
import { errorText, type Log } from '../../base/log.ts';
import { createTogether } from '../../base/together.ts';
import { afterCommit, type Database, type Sql } from '../../platform/postgres/index.ts';
import type { Vault } from '../environments/index.ts';
import type { Connection, ConnectionState, EndUser } from './model.ts';
import {
  existsSibling,
  mergeConfig,
  selectById,
  selectByPublicId,
  selectByPublicIds,
  type PublicKey,
  selectOfIntegration,
  softDelete,
  updateMetadata,
  updatePatch,
  updateState,
  updateTouched,
  upsertConnection,
  upsertEndUser,
} from './store.ts';
import {
  lockAccount,
  lockGrantRow,
  selectAnyOfAccount,
  selectGrantUsers,
  selectOfAccount,
  updateGrantOf,
  updateGrantState,
} from './store-grants.ts';
import { selectEndUser, selectListed, type ListedConnection, type ListQuery } from './store-list.ts';
import { createEventWriter, type NewEvent } from './write-event.ts';

export interface UpsertInput {
  environmentId: number;
  integrationId: number;
  connectionId: string;
  connectionConfig: Record<string, unknown>;
  /** Keys of the config that are no longer true when they are not told anew. Default none. */
  configForgotten?: readonly string[] | undefined;
  metadata?: Record<string, unknown> | undefined;
  tags?: Record<string, string> | undefined;
  endUser?: EndUser | undefined;
  accountId?: string | undefined;
  webhookUrlOverride?: string | undefined;
  /** Default `active`. */
  state?: ConnectionState;
  stateReason?: string | undefined;
}

export interface Connections {
  /** `sql`: default outside of any transaction. */
  byId(environmentId: number, id: number, sql?: Sql): Promise<Connection | undefined>;
  byPublicId(
    environmentId: number,
    integrationId: number,
    connectionId: string,
    sql?: Sql,
  ): Promise<Connection | undefined>;
  ofIntegration(sql: Sql, environmentId: number, integrationId: number): Promise<Connection[]>;
  list(query: ListQuery): Promise<ListedConnection[]>;
  endUser(environmentId: number, id: string): Promise<EndUser | undefined>;
  /** Inserts, or overrides the living connection of that name. The credential is the caller's next step. */
  upsert(tx: Sql, input: UpsertInput): Promise<{ connection: Connection; operation: 'creation' | 'override' }>;
  /** Resolves to undefined when nothing moved: already so, or not in `from`. Writes one event otherwise. */
  setState(
    sql: Sql,
    move: { environmentId: number; id: number; state: ConnectionState; reason?: string; from?: ConnectionState[] },
  ): Promise<Connection | undefined>;
  markDeleted(tx: Sql, environmentId: number, id: number): Promise<boolean>;
  /** Living connections that use the grant kept in this row. */
  ofGrant(sql: Sql, environmentId: number, grantRow: number): Promise<Connection[]>;
  /** Like `setState` for all living connections that use the grant. Resolves to those that moved. */
  setGrantState(
    sql: Sql,
    move: {
      environmentId: number;
      grantRow: number;
      state: ConnectionState;
      reason?: string;
      from?: ConnectionState[];
    },
  ): Promise<Connection[]>;
  /** Must come before any other lock of a transaction that changes who uses a grant. */
  lockGrant(tx: Sql, environmentId: number, grantRow: number): Promise<void>;
  /** Makes a connection use the grant kept in another row; undefined: its own. */
  useGrant(tx: Sql, environmentId: number, id: number, grantOf: number | undefined): Promise<void>;
  /** From now on the transaction is the only one that connects to the account. */
  lockAccount(tx: Sql, environmentId: number, integrationId: number, accountId: string): Promise<void>;
  /** Living connections of an account, oldest first. */
  ofAccount(sql: Sql, environmentId: number, integrationId: number, accountId: string): Promise<Connection[]>;
  /** A connection of an account, living or not: what a grant without a connection is hung on to be let go of. */
  anyOfAccount(
    sql: Sql,
    environmentId: number,
    integrationId: number,
    accountId: string,
  ): Promise<Connection | undefined>;
  /** True when the account of this connection has another living connection of the same integration. */
  hasSibling(environmentId: number, id: number): Promise<boolean>;
  /** Takes over what the provider has told anew; values must be checked before. */
  learn(tx: Sql, environmentId: number, id: number, values: Record<string, string>): Promise<void>;
  patch(input: {
    environmentId: number;
    id: number;
    endUser?: EndUser | undefined;
    tags?: Record<string, string> | undefined;
    webhookUrlOverride?: string | undefined;
  }): Promise<void>;
  /** All or nothing: resolves to the ids that are unknown, and then nothing was written. */
  setMetadata(input: {
    environmentId: number;
    integrationId: number;
    connectionIds: string[];
    metadata: object;
    merge: boolean;
  }): Promise<string[]>;
  /** Notes a read; written within some seconds, never waits. */
  touchFetched(environmentId: number, id: number): void;
  /** Notes a call the provider answered well. */
  touchGoodCall(environmentId: number, id: number): void;
  /**
   * Writes what the app will be told, in the transaction that caused it. A provider's data (`forward`) is sealed. Several
   * asked for before the first is awaited are one statement.
   */
  writeEvent(sql: Sql, event: NewEvent): Promise<void>;
  /** Calls `look` when events that this node has written are committed, until the returned function is called. */
  onEvents(look: () => void): () => void;
  close(): Promise<void>;
}

/** These times are for people; some seconds of delay spare a write per call. */
const TOUCH_INTERVAL_MS = 2_000;

export function createConnections(deps: { db: Database; clock: Clock; log: Log; vault: Vault }): Connections {
  const { db, clock, log, vault } = deps;
  const write = createEventWriter(vault);
  const fetched = createTouches('last_fetched_at');
  const goodCalls = createTouches('last_good_call_at');

  function createTouches(column: 'last_fetched_at' | 'last_good_call_at') {
    let touched = new Map<string, { environmentId: number; id: number; at: Date }>();
    return {
      note(environmentId: number, id: number): void {
        touched.set(`${environmentId}:${id}`, { environmentId, id, at: new Date(clock.now()) });
      },
      async flush(): Promise<void> {
        if (touched.size === 0) return;
        const batch = [...touched.values()];
        touched = new Map();
        await updateTouched(db, column, batch).catch((error: unknown) =>
          log.warn('could not note when connections were used', { error: errorText(error), count: batch.length }),
        );
      },
    };
  }

  /** Its statement begins after each was asked: what was committed before is seen. */
  const readTogether = createTogether(
    async (keys: readonly PublicKey[]) => {
      const [first] = keys;
      if (first === undefined || keys.length > 1) return selectByPublicIds(db, keys);
      return [await selectByPublicId(db, first.environmentId, first.integrationId, first.connectionId)];
    },
    { clock },
  );

  const lookers = new Set<() => void>();
  function told(sql: Sql): void {
    for (const look of lookers) afterCommit(sql, look);
  }

  const stop = clock.every(TOUCH_INTERVAL_MS, () => {
    void fetched.flush();
    void goodCalls.flush();
  });

  return {
    byId: (environmentId, id, sql = db) => selectById(sql, environmentId, id),
    byPublicId: (environmentId, integrationId, connectionId, sql) =>
      sql === undefined
        ? readTogether({ environmentId, integrationId, connectionId })
        : selectByPublicId(sql, environmentId, integrationId, connectionId),
    ofIntegration: selectOfIntegration,
    list: (query) => selectListed(db, query),
    endUser: (environmentId, id) => selectEndUser(db, environmentId, id),
    async upsert(tx, input) {
      if (input.endUser !== undefined) await upsertEndUser(tx, input.environmentId, input.endUser);
      const { connection, created } = await upsertConnection(tx, {
        environmentId: input.environmentId,
        integrationId: input.integrationId,
        connectionId: input.connectionId,
        connectionConfig: input.connectionConfig,
        configForgotten: input.configForgotten ?? [],
        metadata: input.metadata,
        tags: input.tags,
        endUserId: input.endUser?.id,
        accountId: input.accountId,
        webhookUrlOverride: input.webhookUrlOverride,
        state: input.state ?? 'active',
        stateReason: input.stateReason,
      });
      return { connection, operation: created ? 'creation' : 'override' };
    },
    async setState(sql, move) {
      const moved = await updateState(sql, { ...move, reason: move.reason, from: move.from });
      if (moved !== undefined) told(sql);
      return moved;
    },
    markDeleted: softDelete,
    ofGrant: selectGrantUsers,
    async setGrantState(sql, move) {
      const moved = await updateGrantState(sql, { ...move, reason: move.reason, from: move.from });
      if (moved.length > 0) told(sql);
      return moved;
    },
    lockGrant: lockGrantRow,
    useGrant: (tx, environmentId, id, grantOf) => updateGrantOf(tx, environmentId, id, grantOf ?? null),
    lockAccount,
    ofAccount: selectOfAccount,
    anyOfAccount: selectAnyOfAccount,
    hasSibling: (environmentId, id) => existsSibling(db, environmentId, id),
    learn: mergeConfig,
    async patch(input) {
      await db.transaction(async (tx) => {
        if (input.endUser !== undefined) await upsertEndUser(tx, input.environmentId, input.endUser);
        await updatePatch(tx, {
          environmentId: input.environmentId,
          id: input.id,
          endUserId: input.endUser?.id,
          tags: input.tags,
          webhookUrlOverride: input.webhookUrlOverride,
        });
      });
    },
    async setMetadata(input) {
      let unknown: string[] = [];
      const rollback = new Error('unknown connection');
      try {
        await db.transaction(async (tx) => {
          const found = new Set(await updateMetadata(tx, input));
          unknown = input.connectionIds.filter((id) => !found.has(id));
          if (unknown.length > 0) throw rollback;
        });
      } catch (error) {
        if (error !== rollback) throw error;
      }
      return unknown;
    },
    touchFetched: (environmentId, id) => fetched.note(environmentId, id),
    touchGoodCall: (environmentId, id) => goodCalls.note(environmentId, id),
    async writeEvent(sql, event) {
      await write(sql, event);
      told(sql);
    },
    onEvents(look) {
      lookers.add(look);
      return () => void lookers.delete(look);
    },
    async close() {
      stop();
      await Promise.all([fetched.flush(), goodCalls.flush()]);
    },
  };
}
