import { once } from 'node:events';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { randomSecret } from '../../base/ids.ts';
import { silentLog } from '../../base/log.ts';
import { ESCAPES } from './escapes.test-support.ts';
import { frameOf } from './frames.ts';
import { limitsOf } from './limits.ts';
import { findPrlimit, mayLimit, spawnChild } from './spawn.ts';
import { aRun, testSandbox } from './sandbox.test-support.ts';

const directory = mkdtempSync(join(tmpdir(), 'hawser-escape-'));
const canaries = { environment: randomSecret(), file: randomSecret(), memory: randomSecret(), server: randomSecret() };
const canaryFile = join(directory, 'secret.json');
let reached = 0;
const server = createServer((_request, reply) => {
  reached += 1;
  reply.end(canaries.server);
}).listen(0, '127.0.0.1');
server.on('connection', () => (reached += 1));

beforeAll(async () => {
  process.env['HAWSER_TEST_CANARY'.replace('HAWSER_', '')] = canaries.environment;
  // Readable by everybody: only the process's own limits stand before it.
  writeFileSync(canaryFile, JSON.stringify({ secret: canaries.file }), { mode: 0o644 });
  if (!server.listening) await new Promise((go) => server.once('listening', go));
});
afterAll(() => {
  server.close();
  rmSync(directory, { recursive: true });
});

const sandbox = testSandbox();

it('abuse 36: there are 120 different snippets', () => {
  expect(new Set(ESCAPES.map(([, code]) => code)).size).toBeGreaterThanOrEqual(120);
});

it('abuse 36: no snippet reads a canary, reaches a server or hurts the host', async () => {
  const input = { canaryFile, pid: process.pid, port: (server.address() as AddressInfo).port };
  const failed: string[] = [];
  // One bundle, so that one process sees them all, as a patient attacker would.
  const code = `const snippets = { ${ESCAPES.map(([name, body]) => `${JSON.stringify(name)}: async (nango, input) => { ${body}\n }`).join(',\n')} };
    exports.default = { exec: (nango, input) => snippets[input.name](nango, input) };`;
  for (const [name] of ESCAPES) {
    const heard: unknown[] = [];
    const run = aRun(code, {
      input: { ...input, name },
      limits: { timeoutMs: 3_000 },
      host: (method, args) => {
        heard.push(method, args);
        if (method === 'uncontrolledFetch') throw Object.assign(new Error('refused'));
        return {};
      },
    });
    const result = await sandbox.run(run);
    const text = JSON.stringify([result, heard]);
    for (const [kind, canary] of Object.entries(canaries)) if (text.includes(canary)) failed.push(`${name}: ${kind}`);
    if (/root:x:0|HAWSER|PATH=|node_modules/.test(text)) failed.push(`${name}: ${text.slice(0, 200)}`);
  }
  expect(failed).toEqual([]);
  expect(reached).toBe(0);
  expect(({} as { polluted?: string }).polluted).toBeUndefined();
  expect(canaries.memory).toHaveLength(64);
}, 120_000);

it('abuse 36: the canaries can be read by a process that is not locked up', async () => {
  const { execFileSync } = await import('node:child_process');
  const code = `const fs = require('fs'); console.log(fs.readFileSync(process.argv[1], 'utf8') + fs.readFileSync('/proc/' + process.argv[2] + '/cmdline', 'latin1'))`;
  const text = execFileSync(process.execPath, ['-e', code, canaryFile, String(process.pid)]).toString();
  expect(text).toContain(canaries.file);
});

it('abuse 36: the process has an empty environment, another user when we are root, and no file it may open', async () => {
  const mine = testSandbox();
  const run = mine.run(aRun('await new Promise((go) => setTimeout(go, 60_000));', { limits: { timeoutMs: 2_000 } }));
  const { execFileSync } = await import('node:child_process');
  let pids: string[] = [];
  while (pids.length === 0) {
    const all = execFileSync('ps', ['-o', 'pid=,args=', '--ppid', String(process.pid)])
      .toString()
      .split('\n');
    pids = all.filter((line) => line.includes('--permission')).map((line) => line.trim().split(' ')[0] as string);
  }
  for (const pid of pids) {
    expect(readFileSync(`/proc/${pid}/environ`, 'latin1')).toBe('TZ=UTC\0');
    const uid = Number(/^Uid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]);
    expect(uid === 0).toBe(false);
    expect(readFileSync(`/proc/${pid}/cmdline`, 'latin1')).not.toContain('--allow');
  }
  await run;
});

