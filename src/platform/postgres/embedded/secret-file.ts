import { open, readFile, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { StartupError } from '../../../base/errors.ts';
import { errorCode } from '../errors.ts';

/** What `postgres.json` in the data directory holds; readable by its owner only. */
export interface SecretFile {
  /** Where the database files lie: relative to the data directory when inside it, else absolute. */
  cluster: string;
  user: string;
  password: string;
  /** Port of the last start; tried first, so that a noted `psql` line keeps working. */
  port?: number;
  /** True once the database has been created: from then on missing files are a loss, not a first start. */
  initialized: boolean;
}

const NAME = 'postgres.json';

/** Reads the file; undefined when there is none. Errors: StartupError when it cannot be understood. */
export async function readSecretFile(dataDir: string): Promise<SecretFile | undefined> {
  const path = join(dataDir, NAME);
  try {
    const value = JSON.parse(await readFile(path, 'utf8')) as SecretFile;
    if (typeof value.cluster === 'string' && /^[0-9a-f]{64}$/.test(value.password)) return value;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw new StartupError(
    `${path} cannot be read as what Hawser wrote there.`,
    `Restore it from a backup. If the database files lie beside it in ${join(dataDir, 'pg')}, it may be removed: they get a new password at the next start.`,
  );
}

/** Writes the file whole or not at all, and to the disk. */
export async function writeSecretFile(dataDir: string, value: SecretFile): Promise<void> {
  const path = join(dataDir, NAME);
  // One name, so that a kill leaves no more than one; the lock keeps others out.
  const draft = `${path}.new`;
  const file = await open(draft, 'w', 0o600);
  try {
    await file.writeFile(`${JSON.stringify(value, undefined, 2)}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(draft, path);
  await syncFolder(dirname(path));
}

/** Makes renames in a folder survive a power loss. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
