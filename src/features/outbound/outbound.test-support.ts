/** An app that is told things: a server that keeps what it got and answers as it is asked to; and a node that tells it. */
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach } from 'vitest';
import { anIntegration, buildCore, type Core } from '../../../test/support/build.ts';
import { silentLog } from '../../base/log.ts';
import { systemClock } from '../../platform/clock.ts';
import { noKillPoints } from '../../platform/kill-points.ts';
import type { Connection } from '../connections/index.ts';
import type { Integration } from '../integrations/index.ts';
import { createOutbound, type Outbound, type OutboundDeps } from './index.ts';

export interface Got {
  path: string;
  headers: IncomingHttpHeaders;
  body: string;
}

export interface Sink {
  /** `http://127.0.0.1:<port>` */
  url: string;
  pair: string;
  got: Got[];
  /** How the next requests are answered; default 200. A promise holds the answer back. */
  answer: (got: Got) => Answer | Promise<Answer>;
  close(): Promise<void>;
}

export interface Answer {
  status: number;
  headers?: Record<string, string>;
  body?: string;
}

export async function startSink(): Promise<Sink> {
  const server: Server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8');
    request.on('data', (chunk: string) => (body += chunk));
    request.on('end', () => {
      const got: Got = { path: request.url ?? '', headers: request.headers, body };
      sink.got.push(got);
      void Promise.resolve(sink.answer(got)).then(({ status, headers, body: text }) =>
        response.writeHead(status, headers).end(text),
      );
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const sink: Sink = {
    url: `http://127.0.0.1:${port}`,
    pair: `127.0.0.1:${port}`,
    got: [],
    answer: () => ({ status: 200 }),
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return sink;
}

export interface Stage {
  core: Core;
  environmentId: number;
  integration: Integration;
  sink: Sink;
  other: Sink;
  outbound: Outbound;
  /** How far the time of everything is moved. */
  shiftMs: number;
  newOutbound(more?: Partial<OutboundDeps>): Outbound;
  newConnection(more?: { webhookUrlOverride?: string; accountId?: string }): Promise<Connection>;
  tell(type: string, payload: object, of?: Connection, providerHeaders?: Record<string, string>): Promise<void>;
  /** Many events of a connection in one statement. */
  tellMany(of: Connection, count: number): Promise<void>;
  /** The one delivery there is, or the newest. */
  delivery(): Promise<DeliveryRow>;
  /** How many deliveries are in which state. */
  states(): Promise<Record<string, number>>;
  /** Moves time to the next try of that delivery and sends. Resolves to how long it had to wait. */
  nextTry(): Promise<number>;
  /** No endpoint, no event, no shift, two sinks that take everything. */
  clean(): Promise<void>;
  close(): Promise<void>;
}

export interface DeliveryRow {
  id: number;
  state: string;
  step: number;
  attempts: number;
  last_status: number | null;
  last_error: string | null;
  wait_ms: number | null;
}

async function startStage(): Promise<Stage> {
  const [sink, other] = [await startSink(), await startSink()];
  const core = await buildCore({ allow: [sink.pair, other.pair] });
  const environmentId = core.environment.id;
  const integration = await anIntegration(core, { url: sink.url, tokenUrl: sink.url, revokeUrl: sink.url });
  const clock = { ...systemClock, now: () => systemClock.now() + stage.shiftMs };
  let serial = 0;
  const stage: Stage = {
    core,
    environmentId,
    integration,
    sink,
    other,
    shiftMs: 0,
    newOutbound: (more = {}) =>
      createOutbound({
        ...core.node,
        clock,
        log: silentLog,
        killPoints: noKillPoints,
        nodeId: 'node-a',
        isQuarantined: () => false,
        shiftMs: () => stage.shiftMs,
        ...more,
      }),
    async newConnection(more = {}) {
      serial += 1;
      const user = { id: 'u-1', email: 'u@example.com', displayName: undefined, tags: { plan: 'a' } };
      const { connection } = await core.db.transaction((tx) =>
        core.node.connections.upsert(tx, {
          environmentId,
          integrationId: integration.id,
          connectionId: `customer-${serial}`,
          connectionConfig: {},
          tags: { end_user_id: 'u-1' },
          endUser: { ...user, organization: undefined },
          ...more,
        }),
      );
      return connection;
    },
    tell: (type, payload, of, providerHeaders) =>
      core.node.connections.writeEvent(core.db, {
        environmentId,
        type,
        payload,
        ...(of && { connectionId: of.id }),
        ...(providerHeaders && { providerHeaders }),
      }),
    async tellMany(of, count) {
      await core.db.query(
        `INSERT INTO event (environment_id, type, connection_id, payload)
         SELECT $1, 'sync', $2, jsonb_build_object('success', true, 'n', n) FROM generate_series(1, $3::int) n`,
        [environmentId, of.id, count],
      );
    },
    async states() {
      const rows = await core.db.query<{ state: string; count: number }>(
        'SELECT state, count(*)::int AS count FROM delivery GROUP BY 1',
      );
      return Object.fromEntries(rows.map(({ state, count }) => [state, count]));
    },
    async delivery() {
      const [row] = await core.db.query<DeliveryRow>(
        `SELECT id, state, step, attempts, last_status, last_error, (extract(epoch FROM next_attempt_at
           - statement_timestamp() - $1::float8 * interval '1 millisecond') * 1000)::float8 AS wait_ms
         FROM delivery ORDER BY id DESC LIMIT 1`,
        [stage.shiftMs],
      );
      return row as DeliveryRow;
    },
    async nextTry() {
      const { wait_ms: waitMs } = await stage.delivery();
      stage.shiftMs += Math.max(0, (waitMs as number) + 1);
      await stage.outbound.runDry();
      return waitMs as number;
    },
    async clean() {
      stage.shiftMs = 0;
      sink.answer = other.answer = () => ({ status: 200 });
      await core.db.query('DELETE FROM endpoint');
      await core.db.query('DELETE FROM outbound_settings');
      await core.db.query('DELETE FROM event');
      await core.db.query('DELETE FROM event_sequence');
      sink.got.length = other.got.length = 0;
    },
    async close() {
      await core.close();
      await sink.close();
      await other.close();
    },
    get outbound() {
      return (made ??= stage.newOutbound());
    },
  };
  let made: Outbound | undefined;
  return stage;
}

/** A stage of the test file's own with one connection, clean before each test; `keep` gets them once they are there. */
export function useStage(keep: (stage: Stage, connection: Connection) => void): void {
  let stage: Stage | undefined;
  beforeAll(async () => {
    stage = await startStage();
    keep(stage, await stage.newConnection());
  });
  afterAll(() => stage?.close());
  beforeEach(() => stage?.clean());
}

/** The body of a request of the sink. */
// Tests read whatever shape they expect.
// oxlint-disable-next-line typescript/no-explicit-any
export function bodyOf(got: Got | undefined): any {
  return JSON.parse(got?.body ?? 'null');
}
