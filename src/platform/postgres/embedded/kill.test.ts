import { spawn } from 'node:child_process';
import { readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { silentLog } from '../../../base/log.ts';
import { systemClock } from '../../clock.ts';
import { chooseAccount } from './account.ts';
import {
  copySeed,
  findProcesses,
  giveTo,
  isAlive,
  makeScratch,
  makeSeed,
  query,
  until,
  type Scratch,
} from './scratch.test-support.ts';
import { startEmbeddedPostgres, type EmbeddedPostgres } from './start.ts';

const isRoot = process.getuid?.() === 0;
const isLinux = process.platform === 'linux';

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

async function start(): Promise<EmbeddedPostgres> {
  const postgres = await startEmbeddedPostgres({ dataDir, log: silentLog, clock: systemClock });
  running.push(postgres);
  return postgres;
}

describe('kill -9', () => {
  it('of PostgreSQL is reported, and the next start has everything that was committed', async () => {
    await copySeed(seed, dataDir);
    const node = scratch.startNode({ dataDir });
    const { url, pid } = await node.up;
    await query(url!, "INSERT INTO kept VALUES ('new')");
    process.kill(pid!, 'SIGKILL');
    expect((await node.line((line) => line.exit !== undefined)).exit).toMatch(/ended unexpectedly \(signal SIGKILL\)/);
    expect(await node.exited).toBe(3);
    const next = await start();
    expect(await query(next.url, 'SELECT word FROM kept')).toEqual([{ word: 'here' }, { word: 'new' }]);
  });

  it('of Hawser takes PostgreSQL down too', async () => {
    await copySeed(seed, dataDir);
    const node = scratch.startNode({ dataDir });
    const { pid } = await node.up;
    await node.kill();
    await until(async () => !(await isAlive(pid!)));
  });

  it('of Hawser is followed by a start without waiting', async () => {
    await copySeed(seed, dataDir);
    const node = scratch.startNode({ dataDir });
    const { url } = await node.up;
    await query(url!, "INSERT INTO kept VALUES ('new')");
    await node.kill();
    const next = await start();
    expect(await query(next.url, 'SELECT word FROM kept')).toEqual([{ word: 'here' }, { word: 'new' }]);
  });

  it.runIf(isLinux)('of Hawser and its watchdog leaves an orphan, which the next start stops', async () => {
    await copySeed(seed, dataDir);
    const node = scratch.startNode({ dataDir });
    const { url, pid } = await node.up;
    await query(url!, "INSERT INTO kept VALUES ('new')");
    const [watchdog] = await findProcesses((command) => command.includes(`hawser-watchdog ${pid}`));
    process.kill(watchdog!, 'SIGKILL');
    await node.kill();
    expect(await isAlive(pid!)).toBe(true);
    const next = await start();
    expect(await isAlive(pid!)).toBe(false);
    expect(await query(next.url, 'SELECT word FROM kept')).toEqual([{ word: 'here' }, { word: 'new' }]);
  });

  it('of everything while clients write loses no acknowledged commit', async () => {
    await copySeed(seed, dataDir);
    const node = scratch.startNode({ dataDir });
    const { url, pid } = await node.up;
    await query(url!, 'CREATE TABLE ledger (id int PRIMARY KEY)');
    let acknowledged = 0;
    const writer = (async () => {
      for (let id = 1; ; id += 1) {
        await query(url!, 'INSERT INTO ledger VALUES ($1)', [id]);
        acknowledged = id;
      }
    })().catch(() => 'cut off');
    await until(() => acknowledged >= 10);
    process.kill(pid!, 'SIGKILL');
    await node.kill();
    await writer;
    const next = await start();
    const [row] = await query<{ n: number }>(next.url, 'SELECT count(*) AS n FROM ledger WHERE id <= $1', [
      acknowledged,
    ]);
    expect(row?.n).toBe(acknowledged);
  });

  it.each(['PG_VERSION', 'global/pg_control', 'base/5/PG_VERSION'])(
    'in the middle of the first start (at %s) leaves nothing broken',
    async (milestone) => {
      const node = scratch.startNode({ dataDir });
      const draft = async () => (await readdir(dataDir)).find((name) => /^pg\.init-[0-9a-f]+$/.test(name));
      const reached = async () => {
        const name = await draft().catch(() => undefined);
        return name !== undefined && (await stat(join(dataDir, name, milestone)).catch(() => undefined)) !== undefined;
      };
      await until(reached);
      await node.kill();
      expect(await draft()).toBeDefined();
      const next = await start();
      expect(await query(next.url, 'SELECT current_database() AS name')).toEqual([{ name: 'hawser' }]);
    },
  );

  it.runIf(isRoot)('leaves a pid that another process gets, and that does not matter', async () => {
    await copySeed(seed, dataDir);
    const first = await start();
    const { uid, gid } = await chooseAccount(undefined);
    await first.close();
    // A process of the same user: only those PostgreSQL takes for a rival.
    const stranger = spawn('/bin/sleep', ['600'], { uid, gid });
    const lines = [stranger.pid, first.cluster, 1, 5432, '', '127.0.0.1', '1 1', 'ready'];
    await writeFile(join(first.cluster, 'postmaster.pid'), `${lines.join('\n')}\n`);
    await giveTo(join(first.cluster, 'postmaster.pid'), uid);
    const next = await start();
    expect(await query(next.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
    expect(await isAlive(stranger.pid!)).toBe(true);
    stranger.kill();
  });
});
