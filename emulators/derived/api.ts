/** The API of a derived emulator: it checks how a call is authorised and answers every path alike. */
import type { ApiAuth, ProviderSpec } from '../../catalogue/_spec/index.ts';
import type { ApiCredential, ApiHabit } from '../engine/definition.ts';
import type { HttpRequest } from '../engine/http.ts';
import type { RestSlice } from '../engine/types.ts';
import { readBasic } from './basic.ts';
import { capture } from './template.ts';

const SECRET_HOLES = ['${accessToken}', '${apiKey}', '${username}', '${password}'];

export function apiHabit(spec: ProviderSpec): ApiHabit {
  return {
    readCredential: () => undefined,
    readRequest: (request) => readCredential(spec, request),
    demand: (request) => lackingHeader(spec, request),
    unauthorized: 'The credential is missing, wrong or no longer valid.',
    spent: 'The credential is used up.',
    notFound: 'Not found',
    keyScope: '',
  };
}

function readCredential(spec: ProviderSpec, request: HttpRequest): ApiCredential | undefined {
  if (spec.authMode === 'NONE') return { kind: 'open' };
  const values = readAuth(placeOf(spec), request);
  if (values === undefined) return undefined;
  const { accessToken, apiKey, username, password } = values;
  if (accessToken !== undefined) return { kind: 'token', value: accessToken };
  if (apiKey !== undefined) return { kind: 'token-or-key', value: apiKey };
  if (username === undefined && password === undefined) return undefined;
  return { kind: 'key-pair', publishableKey: username ?? '', secretKey: password ?? '' };
}

/** Where the credential stands: `api.auth`, or else a header or query parameter of every call. */
function placeOf({ api }: ProviderSpec): ApiAuth {
  if (api.auth.in !== 'none') return api.auth;
  for (const [name, value] of Object.entries(api.headers ?? {}))
    if (holdsSecret(value)) return { in: 'header', name, value };
  for (const [name, value] of Object.entries(api.query ?? {}))
    if (holdsSecret(value)) return { in: 'query', name, value };
  return api.auth;
}

/** The values in the holes of a credential's template, as found in a request; undefined when it does not fit. */
export function readAuth(auth: ApiAuth, request: HttpRequest): Record<string, string> | undefined {
  switch (auth.in) {
    case 'none':
      return {};
    case 'header':
      return captureIn(auth.value, request.headers[auth.name.toLowerCase()]);
    case 'query':
      return captureIn(auth.value, request.query.get(auth.name) ?? undefined);
    case 'basic': {
      const sent = readBasic(request.headers['authorization']);
      const username = captureIn(auth.username, sent?.username);
      const password = captureIn(auth.password, sent?.password);
      return username === undefined || password === undefined ? undefined : { ...username, ...password };
    }
  }
}

function captureIn(template: string, text: string | undefined): Record<string, string> | undefined {
  return text === undefined ? undefined : capture(template, text);
}

function holdsSecret(template: string): boolean {
  return SECRET_HOLES.some((hole) => template.includes(hole));
}

function lackingHeader(spec: ProviderSpec, request: HttpRequest): string | undefined {
  const headers = Object.keys(spec.api.headers ?? {}).find((name) => request.headers[name.toLowerCase()] === undefined);
  if (headers !== undefined) return `The header ${headers} is missing.`;
  const query = Object.keys(spec.api.query ?? {}).find((name) => !request.query.has(name));
  return query === undefined ? undefined : `The parameter ${query} is missing.`;
}

/** Every path answers with the account that the credential stands for. */
export const derivedRest: RestSlice = {
  handle: ({ method, path, account }) => ({
    status: 200,
    body: { method, path, account: { id: account.id, name: account.name } },
  }),
  error: (status, message) => ({ status, body: { error: message } }),
  seed: () => undefined,
  advance: () => [],
  knobs: {},
  limit: { kind: 'retry-after', perMinute: 100_000, scope: 'account', body: { error: 'Too many requests' } },
  idempotency: { kind: 'none', windowHours: 24 },
};
