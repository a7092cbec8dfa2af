/** The proxy slice over a real Fastify and the real way out, with credentials held in memory. */
import { createHash } from 'node:crypto';
import http, { type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fastify } from 'fastify';
import type { ProviderSpec } from '../../catalogue/_spec/index.ts';
import type { Clock } from '../../src/base/clock.ts';
import { HawserError } from '../../src/base/errors.ts';
import { silentLog } from '../../src/base/log.ts';
import type { Principal } from '../../src/base/route.ts';
import type { ActivityEntry } from '../../src/features/activity/index.ts';
import { connectionErrors, type Connection } from '../../src/features/connections/index.ts';
import type { LiveConnection } from '../../src/features/credentials/index.ts';
import { integrationErrors, type Integration } from '../../src/features/integrations/index.ts';
import { registerProxy, type ProxyDeps } from '../../src/features/proxy/index.ts';
import { systemClock } from '../../src/platform/clock.ts';
import type { Database } from '../../src/platform/postgres/index.ts';
import { createUpstream, type EgressPolicy } from '../../src/platform/upstream/index.ts';

export const TEST_KEY = '6b1c2d3e-4f50-4a6b-8c7d-9e0f1a2b3c4d';
export const TOKEN = 'tok_4f1d8a2c9b';

/** A clock that stands still until a test moves it. */
export function handClock(startMs = Date.parse('2026-03-01T12:00:30Z')) {
  let nowMs = startMs;
  const sleepers = new Set<{ atMs: number; wake: () => void }>();
  const tickers = new Set<{ everyMs: number; nextMs: number; run: () => void }>();
  const clock: Clock = {
    now: () => nowMs,
    monotonicMs: () => nowMs,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        const sleeper = { atMs: nowMs + ms, wake: resolve };
        sleepers.add(sleeper);
        signal?.addEventListener('abort', () => {
          sleepers.delete(sleeper);
          reject(signal.reason);
        });
      }),
    every(ms, run) {
      const ticker = { everyMs: ms, nextMs: nowMs + ms, run };
      tickers.add(ticker);
      return () => void tickers.delete(ticker);
    },
  };
  return {
    clock,
    /** Waits asked for at present, in milliseconds. */
    sleeping: () => [...sleepers].map(({ atMs }) => atMs - nowMs),
    advance(ms: number) {
      nowMs += ms;
      for (const sleeper of sleepers) {
        if (sleeper.atMs > nowMs) continue;
        sleepers.delete(sleeper);
        sleeper.wake();
      }
      for (const ticker of tickers) {
        while (ticker.nextMs <= nowMs) {
          ticker.nextMs += ticker.everyMs;
          ticker.run();
        }
      }
    },
  };
}

export function aProvider(baseUrl: string, over: Partial<ProviderSpec['api']> = {}): ProviderSpec {
  return {
    name: 'test-provider',
    displayName: 'Test provider',
    categories: [],
    authMode: 'OAUTH2',
    docsUrl: 'https://docs.example',
    summary: 'A provider of tests.',
    api: { baseUrl, auth: { in: 'header', name: 'Authorization', value: 'Bearer ${accessToken}' }, ...over },
    disconnect: { kind: 'nothing' },
    gotchas: [],
    sources: [],
  };
}

export function anIntegration(provider: ProviderSpec, over: Partial<Integration> = {}): Integration {
  return {
    environmentId: 1,
    id: 1,
    uniqueKey: 'the-integration',
    provider,
    displayName: undefined,
    client: undefined,
    integrationConfig: {},
    custom: {},
    forwardWebhooks: false,
    emulated: false,
    createdAt: new Date(0),
    updatedAt: new Date(0),
    ...over,
  };
}

export function aConnection(over: Partial<Connection> = {}): Connection {
  return {
    environmentId: 1,
    id: 1,
    integrationId: 1,
    connectionId: 'the-connection',
    state: 'active',
    stateReason: undefined,
    stateSince: new Date(0),
    connectionConfig: {},
    metadata: undefined,
    tags: {},
    endUserId: undefined,
    accountId: undefined,
    grantOf: undefined,
    webhookUrlOverride: undefined,
    lastGoodCallAt: undefined,
    lastFetchedAt: undefined,
    createdAt: new Date(0),
    updatedAt: new Date(0),
    ...over,
  };
}

