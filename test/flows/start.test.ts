/** The program as an operator starts, stops and kills it. */
import { createServer } from 'node:http';
import { stat, writeFile } from 'node:fs/promises';
import { type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { startEmulators } from '../../emulators/index.ts';
import { generateKey } from '../../src/platform/keyring/index.ts';
import { callApi } from '../support/app.ts';
import { beginFlow, cookieOf } from '../support/connect.ts';
import { createTestDatabase } from '../support/database.ts';
import {
  descendantsOf,
  isAlive,
  runProgram,
  scratchDir,
  startProgram,
  untilReady,
  type HawserJson,
  type Program,
} from '../support/process.ts';

const cleanUp: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const undo of cleanUp.splice(0).toReversed()) await undo();
});

async function folder(): Promise<string> {
  const dir = await scratchDir();
  cleanUp.push(() => dir.remove());
  return dir.path;
}

function start(args: string[], settings: Record<string, string>): Program {
  const program = startProgram(args, settings);
  cleanUp.push(async () => {
    program.child.kill('SIGKILL');
    await program.exited;
  });
  return program;
}

const FREE_PORTS = { HAWSER_PORT: '0', HAWSER_EMULATOR_PORT: '0' };

describe('hawser dev', () => {
  it('first start: everything is there; Ctrl-C leaves no process; the next start keeps the keys', async () => {
    const dataDir = join(await folder(), 'data');
    const settings = { ...FREE_PORTS, HAWSER_DATA_DIR: dataDir };
    const first = start(['dev'], settings);
    const file = await untilReady(first, dataDir);
    expect(file).toMatchObject({
      url: expect.stringMatching(/^http:\/\/localhost:\d+$/),
      emulatorUrl: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/),
      environments: {
        dev: {
          apiKey: expect.stringMatching(/^[0-9a-f-]{36}$/),
          webhookSigningKey: expect.stringMatching(/^[0-9a-f]{64}$/),
        },
        prod: { apiKey: expect.any(String), webhookSigningKey: expect.any(String) },
      },
      dashboardPassword: expect.stringMatching(/^.{12,}$/),
    });
    for (const name of ['hawser.json', 'encryption.key', 'emulators.json', 'postgres.json']) {
      expect(((await stat(join(dataDir, name))).mode & 0o777).toString(8)).toBe('600');
    }
    expect(first.stdout()).toContain(file.environments.dev.apiKey);
    const seeded = await callApi(file.url, file.environments.dev.apiKey, 'GET', '/integrations');
    expect(seeded.body.data.map((one: { unique_key: string }) => one.unique_key)).toEqual([
      'checkr-partner',
      'xref',
      'checkbook',
    ]);
    const prod = await callApi(file.url, file.environments.prod.apiKey, 'GET', '/integrations');
    expect(prod.body.data).toEqual([]);

    // The one button, without a browser: form, callback, page with the proxied account.
    const { connected, page } = await pressButton(file);
    expect(connected).toMatch(/status=success/);
    expect(page).toContain('200 in');
    expect(page).toContain('Harbor Lights Staffing');

    const family = await descendantsOf(first.child.pid as number);
    expect(family.length).toBeGreaterThan(0);
    first.child.kill('SIGINT');
    expect(await first.exited).toMatchObject({ code: 0, signal: null });
    expect(family.filter(isAlive)).toEqual([]);

    const second = start(['dev'], settings);
    const again = await untilReady(second, dataDir);
    expect(again.environments).toEqual(file.environments);
    expect(second.stdout()).not.toContain('shown once');
    const connections = await callApi(again.url, again.environments.dev.apiKey, 'GET', '/connections');
    expect(connections.body.connections).toHaveLength(1);
    const id = connections.body.connections[0].connection_id as string;
    const call = await callApi(again.url, again.environments.dev.apiKey, 'GET', '/proxy/v1/account', undefined, {
      'provider-config-key': 'checkr-partner',
      'connection-id': id,
    });
    expect(call.status).toBe(200);
    second.child.kill('SIGTERM');
    expect((await second.exited).code).toBe(0);
  });

  it('killed with -9: the next start repairs by itself and the connection works on', async () => {
    const dataDir = join(await folder(), 'data');
    const settings = { ...FREE_PORTS, HAWSER_DATA_DIR: dataDir };
    const first = start(['dev'], settings);
    await pressButton(await untilReady(first, dataDir));
    first.child.kill('SIGKILL');
    await first.exited;
    const second = start(['dev'], settings);
    const file = await untilReady(second, dataDir);
    const { body } = await callApi(file.url, file.environments.dev.apiKey, 'GET', '/connections');
    expect(body.connections).toHaveLength(1);
    const call = await callApi(file.url, file.environments.dev.apiKey, 'GET', '/proxy/v1/account', undefined, {
      'provider-config-key': 'checkr-partner',
      'connection-id': body.connections[0].connection_id,
    });
    expect(call.status).toBe(200);
    second.child.kill('SIGINT');
    expect((await second.exited).code).toBe(0);
  });
});

