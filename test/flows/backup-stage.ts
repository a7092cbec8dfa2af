/** An installation with connections to a scripted provider, its backups, and nodes on restored copies of it. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLog, type Log } from '../../src/base/log.ts';
import { readConfig } from '../../src/config.ts';
import type { Connection } from '../../src/features/connections/index.ts';
import type { CredentialsDeps } from '../../src/features/credentials/index.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { generateKey, keyringFrom, type Keyring } from '../../src/platform/keyring/index.ts';
import { openDatabase, type Database } from '../../src/platform/postgres/index.ts';
import { runCli } from '../../src/shell/cli/index.ts';
import { startHawser, type Hawser } from '../../src/shell/node.ts';
import { ensureEnvironments } from '../../src/shell/start/environments.ts';
import { callApi, type ApiAnswer } from '../support/app.ts';
import { anIntegration } from '../support/build.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { startTokenServer, TOKEN_SERVER_CLIENT, type TokenServer, type Tokens } from '../support/token-server.ts';

export interface Subject {
  key: string;
  connection: Connection;
  tokens: Tokens;
}

/** A node on one database, with a data folder of its own. */
export interface Site {
  hawser: Hawser;
  db: Database;
  databaseUrl: string;
  dataDir: string;
  health(): Promise<string>;
  read(subject: Subject, query?: string): Promise<ApiAnswer>;
  call(method: string, path: string, headers?: Record<string, string>): Promise<ApiAnswer>;
  /** What the app was told about the state of a connection. */
  states(subject: Subject): Promise<{ state: string; reason?: string }[]>;
  /** Moves the end of the access token and lets back-offs pass; the node knows it when it resolves. */
  endsIn(subject: Subject, ms: number): Promise<void>;
  cli(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }>;
  stop(): Promise<void>;
}

export interface BackupStage {
  server: TokenServer;
  key: string;
  directory: string;
  site: Site;
  connect(rotation: string): Promise<Subject>;
  emptyDatabase(): Promise<TestDatabase>;
  /** A node on some database; `dataDir`: default a new one. */
  open(databaseUrl: string, more?: { dataDir?: string; log?: Log; refresh?: Partial<CredentialsDeps> }): Promise<Site>;
  /** Backup of the installation, restored into a new database, with a node on it. */
  restored(file: string): Promise<Site>;
  backup(name: string): Promise<string>;
  close(): Promise<void>;
}

/** Runs a command in this process: one of its own would take a second. */
export async function cli(
  settings: Record<string, string>,
  ...args: string[]
): Promise<{ code: number; stdout: string; stderr: string }> {
  const before = { ...process.env };
  let [stdout, stderr] = ['', ''];
  Object.assign(process.env, settings);
  try {
    const code = await runCli(args, { out: (text) => (stdout += text), err: (text) => (stderr += text) });
    return { code, stdout, stderr };
  } finally {
    process.env = before;
  }
}

