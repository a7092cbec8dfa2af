import { execFile } from 'node:child_process';
import { readFile, readlink } from 'node:fs/promises';
import { hostname } from 'node:os';
import { promisify } from 'node:util';

const execFileAsync = promisify(execFile);

/** Tells a process from a later one with the same pid, and says where such a comparison makes sense. */
export interface ProcessIdentity {
  pid: number;
  /** Start time as the system writes it; compared, never read. */
  startedAt: string;
  /** Changes with each boot; empty where the system has none. */
  bootId: string;
  /** Pids of two containers say nothing about each other. */
  pidNamespace: string;
  host: string;
}

export async function ownIdentity(): Promise<ProcessIdentity> {
  return {
    pid: process.pid,
    startedAt: (await processStart(process.pid)) ?? '',
    bootId: await readFile('/proc/sys/kernel/random/boot_id', 'utf8').then(
      (text) => text.trim(),
      () => '', // not Linux
    ),
    pidNamespace: await readlink('/proc/self/ns/pid').catch(() => ''), // not Linux
    host: hostname(),
  };
}

/** When the process started; undefined when there is none, or only its zombie. */
export async function processStart(pid: number): Promise<string | undefined> {
  if (process.platform === 'linux') {
    let stat: string;
    try {
      stat = await readFile(`/proc/${pid}/stat`, 'utf8');
    } catch {
      return undefined; // no such process
    }
    // The name in parentheses may hold spaces. After it: field 3 is the state, field 22 the start. Source: proc(5).
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19];
  }
  return psColumn(pid, 'lstart=');
}

/** The process's command line; undefined when there is no such process. */
export async function processCommand(pid: number): Promise<string | undefined> {
  if ((await processStart(pid)) === undefined) return undefined;
  if (process.platform !== 'linux') return psColumn(pid, 'command=');
  try {
    return (await readFile(`/proc/${pid}/cmdline`, 'utf8')).replaceAll('\0', ' ');
  } catch {
    return undefined; // ended meanwhile
  }
}

async function psColumn(pid: number, column: string): Promise<string | undefined> {
  try {
    const { stdout } = await execFileAsync('ps', ['-ww', '-o', column, '-p', String(pid)], { env: { LC_ALL: 'C' } });
    return stdout.trim() || undefined;
  } catch {
    return undefined; // ps exits with 1 when there is no such process
  }
}
