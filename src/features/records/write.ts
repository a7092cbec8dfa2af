import type { Database, Sql } from '../../platform/postgres/index.ts';
import type { Vault } from '../environments/index.ts';
import { recordErrors } from './errors.ts';
import type { RecordCounts, RecordPlace, RecordWrite } from './model.ts';
import { rowIds } from './place.ts';
import { mergeDeep, readRecords, textOf, type ReadRecord } from './read-records.ts';
import {
  deleteRows,
  insertRows,
  lockModel,
  selectOld,
  stampSkipped,
  stampUnchanged,
  updateModel,
  updateRows,
  type ModelRow,
  type NewRow,
  type OldRow,
} from './store.ts';

export interface WriteDeps {
  db: Database;
  vault: Vault;
}

/** A statement with more would be long in memory several times over. */
const STATEMENT_BYTES_MAX = 8_000_000;

/** A record that is to be written. */
interface Item extends ReadRecord {
  rowId: string;
  /** 32 hex digits; empty until it is known. */
  hash: string;
}

/** What a batch did to its model. */
interface Outcome {
  counts: RecordCounts;
  /** Differences. */
  living: number;
  bytes: number;
  /** Given since the one of the locked model. */
  positions: number;
}

/** One batch in one transaction: {@link Records.write}. */
export async function writeBatch(deps: WriteDeps, write: RecordWrite): Promise<RecordCounts> {
  const idOf = rowIds(write);
  const read = readRecords(write.records, write.action !== 'delete');
  const items: Item[] = once(read, write).map((one) => ({ ...one, rowId: idOf(one.externalId), hash: '' }));
  if (write.action === 'save') await hashAll(deps.vault, write.environmentId, items);
  return deps.db.transaction(async (tx) => {
    const model = await lockModel(tx, write, true);
    if (model === undefined) throw recordErrors.fail('connection_gone');
    const batch = new Batch(deps, tx, write, model);
    if (items.length > 0) {
      if (write.action === 'save') await batch.save(items);
      else if (write.action === 'update') await batch.update(items);
      else await batch.remove(items);
    }
    const { counts } = await batch.end();
    await write.inTransaction?.(tx, counts);
    return counts;
  });
}

/** One record per id: of saves and deletes the first, of updates all, merged in their order. */
function once(read: ReadRecord[], { action, model, onWarning }: RecordWrite): ReadRecord[] {
  const byId = new Map<string, ReadRecord>();
  let doubled = 0;
  for (const one of read) {
    const first = byId.get(one.externalId);
    if (first === undefined) byId.set(one.externalId, one);
    else if (action === 'update') {
      byId.set(one.externalId, { ...first, data: mergeDeep(first.data, one.data) });
    } else doubled += 1;
  }
  if (doubled > 0) {
    onWarning?.(
      `${doubled} of ${read.length} records of ${model} have an id that stands in the batch before: left out.`,
    );
  }
  return [...byId.values()];
}

async function hashAll(vault: Vault, environmentId: number, items: readonly Item[]): Promise<void> {
  const hashes = await vault.contentHashes(
    environmentId,
    items.map(({ text }) => text),
  );
  for (const [index, item] of items.entries()) item.hash = hashes[index] as string;
}