export async function startBackupStage(): Promise<BackupStage> {
  const server = await startTokenServer();
  const directory = await mkdtemp(join(tmpdir(), 'hawser-backup-'));
  const key = generateKey();
  const first = await createTestDatabase();
  const databases: TestDatabase[] = [first];
  const sites: Site[] = [];
  let serial = 0;
  let apiKey = '';

  async function open(
    databaseUrl: string,
    more: { dataDir?: string; log?: Log; refresh?: Partial<CredentialsDeps> } = {},
  ): Promise<Site> {
    serial += 1;
    const { dataDir = join(directory, `node-${serial}`), log = silentLog } = more;
    const db = await openDatabase({ url: databaseUrl, poolSize: 6, log, clock: systemClock });
    let hawser: Hawser;
    try {
      hawser = await startHawser({
        config: readConfig('start', {
          HAWSER_PORT: '0',
          HAWSER_DATA_DIR: dataDir,
          HAWSER_EGRESS_ALLOW: server.pair,
        }),
        db,
        keyring: keyringFrom(key) as Keyring,
        log,
        version: '0.0.0-test',
        ...(more.refresh && { refresh: more.refresh }),
      });
    } catch (error) {
      await db.close();
      throw error;
    }
    let stopped = false;
    const site: Site = {
      hawser,
      db,
      databaseUrl,
      dataDir,
      async health() {
        const { body } = await callApi(hawser.url, '', 'GET', '/health');
        return (body as { result: string }).result;
      },
      read: (subject, query = '') =>
        site.call('GET', `/connections/${subject.connection.connectionId}?provider_config_key=${subject.key}${query}`),
      call: (method, path, headers) => callApi(hawser.url, apiKey, method, path, undefined, headers),
      async states({ connection }) {
        const rows = await db.query<{ payload: { state: string; reason?: string } }>(
          `SELECT payload FROM event WHERE connection_id = $1 AND type = 'connection.state' ORDER BY id`,
          [connection.id],
        );
        return rows.map(({ payload }) => payload);
      },
      async endsIn({ connection }, ms) {
        const told = Promise.withResolvers<void>();
        const end = await db.listen('hawser_changed', (payload) => {
          if (payload === 'mark:end') told.resolve();
        });
        await db.query(
          `UPDATE credential SET expires_at = clock_timestamp() + $2::float8 * interval '1 millisecond',
             refreshed_at = clock_timestamp() - interval '1 hour', sealed = sealed, next_attempt_at = NULL,
             last_failure_at = last_failure_at - interval '2 minutes'
           WHERE connection_id = $1`,
          [connection.id, ms],
        );
        await db.query(`SELECT pg_notify('hawser_changed', 'mark:end')`);
        await told.promise;
        await end();
      },
      cli: (...args) =>
        cli({ DATABASE_URL: databaseUrl, HAWSER_DATA_DIR: dataDir, HAWSER_ENCRYPTION_KEY: key }, ...args),
      async stop() {
        if (stopped) return;
        stopped = true;
        await hawser.close();
        await db.close();
      },
    };
    sites.push(site);
    return site;
  }

  const site = await open(first.url);
  const { entries } = await ensureEnvironments(site.hawser.services.environments, undefined);
  apiKey = entries['dev']?.apiKey as string;
  const environment = (await site.hawser.services.environments.byName('dev')) as { id: number };

  const stage: BackupStage = {
    server,
    key,
    directory,
    site,
    async connect(rotation) {
      serial += 1;
      const name = `generic-${serial}`;
      const { services } = site.hawser;
      const node = { ...services, spoolDir: '' };
      const core = { node, environment } as unknown as Parameters<typeof anIntegration>[0];
      const integration = await anIntegration(core, server, { key: name, rotation, client: TOKEN_SERVER_CLIENT });
      const tokens = server.grant();
      const connection = await site.db.transaction(async (tx) => {
        const made = await services.connections.upsert(tx, {
          environmentId: environment.id,
          integrationId: integration.id,
          connectionId: `customer-${serial}`,
          connectionConfig: {},
        });
        await services.credentials.write(tx, {
          connection: made.connection,
          credential: { type: 'OAUTH2', ...tokens, raw: {} },
          facts: { scope: undefined, expiresAt: new Date(systemClock.now() + 3_600_000) },
        });
        return made.connection;
      });
      return { key: name, connection, tokens };
    },
    async emptyDatabase() {
      const made = await createTestDatabase({ migrated: false });
      databases.push(made);
      return made;
    },
    open,
    async restored(file) {
      const target = await stage.emptyDatabase();
      // Who copies this database later must be alone in it.
      await target.db.close();
      const done = await cli({ DATABASE_URL: target.url, HAWSER_ENCRYPTION_KEY: key }, 'restore', file);
      if (done.code !== 0) throw new Error(done.stderr);
      return open(target.url);
    },
    async backup(name) {
      const file = join(directory, `${name}.hawser`);
      const done = await site.cli('backup', file);
      if (done.code !== 0) throw new Error(done.stderr);
      return file;
    },
    async close() {
      for (const one of sites) await one.stop();
      for (const database of databases) await database.drop();
      await server.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
  return stage;
}
