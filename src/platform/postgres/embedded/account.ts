import { readFile, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { StartupError } from '../../../base/errors.ts';

/** The operating-system user PostgreSQL runs as; it refuses to run as root. */
export interface Account {
  name: string;
  uid: number;
  gid: number;
  /** What to give to `spawn`; empty when we stay who we are. */
  spawnAs: { uid?: number; gid?: number };
}

/** The environment of PostgreSQL's processes: nothing of ours, which holds keys. */
export const CHILD_ENV = { PATH: '/usr/local/bin:/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' };

/** `postgres` where it exists: `nobody` is shared with other daemons, which could then read our files. */
const PREFERRED = ['postgres', 'nobody'];

/**
 * Chooses the user: ourselves, or, as root, the owner of the existing files, else `postgres`, else `nobody`.
 *
 * Errors: StartupError when root finds none of them.
 */
export async function chooseAccount(ownerUid: number | undefined): Promise<Account> {
  const uid = process.getuid?.() ?? 0;
  if (uid !== 0) return { name: `uid ${uid}`, uid, gid: process.getgid?.() ?? uid, spawnAs: {} };
  const users = await readUsers();
  const found =
    ownerUid === undefined || ownerUid === 0
      ? PREFERRED.map((name) => users.find((user) => user.name === name)).find((user) => user !== undefined)
      : users.find((user) => user.uid === ownerUid);
  if (found === undefined) {
    throw new StartupError(
      ownerUid ? `No user has the id ${ownerUid}, which owns the database files.` : 'PostgreSQL does not run as root.',
      'Start Hawser as an ordinary user, create a system user "postgres", or set DATABASE_URL.',
    );
  }
  return { ...found, spawnAs: { uid: found.uid, gid: found.gid } };
}

async function readUsers(): Promise<{ name: string; uid: number; gid: number }[]> {
  const lines = (await readFile('/etc/passwd', 'utf8')).split('\n');
  return lines.flatMap((line) => {
    const [name, , uid, gid] = line.split(':');
    return name && uid && gid ? [{ name, uid: Number(uid), gid: Number(gid) }] : [];
  });
}

/** True when the user may pass through `path` and every folder above it. Reads modes only, not access lists. */
export async function canTraverse(path: string, account: Account): Promise<boolean> {
  for (let folder = path; ; folder = dirname(folder)) {
    const { mode, uid, gid } = await stat(folder);
    // The first class that fits decides, as in the kernel.
    const shift = uid === account.uid ? 6 : gid === account.gid ? 3 : 0;
    if (((mode >> shift) & 0o1) === 0) return false;
    if (dirname(folder) === folder) return true;
  }
}
