import type { NangoAction } from 'hawser/functions';
import type { Page } from './listing.ts';

/** The list envelope that Checkr has, and that the emulated Xref has, too. */
interface HrefList<Row> {
  data: Row[];
  count: number;
  next_href: string | null;
}

/** Largest page that both take. */
const PER_PAGE = 100;

/**
 * One page of a list. The number of the page is ours: `next_href` is a whole address, at Checkr with the scheme `http`,
 * and following it would leave the API's base address.
 */
export async function readHrefPage<Row>(
  nango: Pick<NangoAction, 'get'>,
  endpoint: string,
  page: number,
): Promise<Page<Row>> {
  const { data } = await nango.get<HrefList<Row>>({ endpoint, params: { page, per_page: PER_PAGE }, retries: 5 });
  // A page of HTML, or an error with status 200, is no empty list: taken for one, everything would be deleted.
  if (!Array.isArray(data.data) || typeof data.count !== 'number')
    throw new Error(`${endpoint} answered with no list.`);
  return { rows: data.data, total: data.count, isLast: data.next_href === null };
}
