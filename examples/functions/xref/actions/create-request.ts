import { createAction } from 'hawser/functions';
import * as z from 'zod';

export default createAction({
  description: 'Asks for references of a candidate. Xref knows no idempotency keys, so it is tried once.',
  input: z.object({
    candidate: z.object({
      first_name: z.string().min(1),
      last_name: z.string().min(1),
      email: z.email(),
      mobile: z.string().optional(),
    }),
    template_id: z.string(),
    position: z.string().optional(),
    /** Left out, the candidate names them. */
    referees: z
      .array(z.object({ name: z.string().min(1), email: z.email(), relationship: z.string().optional() }))
      .optional(),
  }),
  output: z.object({ id: z.string(), status: z.string(), created_at: z.string() }),
  exec: async (nango, input) => {
    const { data } = await nango.post({ endpoint: '/requests', data: input, retries: 0 });
    return { id: data.id, status: data.status, created_at: data.created_at };
  },
});
