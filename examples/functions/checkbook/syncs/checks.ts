import { createSync } from 'hawser/functions';
import * as z from 'zod';
import { Place, readListing } from '../../lib/listing.ts';

const Check = z.object({
  id: z.string(),
  status: z.string(),
  /** US dollars, with cents behind the point. */
  amount: z.number(),
  name: z.string(),
  /** E-mail, telephone or user id; null for a check on paper. */
  recipient: z.string().nullable(),
  /** `INCOMING` or `OUTGOING`. */
  direction: z.string(),
  sender: z.string().nullable(),
  description: z.string().nullable(),
  number: z.string(),
  /** YYYY-MM-DD HH:MM:SS; Checkbook names no zone. */
  date: z.string(),
});
type Check = z.infer<typeof Check>;

interface CheckList {
  checks: Check[];
  page: number;
  pages: number;
  total: number;
}

const PER_PAGE = 50;

export default createSync({
  description: 'Checks, sent and received.',
  frequency: 'every hour',
  autoStart: true,
  models: { Check },
  checkpoint: Place,
  webhookSubscriptions: ['CHECK'],
  exec: async (nango) => {
    await nango.trackDeletesStart('Check');
    await readListing(
      nango,
      async (page) => {
        const { data } = await nango.get<CheckList>({
          endpoint: '/v3/check',
          params: { page, per_page: PER_PAGE },
          retries: 5,
        });
        if (!Array.isArray(data.checks)) throw new Error('/v3/check answered with no list.');
        return { rows: data.checks, total: data.total, isLast: page >= data.pages };
      },
      (rows) =>
        nango.batchSave(
          rows.map((row) => ({
            id: row.id,
            status: row.status,
            amount: row.amount,
            name: row.name,
            recipient: typeof row.recipient === 'string' ? row.recipient : null,
            direction: row.direction,
            sender: row.sender ?? null,
            description: row.description ?? null,
            number: String(row.number),
            date: row.date,
          })),
          'Check',
        ),
    );
    await nango.trackDeletesEnd('Check');
  },
  // Events have no time and may come out of order: the check is read as it is now. Alone it lacks direction and sender.
  onWebhook: async (nango, payload) => {
    const { data } = await nango.get<Check>({ endpoint: `/v3/check/${payload.id}`, retries: 5 });
    await nango.batchUpdate([{ id: data.id, status: data.status }], 'Check');
  },
});
