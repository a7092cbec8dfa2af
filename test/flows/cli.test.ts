/** The command line against a running server. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestApp, type TestApp } from '../support/app.ts';
import { connectAccount } from '../support/connect.ts';
import { createTestDatabase } from '../support/database.ts';
import { runHere, runProgram, scratchDir, startProgram } from '../support/process.ts';

let app: TestApp;
let settings: Record<string, string>;
beforeAll(async () => {
  app = await startTestApp();
  settings = { HAWSER_URL: app.url, HAWSER_API_KEY: app.apiKey };
});
afterAll(() => app?.close());

const hawser = (...args: string[]) => runHere(args, settings);

describe('help', () => {
  it.each([[[]], [['connections']], [['call']], [['emulate']], [['dev']]])('of %j fits a screen', async (args) => {
    const { code, stdout } = await hawser(...args, '--help');
    expect(code).toBe(0);
    const lines = stdout.trimEnd().split('\n');
    // The list of all commands needs a window of today; everything else a terminal of any age.
    expect(lines.length).toBeLessThanOrEqual(args.length === 0 ? 40 : 24);
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(100);
  });

  it('a wrong command or option: exit code 2 and a suggestion', async () => {
    const wrong = await hawser('connectons');
    expect(wrong.code).toBe(2);
    expect(wrong.stderr).toContain('connections');
    expect((await hawser('connections', 'get', 'x')).code).toBe(2);
    expect((await hawser('call', 'FETCH', '/x', '-i', 'a', '-c', 'b')).code).toBe(2);
    expect((await hawser('emulate', 'checkr', '--port', 'many')).code).toBe(2);
  });
});

describe('connections and call', () => {
  it('list, get, call and delete; --json for scripts', { timeout: 180_000 }, async () => {
    expect((await hawser('connections', 'list')).stdout).toMatch(/No connections/);
    const { connectionId } = await connectAccount(app, 'checkr-partner');
    const listed = await hawser('connections', 'list', '--json', '-i', 'checkr-partner');
    expect(JSON.parse(listed.stdout)).toMatchObject([{ connection_id: connectionId, state: 'active' }]);
    const got = await hawser('connections', 'get', connectionId, '-i', 'checkr-partner');
    expect(JSON.parse(got.stdout)).toMatchObject({ connection_id: connectionId, credentials: { type: 'OAUTH2' } });

    const target = ['-i', 'checkr-partner', '-c', connectionId];
    const account = await hawser('call', 'get', '/v1/account', ...target);
    expect(account.code).toBe(0);
    expect(account.stderr).toBe('200\n');
    expect(JSON.parse(account.stdout)).toMatchObject({ object: 'account' });
    const created = await hawser(
      'call',
      'POST',
      'v1/candidates',
      ...target,
      '-d',
      '{"email":"cli@example.com","first_name":"C","last_name":"L","no_middle_name":true}',
      '-H',
      'Idempotency-Key: cli-1',
      '--json',
    );
    expect(JSON.parse(created.stdout)).toMatchObject({ status: 201, body: { email: 'cli@example.com' } });
    const missing = await hawser('call', 'GET', '/v1/candidates/nobody', ...target);
    expect(missing.code).toBe(4);
    expect(missing.stderr).toBe('404\n');

    const deleted = await hawser('connections', 'delete', connectionId, '-i', 'checkr-partner');
    expect(deleted.stdout).toContain('revoked');
    const again = await hawser('connections', 'delete', connectionId, '-i', 'checkr-partner');
    expect(again.code).toBe(4);
    expect(again.stderr).toContain('unknown_connection');
  });

  it('no server: exit code 3 and what to do; a wrong key: exit code 4', async () => {
    const gone = await runProgram(['connections', 'list'], {
      HAWSER_URL: 'http://127.0.0.1:1',
      HAWSER_API_KEY: app.apiKey,
    });
    expect(gone.code).toBe(3);
    expect(gone.stderr).toContain('hawser dev');
    const dir = await scratchDir();
    const nowhere = await runHere(['connections', 'list'], { HAWSER_DATA_DIR: dir.path });
    await dir.remove();
    expect(nowhere.code).toBe(3);
    const wrong = await runHere(['connections', 'list'], { ...settings, HAWSER_API_KEY: crypto.randomUUID() });
    expect(wrong.code).toBe(4);
    expect(wrong.stderr).toContain('unknown_account');
  });
});

describe('emulate and migrate', () => {
  it('emulate checkr runs it alone at the root of its port, until a signal', async () => {
    const program = startProgram(['emulate', 'checkr', '--port', '0', '--json']);
    await expect.poll(program.stdout, { timeout: 20_000 }).toContain('\n');
    const { url, emulators } = JSON.parse(program.stdout()) as {
      url: string;
      emulators: { name: string; url: string }[];
    };
    expect(emulators).toEqual([{ name: 'checkr', url }]);
    const page = await fetch(`${url}/developer`);
    expect(page.status).toBe(200);
    const unauthorized = await fetch(`${url}/v1/account`, { headers: { authorization: 'Basic eDo=' } });
    expect(unauthorized.status).toBe(401);
    program.child.kill('SIGINT');
    expect((await program.exited).code).toBe(0);
    const unknown = await runHere(['emulate', 'nobody', '--port', '0']);
    expect(unknown.code).toBe(1);
    expect(unknown.stderr).toContain('checkbook');
  });

  it('migrate brings an empty database up to date, and says so the second time', async () => {
    const database = await createTestDatabase({ migrated: false });
    const run = () => runHere(['migrate', '--json'], { DATABASE_URL: database.url });
    const first = JSON.parse((await run()).stdout) as { applied: string[] };
    expect(first.applied[0]).toBe('0001_init.sql');
    expect(JSON.parse((await run()).stdout)).toEqual({ applied: [] });
    await database.drop();
    expect((await runHere(['migrate'])).stderr).toContain('DATABASE_URL');
  });
});
