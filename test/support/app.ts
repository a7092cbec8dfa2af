/**
 * A whole Hawser for tests: real server on a free port, a database of its own, real emulators, seeded integrations.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLog, type Log } from '../../src/base/log.ts';
import type { Clock } from '../../src/base/clock.ts';
import { readConfig, type Config } from '../../src/config.ts';
import { generateKey, keyringFrom, type Keyring } from '../../src/platform/keyring/index.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { openDatabase, type Database } from '../../src/platform/postgres/index.ts';
import { seedDev } from '../../src/shell/dev/seed.ts';
import { startHawser, type Hawser, type HawserOptions, type Services } from '../../src/shell/node.ts';
import { ensureEnvironments } from '../../src/shell/start/environments.ts';
import { startEmulators, type Emulators } from '../../emulators/index.ts';
import { createTestDatabase } from './database.ts';

export interface TestApp {
  /** `http://localhost:<port>` */
  url: string;
  hawser: Hawser;
  services: Services;
  db: Database;
  databaseUrl: string;
  emulators: Emulators;
  keyring: Keyring;
  dataDir: string;
  /** Key of the `dev` environment, where `checkr-partner`, `xref` and `checkbook` are seeded. */
  apiKey: string;
  prodApiKey: string;
  /** A call of the API with the dev key. */
  api(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<ApiAnswer>;
  /** A second node on the same database. Closed with the app. */
  startNode(options?: Partial<HawserOptions> & { settings?: Record<string, string> }): Promise<Hawser>;
  close(): Promise<void>;
}

export interface ApiAnswer {
  status: number;
  headers: Headers;
  // Tests read whatever shape they expect.
  // oxlint-disable-next-line typescript/no-explicit-any
  body: any;
  text: string;
}

export interface TestAppOptions {
  log?: Log;
  clock?: Clock;
  /** Settings by their environment names. */
  settings?: Record<string, string>;
  /** Default true. */
  seed?: boolean;
  /** The emulators tell the seeded integrations what happens. Default false. */
  webhooks?: boolean;
  devRoutes?: HawserOptions['devRoutes'];
  /** Plays the providers instead of the own emulators. */
  emulatorUrl?: string;
}

/** Starts everything. Close it in `afterAll`. */
export async function startTestApp(options: TestAppOptions = {}): Promise<TestApp> {
  const { log = silentLog, clock = systemClock } = options;
  const dataDir = await mkdtemp(join(tmpdir(), 'hawser-test-'));
  const database = await createTestDatabase({ poolSize: 8, log, clock });
  const emulators = await startEmulators({});
  const keyring = keyringFrom(generateKey()) as Keyring;
  const extra: { hawser: Hawser; db: Database }[] = [];
  const defaults = {
    HAWSER_PORT: '0',
    HAWSER_DATA_DIR: dataDir,
    // All tests of a file come from one address, and many try wrong keys on purpose.
    HAWSER_AUTH_FAILURES_PER_MINUTE: '0',
  };
  const configOf = (settings: Record<string, string> = {}): Config =>
    readConfig('dev', { ...defaults, ...options.settings, ...settings });

  const hawser = await startHawser({
    config: configOf(),
    db: database.db,
    keyring,
    log,
    clock,
    version: '0.0.0-test',
    emulatorUrl: options.emulatorUrl ?? emulators.url,
    devRoutes: options.devRoutes,
  });
  const { entries } = await ensureEnvironments(hawser.services.environments, undefined);
  if (options.seed !== false) {
    const webhooks = options.webhooks === true;
    await seedDev(hawser.services, emulators, `${hawser.url}/oauth/callback`, { webhooks });
  }
  const apiKey = entries['dev']?.apiKey as string;

  return {
    url: hawser.url,
    hawser,
    services: hawser.services,
    db: database.db,
    databaseUrl: database.url,
    emulators,
    keyring,
    dataDir,
    apiKey,
    prodApiKey: entries['prod']?.apiKey as string,
    api: (method, path, body, headers) => callApi(hawser.url, apiKey, method, path, body, headers),
    async startNode({ settings, ...more } = {}) {
      const db = await openDatabase({ url: database.url, poolSize: 8, log, clock });
      const node = await startHawser({
        config: configOf(settings),
        db,
        keyring,
        log,
        clock,
        version: '0.0.0-test',
        emulatorUrl: options.emulatorUrl ?? emulators.url,
        ...more,
      });
      extra.push({ hawser: node, db });
      return node;
    },
    async close() {
      for (const node of extra) {
        await node.hawser.close();
        await node.db.close();
      }
      await hawser.close();
      await emulators.close();
      await database.drop();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

/** A plain call of the API; the body is read as JSON where it is JSON. */
export async function callApi(
  url: string,
  apiKey: string,
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<ApiAnswer> {
  const response = await fetch(`${url}${path}`, {
    method,
    redirect: 'manual',
    headers: {
      authorization: `Bearer ${apiKey}`,
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: parse(text), text };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text; // not JSON: the test looks at the text
  }
}
