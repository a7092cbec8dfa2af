import { createAction } from 'hawser/functions';
import * as z from 'zod';
import { listPackages, PackageChoice } from '../../lib/packages.ts';

export default createAction({
  description: 'Packages that can be ordered now, straight from Checkr.',
  input: z.object({}),
  output: z.object({ packages: z.array(PackageChoice) }),
  exec: async (nango) => ({ packages: await listPackages(nango) }),
});
