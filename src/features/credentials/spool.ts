/**
 * Provider answers on local disk while the database is away. One file per answer: written aside, fsynced, renamed, and
 * the directory fsynced, so a file is whole or absent. The token text inside is sealed like in the database.
 */
import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { errorText, type Log } from '../../base/log.ts';
import type { JournalEntry } from './store-journal.ts';

const VERSION = 1;
const SUFFIX = '.reply';

interface SpooledText {
  v: number;
  environmentId: number;
  connectionId: number;
  epoch: number;
  rtUsedHash: string;
  replySealed: string;
  receivedAtMs: number;
}

export interface Spool {
  /** Resolves once the answer is on disk for good. */
  put(entry: JournalEntry): Promise<void>;
  /** What lies in the directory, whoever wrote it. Unreadable files are set aside and logged. */
  list(): Promise<JournalEntry[]>;
  remove(entry: JournalEntry): Promise<void>;
}

/** `directory` is made on first use, mode 0700; files are 0600. */
export function createSpool(directory: string, log: Log): Spool {
  const pathOf = (entry: JournalEntry) =>
    join(directory, `${entry.environmentId}-${entry.connectionId}-${entry.epoch}${SUFFIX}`);

  async function syncDirectory(): Promise<void> {
    const handle = await open(directory, 'r');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  }

  return {
    async put(entry) {
      await mkdir(directory, { recursive: true, mode: 0o700 });
      const text: SpooledText = {
        v: VERSION,
        environmentId: entry.environmentId,
        connectionId: entry.connectionId,
        epoch: entry.epoch,
        rtUsedHash: entry.rtUsedHash.toString('base64'),
        replySealed: entry.replySealed.toString('base64'),
        receivedAtMs: entry.receivedAtMs,
      };
      const path = pathOf(entry);
      const handle = await open(`${path}.new`, 'w', 0o600);
      try {
        await handle.writeFile(JSON.stringify(text));
        await handle.sync();
      } finally {
        await handle.close();
      }
      await rename(`${path}.new`, path);
      await syncDirectory();
    },

    async list() {
      const names = await readdir(directory).catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return []; // nothing was ever spooled
        throw error;
      });
      const entries: JournalEntry[] = [];
      for (const name of names.filter((each) => each.endsWith(SUFFIX))) {
        const path = join(directory, name);
        try {
          entries.push(parse(await readFile(path, 'utf8')));
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code === 'ENOENT') continue; // flushed by its owner meanwhile
          log.error('a spooled provider answer cannot be read; set aside', { file: name, error: errorText(error) });
          await rename(path, `${path}.bad`);
        }
      }
      return entries;
    },

    async remove(entry) {
      await rm(pathOf(entry), { force: true });
    },
  };
}

function parse(text: string): JournalEntry {
  const read = JSON.parse(text) as SpooledText;
  if (read.v !== VERSION || !Number.isSafeInteger(read.connectionId)) throw new Error('not a spooled answer');
  return {
    environmentId: read.environmentId,
    connectionId: read.connectionId,
    epoch: read.epoch,
    rtUsedHash: Buffer.from(read.rtUsedHash, 'base64'),
    replySealed: Buffer.from(read.replySealed, 'base64'),
    receivedAtMs: read.receivedAtMs,
  };
}
