/**
 * Temporary files of a test run in memory, where there is enough of it: the run makes and deletes some hundred databases
 * of 300 files each, and on a disk half of its time would go into that.
 */
import { existsSync } from 'node:fs';
import { chmod, mkdir, readdir, readFile, rm, stat, statfs } from 'node:fs/promises';
import { freemem } from 'node:os';
import { join } from 'node:path';

const MEMORY = '/dev/shm';
const PREFIX = 'hawser-tests-';
/** The run needs below 2 GiB. */
const NEEDED_BYTES = 6 * 1024 ** 3;
const LEFT_AFTER_MS = 3 * 3_600_000;

/** Points `TMPDIR` there, for this process and those it starts. Resolves to what undoes it. */
export async function useMemoryFolder(): Promise<() => Promise<void>> {
  if (!(await isLarge()) || process.env['TMPDIR'] !== undefined) return async () => {};
  for (const name of await readdir(MEMORY)) if (await isLeft(name)) await remove(join(MEMORY, name));
  const folder = join(MEMORY, `${PREFIX}${process.pid}`);
  await mkdir(folder, { recursive: true });
  // Programs that tests start as another user make their files there, too.
  await chmod(folder, 0o1777);
  process.env['TMPDIR'] = folder;
  return () => remove(folder);
}

async function isLarge(): Promise<boolean> {
  if (process.platform !== 'linux' || !existsSync(MEMORY)) return false;
  const mount = (await readFile('/proc/mounts', 'utf8')).split('\n').find((line) => line.split(' ')[1] === MEMORY);
  // Copies of PostgreSQL are started from there.
  if (mount === undefined || /\bnoexec\b/.test(mount)) return false;
  const { bavail, bsize } = await statfs(MEMORY);
  return Math.min(bavail * bsize, freemem()) >= NEEDED_BYTES;
}

/** True for the folder of a run that was killed. Others may see this memory without seeing our processes, hence the age. */
async function isLeft(name: string): Promise<boolean> {
  if (!name.startsWith(PREFIX) || existsSync(`/proc/${name.slice(PREFIX.length)}`)) return false;
  return Date.now() - (await stat(join(MEMORY, name))).mtimeMs > LEFT_AFTER_MS;
}

async function remove(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true, maxRetries: 5 });
}
