import { z } from 'zod';
import { defineRoute, environmentOf, type Route } from '../../../base/route.ts';
import { ENVIRONMENT_SCOPES } from '../../environments/index.ts';
import { CONNECTION_ID, listedToWire } from '../wire.ts';
import type { ConnectionRouteDeps } from './index.ts';

/** Wire contract B.5 and J.2: what comes without `limit`, and the most one may ask for. */
const LIMIT_DEFAULT = 10_000;
const LIMIT_MAX = 2_000;

/** `tags[key]=value` arrives as such a key. */
const TAG_PARAMETER = /^tags\[([a-zA-Z][a-zA-Z0-9_\-./]{0,63})\]$/;

const query = z
  .object({
    connectionId: CONNECTION_ID.optional(),
    search: z.string().max(255).optional(),
    endUserId: z.string().max(255).optional(),
    endUserOrganizationId: z.string().max(255).optional(),
    integrationId: z.string().max(4_096).optional(),
    limit: z.coerce.number().int().min(1).max(LIMIT_MAX).optional(),
    page: z.coerce.number().int().min(0).max(1_000_000).optional(),
  })
  .catchall(z.string().max(255))
  .superRefine((value, context) => {
    for (const key of Object.keys(value)) {
      if (!(key in known) && !TAG_PARAMETER.test(key)) {
        context.addIssue({
          code: 'unrecognized_keys',
          keys: [key],
          message: `Unrecognized key: "${key}"`,
          input: value,
        });
      }
    }
  });

const known = {
  connectionId: true,
  search: true,
  endUserId: true,
  endUserOrganizationId: true,
  integrationId: true,
  limit: true,
  page: true,
};

/** Lists connections, newest first, filtered; `GET /connection` is the old name. */
export function listConnectionsRoutes({ connections }: ConnectionRouteDeps): Route[] {
  return ['/connections', '/connection'].map((path) =>
    defineRoute({
      method: 'GET',
      path,
      summary: 'List connections, newest first',
      auth: { by: 'key', anyOf: ENVIRONMENT_SCOPES.connectionsList },
      query,
      errors: [],
      documented: path === '/connections',
      async handle(request) {
        const asked = request.query;
        const rows = await connections.list({
          environmentId: environmentOf(request).id,
          connectionId: asked.connectionId,
          search: asked.search || undefined,
          endUserId: asked.endUserId,
          organizationId: asked.endUserOrganizationId,
          integrationKeys: asked.integrationId?.split(',').filter((key) => key !== ''),
          tags: readTags(asked),
          limit: asked.limit ?? LIMIT_DEFAULT,
          page: asked.page ?? 0,
        });
        return { body: { connections: rows.map(listedToWire) } };
      },
    }),
  );
}

function readTags(asked: Record<string, unknown>): Record<string, string> | undefined {
  const tags = Object.entries(asked).flatMap(([key, value]) => {
    const name = TAG_PARAMETER.exec(key)?.[1];
    return name === undefined ? [] : [[name.toLowerCase(), String(value)] as const];
  });
  return tags.length === 0 ? undefined : Object.fromEntries(tags);
}
