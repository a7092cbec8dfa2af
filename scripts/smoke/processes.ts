import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

export interface ProcessEntry {
  pid: number;
  parent: number;
  /** Tells a process from a later one with the same pid. */
  started: string;
  command: string;
}

/** All processes below one, and itself. */
export function descendants(root: number): ProcessEntry[] {
  const all = listProcesses();
  const found = all.filter((one) => one.pid === root);
  for (const one of found) found.push(...all.filter((child) => child.parent === one.pid));
  return found;
}

/** False for a zombie too: its work is done, only its parent has not looked yet. */
export function isAlive(entry: ProcessEntry): boolean {
  return listProcesses().some((one) => one.pid === entry.pid && one.started === entry.started);
}

function listProcesses(): ProcessEntry[] {
  return process.platform === 'linux' ? fromProc() : fromPs();
}

/** Small Linux images have no `ps`. */
function fromProc(): ProcessEntry[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
        // The name in parentheses may hold anything; what follows is numbers. Source: proc(5).
        const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
        if (fields[0] === 'Z') return [];
        const command = readFileSync(`/proc/${name}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
        return [{ pid: Number(name), parent: Number(fields[1]), started: fields[19] as string, command }];
      } catch {
        return []; // it ended while we looked
      }
    });
}

function fromPs(): ProcessEntry[] {
  const text = execFileSync('ps', ['-A', '-o', 'pid=,ppid=,stat=,lstart=,command='], { encoding: 'utf8' });
  return text.split('\n').flatMap((line) => {
    const match = /^\s*(\d+)\s+(\d+)\s+(\S+)\s+(\w+\s+\w+\s+\d+\s+[\d:]+\s+\d+)\s+(.*)$/.exec(line);
    if (match === null || match[3]?.startsWith('Z')) return [];
    return [
      { pid: Number(match[1]), parent: Number(match[2]), started: match[4] as string, command: match[5] as string },
    ];
  });
}