/** The rows of one batch, behind the model's lock. */
class Batch {
  #deps: WriteDeps;
  #tx: Sql;
  #write: RecordWrite;
  #model: ModelRow;
  #base: number;
  #outcome: Outcome = {
    counts: { added: 0, updated: 0, deleted: 0, unchanged: 0 },
    living: 0,
    bytes: 0,
    positions: 0,
  };

  constructor(deps: WriteDeps, tx: Sql, write: RecordWrite, model: ModelRow) {
    this.#deps = deps;
    this.#tx = tx;
    this.#write = write;
    this.#model = model;
    // Strictly rising, whatever the clock does.
    this.#base = Math.max(model.now, model.position);
  }

  async save(items: readonly Item[]): Promise<void> {
    const { environmentId, generation } = this.#write;
    // A model without a position has no rows.
    const others =
      this.#model.position === 0
        ? items
        : (
            await stampUnchanged(
              this.#tx,
              environmentId,
              items.map(({ rowId }) => rowId),
              items.map(({ hash }) => hash),
              generation,
            )
          ).map((index) => items[index] as Item);
    this.#outcome.counts.unchanged += items.length - others.length;
    await this.#put(others, await this.#old(others, false));
  }

  async update(items: readonly Item[]): Promise<void> {
    const { environmentId } = this.#write;
    const old = await this.#old(items, true);
    // Ids that are not here, or deleted, are not brought into being by half a record.
    const known = items.filter(({ rowId }) => old.get(rowId)?.deleted === false);
    const sealed = known.flatMap(({ rowId }) => {
      const bytes = old.get(rowId)?.sealed;
      return bytes == null ? [] : [{ row: rowId, sealed: bytes }];
    });
    const opened = await this.#deps.vault.openMany({ environmentId, table: 'record', column: 'sealed' }, sealed);
    const texts = new Map(sealed.map(({ row }, index) => [row, (opened[index] as Buffer).toString('utf8')]));
    const merged = known.map((item): Item => {
      const before = texts.get(item.rowId);
      // Of a pruned record only the id is left.
      const base = before === undefined ? { id: item.data['id'] } : (JSON.parse(before) as Record<string, unknown>);
      // The id keeps its type: 7 and "7" name the same record.
      const data = mergeDeep(base, { ...item.data, id: base['id'] });
      return { ...item, data, text: textOf(data, item.index) };
    });
    await hashAll(this.#deps.vault, environmentId, merged);
    const changed = merged.filter(({ rowId, hash }) => old.get(rowId)?.data_hash !== hash);
    const same = merged.filter(({ rowId, hash }) => old.get(rowId)?.data_hash === hash);
    this.#outcome.counts.unchanged += same.length;
    await this.#stamp(same.map(({ rowId }) => rowId));
    await this.#put(changed, old);
  }

  async remove(items: readonly Item[]): Promise<void> {
    const old = await this.#old(items, false);
    const living = items.filter((item) => {
      const row = old.get(item.rowId);
      return row !== undefined && !row.deleted && !this.#isOvertaken(row);
    });
    if (living.length === 0) return;
    await deleteRows(
      this.#tx,
      { ...this.#write, after: this.#base + this.#outcome.positions },
      living.map(({ rowId }) => rowId),
    );
    this.#outcome.positions += living.length;
    this.#outcome.living -= living.length;
    this.#outcome.counts.deleted += living.length;
  }

  /** Writes what the batch did to its model. */
  async end(): Promise<Outcome> {
    const { positions, living, bytes } = this.#outcome;
    await updateModel(this.#tx, this.#write.environmentId, this.#model.id, {
      position: positions === 0 ? this.#model.position : this.#base + positions,
      living,
      bytes,
      syncId: this.#write.syncId,
    });
    return this.#outcome;
  }

  async #old(items: readonly Item[], withSealed: boolean): Promise<Map<string, OldRow>> {
    if (items.length === 0 || this.#model.position === 0) return new Map();
    return selectOld(
      this.#tx,
      this.#write.environmentId,
      items.map(({ rowId }) => rowId),
      withSealed,
    );
  }

  /** Inserts and changes rows whose content is another one. */
  async #put(items: readonly Item[], old: Map<string, OldRow>): Promise<void> {
    const fresh: Item[] = [];
    const changed: Item[] = [];
    const overtaken: string[] = [];
    for (const item of items) {
      const row = old.get(item.rowId);
      if (row === undefined) fresh.push(item);
      else if (this.#isOvertaken(row)) overtaken.push(item.rowId);
      else changed.push(item);
    }
    const { counts } = this.#outcome;
    for (const { rowId, text } of [...fresh, ...changed]) {
      const row = old.get(rowId);
      if (row === undefined || row.deleted) {
        counts.added += 1;
        this.#outcome.living += 1;
      } else counts.updated += 1;
      this.#outcome.bytes += Buffer.byteLength(text, 'utf8') - (row === undefined || row.is_pruned ? 0 : row.bytes);
    }
    counts.unchanged += overtaken.length;
    await this.#stamp(overtaken);
    for (const part of await this.#sealed(fresh)) {
      await insertRows(this.#tx, { ...this.#write, modelId: this.#model.id, after: this.#next() }, part);
      this.#outcome.positions += part.length;
    }
    for (const part of await this.#sealed(changed)) {
      await updateRows(this.#tx, { ...this.#write, after: this.#next() }, part);
      this.#outcome.positions += part.length;
    }
  }

  #next(): number {
    return this.#base + this.#outcome.positions;
  }

  /** True for rows that another run changed after this one had set `ignore_if_modified_after`. */
  #isOvertaken(row: OldRow): boolean {
    const { strategy, strategy_run, strategy_position } = this.#model;
    const { generation } = this.#write;
    if (strategy !== 'ignore_if_modified_after' || strategy_run !== generation) return false;
    return row.position > (strategy_position ?? 0) && row.changed_by !== generation;
  }

  async #stamp(rows: readonly string[]): Promise<void> {
    if (rows.length > 0) await stampSkipped(this.#tx, this.#write.environmentId, rows, this.#write.generation);
  }

  /** Seals the texts, in parts that one statement takes. */
  async #sealed(items: readonly Item[]): Promise<NewRow[][]> {
    const place: RecordPlace = this.#write;
    const sealed = await this.#deps.vault.sealMany(
      { environmentId: place.environmentId, table: 'record', column: 'sealed' },
      items.map(({ rowId, text }) => ({ row: rowId, plaintext: text })),
    );
    const parts: NewRow[][] = [];
    let bytes = Number.POSITIVE_INFINITY;
    for (const [index, item] of items.entries()) {
      const row: NewRow = {
        id: item.rowId,
        externalId: item.externalId,
        hash: item.hash,
        bytes: Buffer.byteLength(item.text, 'utf8'),
        sealed: sealed[index] as Buffer,
      };
      if (bytes + row.sealed.length > STATEMENT_BYTES_MAX) {
        parts.push([]);
        bytes = 0;
      }
      parts.at(-1)?.push(row);
      bytes += row.sealed.length;
    }
    return parts;
  }
}
