import type { Database } from '../../platform/postgres/index.ts';
import type { Vault } from '../environments/index.ts';
import type { RecordPlace, RecordQuery, RecordView } from './model.ts';
import { cursorsOf, isoWriter, rowIds } from './place.ts';
import { readId } from './read-records.ts';
import { selectPage, type PageRow } from './store-read.ts';

export interface ReadDeps {
  db: Database;
  vault: Vault;
}

/** Of a page's payloads; it ends with the record that reaches it, so only `next_cursor` tells the end (G.3). */
const PAGE_BYTES_MAX = 16_000_000;
/** Opened in one go; then others get their turn. */
const SLICE = 1_000;

/** One page as JSON text: the stored text of each record with its metadata put in before the last brace. */
export async function readPage(
  deps: ReadDeps,
  query: RecordQuery,
): Promise<{ recordsJson: Buffer; nextCursor: string | null }> {
  const { environmentId, actions, ids } = query;
  const cursors = cursorsOf(query);
  const row = await selectPage(deps.db, {
    environmentId,
    connectionId: query.connectionId,
    model: query.model,
    limit: query.limit,
    after: firstAfter(query, query.cursor === undefined ? 0 : cursors.read(query.cursor)),
    wanted: actions && {
      added: actions.includes('ADDED'),
      updated: actions.includes('UPDATED'),
      deleted: actions.includes('DELETED'),
    },
    ids: ids?.map((id, index) => rowIds(query)(readId(id, index))),
    bytesMax: PAGE_BYTES_MAX,
  });
  const page = unpack(row);
  const json = new JsonText((row.sealed?.length ?? 0) + (page.length + 1) * METADATA_BYTES);
  json.add('[');
  const metadataOf = metadataWriter(cursors.write);
  const pruned = (row.pruned ?? []).values();
  for (let from = 0; from < page.length; from += SLICE) {
    if (from > 0) await new Promise(setImmediate);
    const slice = page.slice(from, from + SLICE);
    const opened = await deps.vault.openMany(
      { environmentId, table: 'record', column: 'sealed' },
      slice.flatMap(({ id, sealed }) => (sealed === undefined ? [] : [{ row: id, sealed }])),
    );
    let next = 0;
    for (const one of slice) {
      if (one.sealed === undefined) {
        const { id, at } = pruned.next().value as { id: string; at: number };
        json.addBytes(Buffer.from(`{"id":${JSON.stringify(id)}}`, 'utf8'), 1);
        json.add(metadataOf(one, at));
      } else {
        json.addBytes(opened[next++] as Buffer, 1);
        json.add(metadataOf(one, undefined));
      }
    }
  }
  const last = page.at(-1);
  // The comma behind the last record.
  if (last !== undefined) json.cut(1);
  json.add(']');
  return {
    recordsJson: json.bytes(),
    nextCursor: last !== undefined && row.found > page.length ? cursors.write(last.position) : null,
  };
}

/** One page, parsed. */
export async function readList(
  deps: ReadDeps,
  query: RecordQuery,
): Promise<{ records: RecordView[]; nextCursor: string | null }> {
  const { recordsJson, nextCursor } = await readPage(deps, query);
  return { records: JSON.parse(recordsJson.toString('utf8')) as RecordView[], nextCursor };
}

/** Those of `ids` that are here, whatever their size. */
export async function readByIds(deps: ReadDeps, place: RecordPlace, ids: readonly string[]): Promise<RecordView[]> {
  const found: RecordView[] = [];
  if (ids.length === 0) return found;
  let cursor: string | undefined;
  do {
    const page = await readList(deps, { ...place, ids: [...new Set(ids)], limit: ids.length, cursor });
    found.push(...page.records);
    cursor = page.nextCursor ?? undefined;
  } while (cursor !== undefined);
  return found;
}

/** Stamps are positions: "equal or later" is "after the one before". */
function firstAfter({ modifiedAfter, modifiedAfterMicros }: RecordQuery, cursor: number): number {
  const from = modifiedAfterMicros ?? (modifiedAfter === undefined ? undefined : modifiedAfter.getTime() * 1e3);
  return from === undefined ? cursor : Math.max(cursor, from - 1);
}

/** More than the metadata of a record ever has. */
const METADATA_BYTES = 400;

/** Text put together in one piece of memory: a list of small ones would cost more than their content. */
class JsonText {
  #bytes: Buffer;
  #length = 0;

  constructor(size: number) {
    this.#bytes = Buffer.allocUnsafe(size);
  }

  /** ASCII. */
  add(text: string): void {
    this.#reserve(text.length);
    this.#length += this.#bytes.write(text, this.#length, 'latin1');
  }

  /** All but the last bytes. */
  addBytes(bytes: Buffer, without: number): void {
    this.#reserve(bytes.length);
    this.#length += bytes.copy(this.#bytes, this.#length, 0, bytes.length - without);
  }

  cut(count: number): void {
    this.#length -= count;
  }

  bytes(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  #reserve(count: number): void {
    if (this.#length + count <= this.#bytes.length) return;
    this.#bytes = Buffer.concat([this.#bytes], (this.#length + count) * 2);
  }
}

interface PageRecord {
  id: string;
  position: number;
  firstPosition: number;
  isDeleted: boolean;
  /** Undefined: pruned. */
  sealed: Buffer | undefined;
}

function unpack(row: PageRow): PageRecord[] {
  if (row.ids === null) return [];
  const positions = (row.positions as string).split(',');
  const firstPositions = (row.first_positions as string).split(',');
  const lengths = (row.lengths as string).split(',');
  let at = 0;
  return row.ids.split(',').map((id, index) => {
    const length = Number(lengths[index]);
    const sealed = length < 0 ? undefined : row.sealed?.subarray(at, at + length);
    at += Math.max(length, 0);
    return {
      id,
      position: Number(positions[index]),
      firstPosition: Number(firstPositions[index]),
      isDeleted: row.deleted?.[index] === '1',
      sealed,
    };
  });
}

/** What stands behind the data of a record, up to and including the comma before the next (wire contract G.2). */
function metadataWriter(cursorOf: (position: number) => string) {
  const [first, modified, pruned] = [isoWriter(), isoWriter(), isoWriter()];
  return ({ position, firstPosition, isDeleted }: PageRecord, prunedAt: number | undefined): string => {
    const at = modified(position);
    const action = isDeleted ? 'DELETED' : position === firstPosition ? 'ADDED' : 'UPDATED';
    return (
      `,"_nango_metadata":{"first_seen_at":"${first(firstPosition)}","last_modified_at":"${at}",` +
      `"last_action":"${action}","deleted_at":${isDeleted ? `"${at}"` : 'null'},` +
      `"pruned_at":${prunedAt === undefined ? 'null' : `"${pruned(prunedAt)}"`},"cursor":"${cursorOf(position)}"}},`
    );
  };
}
