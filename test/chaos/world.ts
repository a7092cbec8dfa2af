/**
 * The stage of the chaos tests: one database, providers behind a front that keeps the ledger, node processes, and an
 * observer in this process that never refreshes anything.
 */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Environment } from '../../src/base/route.ts';
import { createActivity } from '../../src/features/activity/index.ts';
import { createConnections, type Connection } from '../../src/features/connections/index.ts';
import { createCredentials, type Credential } from '../../src/features/credentials/index.ts';
import { createDisconnect } from '../../src/features/disconnect/index.ts';
import { createEnvironments } from '../../src/features/environments/index.ts';
import { createIntegrations, type Integration } from '../../src/features/integrations/index.ts';
import { createProviders } from '../../src/features/providers/index.ts';
import { silentLog } from '../../src/base/log.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { generateKey, keyringFrom, type Keyring } from '../../src/platform/keyring/index.ts';
import { noKillPoints } from '../../src/platform/kill-points.ts';
import { openDatabase, type Database } from '../../src/platform/postgres/index.ts';
import { createUpstream } from '../../src/platform/upstream/index.ts';
import { startRelay, type Relay } from '../support/relay.ts';
import { startFront, type Front } from './front.ts';
import { launchNode, type ChaosNode, type Launch } from './process.ts';
import { KINDS, ROTATION, startProvider, type ChaosProvider, type Kind } from './providers.ts';

export interface Subject {
  kind: Kind;
  integration: Integration;
  connection: Connection;
  /** Access tokens that the provider gave for it, oldest first. */
  given: string[];
  /** Refresh tokens that it ever had. */
  refreshTokens: Set<string>;
}

/** What a caller of the API got. */
export interface Answer {
  /** 0: none, the connection broke. */
  status: number;
  accessToken: string | undefined;
  /** Code of the error that lies behind the public one. */
  cause: string | undefined;
}

export interface CredentialNow {
  gen: number;
  leaseOwner: string | null;
  leaseEnded: boolean;
  intentOpen: boolean;
  lastFailure: string | null;
}

/** A node of this world, with its own way to the database and its own disk. */
export interface Seat {
  name: string;
  node: ChaosNode;
  relay: Relay;
  dataDir: string;
}

export type World = Awaited<ReturnType<typeof createWorld>>;

export interface WorldOptions {
  /** Migrated and empty. */
  databaseUrl: string;
  kinds?: readonly Kind[];
}

