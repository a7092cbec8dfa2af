import { defineRoute } from '../../../base/route.ts';
import { credentialRoute, saveTypedCredential } from '../credential-form.ts';
import type { ConnectDeps } from '../deps.ts';
import { readBrowserQuery } from '../query.ts';

/** Connects to a provider that needs no credential (wire contract C.4). */
export function saveUnauthenticatedRoute(deps: ConnectDeps) {
  return defineRoute({
    ...credentialRoute,
    path: '/auth/unauthenticated/:providerConfigKey',
    summary: 'Connect to a provider that needs no credential',
    async handle(request) {
      const saved = await saveTypedCredential(deps, {
        key: request.params.providerConfigKey,
        query: readBrowserQuery(request.query),
        mode: 'NONE',
        credential: { type: 'NONE' },
      });
      return { body: saved };
    },
  });
}
