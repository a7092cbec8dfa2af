import { createSync } from 'hawser/functions';
import * as z from 'zod';

const Account = z.object({
  id: z.string(),
  name: z.string(),
  /** Approved for production: without it reading works, ordering does not. */
  authorized: z.boolean().nullable(),
  available_screenings: z.array(z.string()),
  support_email: z.string().nullable(),
  created_at: z.string(),
});

export default createSync({
  description: 'The connected Checkr account, and whether it may order yet.',
  frequency: 'every hour',
  autoStart: true,
  models: { Account },
  exec: async (nango) => {
    const { data } = await nango.get({ endpoint: '/v1/account', retries: 5 });
    await nango.trackDeletesStart('Account');
    await nango.batchSave(
      [
        {
          id: data.id,
          name: data.name,
          authorized: data.authorized ?? null,
          available_screenings: data.available_screenings ?? [],
          support_email: data.support_email ?? null,
          created_at: data.created_at,
        },
      ],
      'Account',
    );
    // Connected again by somebody else, it may be another account.
    await nango.trackDeletesEnd('Account');
  },
});
