/** Nodes with encryption keys of one's choice on one database, filled with every kind of sealed value. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLog } from '../../src/base/log.ts';
import { readConfig } from '../../src/config.ts';
import type { Credential } from '../../src/features/credentials/index.ts';
import type { SealedPlace, Vault } from '../../src/features/environments/index.ts';
import { SEALED_COLUMNS } from '../../src/features/environments/keys-columns.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { keyringFrom, type Keyring } from '../../src/platform/keyring/index.ts';
import { openDatabase, type Database } from '../../src/platform/postgres/index.ts';
import { startHawser, type Hawser } from '../../src/shell/node.ts';
import { createTestDatabase } from '../support/database.ts';

export interface KeyStage {
  /** For looking at rows. */
  db: Database;
  databaseUrl: string;
  dataDir: string;
  /** A node that can read all these keys; the first is its active one. */
  startNode(...keys: string[]): Promise<Hawser>;
  close(): Promise<void>;
}

export async function startKeyStage(): Promise<KeyStage> {
  const dataDir = await mkdtemp(join(tmpdir(), 'hawser-keys-'));
  const database = await createTestDatabase({ poolSize: 4 });
  const nodes: { hawser: Hawser; db: Database }[] = [];
  return {
    db: database.db,
    databaseUrl: database.url,
    dataDir,
    async startNode(...keys) {
      const db = await openDatabase({ url: database.url, poolSize: 6, log: silentLog, clock: systemClock });
      try {
        const hawser = await startHawser({
          config: readConfig('dev', { HAWSER_PORT: '0', HAWSER_DATA_DIR: join(dataDir, `${nodes.length}`) }),
          db,
          keyring: ringOf(...keys),
          log: silentLog,
          version: '0.0.0-test',
        });
        nodes.push({ hawser, db });
        return hawser;
      } catch (error) {
        await db.close();
        throw error;
      }
    },
    async close() {
      for (const { hawser, db } of nodes) {
        await hawser.close();
        await db.close();
      }
      await database.drop();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

export function ringOf(active: string = '', ...others: string[]): Keyring {
  return keyringFrom(active, others) as Keyring;
}

export interface Filled {
  environmentId: number;
  /** Public connection ids by index; the token of number `i` is `tokenOf(i, 0)`. */
  connectionIds: string[];
  integrationKey: string;
}

export const tokenOf = (index: number, version: number): string => `access-${index}-${version}`;
export const refreshOf = (index: number, version: number): string => `refresh-${index}-${version}`;

export function credentialOf(index: number, version: number): Credential {
  return {
    type: 'OAUTH2',
    access_token: tokenOf(index, version),
    refresh_token: refreshOf(index, version),
    raw: {},
    config_override: undefined,
  };
}

/** Makes an environment with `connections` connections, and one value in each other sealed column. */
export async function fill(hawser: Hawser, stage: KeyStage, name: string, connections: number): Promise<Filled> {
  const { environments, integrations, credentials, connections: store, disconnect, runs, records } = hawser.services;
  const { vault } = environments;
  const { id: environmentId } = await environments.create({ name, isProduction: false });
  const integration = await integrations.create(environmentId, {
    provider: 'oauth2-generic',
    uniqueKey: 'generic',
    client: {
      type: 'OAUTH2',
      clientId: 'client',
      clientSecret: `client-secret-${name}`,
      scopes: [],
      webhookSecret: undefined,
    },
    integrationConfig: {
      authorization_url: 'https://auth.example.com/authorize',
      token_url: 'https://auth.example.com/token',
      api_base_url: 'https://api.example.com',
    },
  });
  const upsert = (connectionId: string) =>
    stage.db.transaction(async (tx) => {
      const { connection } = await store.upsert(tx, {
        environmentId,
        integrationId: integration.id,
        connectionId,
        connectionConfig: {},
      });
      await credentials.write(tx, {
        connection,
        credential: credentialOf(0, 0),
        facts: { scope: undefined, expiresAt: undefined },
      });
      return connection;
    });
  // One by the services, which shows how they write it; the others as copies of it, because thousands take long.
  const first = await upsert('customer-0');
  const rows = await stage.db.query<{ id: number }>(
    `INSERT INTO connection (environment_id, integration_id, connection_id, state)
     SELECT $1, $2, 'customer-' || n, 'active' FROM generate_series(1, $3) n RETURNING id`,
    [environmentId, integration.id, connections - 1],
  );
  const sealed: Buffer[] = [];
  const refresh: Buffer[] = [];
  for (const [at, { id }] of rows.entries()) {
    const place = { environmentId, table: 'credential', row: id };
    const { refresh_token: token, ...resting } = credentialOf(at + 1, 0) as Credential & { refresh_token: string };
    sealed.push(await vault.seal({ ...place, column: 'sealed' }, JSON.stringify(resting)));
    refresh.push(await vault.seal({ ...place, column: 'refresh_sealed' }, token));
  }
  await stage.db.query(
    `INSERT INTO credential (environment_id, connection_id, sealed, refresh_sealed)
     SELECT $1, * FROM unnest($2::bigint[], $3::bytea[], $4::bytea[])`,
    [environmentId, rows.map((row) => row.id), sealed, refresh],
  );
  await stage.db.query(
    `INSERT INTO refresh_journal (environment_id, connection_id, epoch, rt_used_hash, reply_sealed, closed_at)
     VALUES ($1, $2, 7, '', $3, now())`,
    [environmentId, first.id, await seal(vault, environmentId, 'refresh_journal', `${first.id}:7`, 'reply_sealed')],
  );
  const flowId = crypto.randomUUID();
  await stage.db.query(
    `INSERT INTO oauth_flow (environment_id, id, state_hash, browser_hash, integration_id, connection_id, sealed,
       redirect_uri, expires_at)
     VALUES ($1, $2, $3, '', $4, 'x', $5, 'x', now() + interval '10 minutes')`,
    [
      environmentId,
      flowId,
      Buffer.from(flowId),
      integration.id,
      await seal(vault, environmentId, 'oauth_flow', flowId, 'sealed'),
    ],
  );
  await runs.variables.set(environmentId, 'REGION', 'secret of environment_variable');
  const runId = crypto.randomUUID();
  await stage.db.query(
    `INSERT INTO run (environment_id, uuid, kind, trigger, state, function_id, function_name, version, integration_id,
       input_sealed, output_sealed, finished_at) VALUES ($1, $2, 'action', 'api', 'succeeded', 1, 'x', '1', $3, $4, $5, now())`,
    [
      environmentId,
      runId,
      integration.id,
      await seal(vault, environmentId, 'run', runId, 'input_sealed'),
      await seal(vault, environmentId, 'run', runId, 'output_sealed'),
    ],
  );
  const taskId = crypto.randomUUID();
  await stage.db.query(
    `INSERT INTO function_task (environment_id, id, kind, state, integration_key, function_type, result_sealed)
     VALUES ($1, $2, 'dryrun', 'success', 'generic', 'action', $3)`,
    [environmentId, taskId, await seal(vault, environmentId, 'function_task', taskId, 'result_sealed')],
  );
  const inboundUuid = crypto.randomUUID();
  await stage.db.query(
    `INSERT INTO inbound_event (environment_id, uuid, integration_id, dedupe_hash, trust, headers, body_kind, body_bytes,
       body_sealed, state, due_at) VALUES ($1, $2, $3, '', 'none', '{}', 'json', 2, $4, 'routed', NULL)`,
    [
      environmentId,
      inboundUuid,
      integration.id,
      await seal(vault, environmentId, 'inbound_event', inboundUuid, 'body_sealed'),
    ],
  );
  await insertOutbound(stage, vault, environmentId);
  const written = { environmentId, connectionId: first.id, model: 'Person', syncId: 1, generation: 1 };
  await records.write({ ...written, action: 'save', records: [{ id: '1', name: 'secret of record' }] });
  const leaving = await upsert('leaving');
  await stage.db.transaction(async (tx) => {
    await disconnect.enqueue(tx, leaving);
    // Not run during the test: the task waits with its token in it.
    await tx.query(`UPDATE disconnect_task SET next_attempt_at = now() + interval '1 day'`);
  });
  return {
    environmentId,
    connectionIds: ['customer-0', ...rows.map((_, at) => `customer-${at + 1}`)],
    integrationKey: 'generic',
  };
}

/** An endpoint amid a rotation of its secret, an event sent to it, and what it answered. */
async function insertOutbound(stage: Pick<KeyStage, 'db'>, vault: Vault, environmentId: number): Promise<void> {
  const place = (table: string, row: string, column: string) => seal(vault, environmentId, table, row, column);
  const endpointId = crypto.randomUUID();
  await stage.db.query(
    `INSERT INTO endpoint (environment_id, id, role, url, secret_sealed, previous_secret_sealed, state, disabled_reason)
     VALUES ($1, $2, 'primary', 'https://app.example.com/', $3, $4, 'disabled', 'by_hand')`,
    [
      environmentId,
      endpointId,
      await place('endpoint', endpointId, 'secret_sealed'),
      await place('endpoint', endpointId, 'previous_secret_sealed'),
    ],
  );
  const eventUuid = crypto.randomUUID();
  const [delivery] = await stage.db.query<{ id: number }>(
    `WITH e AS (INSERT INTO event (environment_id, uuid, type, payload, sealed, is_handled)
                VALUES ($1, $2, 'forward', '{}', $3, true) RETURNING id)
     INSERT INTO delivery (environment_id, event_id, endpoint_id, state) SELECT $1, e.id, $4, 'delivered' FROM e
     RETURNING id`,
    [environmentId, eventUuid, await place('event', eventUuid, 'sealed'), endpointId],
  );
  await stage.db.query(
    `INSERT INTO delivery_attempt (environment_id, delivery_id, epoch, at, duration_ms, answer_sealed)
     VALUES ($1, $2, 3, now(), 1, $3)`,
    [environmentId, delivery?.id, await place('delivery_attempt', `${delivery?.id}:3`, 'answer_sealed')],
  );
  const keyId = crypto.randomUUID();
  await stage.db.query(
    `INSERT INTO previous_signing_key (environment_id, id, key_sealed, until) VALUES ($1, $2, $3, now())`,
    [environmentId, keyId, await place('previous_signing_key', keyId, 'key_sealed')],
  );
}

function seal(vault: Vault, environmentId: number, table: string, row: string, column: string): Promise<Buffer> {
  return vault.seal({ environmentId, table, row, column }, `secret of ${table}`);
}

export interface StoredValue {
  place: SealedPlace;
  sealed: Buffer;
}

/** Every sealed value of the database with the place it is bound to, by the list that rotation uses. */
export async function storedValues(db: Database): Promise<StoredValue[]> {
  const values: StoredValue[] = [];
  for (const { table, column, environment, row } of SEALED_COLUMNS) {
    const rows = await db.query<{ environment_id: number; row: string; sealed: Buffer }>(
      `SELECT ${environment} AS environment_id, (${row})::text AS row, ${column} AS sealed FROM ${table}
       WHERE ${column} IS NOT NULL`,
    );
    values.push(
      ...rows.map((one) => ({
        place: { environmentId: one.environment_id, table, row: one.row, column },
        sealed: one.sealed,
      })),
    );
  }
  return values;
}
