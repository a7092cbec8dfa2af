/** Twelve secrets through the whole program, at debug level, with everything going wrong (threats 2.6, cases 23, 24). */
import { randomBytes } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { generateKey } from '../../src/platform/keyring/index.ts';
import { dumpDatabase, encodingsOf, hashOf, searchFor, startEcho, type Echo, type Hit } from '../support/canary.ts'; // prettier-ignore
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { runProgram, scratchDir, startProgram, untilReady } from '../support/process.ts';
import { all, canaries, canary, HOOKS, odd, said, walk } from './canary-walk.ts';

let database: TestDatabase;
let echo: Echo;
let folder: { path: string; remove(): Promise<void> };
let settings: Record<string, string>;
const role = `canary_${randomBytes(4).toString('hex')}`;
let logLines = 0;

beforeAll(async () => {
  database = await createTestDatabase();
  echo = await startEcho();
  folder = await scratchDir();
  await database.db.query(`CREATE ROLE ${role} SUPERUSER LOGIN PASSWORD '${canary('database password')}'`);
  const url = new URL(database.url);
  url.username = role;
  url.password = canary('database password');
  settings = {
    HAWSER_PORT: '0',
    HAWSER_DATA_DIR: folder.path,
    DATABASE_URL: url.href,
    HAWSER_ENCRYPTION_KEY: canary('encryption key'),
    HAWSER_LOG_LEVEL: 'debug',
    HAWSER_EGRESS_ALLOW: echo.pair,
    HAWSER_EMULATOR_URL: echo.url,
    HAWSER_RETURN_ORIGINS: 'https://app.example.com',
    HAWSER_AUTH_FAILURES_PER_MINUTE: '0',
  };
  // The first start shows the API keys, once; what is searched is the second.
  const first = startProgram(['start'], settings);
  const file = await untilReady(first, folder.path);
  first.child.kill('SIGTERM');
  await first.exited;
  canaries.set('our API key', file.environments.dev.apiKey);
  canaries.set('webhook signing key', file.environments.dev.webhookSigningKey);
  const program = startProgram(['start'], settings);
  try {
    await walk(await untilReady(program, folder.path), program, { echo, database, role });
  } finally {
    program.child.kill('SIGTERM');
    const { stdout, stderr } = await program.exited;
    logLines = stderr.split('\n').length;
    said.push({ where: 'standard output', text: stdout }, { where: 'log', text: stderr });
  }
});
afterAll(async () => {
  await echo?.close();
  const admin = await createTestDatabase({ migrated: false });
  await database?.drop();
  await admin.db.query(`DROP ROLE IF EXISTS ${role}`);
  await admin.drop();
  await folder?.remove();
});

/** The plan is in the report; the secrets are not. */
function hitsIn(where: (one: (typeof said)[number]) => boolean): Hit[] {
  return said.filter(where).flatMap(({ where: place, text, except }) => searchFor(all(except), text, place));
}

