import { createSync } from 'hawser/functions';
import * as z from 'zod';
import { readHrefPage } from '../../lib/href-list.ts';
import { Place, readListing } from '../../lib/listing.ts';

const Package = z.object({
  id: z.string(),
  /** What an order names. */
  slug: z.string(),
  name: z.string(),
  /** Cents. */
  price: z.number().nullable(),
  screenings: z.array(z.object({ type: z.string(), subtype: z.string().nullable() })),
  apply_url: z.string().nullable(),
  created_at: z.string(),
});
type Package = z.infer<typeof Package>;

export default createSync({
  description: 'Packages that can be ordered.',
  frequency: 'every hour',
  autoStart: true,
  models: { Package },
  checkpoint: Place,
  exec: async (nango) => {
    await nango.trackDeletesStart('Package');
    await readListing(
      nango,
      (page) => readHrefPage<Package>(nango, '/v1/packages', page),
      (rows) =>
        nango.batchSave(
          rows.map((row) => ({
            id: row.id,
            slug: row.slug,
            name: row.name,
            price: row.price ?? null,
            screenings: row.screenings.map(({ type, subtype }) => ({ type, subtype: subtype ?? null })),
            apply_url: row.apply_url ?? null,
            created_at: row.created_at,
          })),
          'Package',
        ),
    );
    await nango.trackDeletesEnd('Package');
  },
});