it('abuse 36: the process alone, without the locks inside, opens no file, starts nothing and loads no addon', async () => {
  // A program of ours in place of the runner: Node's whole `require` is at hand.
  const attack = `exports.start = (real, net) => {
    const seen = {}, pipe = new net.Socket({ fd: 3 }), [canary, pid] = ${JSON.stringify([canaryFile, process.pid])};
    const attempt = (name, use) => { try { seen[name] = String(use()); } catch (error) { seen[name] = error.code ?? error.message; } };
    attempt('file', () => require('fs').readFileSync(canary));
    attempt('environ', () => require('fs').readFileSync('/proc/self/environ'));
    attempt('host', () => require('fs').readFileSync('/proc/' + pid + '/environ'));
    attempt('write', () => require('fs').writeFileSync('/dev/shm/x', 'x'));
    attempt('exec', () => require('child_process').execFileSync('/bin/cat', [canary]));
    attempt('worker', () => new (require('worker_threads').Worker)('1', { eval: true }));
    attempt('addon', () => real.dlopen({ exports: {} }, '/lib/x.so'));
    attempt('inspector', () => require('inspector').open(0));
    attempt('binding', () => real.binding('fs'));
    pipe.write(JSON.stringify(seen));
  };`;
  const prlimit = await findPrlimit(limitsOf(), silentLog);
  const { child, pipe } = spawnChild(0, limitsOf(), { prlimit, isLong: false });
  pipe.write(Buffer.concat([frameOf(attack), frameOf('')]));
  const [told] = (await once(pipe, 'data')) as [Buffer];
  child.kill('SIGKILL');
  const seen = JSON.parse(told.toString()) as Record<string, string>;
  for (const name of ['file', 'environ', 'host', 'write', 'exec', 'worker', 'addon', 'inspector', 'binding']) {
    expect(seen[name], name).toBe(name === 'addon' ? 'ERR_DLOPEN_DISABLED' : 'ERR_ACCESS_DENIED');
  }
});

it.runIf(process.platform === 'linux')(
  'abuse 36: the process has its limits from the start, and nothing open but its pipes',
  async () => {
    const limits = limitsOf();
    const prlimit = await findPrlimit(limits, silentLog);
    // What it holds itself it would see among these: the loop's own files are no files of the disk.
    const program = "exports.start = (real, net) => new net.Socket({ fd: 3 }).write('here');";
    for (const isLong of [false, true]) {
      const { child, pipe } = spawnChild(0, limits, { prlimit, isLong });
      pipe.write(Buffer.concat([frameOf(program), frameOf('')]));
      await once(pipe, 'data');
      const open = readdirSync(`/proc/${child.pid}/fd`).map((fd) => readlinkSync(`/proc/${child.pid}/fd/${fd}`));
      expect(open.filter((target) => !/^(anon_inode|pipe|socket):|^\/dev\/null$/.test(target))).toEqual([]);
      const rows = readFileSync(`/proc/${child.pid}/limits`, 'utf8');
      child.kill('SIGKILL');
      // Without util-linux there are none, and the log says so.
      if (prlimit === undefined) continue;
      const limitOf = (name: string) =>
        rows
          .match(new RegExp(`^${name}\\s+(\\S+)\\s+(\\S+)`, 'm'))
          ?.slice(1)
          .join(':');
      expect(limitOf('Max cpu time')).toBe(
        `${isLong ? limits.cpuSecondsAlone : limits.cpuSeconds}:${limits.cpuSecondsAlone}`,
      );
      expect(limitOf('Max data size')).toBe(`${limits.dataBytes}:${limits.dataBytes}`);
      expect(limitOf('Max open files')).toBe(`${limits.openFiles}:${limits.openFiles}`);
      expect(limitOf('Max file size')).toBe('0:0');
      expect(limitOf('Max core file size')).toBe('0:0');
    }
  },
);

it.runIf(process.platform === 'linux' && process.getuid?.() === 0)(
  'abuse 36: where the user of a process may not have its limits, though we may, it is started without them',
  async () => {
    const limits = limitsOf();
    const path = await findPrlimit(limits, silentLog);
    if (path === undefined) return;
    expect(await mayLimit(path, limits, silentLog)).toBe(true);
    // A system under whose limit everybody is but root, who may raise it there.
    const folder = mkdtempSync(join(tmpdir(), 'hawser-prlimit-'));
    const tool = join(folder, 'prlimit');
    const under = `${path} --cpu=${limits.cpuSeconds}:${limits.cpuSeconds}`;
    writeFileSync(tool, `#!/bin/sh\n[ "$(/usr/bin/id -u)" = 0 ] || exec ${under} ${path} "$@"\nexec ${path} "$@"\n`);
    chmodSync(tool, 0o755);
    chmodSync(folder, 0o755);
    expect(await mayLimit(tool, limits, silentLog)).toBe(false);
    rmSync(folder, { recursive: true });
  },
);

it('a system that is short of processes says nothing about what may be: the next start asks again', async () => {
  const short = Object.assign(new Error('spawn EAGAIN'), { code: 'EAGAIN' });
  await expect(mayLimit('prlimit', limitsOf(), silentLog, () => Promise.resolve(short))).rejects.toBe(short);
  const refused = Object.assign(new Error('prlimit: failed to set'), { code: 1 });
  expect(await mayLimit('prlimit', limitsOf(), silentLog, () => Promise.resolve(refused))).toBe(false);
});
