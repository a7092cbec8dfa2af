import { z } from 'zod';
import { defineRoute } from '../../../base/route.ts';
import { credentialRoute, PEM_LENGTH_MAX, saveTypedCredential } from '../credential-form.ts';
import type { ConnectDeps } from '../deps.ts';
import { readBrowserQuery } from '../query.ts';

/** Source: wire contract B.5. */
const CLIENT_ID_LENGTH_MAX = 255;
const CLIENT_SECRET_LENGTH_MAX = 2_048;

/** Connects with a client of the customer's own: id with secret, key or certificate (wire contract C.4). */
export function saveClientCredentialsRoute(deps: ConnectDeps) {
  const pem = z.string().max(PEM_LENGTH_MAX).optional();
  return defineRoute({
    ...credentialRoute,
    path: '/oauth2/auth/:providerConfigKey',
    summary: 'Connect with client credentials',
    errors: [...credentialRoute.errors, 'client_credentials_fetch_error', 'key_not_usable', 'certificate_not_usable'],
    body: z.strictObject({
      type: z.literal('OAUTH2_CC').optional(),
      client_id: z.string().min(1).max(CLIENT_ID_LENGTH_MAX),
      client_secret: z.string().max(CLIENT_SECRET_LENGTH_MAX).optional(),
      client_certificate: pem,
      client_private_key: pem,
    }),
    async handle(request) {
      const { type: _type, ...form } = request.body;
      const fields = Object.fromEntries(Object.entries(form).filter((entry): entry is [string, string] => !!entry[1]));
      const saved = await saveTypedCredential(deps, {
        key: request.params.providerConfigKey,
        query: readBrowserQuery(request.query),
        mode: 'OAUTH2_CC',
        credential: { fields },
      });
      return { body: saved };
    },
  });
}
