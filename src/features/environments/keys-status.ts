import { SEALED_COLUMNS } from './keys-columns.ts';
import { NODE_LIVE_MS } from './keys-nodes.ts';
import { countSealed, selectDataKeyStates, selectLiveNodes, type DataKeyStateRow } from './store-keys.ts';
import type { Sql } from '../../platform/postgres/index.ts';

/** How long a data key that seals nothing any more is kept: for spooled answers and values restored from a backup. */
export const RETIRED_DAYS = 30;

/** One data key. States: `sealing` (seals new values) · `reading` (a rotation is under way) · `retired`. */
export interface DataKeyStatus {
  environmentId: number;
  environment: string;
  id: string;
  purpose: 'seal' | 'lookup';
  kekId: string;
  /** Undefined for `lookup` keys: they make hashes and are never replaced. */
  state: 'sealing' | 'reading' | 'retired' | undefined;
  createdAt: Date;
  retiredAt: Date | undefined;
  /** Retired for more than {@link RETIRED_DAYS}. */
  longRetired: boolean;
  /** Values it sealed, by `table.column`; columns without any are left out. */
  values: Record<string, number>;
  valuesTotal: number;
}

export interface KeysStatus {
  /** Encryption keys: those at hand and those the database names. */
  keks: { id: string; active: boolean; atHand: boolean; dataKeys: number; nodes: number }[];
  nodes: { total: number; withoutActiveKek: number };
  dataKeys: DataKeyStatus[];
  /** Values that name a data key their environment does not have. */
  orphans: { environmentId: number; keyId: string; column: string; values: number }[];
  left: {
    /** Data keys that the active encryption key does not wrap. */
    dataKeysToWrap: number;
    /** Values that another data key than the sealing one sealed. */
    valuesToSeal: number;
    /** A rotation of data keys was begun and has not ended. */
    unfinished: boolean;
  };
}

/**
 * What seals what. Opens nothing, so it answers without the right encryption key too. Reads every table with sealed
 * values once. `keyring`: the keys at hand, if any.
 */
export async function readKeysStatus(
  sql: Sql,
  keyring: { activeId: string; ids: readonly string[] } | undefined,
): Promise<KeysStatus> {
  const rows = await selectDataKeyStates(sql, RETIRED_DAYS);
  const dataKeys = rows.map((row) => toStatus(row, rows));
  const byName = new Map(dataKeys.map((key) => [`${key.environmentId} ${key.id}`, key]));
  const orphans: KeysStatus['orphans'] = [];
  for (const column of SEALED_COLUMNS) {
    const name = `${column.table}.${column.column}`;
    for (const { environment_id: environmentId, key_id: keyId, count } of await countSealed(sql, column)) {
      const key = byName.get(`${environmentId} ${keyId}`);
      if (key === undefined) {
        orphans.push({ environmentId, keyId, column: name, values: count });
        continue;
      }
      key.values[name] = count;
      key.valuesTotal += count;
    }
  }
  const nodes = await selectLiveNodes(sql, NODE_LIVE_MS);
  const activeId = keyring?.activeId;
  const ids = new Set([...(keyring?.ids ?? []), ...dataKeys.map((key) => key.kekId)]);
  return {
    keks: [...ids].map((id) => ({
      id,
      active: id === activeId,
      atHand: keyring?.ids.includes(id) ?? false,
      dataKeys: dataKeys.filter((key) => key.kekId === id).length,
      nodes: nodes.filter((node) => node.kek_ids.includes(id)).length,
    })),
    nodes: {
      total: nodes.length,
      withoutActiveKek: activeId === undefined ? 0 : nodes.filter((node) => !node.kek_ids.includes(activeId)).length,
    },
    dataKeys,
    orphans,
    left: {
      dataKeysToWrap: activeId === undefined ? 0 : dataKeys.filter((key) => key.kekId !== activeId).length,
      valuesToSeal: dataKeys
        .filter((key) => key.state === 'reading' || key.state === 'retired')
        .reduce((sum, key) => sum + key.valuesTotal, 0),
      unfinished: dataKeys.some((key) => key.state === 'reading'),
    },
  };
}

function toStatus(row: DataKeyStateRow, rows: readonly DataKeyStateRow[]): DataKeyStatus {
  const newest = rows.findLast(
    (one) => one.environment_id === row.environment_id && one.purpose === 'seal' && one.retired_at === null,
  );
  return {
    environmentId: row.environment_id,
    environment: row.environment,
    id: row.id,
    purpose: row.purpose,
    kekId: row.kek_id,
    state: row.purpose === 'lookup' ? undefined : stateOf(row, newest),
    createdAt: row.created_at,
    retiredAt: row.retired_at ?? undefined,
    longRetired: row.long_retired,
    values: {},
    valuesTotal: 0,
  };
}

function stateOf(row: DataKeyStateRow, newest: DataKeyStateRow | undefined): DataKeyStatus['state'] {
  if (row.retired_at !== null) return 'retired';
  return row === newest ? 'sealing' : 'reading';
}
