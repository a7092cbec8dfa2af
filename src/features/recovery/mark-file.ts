/** What a node remembers of the database outside of it: `recovery.json` in its data folder, mode 0600. */
import { mkdir, open, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { randomId } from '../../base/ids.ts';
import { errorText, type Log } from '../../base/log.ts';

export interface Mark {
  installation: string;
  acceptedAtMs: number;
  mark: number;
  timeline: number | undefined;
  /** Which file of the disk stood beside it: a copy of the folder has another one. Undefined: not looked at. */
  folder: string | undefined;
}

export interface MarkFile {
  /** Undefined: there is none, or it cannot be read. */
  read(): Promise<Mark | undefined>;
  /** Whole or not at all. Errors: those of the disk. */
  write(mark: Omit<Mark, 'folder'>): Promise<void>;
  /** Identity of the folder now; made on first use. Undefined where the database lies elsewhere. */
  folder(): Promise<string | undefined>;
}

/** `ownsDatabase`: the embedded database lies in this folder, so a copy of the folder is a copy of the database. */
export function createMarkFile(options: { dataDir: string; ownsDatabase: boolean; log: Log }): MarkFile {
  const { dataDir, ownsDatabase, log } = options;
  const path = join(dataDir, 'recovery.json');

  async function folder(): Promise<string | undefined> {
    if (!ownsDatabase) return undefined;
    const anchor = join(dataDir, 'recovery.anchor');
    // Never written again: what identifies it is its place on the disk.
    await mkdir(dataDir, { recursive: true, mode: 0o700 });
    await writeFile(anchor, '', { flag: 'a', mode: 0o600 });
    const { ino, birthtimeMs } = await stat(anchor);
    return `${ino}/${Math.round(birthtimeMs)}`;
  }

  return {
    folder,
    async read() {
      let text: string;
      try {
        text = await readFile(path, 'utf8');
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') {
          log.warn('recovery.json cannot be read: an older copy of the database would not be noticed', {
            error: errorText(error),
          });
        }
        return undefined;
      }
      const mark = parse(text);
      if (mark === undefined) log.warn('recovery.json is damaged; it is written anew');
      return mark;
    },
    async write(mark) {
      await mkdir(dataDir, { recursive: true, mode: 0o700 });
      const fresh = `${path}.${randomId().slice(0, 8)}.new`;
      const handle = await open(fresh, 'wx', 0o600);
      try {
        await handle.writeFile(`${JSON.stringify({ ...mark, folder: await folder() })}\n`);
        await handle.sync();
      } finally {
        await handle.close();
      }
      await rename(fresh, path);
    },
  };
}

function parse(text: string): Mark | undefined {
  try {
    const value = JSON.parse(text) as Partial<Mark>;
    if (typeof value.installation !== 'string') return undefined;
    if (!Number.isFinite(value.acceptedAtMs) || !Number.isFinite(value.mark)) return undefined;
    return value as Mark;
  } catch {
    return undefined; // cut off by a full disk or a power loss
  }
}

/** A copy has another number and another birth; a file system that makes up numbers keeps the birth. */
export function isOtherFolder(known: string | undefined, now: string | undefined): boolean {
  if (known === undefined || now === undefined) return false;
  const [knownNumber, knownBirth] = known.split('/');
  const [number, birth] = now.split('/');
  return knownNumber !== number && knownBirth !== birth;
}
