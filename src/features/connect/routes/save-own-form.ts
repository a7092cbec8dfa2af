import { z } from 'zod';
import { defineRoute, type Route } from '../../../base/route.ts';
import type { MachineMode } from '../../../protocols/machine-token/index.ts';
import { credentialRoute, PEM_LENGTH_MAX, saveTypedCredential } from '../credential-form.ts';
import type { ConnectDeps } from '../deps.ts';
import { readBrowserQuery } from '../query.ts';

/** More values than any provider's form asks for. */
const VALUES_MAX = 20;

/** Modes whose form is the provider's own (wire contract C.4). */
const MODES: Partial<Record<MachineMode, { path: string; summary: string }>> = {
  TWO_STEP: { path: '/auth/two-step/:providerConfigKey', summary: 'Connect with a login that gives a session token' },
  JWT: { path: '/auth/jwt/:providerConfigKey', summary: 'Connect with a key that signs tokens' },
};

/** One endpoint for each of these modes; the names in the body are those of the provider's form. */
export function saveOwnFormRoutes(deps: ConnectDeps): Route[] {
  return Object.entries(MODES).map(([name, { path, summary }]) =>
    saveOwnFormRoute(deps, name as MachineMode, path, summary),
  );
}

function saveOwnFormRoute(deps: ConnectDeps, mode: MachineMode, path: string, summary: string): Route {
  return defineRoute({
    ...credentialRoute,
    path,
    summary,
    errors: [...credentialRoute.errors, 'key_not_usable', 'credential_incomplete', 'two_step_credentials_fetch_error'],
    body: z
      .record(z.string().max(64), z.string().max(PEM_LENGTH_MAX))
      .refine((form) => Object.keys(form).length <= VALUES_MAX, `At most ${VALUES_MAX} values.`)
      // The published client says which form this is.
      .refine((form) => form['type'] === undefined || form['type'] === mode, `\`type\` must be ${mode}.`),
    async handle(request) {
      const { type: _type, ...fields } = request.body;
      const saved = await saveTypedCredential(deps, {
        key: request.params.providerConfigKey,
        query: readBrowserQuery(request.query),
        mode,
        credential: { fields },
      });
      return { body: saved };
    },
  });
}
