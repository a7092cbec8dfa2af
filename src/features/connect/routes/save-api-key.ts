import { z } from 'zod';
import { defineRoute } from '../../../base/route.ts';
import { credentialRoute, saveTypedCredential, SECRET_LENGTH_MAX } from '../credential-form.ts';
import type { ConnectDeps } from '../deps.ts';
import { readBrowserQuery } from '../query.ts';

/** Connects with an API key (wire contract C.4). */
export function saveApiKeyRoute(deps: ConnectDeps) {
  return defineRoute({
    ...credentialRoute,
    path: '/api-auth/api-key/:providerConfigKey',
    summary: 'Connect with an API key',
    body: z.strictObject({ apiKey: z.string().min(1).max(SECRET_LENGTH_MAX) }),
    async handle(request) {
      const saved = await saveTypedCredential(deps, {
        key: request.params.providerConfigKey,
        query: readBrowserQuery(request.query),
        mode: 'API_KEY',
        credential: { type: 'API_KEY', apiKey: request.body.apiKey },
      });
      return { body: saved };
    },
  });
}
