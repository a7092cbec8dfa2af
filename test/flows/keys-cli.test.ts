/** `hawser keys` as an operator runs it. */
import { chmod, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { KeysStatus } from '../../src/features/environments/index.ts';
import { generateKey } from '../../src/platform/keyring/index.ts';
import type { Hawser } from '../../src/shell/node.ts';
import { runCli } from '../../src/shell/cli/index.ts';
import { createProgressBar } from '../../src/shell/cli/progress.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { callApi } from '../support/app.ts';
import { eventually } from '../support/build.ts';
import { runProgram, scratchDir, startProgram, untilReady } from '../support/process.ts';
import { fill, ringOf, startKeyStage, type KeyStage } from './keys-stage.ts';

/** Each process takes a second to start, ten on a busy machine. */
const LONG_MS = 300_000;

const key = generateKey();
let stage: KeyStage;
let node: Hawser;
let folder: { path: string; remove(): Promise<void> };
beforeAll(async () => {
  stage = await startKeyStage();
  node = await stage.startNode(key);
  await fill(node, stage, 'one', 3);
  folder = await scratchDir();
});
afterAll(async () => {
  await stage?.close();
  await folder?.remove();
});

/** In this process, one after the other: a process of its own would take a second each. */
async function hawser(args: string[], more: Record<string, string> = {}) {
  const before = { ...process.env };
  let [stdout, stderr] = ['', ''];
  Object.assign(process.env, {
    DATABASE_URL: stage.databaseUrl,
    HAWSER_DATA_DIR: folder.path,
    HAWSER_ENCRYPTION_KEY: key,
    ...more,
  });
  try {
    const code = await runCli(['keys', ...args], { out: (text) => (stdout += text), err: (text) => (stderr += text) });
    return { code, stdout, stderr };
  } finally {
    process.env = before;
  }
}

describe('keys', () => {
  it(
    'help fits a screen; a new key is printed and nothing else',
    async () => {
      for (const args of [[], ['status'], ['rotate'], ['api'], ['api', 'create']]) {
        const { code, stdout } = await hawser([...args, '--help']);
        expect(code).toBe(0);
        expect(stdout.trimEnd().split('\n').length).toBeLessThanOrEqual(24);
      }
      const made = await hawser(['generate']);
      expect(ringOf(made.stdout.trim()).activeId).toMatch(/^kek_/);
      expect((await hawser(['rotat'])).code).toBe(2);
    },
    LONG_MS,
  );

  it(
    'status and rotate: what a person reads, what a script reads, and no secret in either',
    async () => {
      const text = await hawser(['status']);
      expect(text).toMatchObject({ code: 0, stderr: '' });
      expect(text.stdout).toContain(`${ringOf(key).activeId}  active     wraps 2 data keys, on 1 of 1 nodes`);
      expect(text.stdout).toMatch(/one +seal_[0-9a-f]{12} +sealing {2}under kek_/);
      expect(text.stdout).toMatch(
        /environment\.webhook_signing_key_sealed 1 · (?:\w+\.\w+ 1 · )*integration\.credentials_sealed 1/,
      );
      expect(text.stdout).toMatch(/Left to do\n {2}nothing\n$/);

      const fresh = generateKey();
      const before = await hawser(['rotate'], { HAWSER_ENCRYPTION_KEY: fresh });
      expect(before.code).toBe(1);
      expect(before.stderr).toMatch(/sealed with encryption key kek_[\s\S]*HAWSER_ENCRYPTION_KEYS_OLD/);
      const both = { HAWSER_ENCRYPTION_KEY: fresh, HAWSER_ENCRYPTION_KEYS_OLD: key };
      const refused = await hawser(['rotate'], both);
      expect(refused.code).toBe(1);
      expect(refused.stderr).toMatch(/1 of 1 running nodes do not have/);
      const status = await hawser(['status'], both);
      expect(status.stdout).toMatch(/Give the active key to 1 running node and restart them\./);
      expect(status.stdout).toMatch(/2 data keys under an old encryption key: hawser keys rotate\n/);

      const rotated = await hawser(['rotate', '--data-keys']);
      expect(rotated).toMatchObject({ code: 0, stderr: '' });
      expect(rotated.stdout).toMatch(/^0 data keys wrapped anew/);
      expect(rotated.stdout).toMatch(/1 new data key\.\n\d+ values sealed anew\.\nRetired: seal_/);
      const json = JSON.parse((await hawser(['status', '--json'])).stdout) as KeysStatus;
      expect(json.left).toEqual({ dataKeysToWrap: 0, valuesToSeal: 0, unfinished: false });
      expect(json.dataKeys.map(({ state }) => state)).toEqual(['retired', 'sealing', undefined]);
      for (const { stdout, stderr } of [text, before, refused, status, rotated]) {
        for (const secret of [key, fresh]) expect(stdout + stderr).not.toContain(secret);
      }
    },
    LONG_MS,
  );

  it(
    'a key file: first line active, others read; an open one and two sources are refused',
    async () => {
      const file = join(folder.path, 'some.keys');
      await writeFile(file, `# since today\n${key}\n${generateKey()}\n`);
      await chmod(file, 0o600);
      const own = { HAWSER_ENCRYPTION_KEY: '', HAWSER_ENCRYPTION_KEY_FILE: file };
      const status = JSON.parse((await hawser(['status', '--json'], own)).stdout) as KeysStatus;
      expect(status.keks.map(({ id, active, atHand }) => [id === ringOf(key).activeId, active, atHand])).toEqual([
        [true, true, true],
        [false, false, true],
      ]);
      await chmod(file, 0o644);
      expect((await hawser(['status'], own)).stderr).toMatch(/open to others \(mode 644\)[\s\S]*chmod 600/);
      expect((await hawser(['status'], { HAWSER_ENCRYPTION_KEY_FILE: file })).stderr).toMatch(/both set/);
      await writeFile(file, 'not a key\n');
      await chmod(file, 0o600);
      const wrong = await hawser(['status'], own);
      expect(wrong.code).toBe(1);
      expect(wrong.stderr).toMatch(/some\.keys is not 32 bytes/);
      expect(wrong.stderr).not.toContain('not a key');
    },
    LONG_MS,
  );

  it('a database that is none of ours is told apart from an empty one', async () => {
    const none = new URL(stage.databaseUrl);
    none.pathname = '/postgres';
    const { code, stderr } = await hawser(['status'], { DATABASE_URL: none.href });
    expect(code).toBe(1);
    expect(stderr).toMatch(/hawser migrate/);
    const nothing = await hawser(['status'], { DATABASE_URL: '' });
    expect(nothing.code).toBe(1);
    expect(nothing.stderr).toMatch(/There is no database/);
  }, 60_000);
});

describe('keys api', () => {
  it(
    'two keys are valid at once; the deleted one is refused by every node at once',
    async () => {
      const other = await stage.startNode(key);
      const answers = async (secret: string) =>
        Promise.all([node, other].map(async ({ url }) => (await callApi(url, secret, 'GET', '/integrations')).status));
      const first = (await hawser(['api', 'create', 'first', '-e', 'one'])).stdout.trim();
      expect(first).toMatch(/^[0-9a-f-]{36}$/);
      const made = await hawser([
        'api',
        'create',
        'second',
        '-e',
        'one',
        '--scope',
        'environment:integrations:list',
        '--json',
      ]);
      const second = JSON.parse(made.stdout) as { id: string; secret: string; scopes: string[] };
      expect(second.scopes).toEqual(['environment:integrations:list']);
      expect(await answers(first)).toEqual([200, 200]);
      expect(await answers(second.secret)).toEqual([200, 200]);

      const listed = await hawser(['api', 'list', '-e', 'one', '--json']);
      const list = JSON.parse(listed.stdout) as { display_name: string; last_used_at: string | null }[];
      expect(list.map(({ display_name }) => display_name)).toEqual(['first', 'second']);
      expect(listed.stdout).not.toContain(second.secret);
      expect((await hawser(['api', 'list', '-e', 'one'])).stdout).toMatch(
        /^ID +NAME +SCOPES +LAST USED\n.* first +environment:\* +2/,
      );

      const deleted = await hawser(['api', 'delete', 'first', '-e', 'one']);
      expect(deleted.stdout).toBe('Deleted "first".\n');
      await eventually(
        () => answers(first),
        (statuses) => statuses.every((status) => status === 401),
      );
      expect(await answers(second.secret)).toEqual([200, 200]);
      expect((await hawser(['api', 'delete', second.id.toUpperCase(), '-e', 'one'])).code).toBe(0);

      const wrong = [
        ['api', 'delete', 'first', '-e', 'one'],
        ['api', 'create', 'x', '-e', 'nowhere'],
        ['api', 'create', 'x', '-e', 'one', '--scope', 'environment:everything'],
        ['api', 'create', 'x', '-e', 'one', '--scope', ':*'],
      ];
      for (const args of wrong) expect(await hawser(args)).toMatchObject({ code: 1, stdout: '' });
    },
    LONG_MS,
  );

  it('an environment has fifty at most; one that is deleted makes room', async () => {
    await stage.db.query(
      `INSERT INTO api_key (environment_id, display_name, secret_hash, scopes)
       SELECT e.id, 'many ' || n, decode(md5('many ' || n), 'hex'), '{environment:*}'
       FROM environment e, generate_series(1, 50 - (SELECT count(*)::int FROM api_key k JOIN environment o
         ON o.id = k.environment_id WHERE o.name = 'one')) n WHERE e.name = 'one'`,
    );
    const refused = await hawser(['api', 'create', 'one more', '-e', 'one']);
    expect(refused).toMatchObject({ code: 1, stdout: '' });
    expect(refused.stderr).toContain('at most 50 API keys');
    expect((await hawser(['api', 'delete', 'many 1', '-e', 'one'])).code).toBe(0);
    expect((await hawser(['api', 'create', 'one more', '-e', 'one'])).code).toBe(0);
    await stage.db.query("DELETE FROM api_key WHERE display_name LIKE 'many %' OR display_name = 'one more'");
  });
});

describe('the embedded database', () => {
  it(
    'fault 30: a new key for a data folder, beside the running server and with it stopped; a wrong and a lost key',
    async () => {
      const dataDir = join(folder.path, 'data');
      const own = { HAWSER_DATA_DIR: dataDir, HAWSER_PORT: '0', HAWSER_EMULATOR_PORT: '0' };
      const keys = async (...args: string[]) => {
        const { code, stdout, stderr } = await runProgram(['keys', ...args, '--json'], own);
        expect(code, stderr).toBe(0);
        return JSON.parse(stdout);
      };
      const server = startProgram(['dev'], own);
      try {
        const { environments } = await untilReady(server, dataDir);
        const running = (await keys('status')) as KeysStatus;
        expect(running.nodes).toEqual({ total: 1, withoutActiveKek: 0 });
        expect(await keys('rotate', '--data-keys')).toMatchObject({
          wrapped: 0,
          made: [{}, {}].map(() => expect.any(String)),
        });

        server.child.kill('SIGINT');
        expect((await server.exited).code).toBe(0);
        const file = join(dataDir, 'encryption.key');
        const old = (await readFile(file, 'utf8')).trim();
        const fresh = generateKey();
        await writeFile(file, `${fresh}\n${old}\n`);
        // Nobody runs the database now: the command does, and stops it again.
        expect(await keys('rotate')).toMatchObject({ activeKek: ringOf(fresh).activeId, wrapped: 6 });
        await writeFile(file, `${fresh}\n`);
        const stopped = (await keys('status')) as KeysStatus;
        expect(stopped).toMatchObject({ nodes: { total: 0 }, keks: [{ id: ringOf(fresh).activeId, dataKeys: 6 }] });

        const again = startProgram(['dev'], own);
        try {
          const started = await untilReady(again, dataDir);
          expect(started.environments).toEqual(environments);
        } finally {
          again.child.kill('SIGINT');
          await again.exited;
        }
        await writeFile(file, `${old}\n`);
        const sealed = await runProgram(['dev'], own);
        expect(sealed.code).toBe(1);
        expect(sealed.stderr).toContain(ringOf(fresh).activeId);
        // A lost key is no reason to make another one.
        await rm(file);
        const lost = await runProgram(['dev'], own);
        expect(lost.code).toBe(1);
        expect(lost.stderr).toMatch(/encryption\.key is missing/);
        await expect(readFile(file)).rejects.toThrow(/ENOENT/);
      } finally {
        server.child.kill('SIGKILL');
        await server.exited;
      }
    },
    LONG_MS,
  );
});

describe('progress bar', () => {
  it('redraws one line on a terminal, shows nothing elsewhere', () => {
    const drawn = (isTerminal: boolean): string => {
      let text = '';
      const clock = { ...systemClock, monotonicMs: () => 0 };
      const bar = createProgressBar({ out: () => {}, err: (part) => (text += part), isTerminal }, clock);
      bar.update('Sealing', 0, 4);
      bar.update('Sealing', 2, 4); // too soon after the first
      bar.update('Sealing', 4, 4);
      bar.end();
      return text;
    };
    expect(drawn(false)).toBe('');
    const clear = '\r\u001b[2K';
    expect(drawn(true).split(clear)).toEqual([
      '',
      `Sealing  [${'.'.repeat(30)}] 0 of 4`,
      `Sealing  [${'#'.repeat(30)}] 4 of 4`,
      '',
    ]);
  });
});
