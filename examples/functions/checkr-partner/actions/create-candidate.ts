import { createAction } from 'hawser/functions';
import * as z from 'zod';
import { IdempotencyKey, onceOnly } from '../../lib/once.ts';

const WorkLocation = z.object({ country: z.string(), state: z.string().optional(), city: z.string().optional() });

export default createAction({
  description: 'Creates a candidate. In the hosted flow an e-mail address is enough; the candidate types the rest.',
  input: z.object({
    email: z.email(),
    first_name: z.string().optional(),
    /** Left out together with a last name: the candidate has none. */
    middle_name: z.string().optional(),
    last_name: z.string().optional(),
    phone: z.string().optional(),
    zipcode: z.string().optional(),
    /** YYYY-MM-DD */
    dob: z.string().optional(),
    /** Your own id of the person. */
    custom_id: z.string().optional(),
    work_locations: z.array(WorkLocation).optional(),
    idempotency_key: IdempotencyKey.optional(),
  }),
  output: z.object({ id: z.string(), email: z.string(), created_at: z.string() }),
  exec: async (nango, { idempotency_key: key, ...candidate }) => {
    const hasNoMiddleName = candidate.middle_name === undefined && candidate.last_name !== undefined;
    const { data } = await nango.post({
      endpoint: '/v1/candidates',
      data: { ...candidate, ...(hasNoMiddleName && { no_middle_name: true }) },
      ...onceOnly(key),
    });
    return { id: data.id, email: data.email, created_at: data.created_at };
  },
});
