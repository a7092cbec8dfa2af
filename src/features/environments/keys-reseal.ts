/** Seals stored values anew under the newest data key of their environment, while nodes read and write them. */
import { isHawserError } from '../../base/errors.ts';
import type { KillPoints } from '../../platform/kill-points.ts';
import { openBytes, sealBytes, sealedPrefix } from '../../platform/keyring/index.ts';
import type { Database } from '../../platform/postgres/index.ts';
import type { SealedColumn } from './keys-columns.ts';
import { replaceSealed, selectSealed, type SealedRow } from './store-keys.ts';
import { contextOf } from './vault.ts';
import type { EnvironmentKeys } from './vault-keys.ts';

/** A value that no key of its environment opens: damaged, moved here from elsewhere, or its key is gone. */
export interface UnreadableValue {
  environmentId: number;
  table: string;
  column: string;
  row: string;
}

export interface ResealResult {
  sealed: number;
  /** Locked or changed meanwhile: another pass finds them, if they still need it. */
  skipped: number;
  unreadable: UnreadableValue[];
}

/** One pass over one column of one environment. Safe to end at any point and to begin again. */
export async function resealColumn(
  deps: { db: Database; killPoints: KillPoints },
  column: SealedColumn,
  options: {
    environmentId: number;
    keys: EnvironmentKeys;
    /** Called after each batch, with the values it dealt with. */
    onBatch: (values: number) => void;
    signal: AbortSignal;
  },
): Promise<ResealResult> {
  const { environmentId, keys } = options;
  const result: ResealResult = { sealed: 0, skipped: 0, unreadable: [] };
  const prefix = sealedPrefix(keys.activeId);
  let after: string | undefined;
  while (!options.signal.aborted) {
    const rows = await selectSealed(deps.db, column, { environmentId, after, prefix });
    if (rows.length === 0) break;
    after = rows.at(-1)?.cursor;
    const values = rows.flatMap((row) => {
      const fresh = resealed(column, environmentId, keys, row);
      if (fresh === undefined) {
        result.unreadable.push({ environmentId, table: column.table, column: column.column, row: row.row });
        return [];
      }
      return [{ cursor: row.cursor, old: row.sealed, fresh }];
    });
    if (values.length > 0) {
      const done = await replaceSealed(deps.db, column, environmentId, values, () => deps.killPoints.reach('R1'));
      result.sealed += done;
      result.skipped += values.length - done;
    }
    options.onBatch(rows.length);
  }
  return result;
}

/** Undefined when the value does not open. */
function resealed(
  { table, column }: SealedColumn,
  environmentId: number,
  keys: EnvironmentKeys,
  { row, sealed }: SealedRow,
): Buffer | undefined {
  const context = contextOf({ environmentId, table, row, column });
  const key = keys.seal.get(keys.activeId) as Buffer;
  try {
    return sealBytes(
      key,
      keys.activeId,
      context,
      openBytes((id) => keys.seal.get(id), context, sealed),
    );
  } catch (error) {
    // Reported by the caller with its place; it must not stop the rotation of all others.
    if (isHawserError(error, 'sealed')) return undefined;
    throw error;
  }
}
