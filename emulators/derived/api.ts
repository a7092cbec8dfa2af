/** The API of a derived emulator: it checks how a call is authorised and answers every path alike. */
import type { AfterConnectSpec, ApiAuth, OAuth2Spec, ProviderSpec } from '../../catalogue/_spec/index.ts';
import type { ApiCredential, ApiHabit } from '../engine/definition.ts';
import { type HttpRequest, matchPath } from '../engine/http.ts';
import type { Json, JsonObject, RestRequest, RestSlice, RestTools } from '../engine/types.ts';
import type { Mount } from '../engine/mount.ts';
import { signedCredential } from './machine.ts';
import { readBasic } from './basic.ts';
import { factOf } from './facts.ts';
import { FOREIGN_ORIGIN_KNOB } from './knobs.ts';
import { oauth1Credential } from './oauth1.ts';
import { sigV4Credential } from './sigv4.ts';
import { capture, pathPatterns, setAt, unlike } from './template.ts';

const SECRET_HOLES = ['${accessToken}', '${apiKey}', '${username}', '${password}'];

export function apiHabit(spec: ProviderSpec, settings: Readonly<Record<string, string>>): ApiHabit {
  return {
    readCredential: () => undefined,
    readRequest(request, mount) {
      if (spec.oauth1 !== undefined) return oauth1Credential(spec.oauth1, request, mount);
      if (spec.sigv4 !== undefined) return sigV4Credential(settings, request, mount);
      return readCredential(spec, request, mount);
    },
    demand: (request) => lackingHeader(spec, request),
    unauthorized: 'The credential is missing, wrong or no longer valid.',
    spent: 'The credential is used up.',
    notFound: 'Not found',
    keyScope: '',
  };
}

function readCredential(spec: ProviderSpec, request: HttpRequest, mount: Mount): ApiCredential | undefined {
  if (spec.authMode === 'NONE') return { kind: 'open' };
  const values = readAuth(placeOf(spec), request);
  if (values === undefined) return undefined;
  const { accessToken, apiKey, username, password } = values;
  if (accessToken !== undefined && spec.jwt !== undefined) return signedCredential(spec, accessToken, mount);
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
  const demanded = Object.entries(spec.api.headers ?? {}).filter(([, value]) => !mayBeLeftOut(spec, value));
  const headers = demanded.map(([name]) => name).find((name) => request.headers[name.toLowerCase()] === undefined);
  if (headers !== undefined) return `The header ${headers} is missing.`;
  const query = Object.keys(spec.api.query ?? {}).find((name) => !request.query.has(name));
  return query === undefined ? undefined : `The parameter ${query} is missing.`;
}

/** True for a value with a hole of an optional field. */
function mayBeLeftOut(spec: ProviderSpec, template: string): boolean {
  const holes = [...template.matchAll(/\$\{connectionConfig\.([^}]+)\}/g)].map(([, name = '']) => name);
  return holes.some((name) => spec.connectionConfig?.[name]?.optional === true);
}

/** Every path answers with the account that the credential stands for; that of `afterConnect` tells what it is. */
export function restSlice(
  spec: ProviderSpec,
  oauth2: OAuth2Spec | undefined,
  settings: Readonly<Record<string, string>>,
): RestSlice {
  const { refusal } = spec.api;
  const after = oauth2?.afterConnect;
  const afterPaths = after === undefined ? [] : pathPatterns(after.url, settings);
  return {
    handle(request, tools) {
      const { method, path, account } = request;
      const isAfter = method === 'GET' && afterPaths.some((pattern) => matchPath(pattern, path) !== undefined);
      if (after !== undefined && isAfter) return { status: 200, body: afterConnectBody(spec, after, request, tools) };
      const body: JsonObject = { method, path, account: { id: account.id, name: account.name } };
      if (refusal !== undefined) setAt<Json>(body, refusal.success.path, refusal.success.equals);
      return { status: 200, body };
    },
    error(status, message) {
      if (refusal === undefined || status >= 500) return { status, body: { error: message } };
      const body: JsonObject = { message };
      setAt<Json>(body, refusal.success.path, unlike(refusal.success.equals));
      setAt<Json>(body, refusal.code, status === 401 ? (refusal.unauthorized[0] ?? '') : 'bad_call');
      return { status: 200, body };
    },
    seed: () => undefined,
    advance: () => [],
    knobs: {},
    limit: { kind: 'retry-after', perMinute: 100_000, scope: 'account', body: { error: 'Too many requests' } },
    idempotency: { kind: 'none', windowHours: 24 },
  };
}

/** The facts in their places; in a list, beside others that must not be taken. */
function afterConnectBody(
  spec: ProviderSpec,
  { list, where, newestBy, metadata }: AfterConnectSpec,
  { account }: RestRequest,
  tools: RestTools,
): Json {
  const foreign = tools.knob(FOREIGN_ORIGIN_KNOB);
  const thing: JsonObject = {};
  const other: JsonObject = {};
  for (const [key, path] of Object.entries(metadata)) {
    const lies = typeof foreign === 'string' && foreign !== '' && spec.connectionConfig?.[key]?.hosts !== undefined;
    setAt<Json>(thing, path, lies ? foreign : factOf(spec, key, account));
    setAt<Json>(other, path, 'other');
  }
  if (where !== undefined) setAt<Json>(thing, where.path, where.equals);
  if (newestBy !== undefined) setAt<Json>(thing, newestBy, '2026-01-02T00:00:00.0000001');
  if (list === undefined) return thing;
  const things: Json[] = [thing];
  if (where !== undefined) things.unshift({ ...other, [where.path]: unlike(where.equals) });
  else if (newestBy !== undefined) things.unshift({ ...other, [newestBy]: '2026-01-01T00:00:00.0000001' });
  if (list === '.') return things;
  const body: JsonObject = {};
  setAt<Json>(body, list, things);
  return body;
}