export async function createWorld(options: WorldOptions) {
  const directory = await mkdtemp(join(tmpdir(), 'hawser-chaos-'));
  const key = generateKey();
  const databaseUrl = new URL(options.databaseUrl);
  const place = { host: databaseUrl.hostname, port: Number(databaseUrl.port) };
  const providers = new Map<Kind, ChaosProvider>();
  for (const kind of options.kinds ?? KINDS) providers.set(kind, await startProvider(kind));
  const front = await startFront(Object.fromEntries([...providers].map(([kind, { tokenUrl }]) => [kind, tokenUrl])));
  const observer = await createObserver(options.databaseUrl, key, [...providers.values()], front);
  const { db, environment } = observer;
  const { secret: apiKey } = await observer.environments.createKey({
    environmentId: environment.id,
    displayName: 'chaos',
  });
  const integrations = new Map<Kind, Integration>();
  for (const [kind, provider] of providers) {
    integrations.set(kind, await observer.integrate(kind, provider, front));
  }
  const seats: Seat[] = [];
  let marks = 0;
  let serial = 0;

  async function store(subject: Omit<Subject, 'connection'>, connectionId: string): Promise<Connection> {
    const tokens = await (providers.get(subject.kind) as ChaosProvider).grant();
    subject.given.push(tokens.access_token);
    subject.refreshTokens.add(tokens.refresh_token);
    const credential: Credential = { type: 'OAUTH2', ...tokens, raw: {} };
    return db.transaction(async (tx) => {
      const { connection } = await observer.connections.upsert(tx, {
        environmentId: environment.id,
        integrationId: subject.integration.id,
        connectionId,
        connectionConfig: {},
      });
      const expiresAt = new Date(systemClock.now() + 3_600_000);
      await observer.credentials.write(tx, { connection, credential, facts: { scope: undefined, expiresAt } });
      return connection;
    });
  }

  const world = {
    db,
    observer,
    environment,
    apiKey,
    front,
    providers,
    seats,
    providerOf: (kind: Kind) => providers.get(kind) as ChaosProvider,

    /** A connection with a fresh grant. */
    async connect(kind: Kind): Promise<Subject> {
      serial += 1;
      const begun = {
        kind,
        integration: integrations.get(kind) as Integration,
        given: [],
        refreshTokens: new Set<string>(),
      };
      return { ...begun, connection: await store(begun, `customer-${serial}`) };
    },

    /** The customer connects again, as after a loss. */
    async reconnect(subject: Subject): Promise<void> {
      await observer.connections.setState(db, {
        environmentId: environment.id,
        id: subject.connection.id,
        state: 'active',
      });
      await store(subject, subject.connection.connectionId);
    },

    /** Starts a node at a new seat, or again at the seat of one that is gone. */
    async launch(name: string, more: Omit<Launch, 'name' | 'settings'> = {}): Promise<Seat> {
      let seat = seats.find((each) => each.name === name);
      const relay = seat?.relay ?? (await startRelay(place));
      const dataDir = seat?.dataDir ?? join(directory, name);
      const through = new URL(databaseUrl);
      through.hostname = '127.0.0.1';
      through.port = String(relay.port);
      const node = await launchNode({
        ...more,
        name,
        settings: {
          HAWSER_PORT: '0',
          HAWSER_DATA_DIR: dataDir,
          HAWSER_ENCRYPTION_KEY: key,
          DATABASE_URL: through.href,
          HAWSER_EGRESS_ALLOW: [
            front.pair,
            ...[...providers.values()].map(({ revokeUrl }) => new URL(revokeUrl).host),
          ].join(),
          HAWSER_LOG_LEVEL: 'info',
          HAWSER_POOL_SIZE: '8',
        },
      });
      if (seat === undefined) {
        seat = { name, node, relay, dataDir };
        seats.push(seat);
      }
      seat.node = node;
      return seat;
    },

    /** Resolves when every living node has heard of everything that was committed before. */
    async told(): Promise<void> {
      marks += 1;
      await db.query(`SELECT pg_notify('hawser_changed', $1)`, [`mark:${marks}`]);
      await Promise.all(seats.filter(({ node }) => !node.gone).map(({ node }) => node.heard(marks)));
    },

    /** Moves the end of access tokens, and lets back-offs pass. Nodes hear of it when they hear of it. */
    async moveEnd(subjects: readonly Subject[], ms: number): Promise<void> {
      await db.query(
        `UPDATE credential SET expires_at = clock_timestamp() + $2::float8 * interval '1 millisecond', sealed = sealed,
           refreshed_at = clock_timestamp() - interval '1 hour',
           next_attempt_at = least(next_attempt_at, clock_timestamp()),
           last_failure_at = last_failure_at - interval '2 minutes'
         WHERE connection_id = ANY ($1)`,
        [subjects.map(({ connection }) => connection.id), ms],
      );
    },

    /** The same; resolves when every living node has heard. */
    async endIn(subjects: readonly Subject[], ms: number): Promise<void> {
      await world.moveEnd(subjects, ms);
      await world.told();
    },

    /** The lease time of a node that is gone passes. */
    async leasesEnd(name: string): Promise<void> {
      await db.query(
        `UPDATE credential SET lease_until = clock_timestamp() - interval '1 second'
         WHERE lease_owner = $1 AND lease_until IS NOT NULL`,
        [name],
      );
    },

    async read(node: ChaosNode, subject: Subject, query = ''): Promise<Answer> {
      const { connection, integration } = subject;
      try {
        const response = await fetch(
          `${node.url}/connections/${connection.connectionId}?provider_config_key=${integration.uniqueKey}${query}`,
          {
            headers: { authorization: `Bearer ${apiKey}` },
          },
        );
        const body = (await response.json()) as {
          credentials?: { access_token?: string };
          error?: { code?: string; payload?: { cause?: string } };
        };
        return {
          status: response.status,
          accessToken: body.credentials?.access_token,
          cause: body.error?.payload?.cause ?? body.error?.code,
        };
      } catch {
        return { status: 0, accessToken: undefined, cause: undefined }; // the node was killed meanwhile
      }
    },

    async now({ connection }: Subject): Promise<CredentialNow> {
      const rows = await db.query<CredentialNow>(
        `SELECT gen, lease_owner AS "leaseOwner", coalesce(lease_until < clock_timestamp(), true) AS "leaseEnded",
           intent_at IS NOT NULL AS "intentOpen", last_failure AS "lastFailure"
         FROM credential WHERE connection_id = $1`,
        [connection.id],
      );
      return rows[0] as CredentialNow;
    },

    /** States that the app was told of, after the event with this id. */
    async statesAfter({ connection }: Subject, eventId: number): Promise<{ state: string; reason?: string }[]> {
      const rows = await db.query<{ payload: { state: string; reason?: string } }>(
        `SELECT payload FROM event WHERE connection_id = $1 AND id > $2 AND type = 'connection.state' ORDER BY id`,
        [connection.id, eventId],
      );
      return rows.map(({ payload }) => payload);
    },

    async lastEventId(): Promise<number> {
      const rows = await db.query<{ id: number }>('SELECT coalesce(max(id), 0) AS id FROM event');
      return Number(rows[0]?.id);
    },

    async storedRefreshToken({ connection }: Subject): Promise<string | undefined> {
      const stored = await observer.credentials.open(connection);
      return stored?.credential.type === 'OAUTH2' ? stored.credential.refresh_token : undefined;
    },

    /** True when an answer that holds this token is in the journal. */
    async isJournalled({ connection }: Subject, accessToken: string): Promise<boolean> {
      const rows = await db.query<{ epoch: number; reply_sealed: Buffer }>(
        'SELECT epoch, reply_sealed FROM refresh_journal WHERE connection_id = $1',
        [connection.id],
      );
      for (const { epoch, reply_sealed: sealed } of rows) {
        const sealedPlace = {
          environmentId: environment.id,
          table: 'refresh_journal',
          row: `${connection.id}:${epoch}`,
          column: 'reply_sealed',
        };
        const kept = JSON.parse(await observer.environments.vault.open(sealedPlace, sealed)) as { body: string };
        if (Buffer.from(kept.body, 'base64').toString('utf8').includes(accessToken)) return true;
      }
      return false;
    },

    /** Answers that wait on the disk of a node. */
    async spooled(seat: Seat): Promise<number> {
      const names = await readdir(join(seat.dataDir, 'spool')).catch(() => []); // nothing was ever spooled
      return names.filter((name) => name.endsWith('.reply')).length;
    },

    async close(): Promise<void> {
      for (const { node, relay } of seats) {
        node.signal('SIGKILL');
        await node.exited;
        await relay.close();
      }
      await observer.close();
      await front.close();
      for (const provider of providers.values()) await provider.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
  return world;
}

/** The slices over the same database, in this process; for making things and for looking at them. */
async function createObserver(url: string, key: string, providers: ChaosProvider[], front: Front) {
  const keyring = (await keyringFrom(key)) as Keyring;
  const db: Database = await openDatabase({ url, poolSize: 6, log: silentLog, clock: systemClock });
  const shared = { db, clock: systemClock, log: silentLog };
  const environments = await createEnvironments({ ...shared, keyring });
  const { vault } = environments;
  const environment: Environment = await environments.create({ name: 'chaos', isProduction: false });
  const allow = [front.pair, ...providers.map(({ revokeUrl }) => new URL(revokeUrl).host)];
  const upstream = createUpstream({ policy: () => ({ allow }), clock: systemClock, userAgent: 'hawser/observer' });
  const activity = createActivity(shared);
  const integrations = await createIntegrations({
    ...shared,
    vault,
    upstream,
    providers: createProviders(),
    emulatorUrl: () => undefined,
  });
  const connections = createConnections({ ...shared, vault });
  const more = { ...shared, vault, upstream, integrations, connections, activity, killPoints: noKillPoints };
  const spoolDir = join(tmpdir(), 'hawser-chaos-observer-has-none');
  const credentials = createCredentials({ ...more, nodeId: 'observer', spoolDir });
  const disconnect = createDisconnect({ ...more, credentials });
  return {
    db,
    environments,
    environment,
    integrations,
    connections,
    credentials,
    disconnect,
    integrate: (kind: Kind, provider: ChaosProvider, { tokenUrl }: Front): Promise<Integration> =>
      integrations.create(environment.id, {
        provider: 'oauth2-generic',
        uniqueKey: kind,
        client: { type: 'OAUTH2', ...provider.client, scopes: [], webhookSecret: undefined },
        integrationConfig: {
          authorization_url: `${provider.revokeUrl}/unused`,
          token_url: tokenUrl(kind),
          api_base_url: new URL(provider.revokeUrl).origin,
          revocation_url: provider.revokeUrl,
          rotation: ROTATION[kind],
        },
      }),
    async close() {
      await credentials.drain();
      await connections.close();
      await activity.close();
      await upstream.destroy();
      await db.close();
    },
  };
}
