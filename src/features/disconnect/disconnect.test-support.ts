/** Two nodes, a third that waits for nobody, and a provider that can be asked to let go: the stage of disconnecting. */
import { afterAll, beforeAll, beforeEach } from 'vitest';
import type { ProviderSpec } from '../../../catalogue/_spec/index.ts';
import { aConnection, anIntegration, buildCore, type Core, type CoreNode } from '../../../test/support/build.ts';
import { startTokenServer, type TokenServer, type Tokens } from '../../../test/support/token-server.ts';
import { systemClock } from '../../platform/clock.ts';
import type { Connection } from '../connections/index.ts';
import type { Integration } from '../integrations/index.ts';

interface Subject {
  integration: Integration;
  connection: Connection;
  tokens: Tokens;
}

export interface DisconnectStage {
  server: TokenServer;
  core: Core;
  /** The second node. */
  other: CoreNode;
  /** A node for which the caller's five seconds pass at once. */
  impatient: CoreNode;
}

/** A provider whose "let go" is a call with the customer's token. */
const calling = (url: string): ProviderSpec => ({
  name: 'calling',
  displayName: 'Calling',
  categories: ['other'],
  authMode: 'OAUTH2',
  docsUrl: 'https://example.com',
  summary: 'For tests.',
  oauth2: {
    authorize: { url: `${url}/authorize` },
    callback: { stateEcho: 'always' },
    pkce: 'S256',
    token: { url: `${url}/token` },
  },
  api: { baseUrl: url, auth: { in: 'header', name: 'Authorization', value: 'Bearer ${accessToken}' } },
  disconnect: { kind: 'call', method: 'POST', url: `${url}/deauthorize` },
  gotchas: [],
  sources: ['https://example.com (read 2026-11)'],
});

/** A stage of the test file's own, reset before each test; `keep` gets it once it is there. */
export function useDisconnectStage(keep: (stage: DisconnectStage) => void) {
  let server: TokenServer;
  let core: Core;
  let killed: string | undefined;
  let serial = 0;

  beforeAll(async () => {
    server = await startTokenServer();
    core = await buildCore({
      allow: [server.pair],
      providers: [calling(server.url)],
      killPoints: {
        reach(name) {
          if (name !== killed) return;
          killed = undefined;
          throw new Error(`killed at ${name}`);
        },
      },
    });
    const other = await core.startNode();
    // The caller's five seconds pass at once; everything else takes its time.
    const sleep = (ms: number, signal?: AbortSignal) => systemClock.sleep(ms === 5_000 ? 1 : ms, signal);
    const impatient = await core.startNode({ clock: { ...systemClock, sleep } });
    keep({ server, core, other, impatient });
  });

  afterAll(async () => {
    await core?.close();
    await server?.close();
  });

  beforeEach(() => {
    server.letGoStatus = 200;
    server.letGoGate = undefined;
    server.habit = 'rotate';
    server.deauthorized.length = 0;
    server.revocations.length = 0;
    server.requests.length = 0;
    killed = undefined;
  });

  const nextSerial = () => (serial += 1);

  async function viaCall(): Promise<Integration> {
    return core.node.integrations.create(core.environment.id, {
      provider: 'calling',
      uniqueKey: `calling-${nextSerial()}`,
      client: {
        type: 'OAUTH2',
        clientId: 'client-id',
        clientSecret: 'client-secret-value',
        scopes: [],
        webhookSecret: undefined,
      },
    });
  }

  async function viaRevocation(revocation = true): Promise<Integration> {
    return anIntegration(core, server, { key: `generic-${nextSerial()}`, rotation: 'strict', revocation });
  }

  async function connectedTo(
    integration: Integration,
    connectionId = 'customer-1',
    tokens = server.grant(),
  ): Promise<Subject> {
    const credential = { type: 'OAUTH2' as const, raw: {}, ...tokens };
    const connection = await aConnection(core.node, integration, credential, { connectionId, expiresInMs: 3_600_000 });
    return { integration, connection, tokens };
  }

  const letGo = ({ connection, integration }: Subject, node = core.node) =>
    node.disconnect.connection(core.environment.id, connection, integration);

  const outcomeOf = ({ connection }: Subject) => core.node.disconnect.outcomeOf(core.environment.id, connection.id);

  async function task({ connection }: Subject) {
    const rows = await core.db.query<{ sealed: Buffer | null; attempts: number; wait_ms: number; told: boolean }>(
      `SELECT sealed, attempts, told, (extract(epoch FROM next_attempt_at - clock_timestamp()) * 1000)::float8 AS wait_ms
       FROM disconnect_task WHERE connection_id = $1`,
      [connection.id],
    );
    return rows[0];
  }

  async function makeDue({ connection }: Subject): Promise<void> {
    await core.db.query(`UPDATE disconnect_task SET next_attempt_at = clock_timestamp() WHERE connection_id = $1`, [
      connection.id,
    ]);
  }

  async function told({ connection }: Subject): Promise<unknown[]> {
    const rows = await core.db.query<{ payload: Record<string, unknown> }>(
      `SELECT payload FROM event WHERE connection_id = $1 AND type = 'connection.disconnected' ORDER BY id`,
      [connection.id],
    );
    return rows.map(({ payload }) => payload['outcome']);
  }

  async function stored({ connection }: Subject) {
    const [rows] = await core.db.query<{
      state: string;
      state_reason: string | null;
      deleted: boolean;
      secrets: number;
      answers: number;
    }>(
      `SELECT state, state_reason, deleted_at IS NOT NULL AS deleted,
         (SELECT count(*) FROM credential WHERE connection_id = n.id)::int AS secrets,
         (SELECT count(*) FROM refresh_journal WHERE connection_id = n.id)::int AS answers
       FROM connection n WHERE id = $1`,
      [connection.id],
    );
    return rows;
  }

  return {
    /** For names that no other test has. */
    nextSerial,
    viaCall,
    viaRevocation,
    connectedTo,
    letGo,
    outcomeOf,
    task,
    makeDue,
    told,
    stored,
    /** Kills the node that reaches this point next, once. */
    killAt: (point: string) => void (killed = point),
  };
}
