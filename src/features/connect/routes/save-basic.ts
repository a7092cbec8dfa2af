import { z } from 'zod';
import { defineRoute } from '../../../base/route.ts';
import { credentialRoute, saveTypedCredential, SECRET_LENGTH_MAX } from '../credential-form.ts';
import type { ConnectDeps } from '../deps.ts';
import { readBrowserQuery } from '../query.ts';

/** Connects with a user name and a password, either of which may be empty (wire contract C.4). */
export function saveBasicRoute(deps: ConnectDeps) {
  const text = z.string().max(SECRET_LENGTH_MAX);
  return defineRoute({
    ...credentialRoute,
    path: '/api-auth/basic/:providerConfigKey',
    summary: 'Connect with a user name and a password',
    body: z.strictObject({ username: text, password: text }),
    async handle(request) {
      const saved = await saveTypedCredential(deps, {
        key: request.params.providerConfigKey,
        query: readBrowserQuery(request.query),
        mode: 'BASIC',
        credential: { type: 'BASIC', ...request.body },
      });
      return { body: saved };
    },
  });
}
