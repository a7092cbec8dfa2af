import { createSync } from 'hawser/functions';
import * as z from 'zod';
import { readHrefPage } from '../../lib/href-list.ts';
import { Place, readListing } from '../../lib/listing.ts';

/** Xref's reference of its API is not public: paths and fields are those of the emulator, to be checked with Xref. */
const ReferenceRequest = z.object({
  id: z.string(),
  /** `created`, `sent`, `in_progress`, `complete` or `archived`. */
  status: z.string(),
  candidate: z.object({ first_name: z.string(), last_name: z.string(), email: z.string() }),
  template_id: z.string(),
  position: z.string().nullable(),
  referees: z.array(
    z.object({
      id: z.string(),
      name: z.string(),
      email: z.string(),
      relationship: z.string().nullable(),
      status: z.string(),
    }),
  ),
  report_url: z.string().nullable(),
  created_at: z.string(),
  updated_at: z.string(),
  completed_at: z.string().nullable(),
});
type ReferenceRequest = z.infer<typeof ReferenceRequest>;

/** Names and shapes of events are those of the emulator, too. */
const REQUEST_EVENTS = ['created', 'updated', 'completed', 'archived'].map((name) => `request.${name}`);

export default createSync({
  description: 'Reference requests with what their referees have done.',
  frequency: 'every hour',
  autoStart: true,
  models: { ReferenceRequest },
  checkpoint: Place,
  webhookSubscriptions: REQUEST_EVENTS,
  exec: async (nango) => {
    await nango.trackDeletesStart('ReferenceRequest');
    await readListing(
      nango,
      (page) => readHrefPage<ReferenceRequest>(nango, '/requests', page),
      (rows) =>
        // Fields that are not in the model, such as telephone numbers, stay out.
        nango.batchSave(
          rows.map((row) => ReferenceRequest.parse(row)),
          'ReferenceRequest',
        ),
    );
    await nango.trackDeletesEnd('ReferenceRequest');
  },
  // Events come twice, late and out of order: the request is read as it is now, whatever the event says.
  onWebhook: async (nango, payload) => {
    const { data } = await nango.get({ endpoint: `/requests/${payload.data.object.id}`, retries: 5 });
    await nango.batchSave([ReferenceRequest.parse(data)], 'ReferenceRequest');
  },
});