describe('what a start refuses, in one sentence with what to do', () => {
  async function refused(settings: Record<string, string>, mode = 'dev'): Promise<string> {
    const result = await runProgram([mode], { ...FREE_PORTS, ...settings });
    expect(result.code).toBe(1);
    expect(result.stderr).not.toMatch(/ {4}at /);
    return result.stderr;
  }

  it('a taken port', { timeout: 60_000 }, async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    cleanUp.push(() => taken.close());
    await new Promise((resolve) => taken.once('listening', resolve));
    const { port } = taken.address() as AddressInfo;
    const database = await createTestDatabase();
    cleanUp.push(() => database.drop());
    const base = { HAWSER_DATA_DIR: await folder(), DATABASE_URL: database.url, HAWSER_ENCRYPTION_KEY: generateKey() };
    expect(await refused({ ...base, HAWSER_PORT: String(port) })).toMatch(/Port \d+ .* is taken[\s\S]*HAWSER_PORT/);
    expect(await refused({ ...base, HAWSER_EMULATOR_PORT: String(port) })).toMatch(/taken|in use/i);
  });

  it('a folder that cannot be written', async () => {
    const file = join(await folder(), 'a-file');
    await writeFile(file, '');
    expect(await refused({ HAWSER_DATA_DIR: join(file, 'data') })).toMatch(/cannot be written[\s\S]*HAWSER_DATA_DIR/);
  });

  it('an unreachable database, without its password', async () => {
    const text = await refused({
      HAWSER_DATA_DIR: await folder(),
      DATABASE_URL: 'postgres://hawser:a-secret-word@127.0.0.1:1/hawser',
      HAWSER_ENCRYPTION_KEY: generateKey(),
    });
    expect(text).toMatch(/127\.0\.0\.1:1/);
    expect(text).not.toContain('a-secret-word');
  });

  it('no key, a malformed key, and a key that the database was not sealed with; nothing is changed', async () => {
    const database = await createTestDatabase();
    cleanUp.push(() => database.drop());
    const base = { HAWSER_DATA_DIR: await folder(), DATABASE_URL: database.url };
    expect(await refused(base, 'start')).toMatch(/HAWSER_ENCRYPTION_KEY[\s\S]*openssl/);
    expect(await refused({ ...base, HAWSER_ENCRYPTION_KEY: 'short' }, 'start')).toMatch(/32 bytes/);

    const right = generateKey();
    const program = start(['start'], { ...base, ...FREE_PORTS, HAWSER_ENCRYPTION_KEY: right });
    await untilReady(program, base.HAWSER_DATA_DIR);
    program.child.kill('SIGINT');
    expect((await program.exited).code).toBe(0);
    const before = await database.db.query('SELECT * FROM data_key ORDER BY id');
    const text = await refused({ ...base, HAWSER_ENCRYPTION_KEY: generateKey() }, 'start');
    expect(text).toMatch(/sealed with encryption key kek_[\s\S]*Nothing was changed/);
    expect(await database.db.query('SELECT * FROM data_key ORDER BY id')).toEqual(before);
  });

  it('an address that others can reach without a password', async () => {
    const database = await createTestDatabase();
    cleanUp.push(() => database.drop());
    const base = {
      HAWSER_DATA_DIR: await folder(),
      DATABASE_URL: database.url,
      HAWSER_ENCRYPTION_KEY: generateKey(),
      HAWSER_HOST: '0.0.0.0',
    };
    expect(await refused(base, 'start')).toMatch(/HAWSER_DASHBOARD_PASSWORD/);
    expect(await refused({ ...base, HAWSER_DASHBOARD_PASSWORD: 'short' }, 'start')).toMatch(/12 characters/);
  });

  it('a setting that is no number or no URL', async () => {
    expect(await refused({ HAWSER_PORT: 'many' })).toMatch(/HAWSER_PORT/);
    expect(await refused({ HAWSER_PUBLIC_URL: 'ftp://x' })).toMatch(/HAWSER_PUBLIC_URL/);
    const database = await createTestDatabase();
    cleanUp.push(() => database.drop());
    const base = { HAWSER_DATA_DIR: await folder(), DATABASE_URL: database.url, HAWSER_ENCRYPTION_KEY: generateKey() };
    expect(await refused({ ...base, HAWSER_EGRESS_ALLOW: 'localhost' })).toMatch(/host:port/);
  });
});

