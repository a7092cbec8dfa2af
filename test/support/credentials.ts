/** Two nodes, one scripted provider, and connections to it: the stage of the refresh protocol's tests. */
import { afterAll, beforeAll, beforeEach, expect } from 'vitest';
import type { Connection } from '../../src/features/connections/index.ts';
import type { Credential, LiveConnection } from '../../src/features/credentials/index.ts';
import { aConnection, anIntegration, buildCore, eventually, type Core, type CoreNode } from './build.ts';
import { startTokenServer, type TokenServer, type Tokens } from './token-server.ts';

export interface Subject {
  key: string;
  connection: Connection;
  tokens: Tokens;
}

export interface CredentialRow {
  gen: number;
  lease_owner: string | null;
  lease_epoch: number;
  intent_at: Date | null;
  last_failure: string | null;
  failures: number;
  outcome_unknown: number;
}

export interface Stage {
  server: TokenServer;
  core: Core;
  /** The second node. */
  other: CoreNode;
  connected(more?: {
    rotation?: string;
    expiresInMs?: number;
    withoutRefresh?: boolean;
    override?: boolean;
  }): Promise<Subject>;
  /** Moves the end of the access token; resolves when every node has been told. */
  endsIn(connection: Connection, ms: number, issuedMsAgo?: number): Promise<void>;
  row(connection: Connection): Promise<CredentialRow | undefined>;
  events(connection: Connection): Promise<{ type: string; payload: Record<string, unknown> }[]>;
  journal(connection: Connection): Promise<{ epoch: number; adopted_gen: number | null; closed: boolean }[]>;
  /** Time passes for all that a credential remembers, once no refresh holds it: one comes before that or after it. */
  passes(connection: Connection, ms: number): Promise<void>;
  /** Lets the back-off and the minute after a failure pass. */
  forgetFailure(connection: Connection): Promise<void>;
  /** Lets the lease of a vanished node pass. */
  expireLease(connection: Connection): Promise<void>;
  read(node: CoreNode, subject: Subject, force?: boolean): Promise<LiveConnection>;
  refreshTokenOf(connection: Connection): Promise<string | undefined>;
  /** Back to the defaults of the provider. */
  reset(): void;
  close(): Promise<void>;
}

export const accessOf = (live: LiveConnection): string | undefined =>
  live.credential.type === 'OAUTH2' ? live.credential.access_token : undefined;

/** A stage of the test file's own, reset before each test; `keep` gets it once it is there, and may prepare more. */
export function useStage(keep: (stage: Stage) => void | Promise<void>): void {
  let stage: Stage | undefined;
  beforeAll(async () => {
    stage = await startStage();
    await keep(stage);
  });
  afterAll(() => stage?.close());
  beforeEach(() => stage?.reset());
}

