import { createSync } from 'hawser/functions';
import * as z from 'zod';
import { readHrefPage } from '../../lib/href-list.ts';
import { Place, readListing } from '../../lib/listing.ts';

/** Birthday, licence and social security number stay at Checkr: what is not kept cannot be lost. */
const Candidate = z.object({
  id: z.string(),
  email: z.string(),
  first_name: z.string().nullable(),
  middle_name: z.string().nullable(),
  last_name: z.string().nullable(),
  phone: z.string().nullable(),
  custom_id: z.string().nullable(),
  /** `engaged`, `pre_adverse_action` or `post_adverse_action`. */
  adjudication: z.string().nullable(),
  report_ids: z.array(z.string()),
  created_at: z.string(),
});
type Candidate = z.infer<typeof Candidate>;

export default createSync({
  description: 'Candidates with the ids of their reports. Checkr lists only those inside the United States.',
  frequency: 'every hour',
  autoStart: true,
  models: { Candidate },
  checkpoint: Place,
  exec: async (nango) => {
    await nango.trackDeletesStart('Candidate');
    await readListing(
      nango,
      (page) => readHrefPage<Candidate>(nango, '/v1/candidates', page),
      (rows) =>
        nango.batchSave(
          rows.map((row) => ({
            id: row.id,
            email: row.email,
            first_name: row.first_name ?? null,
            middle_name: row.middle_name ?? null,
            last_name: row.last_name ?? null,
            phone: row.phone ?? null,
            custom_id: row.custom_id ?? null,
            adjudication: row.adjudication ?? null,
            report_ids: row.report_ids ?? [],
            created_at: row.created_at,
          })),
          'Candidate',
        ),
    );
    await nango.trackDeletesEnd('Candidate');
  },
});