describe('abuse 23: canaries', () => {
  it('abuse 23: the search finds every form of a secret', () => {
    const secret = odd('x');
    const forms = encodingsOf(secret);
    expect(new Set(forms.map(({ encoding }) => encoding)).size).toBeGreaterThanOrEqual(6);
    const list = [{ name: 'x', secret }];
    for (const { text } of forms) {
      const hits = searchFor(list, `before ${text} behind`, 'here');
      expect(hits.map((hit) => hit.canary)).toContain('x');
      expect(JSON.stringify(hits)).not.toContain(text);
    }
    for (const prefix of ['', 'a', 'ab', 'abc']) {
      const text = Buffer.from(`${prefix}${secret}${prefix}`).toString('base64');
      expect(searchFor(list, text, 'here').map((hit) => hit.encoding)).toContain('base64');
    }
    expect(searchFor(list, secret.slice(1), 'here')).toEqual([]);
  });

  it('abuse 23: all twelve went through the program, and the provider saw what it needs', () => {
    expect([...canaries.keys()].filter((name) => name !== 'browser cookie')).toHaveLength(13);
    for (const [name, secret] of canaries) expect([name, (secret ?? '').length >= 20]).toEqual([name, true]);
    const sent = echo.requests.map(({ body, authorization }) => `${new URLSearchParams(body)} ${body} ${authorization}`).join('\n'); // prettier-ignore
    for (const name of ['client secret', 'refresh token', 'code', 'access token', 'API key credential']) {
      expect([name, searchFor([{ name, secret: canary(name) }], sent, 'x').length > 0]).toEqual([name, true]);
    }
    expect(said.filter(({ where }) => where.startsWith('reply of')).length).toBeGreaterThan(150);
    expect(logLines).toBeGreaterThan(20);
  });

  it('abuse 23: none is in a line of the log, at debug level, nor on the terminal', () => {
    expect(hitsIn(({ where }) => where === 'log' || where === 'standard output')).toEqual([]);
  });

  it('abuse 23: none is in a reply, but in those whose job it is', () => {
    expect(hitsIn(({ where }) => where.startsWith('reply'))).toEqual([]);
  });

  it('abuse 23: none is in what the app is told', () => {
    const bodies = echo.requests.filter(({ path }) => path === HOOKS).map(({ body }) => body);
    expect(bodies.length).toBeGreaterThan(10);
    expect(bodies.filter((body) => body.includes('"access_code":"[redacted]"'))).toHaveLength(1);
    expect(searchFor(all(), bodies.join('\n'), 'events')).toEqual([]);
  });

  it('abuse 23: none is in the database, in no column and no form; what can be looked up is a hash', async () => {
    const { text, rows, tables } = await dumpDatabase(database.db);
    expect(rows).toBeGreaterThan(50);
    expect(tables).toBeGreaterThan(10);
    expect(searchFor(all(), text, 'database')).toEqual([]);
    expect(text).toContain(hashOf(canary('our API key')));
    for (const table of [
      'activity',
      'event',
      'connection',
      'credential',
      'oauth_flow',
      'disconnect_task',
      'inbound_event',
      'delivery',
    ]) {
      expect([table, text.includes(`\n${table} {`)]).toEqual([table, true]);
    }
  });

  it('abuse 23: none is in a file of the data folder but the one that keeps the keys', async () => {
    const entries = await readdir(folder.path, { recursive: true, withFileTypes: true });
    for (const entry of entries) {
      if (!entry.isFile() || entry.name === 'hawser.json') continue;
      const text = (await readFile(join(entry.parentPath, entry.name))).toString('latin1');
      expect(searchFor(all(), text, entry.name)).toEqual([]);
    }
  });

  it('abuse 23: none is in what a start says that fails', { timeout: 60_000 }, async () => {
    const bad: [string, Record<string, string>][] = [
      ['another key', { HAWSER_ENCRYPTION_KEY: generateKey() }],
      ['half a key', { HAWSER_ENCRYPTION_KEY: canary('encryption key').slice(0, 30) }],
      ['a wrong password', { DATABASE_URL: settings['DATABASE_URL']?.replace('db-', 'db-x-') as string }],
      ['no database', { DATABASE_URL: `postgres://u:${canary('database password')}@127.0.0.1:1/x` }],
      ['a broken URL', { DATABASE_URL: `postgres://u:${canary('database password')}@host:port/x` }],
      ['a password in the public URL', { HAWSER_PUBLIC_URL: `https://u:${canary('database password')}@x.example` }],
    ];
    await Promise.all(
      bad.map(async ([name, wrong]) => {
        const { code, stdout, stderr } = await runProgram(['start'], { ...settings, ...wrong });
        expect([name, code]).toEqual([name, 1]);
        expect(searchFor(all(), stdout + stderr, name)).toEqual([]);
        expect(stderr).not.toContain(canary('encryption key').slice(0, 30));
      }),
    );
    const client = await runProgram(['connections', 'list'], { HAWSER_URL: 'http://127.0.0.1:1', HAWSER_API_KEY: canary('our API key') }); // prettier-ignore
    expect(client.code).not.toBe(0);
    expect(searchFor(all(), client.stdout + client.stderr, 'command line')).toEqual([]);
  });
});

describe('abuse 24: what travels in URLs', () => {
  it('abuse 24: session token, state and code stand in no log line, and in no reply that is not their own', () => {
    const inUrls = ['session token', 'state', 'code', 'browser cookie'];
    const list = all().filter(({ name }) => inUrls.includes(name));
    expect(new Set(list.map(({ name }) => name)).size).toBe(4);
    expect(list.length).toBeGreaterThan(50);
    const log = said.find(({ where }) => where === 'log')?.text ?? '';
    expect(searchFor(list, log, 'log')).toEqual([]);
    expect(log).not.toMatch(/connect_session_token=|[?&]code=|[?&]state=|Bearer /);
  });

  it('abuse 24: nothing that was answered may be kept, and no page sends its address on', () => {
    const answers = said.filter(
      ({ where, text }) => where.startsWith('reply of') && !/ \/proxy/.test(where) && text !== '',
    );
    expect(answers.length).toBeGreaterThan(100);
    for (const { where, text } of answers) {
      expect([where, /^cache-control: no-store$/m.test(text)]).toEqual([where, true]);
      expect([where, /^referrer-policy: no-referrer$/m.test(text)]).toEqual([where, true]);
    }
  });
});