async function startStage(): Promise<Stage> {
  const server = await startTokenServer();
  const built = await buildCore({ allow: [server.pair] });
  const core: Core = {
    ...built,
    async startNode(more) {
      const node = await built.startNode(more);
      // A way through a relay may be cut on purpose: nobody waits for what comes over it.
      return more?.databaseUrl === undefined ? watch(node) : node;
    },
  };
  const other = await built.startNode();
  let serial = 0;
  let marks = 0;
  /** The last mark each node has seen. */
  const seen: number[] = [];

  async function watch(node: CoreNode): Promise<CoreNode> {
    const index = seen.push(marks) - 1;
    await node.db.listen('hawser_changed', (payload) => {
      if (payload.startsWith('mark:')) seen[index] = Number(payload.slice(5));
    });
    return node;
  }

  await Promise.all([core.node, other].map(watch));

  /** Notifications come in the order of their commits: after the mark, everything before it is known everywhere. */
  async function told(): Promise<void> {
    marks += 1;
    const mark = marks;
    await core.db.query(`SELECT pg_notify('hawser_changed', $1)`, [`mark:${mark}`]);
    await eventually(
      () => Math.min(...seen),
      (least) => least >= mark,
    );
  }

  return {
    server,
    core,
    other,
    async connected(more = {}) {
      serial += 1;
      const key = `generic-${serial}`;
      const client = more.override ? { client: { clientId: 'unused', clientSecret: 'unused-secret' } } : {};
      const integration = await anIntegration(core, server, { key, rotation: more.rotation ?? 'strict', ...client });
      const tokens = server.grant();
      const credential: Credential = {
        type: 'OAUTH2',
        access_token: tokens.access_token,
        refresh_token: more.withoutRefresh ? undefined : tokens.refresh_token,
        raw: { ...tokens, nested: { refreshToken: tokens.refresh_token } },
        config_override: more.override ? { client_id: 'client-id', client_secret: 'client-secret-value' } : undefined,
      };
      const expiresInMs = more.expiresInMs ?? 3_600_000;
      const connection = await aConnection(core.node, integration, credential, { expiresInMs });
      await told();
      return { key, connection, tokens };
    },
    async endsIn(connection, ms, issuedMsAgo = 3_600_000) {
      const rows = await core.db.query(
        `UPDATE credential SET expires_at = clock_timestamp() + $3::float8 * interval '1 millisecond',
           refreshed_at = clock_timestamp() - $4::float8 * interval '1 millisecond', sealed = sealed
         WHERE environment_id = $1 AND connection_id = $2 RETURNING 1`,
        [connection.environmentId, connection.id, ms, issuedMsAgo],
      );
      expect(rows).toHaveLength(1);
      await told();
    },
    async passes(connection, ms) {
      const earlier = (column: string) => `${column} = ${column} - $3::float8 * interval '1 millisecond'`;
      const columns = ['expires_at', 'refreshed_at', 'next_attempt_at', 'last_failure_at'];
      const pass = () =>
        core.db.query(
          `UPDATE credential SET ${columns.map(earlier).join(', ')}, sealed = sealed
           WHERE environment_id = $1 AND connection_id = $2 AND lease_owner IS NULL RETURNING 1`,
          [connection.environmentId, connection.id, ms],
        );
      await eventually(pass, (rows) => rows.length === 1);
      await told();
    },
    async row(connection) {
      const rows = await core.db.query<CredentialRow>(
        'SELECT * FROM credential WHERE environment_id = $1 AND connection_id = $2',
        [connection.environmentId, connection.id],
      );
      return rows[0];
    },
    events: (connection) =>
      core.db.query('SELECT type, payload FROM event WHERE environment_id = $1 AND connection_id = $2 ORDER BY id', [
        connection.environmentId,
        connection.id,
      ]),
    journal: (connection) =>
      core.db.query(
        `SELECT epoch, adopted_gen, closed_at IS NOT NULL AS closed FROM refresh_journal
         WHERE environment_id = $1 AND connection_id = $2 ORDER BY epoch`,
        [connection.environmentId, connection.id],
      ),
    async forgetFailure(connection) {
      await core.db.query(
        `UPDATE credential SET next_attempt_at = clock_timestamp() - interval '1 second',
           last_failure_at = last_failure_at - interval '2 minutes' WHERE environment_id = $1 AND connection_id = $2`,
        [connection.environmentId, connection.id],
      );
    },
    async expireLease(connection) {
      await core.db.query(
        `UPDATE credential SET lease_until = clock_timestamp() - interval '1 second'
         WHERE environment_id = $1 AND connection_id = $2 AND lease_until IS NOT NULL`,
        [connection.environmentId, connection.id],
      );
    },
    read: (node, subject, force = false) =>
      node.credentials.live(core.environment.id, subject.key, subject.connection.connectionId, { force }),
    async refreshTokenOf(connection) {
      const stored = await core.node.credentials.open(connection);
      return stored?.credential.type === 'OAUTH2' ? stored.credential.refresh_token : undefined;
    },
    reset() {
      server.habit = 'rotate';
      server.expiresIn = 3_600;
      server.refuseClient = false;
      server.clearFaults();
      server.requests.length = 0;
      server.onDecided = undefined;
    },
    async close() {
      await core.close();
      await server.close();
    },
  };
}
