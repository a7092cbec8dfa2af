/**
 * Proves the first minute from outside: `npm start` in a clone, the button on the first page, the proxied call, the
 * records of the example syncs, Ctrl-C.
 * Runs twice on one data folder: an empty one, then a used one. Prints how long each took.
 *
 * `node scripts/smoke-start.ts`, in a clone after `npm ci`, as root or as any user.
 */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, readFileSync, statSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { connectFirstAccount, proxiedAccount, syncedRecords } from './smoke/first-account.ts';
import { descendants, isAlive, type ProcessEntry } from './smoke/processes.ts';

const ROOT = resolve(import.meta.dirname, '..');
/** Generous: the machine may be busy. The printed time is the news, not a limit. */
const START_TIMEOUT_MS = 120_000;
const STOP_TIMEOUT_MS = 60_000;

interface HawserFile {
  url: string;
  environments: Record<string, { apiKey: string }>;
}

const folder = await mkdtemp(join(tmpdir(), 'hawser-smoke-'));
const dataDir = join(folder, 'data');
const outputPath = join(folder, 'output.txt');
try {
  const first = await run('as a terminal does');
  const second = await run('to the program alone');
  console.log(
    `hawser smoke: user ${userInfo().username}, below ${ROOT}\n` +
      `  from command to working connection: ${seconds(first)} on an empty folder, ${seconds(second)} on a used one`,
  );
  await removeFiles();
} catch (error) {
  // The folder stays for a look.
  console.error(readFileSync(outputPath, 'utf8'));
  console.error(`kept: ${folder}`);
  throw error;
}

/** As root the database files may lie outside the data folder. */
async function removeFiles(): Promise<void> {
  const { cluster } = JSON.parse(readFileSync(join(dataDir, 'postgres.json'), 'utf8')) as { cluster: string };
  if (isAbsolute(cluster)) await rm(dirname(cluster), { recursive: true, force: true });
  await rm(folder, { recursive: true, force: true });
}

/** One life from command to goodbye. Resolves to the milliseconds from command to the first proxied answer. */
async function run(interrupt: 'as a terminal does' | 'to the program alone'): Promise<number> {
  const startedMs = performance.now();
  const startedAt = Date.now();
  const npm = spawn('npm', ['start'], {
    cwd: ROOT,
    detached: true, // a process group of its own, as a terminal gives it
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...process.env,
      HAWSER_DATA_DIR: dataDir,
      HAWSER_PORT: '0',
      HAWSER_EMULATOR_PORT: '0',
      DATABASE_URL: '',
    },
  });
  const output = createWriteStream(outputPath, { flags: 'a' });
  npm.stdout.pipe(output, { end: false });
  npm.stderr.pipe(output, { end: false });
  const ended = once(npm, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
  const family = new Map<number, ProcessEntry>();
  try {
    const { url, environments } = await Promise.race([
      waitForFile(startedAt),
      ended.then(([code]) => assert.fail(`npm start ended with ${code} before it was ready`)),
    ]);
    assert.equal((await fetch(`${url}/health`)).status, 200);
    const connection = await connectFirstAccount(url);
    const account = await proxiedAccount(url, environments['dev']?.apiKey as string, connection);
    const tookMs = performance.now() - startedMs;
    assert.ok((await syncedRecords(url)) > 0);
    assert.match(connection.page, /Connected\./);
    assert.ok(connection.page.includes(String(account['id'])), 'the page shows another account than the API');

    for (const one of descendants(npm.pid as number)) family.set(one.pid, one);
    const program = [...family.values()].find((one) => /^\S*node\S* .*(hawser\.js|main\.ts) dev$/.test(one.command));
    assert.ok(program !== undefined, 'the program is not among the processes of npm start');
    assert.ok(
      [...family.values()].some((one) => /postgres/.test(one.command)),
      'PostgreSQL is not among them',
    );
    const code = await stop(npm, ended, interrupt, program.pid);
    assert.equal(code, 0, 'npm start did not end with 0');
    const left = await waitForEnd([...family.values()]);
    assert.deepEqual(left, [], 'processes are left');
    return tookMs;
  } finally {
    for (const one of family.values()) if (isAlive(one)) process.kill(one.pid, 'SIGKILL');
    if (npm.exitCode === null && npm.signalCode === null) process.kill(-(npm.pid as number), 'SIGKILL');
    output.end();
  }
}

/** The file of this start, not of the one before. */
async function waitForFile(since: number): Promise<HawserFile> {
  const path = join(dataDir, 'hawser.json');
  for (const end = Date.now() + START_TIMEOUT_MS; Date.now() < end; await delay(20)) {
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat !== undefined && stat.mtimeMs >= since) return JSON.parse(readFileSync(path, 'utf8')) as HawserFile;
  }
  return assert.fail(`no ${path} after ${START_TIMEOUT_MS} ms`);
}

async function stop(
  npm: ChildProcess,
  ended: Promise<[number | null, NodeJS.Signals | null]>,
  interrupt: string,
  programPid: number,
): Promise<number | null> {
  process.kill(interrupt === 'as a terminal does' ? -(npm.pid as number) : programPid, 'SIGINT');
  const [code] = await Promise.race([
    ended,
    delay(STOP_TIMEOUT_MS, undefined, { ref: false }).then(() => assert.fail('npm start did not stop')),
  ]);
  return code;
}

/** Waits until none of them lives; resolves to the commands of those that still do. */
async function waitForEnd(family: ProcessEntry[]): Promise<string[]> {
  for (const end = Date.now() + STOP_TIMEOUT_MS; Date.now() < end; await delay(50)) {
    if (!family.some((one) => isAlive(one))) return [];
  }
  return family.filter((one) => isAlive(one)).map((one) => `${one.pid} ${one.command}`);
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
