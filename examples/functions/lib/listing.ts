import type { NangoAction } from 'hawser/functions';
import * as z from 'zod';

/** Where a listing goes on after it was interrupted. */
export const Place = z.object({ page: z.number(), total: z.number() });

type Reader = Pick<
  NangoAction<undefined, typeof Place>,
  'getCheckpoint' | 'saveCheckpoint' | 'clearCheckpoint' | 'log'
>;

export interface Page<Row> {
  rows: Row[];
  /** Rows of all pages together. */
  total: number;
  isLast: boolean;
}

/** A list that loses rows faster than it can be read is no basis for deletions. */
const RESTARTS_MAX = 3;

/**
 * Reads a listing with page numbers to its end, and saves page by page. Interrupted, it goes on at the page it was at.
 * Of a list that shrinks meanwhile, rows move to pages that were read already: it begins anew. New rows come first.
 */
export async function readListing<Row>(
  nango: Reader,
  readPage: (page: number) => Promise<Page<Row>>,
  save: (rows: Row[]) => Promise<unknown>,
): Promise<void> {
  const start = await nango.getCheckpoint();
  let page = start?.page ?? 1;
  let total = start?.total ?? 0;
  for (let restarts = 0; ;) {
    const { rows, total: now, isLast } = await readPage(page);
    if (page > 1 && (now < total || rows.length === 0)) {
      restarts += 1;
      if (restarts > RESTARTS_MAX) throw new Error('The listing changes faster than it can be read.');
      await nango.log('The listing became shorter; it is read again from its start.', { page, before: total, now });
      page = 1;
      total = 0;
      continue;
    }
    await save(rows);
    if (isLast) break;
    page += 1;
    total = now;
    await nango.saveCheckpoint({ page, total });
  }
  await nango.clearCheckpoint();
}
