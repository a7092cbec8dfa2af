import { z } from 'zod';
import { defineRoute, type Route } from '../../../base/route.ts';
import { saveTypedCredential } from '../credential-form.ts';
import type { ConnectDeps } from '../deps.ts';
import { errors } from '../errors.ts';
import { readBrowserQuery } from '../query.ts';

const params = z.object({ providerConfigKey: z.string().min(1).max(255) });
const query = z.record(z.string(), z.unknown());
const auth = {
  by: 'public',
  why: 'called by the customer’s browser; the connect session token is in the query',
} as const;
const codes = ['integration_not_allowed', 'invalid_auth_mode', 'invalid_connection', 'connection_test_failed'];
const output = z.object({ connectionId: z.string(), providerConfigKey: z.string() });
/** Longest key or password. Source: wire contract B.5. */
const SECRET_LENGTH_MAX = 1_024;

/** `POST /api-auth/api-key/:key` (wire contract C.4). */
export function saveApiKeyRoute(deps: ConnectDeps) {
  return defineRoute({
    method: 'POST',
    path: '/api-auth/api-key/:providerConfigKey',
    summary: 'Connect with an API key',
    auth,
    params,
    query,
    body: z.strictObject({ apiKey: z.string().min(1).max(SECRET_LENGTH_MAX) }),
    output,
    errors: codes,
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

/** `POST /api-auth/basic/:key` (wire contract C.4); either value may be empty. */
export function saveBasicRoute(deps: ConnectDeps) {
  const text = z.string().max(SECRET_LENGTH_MAX);
  return defineRoute({
    method: 'POST',
    path: '/api-auth/basic/:providerConfigKey',
    summary: 'Connect with a user name and a password',
    auth,
    params,
    query,
    body: z.strictObject({ username: text, password: text }),
    output,
    errors: codes,
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

/** `POST /auth/unauthenticated/:key` (wire contract C.4). */
export function saveUnauthenticatedRoute(deps: ConnectDeps) {
  return defineRoute({
    method: 'POST',
    path: '/auth/unauthenticated/:providerConfigKey',
    summary: 'Connect to a provider that needs no credential',
    auth,
    params,
    query,
    output,
    errors: codes,
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

/** Endpoints of modes that no provider of the catalogue has (wire contract C.4). */
const OTHER_MODES: Record<string, string> = {
  '/oauth2/auth/:providerConfigKey': 'OAUTH2_CC',
  '/auth/tba/:providerConfigKey': 'TBA',
  '/auth/two-step/:providerConfigKey': 'TWO_STEP',
  '/auth/jwt/:providerConfigKey': 'JWT',
  '/auth/bill/:providerConfigKey': 'BILL',
  '/auth/signature/:providerConfigKey': 'SIGNATURE',
  '/auth/aws-sigv4/:providerConfigKey': 'AWS_SIGV4',
  '/auth/oauth-outbound/:providerConfigKey': 'OAUTH2 (outbound)',
};

/** Answers the other endpoints of the published client in words it shows. */
export function refuseModeRoutes(): Route[] {
  return Object.entries(OTHER_MODES).map(([path, mode]) =>
    defineRoute({
      method: 'POST',
      path,
      summary: `Not supported: ${mode}`,
      auth: { by: 'public', why: 'answers the same to everybody' },
      params,
      errors: ['invalid_auth_mode'],
      documented: false,
      handle(): never {
        const message = `Credentials of type ${mode} are not supported. Supported: OAUTH2, API_KEY, BASIC, NONE.`;
        throw errors.fail('invalid_auth_mode', { message });
      },
    }),
  );
}
