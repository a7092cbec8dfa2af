import { z } from 'zod';
import { defineRoute, type Route } from '../../../base/route.ts';
import type { Providers } from '../model.ts';
import { wireProvider, wireProviderShape } from '../wire.ts';

const SEARCH_CHARS_MAX = 255;

export function listProviders(deps: { providers: Providers; serverUrl: () => string }): Route {
  return defineRoute({
    method: 'GET',
    path: '/providers',
    summary: 'Lists the providers of the catalogue, by name.',
    auth: { by: 'key-or-session', anyOf: [] },
    query: z.strictObject({ search: z.string().max(SEARCH_CHARS_MAX).optional() }),
    output: z.object({ data: z.array(wireProviderShape) }),
    errors: [],
    handle: ({ query }) => ({
      body: {
        data: deps.providers.list(query.search).map((spec) => wireProvider(spec, { serverUrl: deps.serverUrl() })),
      },
    }),
  });
}
