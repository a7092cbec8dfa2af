import { createAction } from 'hawser/functions';
import * as z from 'zod';
import { IdempotencyKey, onceOnly } from '../../lib/once.ts';

export default createAction({
  description:
    'Sends a digital check. The same input with the same idempotency key pays once within 24 hours; Checkbook takes the same key with another amount for another check.',
  input: z.object({
    /** E-mail, telephone or user id. */
    recipient: z.string().min(1),
    name: z.string().min(2).max(180),
    /** US dollars, with cents behind the point. */
    amount: z.number().min(0.01),
    description: z.string().optional(),
    /** Id of the bank account that pays; left out, the default one. */
    account: z.string().optional(),
    /** Not optional: a payment that nobody can repeat safely is not sent. */
    idempotency_key: IdempotencyKey,
  }),
  output: z.object({ id: z.string(), status: z.string(), amount: z.number(), number: z.string() }),
  exec: async (nango, { idempotency_key: key, ...check }) => {
    if (Math.round(check.amount * 100) / 100 !== check.amount) {
      throw new nango.ActionError({ type: 'invalid_amount', message: 'The amount has more than two decimals.' });
    }
    const { data } = await nango.post({ endpoint: '/v3/check/digital', data: check, ...onceOnly(key) });
    return { id: data.id, status: data.status, amount: data.amount, number: String(data.number) };
  },
});
