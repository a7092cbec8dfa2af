/** Starts the real program as its own process, as an operator would. */
import { spawn, type ChildProcess } from 'node:child_process';
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { runCli } from '../../src/shell/cli/index.ts';

const ENTRY = fileURLToPath(new URL('../../bin/hawser.js', import.meta.url));

export interface ProgramResult {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

export interface Program {
  child: ChildProcess;
  stdout(): string;
  stderr(): string;
  exited: Promise<ProgramResult>;
}

/** The settings of the test run must not leak into the program. */
function cleanEnv(settings: Record<string, string>): NodeJS.ProcessEnv {
  const env: NodeJS.ProcessEnv = {};
  for (const [name, value] of Object.entries(process.env)) {
    if (!name.startsWith('HAWSER_') && name !== 'DATABASE_URL' && !name.startsWith('VITEST')) env[name] = value;
  }
  return { ...env, ...settings };
}

export function startProgram(args: string[], settings: Record<string, string> = {}, cwd?: string): Program {
  const child = spawn(process.execPath, [ENTRY, ...args], {
    env: cleanEnv(settings),
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(cwd !== undefined && { cwd }),
  });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const exited = new Promise<ProgramResult>((resolve) => {
    child.once('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
  return { child, stdout: () => stdout, stderr: () => stderr, exited };
}

/** Runs a command to its end. */
export function runProgram(args: string[], settings: Record<string, string> = {}): Promise<ProgramResult> {
  return startProgram(args, settings).exited;
}

/** Runs a command to its end without a process of its own, whose start would be most of the work. */
export async function runHere(args: string[], settings: Record<string, string> = {}): Promise<ProgramResult> {
  const before = process.env;
  process.env = cleanEnv(settings);
  const told = { out: '', err: '' };
  try {
    const code = await runCli(args, { out: (text) => (told.out += text), err: (text) => (told.err += text) });
    return { code, signal: null, stdout: told.out, stderr: told.err };
  } finally {
    process.env = before;
  }
}

export interface HawserJson {
  url: string;
  emulatorUrl: string;
  environments: Record<'dev' | 'prod', { apiKey: string; webhookSigningKey: string }>;
  dashboardPassword: string;
}

/** Resolves once the program printed that it is ready. Rejects with what it said when it ended instead. */
export async function untilReady(program: Program, dataDir: string): Promise<HawserJson> {
  let ended: ProgramResult | undefined;
  void program.exited.then((result) => (ended = result));
  while (!program.stdout().includes('Ctrl-C stops everything')) {
    if (ended !== undefined) throw new Error(`the program ended (${ended.code}): ${ended.stdout}${ended.stderr}`);
    await sleep(20);
  }
  return JSON.parse(await readFile(join(dataDir, 'hawser.json'), 'utf8')) as HawserJson;
}

/** A folder of one's own, removed by the returned function. */
export async function scratchDir(): Promise<{ path: string; remove(): Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), 'hawser-run-'));
  // As root PostgreSQL runs as another user, who must get through.
  await chmod(path, 0o711);
  return { path, remove: () => rm(path, { recursive: true, force: true }) };
}

/** True while a process of this id runs. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false; // no such process
  }
}

/** Pids of all living descendants. Linux only. */
export async function descendantsOf(pid: number): Promise<number[]> {
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '');
  const direct = children.split(' ').filter(Boolean).map(Number);
  const deeper = await Promise.all(direct.map(descendantsOf));
  return [...direct, ...deeper.flat()];
}
