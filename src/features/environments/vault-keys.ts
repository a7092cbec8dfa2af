import { isHawserError, StartupError } from '../../base/errors.ts';
import { randomBytes } from 'node:crypto';
import { KEY_BYTES, keyringErrors, type Keyring } from '../../platform/keyring/index.ts';
import type { DataKeyRow } from './store.ts';

/** The data keys of one environment, opened. */
export interface EnvironmentKeys {
  /** All that can be opened here, retired ones too: what they sealed stays readable. */
  seal: Map<string, Buffer>;
  /** Seals new values: the newest that is not retired. */
  activeId: string;
  lookup: Buffer;
}

/** Opens data keys. Each is opened once: a data key never changes, only its wrapping does. */
export interface DataKeyReader {
  /** Errors: `sealed`, `key_service_unavailable`. */
  open(row: DataKeyRow): Promise<Buffer>;
  /** `rows`: of one environment, oldest first. Errors: as `open`, when a key that cannot be missed does not open. */
  readAll(rows: readonly DataKeyRow[]): Promise<EnvironmentKeys>;
}

export function createDataKeyReader(keyring: Keyring): DataKeyReader {
  const opened = new Map<string, Buffer>();

  async function open(row: DataKeyRow): Promise<Buffer> {
    const name = wrapContext(row.environment_id, row.id);
    const known = opened.get(name);
    if (known !== undefined) return known;
    const key = await keyring.unwrap(row.kek_id, row.wrapped, name);
    opened.set(name, key);
    return key;
  }

  return {
    open,
    async readAll(rows) {
      const seal = new Map<string, Buffer>();
      let activeId: string | undefined;
      let lookup: Buffer | undefined;
      for (const row of rows) {
        let key: Buffer;
        try {
          key = await open(row);
        } catch (error) {
          // A newer key that this node cannot open (it lacks the encryption key) must not close the older ones.
          if (isHawserError(error, 'sealed')) continue;
          throw error;
        }
        if (row.purpose === 'lookup') {
          lookup = key;
          continue;
        }
        seal.set(row.id, key);
        if (row.retired_at === null) activeId = row.id;
      }
      if (lookup === undefined || activeId === undefined) {
        throw keyringErrors.fail('sealed', { detail: 'no data key of this environment can be opened' });
      }
      return { seal, activeId, lookup };
    },
  };
}

/** A new data key under the active encryption key. */
export async function newDataKey(
  keyring: Keyring,
  environmentId: number,
  purpose: DataKeyRow['purpose'],
): Promise<DataKeyRow> {
  const id = `${purpose}_${randomBytes(6).toString('hex')}`;
  const wrapped = await keyring.wrap(randomBytes(KEY_BYTES), wrapContext(environmentId, id));
  return { environment_id: environmentId, id, purpose, kek_id: keyring.activeId, wrapped, retired_at: null };
}

/**
 * Refuses to go on when a data key was wrapped with an encryption key that is not here or does not fit. Nothing is
 * written. Errors: {@link StartupError} that names the key.
 */
export async function assertKeysFit(
  reader: DataKeyReader,
  keyring: Keyring,
  rows: readonly DataKeyRow[],
): Promise<void> {
  for (const row of rows) {
    if (!keyring.has(row.kek_id)) {
      const needing = rows.filter((one) => one.kek_id === row.kek_id).length;
      throw new StartupError(
        `The database is sealed with encryption key ${row.kek_id} (${needing} of ${rows.length} data keys), ` +
          `but this start has ${keyring.ids.join(', ')}.`,
        'Set HAWSER_ENCRYPTION_KEY to the key this database was created with, or add that key to ' +
          'HAWSER_ENCRYPTION_KEYS_OLD. Nothing was changed.',
      );
    }
    try {
      await reader.open(row);
    } catch (cause) {
      if (isHawserError(cause, 'key_service_unavailable')) {
        throw new StartupError(
          `The service that holds encryption key ${row.kek_id} does not answer.`,
          'Look at the key service, then start again. Nothing was changed.',
          cause,
        );
      }
      if (!isHawserError(cause, 'sealed')) throw cause;
      throw new StartupError(
        `The data key ${row.id} does not open with encryption key ${row.kek_id}: the table data_key is damaged.`,
        'Restore the table data_key from a backup. Nothing was changed.',
        cause,
      );
    }
  }
}

/** What the wrapping of a data key is bound to. */
export function wrapContext(environmentId: number, keyId: string): string {
  return `data_key|${environmentId}|${keyId}`;
}