export function aLive(integration: Integration, over: Partial<LiveConnection> = {}): LiveConnection {
  return {
    connection: aConnection(),
    integration,
    credential: { type: 'OAUTH2', access_token: TOKEN, raw: {} },
    generation: 1,
    scope: undefined,
    expiresAtMs: undefined,
    ...over,
  };
}

export interface TestProxyOptions {
  live?: LiveConnection | undefined;
  /** Loopback pairs that may be called. */
  allow: readonly string[];
  clock?: Clock;
  scopes?: readonly string[];
  deps?: Partial<ProxyDeps>;
}

/** Starts the proxy on a free port. */
export async function startProxy(options: TestProxyOptions) {
  const { live, clock = systemClock } = options;
  const entries: ActivityEntry[] = [];
  const goodCalls: number[] = [];
  const policy: EgressPolicy = { allow: options.allow };
  const upstream = createUpstream({ policy: () => policy, clock: systemClock, userAgent: 'hawser-test/1' });
  const principal: Principal = {
    kind: 'key',
    environment: { id: 1, uuid: 'u', name: 'dev', isProduction: false, callbackUrl: undefined },
    keyId: 'k',
    scopes: options.scopes ?? ['environment:*'],
  };
  const isKnown = (key: string, id: string) =>
    live !== undefined && live.integration.uniqueKey === key && live.connection.connectionId === id;
  const app = fastify({ forceCloseConnections: true, http: { maxHeaderSize: 64 * 1024 } });
  app.addHook('onRequest', (_request, reply, done) => {
    void reply.header('x-request-id', 'req-1');
    done();
  });
  app.setErrorHandler((error, _request, reply) => {
    const known = error instanceof HawserError;
    return reply
      .code(known ? error.status : ((error as { statusCode?: number }).statusCode ?? 500))
      .send({ error: { code: known ? error.code : 'server_error', message: (error as Error).message } });
  });
  registerProxy(app, {
    db: {} as Database,
    integrations: { targetUrl: (_integration, url) => url },
    credentials: {
      peek: (_environmentId, key, id) => (isKnown(key, id) ? live : undefined),
      async live(_environmentId, key, id) {
        if (live === undefined || key !== live.integration.uniqueKey) {
          throw integrationErrors.fail('unknown_provider_config', { status: 404 });
        }
        if (!isKnown(key, id)) throw connectionErrors.fail('unknown_connection');
        return live;
      },
      afterUnauthorized: async () => undefined,
      spend: async () => undefined,
    },
    connections: {
      byId: async () => live?.connection,
      setState: async () => undefined,
      touchGoodCall: (_environmentId, id) => void goodCalls.push(id),
    },
    activity: { record: (entry) => void entries.push(entry) },
    upstream,
    clock,
    log: silentLog,
    baseUrlOverride: { allow: [] },
    principalOf(request) {
      if (request.headers.authorization !== `Bearer ${TEST_KEY}`) {
        throw new HawserError('unknown_account', { status: 401, message: 'No environment has this API key.' });
      }
      return principal;
    },
    ...options.deps,
  });
  await app.listen({ port: 0, host: '127.0.0.1' });
  const { port } = app.server.address() as AddressInfo;
  return {
    app,
    port,
    url: `http://127.0.0.1:${port}`,
    entries,
    goodCalls,
    async close() {
      await app.close();
      await upstream.destroy();
    },
  };
}

export interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  body: Buffer;
  json(): unknown;
}

/** The headers every call of the published client carries. */
export const callHeaders = {
  authorization: `Bearer ${TEST_KEY}`,
  'provider-config-key': 'the-integration',
  'connection-id': 'the-connection',
};

/** One call on a connection of its own. Rejects when the answer breaks off. `path` goes out byte for byte. */
export function callProxy(
  port: number,
  path: string,
  options: {
    method?: string;
    headers?: Record<string, string | string[]>;
    body?: string | Buffer;
    signal?: AbortSignal;
  } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { body } = options;
    const request = http.request(
      {
        port,
        host: '127.0.0.1',
        agent: false,
        path,
        method: options.method ?? 'GET',
        headers: {
          ...callHeaders,
          ...(body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) }),
          ...options.headers,
        },
        ...(options.signal && { signal: options.signal }),
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          const bytes = Buffer.concat(chunks);
          resolve({
            status: response.statusCode as number,
            headers: response.headers,
            body: bytes,
            json: () => JSON.parse(bytes.toString('utf8')),
          });
        });
      },
    );
    request.on('error', reject);
    request.end(body);
  });
}

export function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
