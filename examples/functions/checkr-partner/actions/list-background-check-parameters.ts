import { createAction } from 'hawser/functions';
import * as z from 'zod';
import { readHrefPage } from '../../lib/href-list.ts';
import { listPackages, PackageChoice } from '../../lib/packages.ts';

const Parameter = z.object({ name: z.string(), required: z.boolean(), description: z.string() });
const Node = z.object({ custom_id: z.string(), name: z.string(), packages: z.array(z.string()) });

interface CheckrNode {
  custom_id: string;
  name: string;
  packages?: { slug: string }[];
}

export default createAction({
  description:
    'What order-background-check needs for this account: its parameters, packages and, where it has them, nodes.',
  input: z.object({}),
  output: z.object({
    parameters: z.array(Parameter),
    packages: z.array(PackageChoice),
    /** Undefined for an account without a hierarchy. */
    nodes: z.array(Node).optional(),
  }),
  exec: async (nango) => {
    const packages = await listPackages(nango);
    const nodes = await listNodes(nango);
    const needsPlace = nodes !== undefined;
    return {
      parameters: [
        { name: 'candidate_id', required: true, description: 'Id of the candidate: create-candidate gives it.' },
        { name: 'package', required: true, description: 'Slug of one of the packages.' },
        { name: 'node', required: needsPlace, description: 'custom_id of the node that orders and pays.' },
        {
          name: 'work_locations',
          required: needsPlace,
          description: 'Where the candidate will work: country, state, city.',
        },
        { name: 'tags', required: false, description: 'Labels of your own.' },
        { name: 'idempotency_key', required: true, description: 'Yours, one per order, the same for every try.' },
      ],
      packages,
      ...(needsPlace && { nodes }),
    };
  },
});

type Caller = Parameters<typeof listPackages>[0];

async function listNodes(nango: Caller): Promise<z.infer<typeof Node>[] | undefined> {
  const nodes: z.infer<typeof Node>[] = [];
  try {
    for (let page = 1; ; page += 1) {
      const { rows, isLast } = await readHrefPage<CheckrNode>(nango, '/v1/nodes?include=packages', page);
      for (const { custom_id, name, packages } of rows) {
        nodes.push({ custom_id, name, packages: (packages ?? []).map(({ slug }) => slug) });
      }
      if (isLast || rows.length === 0) return nodes;
    }
  } catch (error) {
    // 403 says that the account has no hierarchy. Anything else, such as 429, says nothing about it.
    if ((error as { response?: { status?: number } }).response?.status === 403) return undefined;
    throw error;
  }
}
