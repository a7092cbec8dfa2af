/**
 * Rotation of keys, online and in steps that can each be repeated. State stands in the database only, so a rotation
 * that was killed goes on when it is run again:
 *
 * wrap: every data key under the active encryption key · make: one new data key per environment, all in one
 * transaction; until they are retired together the rotation counts as unfinished and none is made again · seal: every
 * stored value anew · wait: until every running node has read the new keys · seal what was written meanwhile · retire.
 *
 * A retired key still opens: an answer spooled on a node's disk, or a value restored from a backup, stays readable.
 */
import type { Clock } from '../../base/clock.ts';
import type { KillPoints } from '../../platform/kill-points.ts';
import type { Keyring } from '../../platform/keyring/index.ts';
import type { Database, Session } from '../../platform/postgres/index.ts';
import { environmentErrors } from './errors.ts';
import { SEALED_COLUMNS } from './keys-columns.ts';
import { NODE_LIVE_MS } from './keys-nodes.ts';
import { resealColumn, type ResealResult, type UnreadableValue } from './keys-reseal.ts';
import { readKeysStatus, RETIRED_DAYS } from './keys-status.ts';
import { insertDataKey, selectDataKeys, type DataKeyRow } from './store.ts';
import {
  deleteDataKey,
  notifyDataKeys,
  replaceWrapping,
  retireDataKeys,
  selectDataKeyStates,
  selectLiveNodes,
  selectNow,
  tryRotationLock,
  unlockRotation,
} from './store-keys.ts';
import { assertKeysFit, createDataKeyReader, newDataKey, wrapContext, type DataKeyReader } from './vault-keys.ts';

/** Every node beats within 15 s or counts as gone after 60 s; beyond both something else is wrong. */
const NODES_WAIT_MAX_MS = 90_000;
const NODES_POLL_MS = 100;
/** Waits before a pass for rows that were locked; a transaction may hold them for a minute. */
const PASS_WAIT_MS = 500;
const PASSES_MAX = 200;

export interface RotateProgress {
  /** `wrap` counts data keys, `seal` values, `wait` nodes. */
  phase: 'wrap' | 'seal' | 'wait';
  done: number;
  total: number;
}

export interface RotateResult {
  activeKek: string;
  /** Data keys wrapped anew. */
  wrapped: number;
  /** Ids of new data keys. */
  made: string[];
  /** Values sealed anew. */
  sealed: number;
  retired: string[];
  /** Retired more than 30 days ago and used by nothing. */
  deleted: string[];
  unreadable: UnreadableValue[];
  /** Undefined: everything is done. Otherwise run it again. */
  unfinished: 'stopped' | 'nodes_behind' | 'values_locked' | undefined;
}

export interface RotateDeps {
  db: Database;
  keyring: Keyring;
  clock: Clock;
  killPoints: KillPoints;
}

export interface RotateOptions {
  /** Make new data keys and seal every value anew, too. */
  dataKeys: boolean;
  onProgress?: (progress: RotateProgress) => void;
  /** Aborted: stops after the batch under way. */
  signal?: AbortSignal;
}

interface Work extends RotateDeps {
  session: Session;
  reader: DataKeyReader;
  report: (progress: RotateProgress) => void;
  signal: AbortSignal;
}

/**
 * Errors: {@link StartupError} when a data key's encryption key is not here, `rotation_running`, `nodes_lack_key`,
 * `key_service_unavailable`, and those of the database. Nothing is lost by any of them: run it again.
 */
export async function rotateKeys(deps: RotateDeps, options: RotateOptions): Promise<RotateResult> {
  const session = await deps.db.session();
  let locked = false;
  try {
    locked = await tryRotationLock(session);
    if (!locked) throw environmentErrors.fail('rotation_running');
    const work: Work = {
      ...deps,
      session,
      reader: createDataKeyReader(deps.keyring),
      report: options.onProgress ?? (() => {}),
      signal: options.signal ?? new AbortController().signal,
    };
    await assertKeysFit(work.reader, deps.keyring, await selectDataKeys(deps.db));
    await assertNodesHoldKey(work);
    const result: RotateResult = {
      activeKek: deps.keyring.activeId,
      wrapped: await wrapAll(work),
      made: [],
      sealed: 0,
      retired: [],
      deleted: [],
      unreadable: [],
      unfinished: work.signal.aborted ? 'stopped' : undefined,
    };
    if (options.dataKeys && !work.signal.aborted) await rotateDataKeys(work, result);
    if (!work.signal.aborted) result.deleted = await deleteLongRetired(work);
    return result;
  } finally {
    if (locked) {
      await unlockRotation(session).catch(() => {
        // The session was lost, and the lock with it; what the rotation did stands in the database.
      });
    }
    session.release();
  }
}

/** A node without the active key could not open what is wrapped with it. Errors: `nodes_lack_key`. */
async function assertNodesHoldKey({ db, keyring }: Work): Promise<void> {
  const nodes = await selectLiveNodes(db, NODE_LIVE_MS);
  const lacking = nodes.filter((node) => !node.kek_ids.includes(keyring.activeId)).length;
  if (lacking === 0) return;
  throw environmentErrors.fail('nodes_lack_key', {
    message:
      `${lacking} of ${nodes.length} running nodes do not have the encryption key ${keyring.activeId}. Give it to ` +
      'every node and restart them, then run this again. A node that was killed counts for one more minute.',
  });
}

