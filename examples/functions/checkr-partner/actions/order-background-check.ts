import { createAction } from 'hawser/functions';
import * as z from 'zod';
import { IdempotencyKey, onceOnly } from '../../lib/once.ts';

export default createAction({
  description: 'Orders a background check: invites the candidate. The same idempotency key never orders twice.',
  input: z.object({
    candidate_id: z.string(),
    /** Slug of a package: see list-packages. */
    package: z.string(),
    /** An account with a hierarchy needs both: see list-background-check-parameters. */
    node: z.string().optional(),
    work_locations: z
      .array(z.object({ country: z.string(), state: z.string().optional(), city: z.string().optional() }))
      .optional(),
    tags: z.array(z.string()).optional(),
    idempotency_key: IdempotencyKey,
  }),
  output: z.object({
    id: z.string(),
    status: z.string(),
    /** The page for the candidate; Checkr mails it, too. */
    invitation_url: z.string(),
    expires_at: z.string().nullable(),
  }),
  exec: async (nango, { idempotency_key: key, ...order }) => {
    const { data } = await nango.post({ endpoint: '/v1/invitations', data: order, ...onceOnly(key) });
    return {
      id: data.id,
      status: data.status,
      invitation_url: data.invitation_url,
      expires_at: data.expires_at ?? null,
    };
  },
});