describe('kill -9 in the middle', () => {
  /** A node in its own process on a database and emulators that outlive it. */
  async function world() {
    const database = await createTestDatabase();
    cleanUp.push(() => database.drop());
    const emulators = await startEmulators({});
    cleanUp.push(() => emulators.close());
    const dataDir = await folder();
    const settings = {
      ...FREE_PORTS,
      HAWSER_DATA_DIR: dataDir,
      DATABASE_URL: database.url,
      HAWSER_ENCRYPTION_KEY: generateKey(),
      HAWSER_EMULATOR_URL: emulators.url,
    };
    const node = async () => {
      const program = start(['dev'], settings);
      const file = await untilReady(program, dataDir);
      const api = (method: string, path: string, body?: unknown, headers?: Record<string, string>) =>
        callApi(file.url, file.environments.dev.apiKey, method, path, body, headers);
      return { program, file, api };
    };
    return { database, checkr: emulators.get('checkr'), node };
  }

  async function session(api: (method: string, path: string, body?: unknown) => ReturnType<typeof callApi>) {
    const answer = await api('POST', '/connect/sessions', {
      end_user: { id: 'u1' },
      allowed_integrations: ['checkr-partner'],
    });
    return answer.body.data.token as string;
  }

  it('of a connect and of a call: no repair by hand, the state as before or explained', async () => {
    const { checkr, node } = await world();
    const first = await node();
    const app = checkr.registerApp({ name: 'App', redirectUri: `${first.file.url}/oauth/callback` });
    const created = await first.api('POST', '/integrations', {
      provider: 'checkr-partner',
      unique_key: 'checkr-partner',
      credentials: { type: 'OAUTH2', client_id: app.clientId, client_secret: app.liveSecret },
      custom: { emulated: 'true' },
    });
    expect(created.status).toBe(200);

    // Killed while the provider thinks about the code.
    checkr.setFault({ name: 'slow', on: 'token', delayMs: 60_000 });
    const flow = await beginFlow(first.file.url, 'checkr-partner', await session(first.api));
    const callback = checkr.consent(flow.location);
    const answer = fetch(callback, { headers: { cookie: flow.cookie } }).catch(() => undefined);
    await expect.poll(() => checkr.tokenRequestCount()).toBe(1);
    first.program.child.kill('SIGKILL');
    await first.program.exited;
    await answer;
    checkr.clearFaults();

    const second = await node();
    expect((await second.api('GET', '/connections')).body.connections).toEqual([]);
    checkr.editApp(app.clientId, { redirectUri: `${second.file.url}/oauth/callback` });
    // The old callback says what happened and sends nothing to the provider; a new try works.
    const stale = new URL(callback);
    stale.port = new URL(second.file.url).port;
    const replayed = await fetch(stale, { headers: { cookie: flow.cookie }, redirect: 'manual' });
    expect(replayed.status).toBe(400);
    expect(checkr.tokenRequestCount()).toBe(1);
    const retry = await beginFlow(second.file.url, 'checkr-partner', await session(second.api));
    const done = await fetch(checkr.consent(retry.location), { headers: { cookie: retry.cookie } });
    expect(done.status).toBe(200);
    const [connection] = (await second.api('GET', '/connections')).body.connections;
    expect(connection.state).toBe('active');

    // Killed while the provider works on a call.
    const ids = { 'provider-config-key': 'checkr-partner', 'connection-id': connection.connection_id as string };
    checkr.setFault({ name: 'slow', on: 'api', delayMs: 60_000 });
    const call = second.api('GET', '/proxy/v1/account', undefined, ids).catch(() => undefined);
    await expect.poll(() => checkr.faults().length, { message: 'the call is at the provider' }).toBe(0);
    second.program.child.kill('SIGKILL');
    await second.program.exited;
    expect(await call).toBeUndefined();
    checkr.clearFaults();

    const third = await node();
    const after = (await third.api('GET', '/connections')).body.connections;
    expect(after).toHaveLength(1);
    expect(after[0].state).toBe('active');
    expect((await third.api('GET', '/proxy/v1/account', undefined, ids)).status).toBe(200);
    third.program.child.kill('SIGINT');
    expect((await third.program.exited).code).toBe(0);
  });
});

/** Presses the button of the first page and follows the redirects with its cookies, as a browser does. */
async function pressButton(file: HawserJson): Promise<{ connected: string; page: string }> {
  const pressed = await fetch(`${file.url}/dev/connect`, {
    method: 'POST',
    redirect: 'manual',
    headers: { origin: file.url, 'content-type': 'application/x-www-form-urlencoded' },
    body: 'integration=checkr-partner',
  });
  const cookie = cookieOf(pressed);
  const callback = await fetch(pressed.headers.get('location') as string, { redirect: 'manual', headers: { cookie } });
  const connected = callback.headers.get('location') as string;
  return { connected, page: await (await fetch(connected, { headers: { cookie } })).text() };
}