async function wrapAll(work: Work): Promise<number> {
  const { db, keyring, reader, report, signal, killPoints } = work;
  let wrapped = 0;
  for (;;) {
    const stale = (await selectDataKeys(db)).filter((row) => row.kek_id !== keyring.activeId);
    if (stale.length === 0) return wrapped;
    const total = wrapped + stale.length;
    for (const row of stale) {
      if (signal.aborted) return wrapped;
      const context = wrapContext(row.environment_id, row.id);
      const dataKey = await reader.open(row);
      const fresh = await keyring.wrap(dataKey, context);
      // The old wrapping is the only other copy: the new one must open before it goes.
      if (!(await keyring.unwrap(keyring.activeId, fresh, context)).equals(dataKey)) {
        throw new Error('the key service answered with another key');
      }
      if (await replaceWrapping(db, row, { kekId: keyring.activeId, wrapped: fresh })) wrapped += 1;
      killPoints.reach('R2');
      report({ phase: 'wrap', done: wrapped, total });
    }
  }
}

async function rotateDataKeys(work: Work, result: RotateResult): Promise<void> {
  const { db, killPoints, signal, report } = work;
  if (!isUnfinished(await selectDataKeys(db))) result.made = await makeDataKeys(work);
  await notifyDataKeys(db);
  const { left } = await readKeysStatus(db, work.keyring);
  const bar = { done: 0, total: left.valuesToSeal };
  const onBatch = (values: number): void => {
    bar.done += values;
    report({ phase: 'seal', done: bar.done, total: Math.max(bar.total, bar.done) });
  };
  const old = oldKeys(await selectDataKeys(db));
  result.sealed += (await sealAll(work, onBatch)).sealed;
  if (!(await nodesCaughtUp(work))) {
    result.unfinished = signal.aborted ? 'stopped' : 'nodes_behind';
    return;
  }
  for (let pass = 0; pass < PASSES_MAX; pass += 1) {
    const { sealed, skipped, unreadable } = await sealAll(work, onBatch);
    result.sealed += sealed;
    result.unreadable = unreadable;
    if (signal.aborted) break;
    if (sealed === 0 && skipped === 0) {
      killPoints.reach('R4');
      result.retired = await retireDataKeys(db, old);
      await notifyDataKeys(db);
      return;
    }
    if (skipped > 0) await pause(work, PASS_WAIT_MS);
  }
  result.unfinished = signal.aborted ? 'stopped' : 'values_locked';
}

async function makeDataKeys({ db, keyring, session, killPoints }: Work): Promise<string[]> {
  const environmentIds = new Set((await selectDataKeys(db)).map((row) => row.environment_id));
  const fresh: DataKeyRow[] = [];
  for (const id of environmentIds) fresh.push(await newDataKey(keyring, id, 'seal'));
  // With the session the lock is gone, and another rotation may be making keys.
  if (!session.alive) throw environmentErrors.fail('rotation_running');
  await db.transaction(async (tx) => {
    for (const row of fresh) await insertDataKey(tx, row);
  });
  killPoints.reach('R3');
  return fresh.map((row) => row.id);
}

/** One pass over everything. */
async function sealAll(work: Work, onBatch: (values: number) => void): Promise<ResealResult> {
  const all: ResealResult = { sealed: 0, skipped: 0, unreadable: [] };
  const rows = await selectDataKeys(work.db);
  for (const environmentId of new Set(rows.map((row) => row.environment_id))) {
    const keys = await work.reader.readAll(rows.filter((row) => row.environment_id === environmentId));
    for (const column of SEALED_COLUMNS) {
      const options = { environmentId, keys, onBatch, signal: work.signal };
      const { sealed, skipped, unreadable } = await resealColumn(work, column, options);
      all.sealed += sealed;
      all.skipped += skipped;
      all.unreadable.push(...unreadable);
    }
  }
  return all;
}

/** Resolves to true once every running node has read the data keys after this call began. */
async function nodesCaughtUp(work: Work): Promise<boolean> {
  const { db, clock, report, signal } = work;
  const since = await selectNow(db);
  await notifyDataKeys(db);
  const giveUpAtMs = clock.monotonicMs() + NODES_WAIT_MAX_MS;
  for (;;) {
    const nodes = await selectLiveNodes(db, NODE_LIVE_MS, since);
    const done = nodes.filter((node) => node.up_to_date).length;
    report({ phase: 'wait', done, total: nodes.length });
    if (done === nodes.length) return true;
    if (signal.aborted || clock.monotonicMs() >= giveUpAtMs) return false;
    await pause(work, NODES_POLL_MS);
  }
}

async function deleteLongRetired({ db }: Work): Promise<string[]> {
  if (!(await selectDataKeyStates(db, RETIRED_DAYS)).some((row) => row.long_retired)) return [];
  const { dataKeys } = await readKeysStatus(db, undefined);
  const unused = dataKeys.filter((key) => key.longRetired && key.valuesTotal === 0);
  for (const key of unused) await deleteDataKey(db, key.environmentId, key.id);
  return unused.map((key) => key.id);
}

/** True when new keys were made and the old ones are not yet retired. */
function isUnfinished(rows: readonly DataKeyRow[]): boolean {
  return oldKeys(rows).length > 0;
}

/** Keys in use that a newer one of their environment replaces. `rows`: oldest first. */
function oldKeys(rows: readonly DataKeyRow[]): { environmentId: number; id: string }[] {
  const used = rows.filter((row) => row.purpose === 'seal' && row.retired_at === null);
  const newest = new Map(used.map((row) => [row.environment_id, row.id]));
  return used
    .filter((row) => newest.get(row.environment_id) !== row.id)
    .map((row) => ({ environmentId: row.environment_id, id: row.id }));
}

/** Waits; an abort ends the wait. */
async function pause({ clock, signal }: Work, ms: number): Promise<void> {
  await clock.sleep(ms, signal).catch(() => {
    // Aborted: the caller looks at the signal.
  });
}
