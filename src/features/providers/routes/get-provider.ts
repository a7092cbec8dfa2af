import { z } from 'zod';
import { defineRoute, type Route } from '../../../base/route.ts';
import { providerErrors } from '../errors.ts';
import type { Providers } from '../model.ts';
import { wireProvider, wireProviderShape } from '../wire.ts';

export function getProvider(deps: { providers: Providers; serverUrl: () => string }): Route {
  return defineRoute({
    method: 'GET',
    path: '/providers/:provider',
    summary: 'Tells one provider of the catalogue: URLs, form fields, scopes.',
    auth: { by: 'key-or-session', anyOf: [] },
    params: z.strictObject({
      provider: z
        .string()
        .max(255)
        .regex(/^[a-zA-Z0-9_-]+$/),
    }),
    query: z.strictObject({}),
    output: z.object({ data: wireProviderShape }),
    errors: ['not_found'],
    handle({ params }) {
      const spec = deps.providers.get(params.provider);
      if (spec === undefined) throw providerErrors.fail('not_found');
      return { body: { data: wireProvider(spec, { serverUrl: deps.serverUrl() }) } };
    },
  });
}
