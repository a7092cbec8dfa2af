import { randomBytes } from 'node:crypto';
import { chmod, mkdir, open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { StartupError } from '../../base/errors.ts';
import { generateKey, keyringFrom, readKeyFile, type Keyring } from '../../platform/keyring/index.ts';

/** What scripts read to find a running Hawser: `<data dir>/hawser.json`, mode 0600. */
export interface HawserFile {
  url: string;
  emulatorUrl: string | undefined;
  environments: Record<string, { apiKey: string; webhookSigningKey: string }>;
  dashboardPassword: string;
}

const OWNER_ONLY = 0o600;

/** Makes the folder. Errors: {@link StartupError} when it cannot be written. */
export async function prepareDataDir(path: string): Promise<void> {
  try {
    // As root another user runs PostgreSQL in it: let that one pass through, but not look around.
    await makeFolder(path, process.getuid?.() === 0 ? 0o711 : 0o700);
    const probe = join(path, `.write-${process.pid}`);
    await writeFile(probe, '', { mode: OWNER_ONLY });
    await rm(probe);
  } catch (cause) {
    const code = (cause as { code?: string }).code ?? 'error';
    throw new StartupError(
      `The data folder ${path} cannot be written (${code}).`,
      'Make it writable for this user, or set HAWSER_DATA_DIR to another folder.',
      cause,
    );
  }
}

/** Like `mkdir -p`. Node's own never ends where a folder that exists takes none, as in /proc. */
async function makeFolder(path: string, mode: number): Promise<void> {
  const make = (): Promise<void> =>
    mkdir(path, { mode }).catch((error: unknown) => {
      if ((error as { code?: string }).code !== 'EEXIST') throw error;
      // A folder, or a file: the first write tells.
    });
  try {
    await make();
  } catch (error) {
    if ((error as { code?: string }).code !== 'ENOENT' || dirname(path) === path) throw error;
    await makeFolder(dirname(path), mode);
    await make();
  }
}

/** Where the operator's keys come from. */
export interface KeySettings {
  dataDir: string;
  /** The active key as text. */
  encryptionKey: string | undefined;
  /** A file of keys, the first active. Default: `encryption.key` in the data folder. */
  encryptionKeyFile: string | undefined;
  /** Keys that are only read. */
  encryptionKeysOld: readonly string[];
}

/**
 * The operator's keys: from the setting or the key file, else from the data folder, else (dev only) a new one kept there.
 * Errors: {@link StartupError}.
 */
export async function loadKeyring(
  settings: KeySettings & { mayGenerate: boolean },
): Promise<{ keyring: Keyring; generated: boolean }> {
  const known = await readKeyring(settings);
  if (known !== undefined) return { keyring: known, generated: false };
  if (!settings.mayGenerate) {
    throw new StartupError('No encryption key: HAWSER_ENCRYPTION_KEY is not set.', keyHint());
  }
  const file = join(settings.dataDir, 'encryption.key');
  if ((await readText(join(settings.dataDir, 'postgres.json'))) !== undefined) {
    throw new StartupError(
      `The encryption key of this data folder is gone: ${file} is missing.`,
      'Restore it from a backup, or set HAWSER_ENCRYPTION_KEY. To begin anew, move the data folder away. Nothing was changed.',
    );
  }
  const key = generateKey();
  const keyring = keyringFrom(key, settings.encryptionKeysOld);
  if (keyring === undefined) throw badKey('HAWSER_ENCRYPTION_KEYS_OLD');
  await writeSecretFile(file, `${key}\n`);
  return { keyring, generated: true };
}

/** Undefined when there is no key anywhere. Errors: {@link StartupError} for keys that are none. */
export async function readKeyring(settings: KeySettings): Promise<Keyring | undefined> {
  const { encryptionKey, encryptionKeyFile } = settings;
  if (encryptionKey !== undefined && encryptionKeyFile !== undefined) {
    throw new StartupError(
      'HAWSER_ENCRYPTION_KEY and HAWSER_ENCRYPTION_KEY_FILE are both set.',
      'Set one of them: it must be clear which key is the active one.',
    );
  }
  const file = encryptionKeyFile ?? join(settings.dataDir, 'encryption.key');
  const keys = encryptionKey === undefined ? await readKeyFile(file) : [encryptionKey];
  if (keys === undefined && encryptionKeyFile !== undefined) {
    throw new StartupError(`There is no key file ${file}.`, 'Correct HAWSER_ENCRYPTION_KEY_FILE, or make the file.');
  }
  if (keys === undefined) return undefined;
  if (keyringFrom(keys[0] as string, keys.slice(1)) === undefined) {
    throw badKey(encryptionKey === undefined ? file : 'HAWSER_ENCRYPTION_KEY');
  }
  const keyring = keyringFrom(keys[0] as string, [...keys.slice(1), ...settings.encryptionKeysOld]);
  if (keyring === undefined) throw badKey('HAWSER_ENCRYPTION_KEYS_OLD');
  return keyring;
}

function badKey(where: string): StartupError {
  return new StartupError(`The encryption key in ${where} is not 32 bytes as base64 or hex.`, keyHint());
}

function keyHint(): string {
  return 'Make one with `openssl rand -base64 32` and keep it: without it the stored credentials cannot be read.';
}

export async function readHawserFile(dataDir: string): Promise<HawserFile | undefined> {
  const text = await readText(join(dataDir, 'hawser.json'));
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text) as HawserFile;
  } catch (cause) {
    throw new StartupError(
      `${join(dataDir, 'hawser.json')} is damaged.`,
      'Delete the file: a new one with a new API key is made at the next start.',
      cause,
    );
  }
}

export async function writeHawserFile(dataDir: string, content: HawserFile): Promise<void> {
  await writeSecretFile(join(dataDir, 'hawser.json'), `${JSON.stringify(content, undefined, 2)}\n`);
}

/** A password a person can type: 20 characters without look-alikes, about 100 bits. */
export function generatePassword(): string {
  const alphabet = 'abcdefghjkmnpqrstuvwxyz23456789';
  return [...randomBytes(20)].map((byte) => alphabet[byte % alphabet.length]).join('');
}

/** Whole or not at all, and on the disk before it is named: a kill in between leaves the old file. */
async function writeSecretFile(path: string, content: string): Promise<void> {
  const fresh = `${path}.${process.pid}.new`;
  const handle = await open(fresh, 'w', OWNER_ONLY);
  try {
    await handle.writeFile(content);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await chmod(fresh, OWNER_ONLY);
  await rename(fresh, path);
}

async function readText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as { code?: string }).code === 'ENOENT') return undefined;
    throw new StartupError(
      `${path} cannot be read (${(error as { code?: string }).code ?? 'error'}).`,
      'Start as the user who made it, or change its owner.',
      error,
    );
  }
}
