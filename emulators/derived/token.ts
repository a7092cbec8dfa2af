/** The token endpoint of a derived emulator: body format, names, client authentication and answer of the provider file. */
import type { OAuth2Spec, ProviderSpec } from '../../catalogue/_spec/index.ts';
import type { TokenFacts, TokenHabit, TokenRefusal } from '../engine/definition.ts';
import {
  BodyMalformed,
  bodyFormat,
  type HttpRequest,
  isObject,
  jsonReply,
  matchPath,
  parseJson,
} from '../engine/http.ts';
import type { Json, JsonObject } from '../engine/types.ts';
import { readBasic } from './basic.ts';
import { factOf } from './facts.ts';
import { FOREIGN_ORIGIN_KNOB, TOKEN_PLACE_KNOB } from './knobs.ts';
import { hasHoles, pathPatterns, setAt, unlike } from './template.ts';

const STANDARD = [
  'grant_type',
  'code',
  'redirect_uri',
  'client_id',
  'client_secret',
  'code_verifier',
  'refresh_token',
  'scope',
] as const;

export function tokenHabit(
  spec: ProviderSpec,
  oauth2: OAuth2Spec,
  settings: Readonly<Record<string, string>>,
): TokenHabit {
  const { token, refresh } = oauth2;
  const paths = {
    code: pathPatterns(token.url, settings),
    refresh: pathPatterns(refresh?.url ?? token.url, settings),
  };
  const omitted = new Set<string>(token.omit ?? []);
  const accept = Object.entries(token.headers ?? {}).find(([name]) => name.toLowerCase() === 'accept')?.[1];
  return {
    paths: [...new Set([...paths.code, ...paths.refresh])],
    style: 'rfc6749',
    required: [
      ...(omitted.has('redirect_uri') ? [] : ['redirect_uri']),
      ...(token.sendScope === true ? ['scope'] : []),
    ],
    refresh: refresh !== undefined,
    method: token.method ?? 'POST',
    publicClient: token.clientAuth === 'none',
    read: (request) => readRequest(oauth2, paths, request),
    refuse: (problem) => refusalOf(oauth2, problem),
    reply: (facts) => replyOf(spec, oauth2, facts),
    write(request, status, body) {
      // A provider that must be asked for JSON answers with a form otherwise.
      if (accept === undefined || request.headers['accept'] === accept) return jsonReply(status, body);
      const form = new URLSearchParams(Object.entries(body).map(([name, value]) => [name, String(value)]));
      return { status, headers: { 'Content-Type': 'application/x-www-form-urlencoded' }, body: form.toString() };
    },
  };
}

type Read = { fields: Record<string, string> } | TokenRefusal;

function readRequest(oauth2: OAuth2Spec, paths: { code: string[]; refresh: string[] }, request: HttpRequest): Read {
  const { token, refresh } = oauth2;
  const raw = readRaw(oauth2, request);
  if (typeof raw === 'string') return refusal(raw, raw.includes('body must be') ? 415 : 400);
  const nameOf = (standard: string) => token.rename?.[standard] ?? standard;
  const isRefresh = raw[nameOf('refresh_token')] !== undefined;
  const extra = (isRefresh ? refresh?.params : undefined) ?? token.params ?? {};
  const at = isRefresh ? paths.refresh : paths.code;
  if (!at.some((path) => matchPath(path, request.path) !== undefined))
    return refusal('This is not the address for it.');

  for (const [name, value] of Object.entries(token.headers ?? {})) {
    const sent = request.headers[name.toLowerCase()];
    if (name.toLowerCase() !== 'accept' && (sent === undefined || (!hasHoles(value) && sent !== value)))
      return refusal(`The header ${name} is missing or wrong.`);
  }
  const problem =
    extraProblem(raw, extra) ?? nameProblem(oauth2, raw, extra, nameOf) ?? clientProblem(oauth2, raw, request, nameOf);
  if (problem !== undefined) return refusal(problem);

  const fields: Record<string, string> = {};
  for (const name of STANDARD) {
    const value = raw[nameOf(name)];
    if (value !== undefined) fields[name] = value;
  }
  if (token.omit?.includes('grant_type') || Object.hasOwn(extra, 'grant_type')) {
    fields['grant_type'] = isRefresh ? 'refresh_token' : 'authorization_code';
  }
  if (token.clientAuth === 'basic') {
    const client = readBasic(request.headers['authorization'], { formEncoded: true });
    if (client === undefined) return { status: 401, code: 'invalid_client', description: 'HTTP Basic is missing.' };
    fields['client_id'] = client.username;
    fields['client_secret'] = client.password;
  }
  if (fields['scope'] !== undefined) fields['scope'] = fields['scope'].split(oauth2.scopes?.separator ?? ' ').join(' ');
  return { fields };
}

function refusal(description: string, status = 400): TokenRefusal {
  return { status, code: 'invalid_request', description };
}

/** The parameters as sent, or a sentence. */
function readRaw(oauth2: OAuth2Spec, request: HttpRequest): Record<string, string> | string {
  const { token } = oauth2;
  const wanted = (token.method ?? 'POST') === 'GET' ? 'query' : (token.body ?? 'form');
  if (wanted === 'query') return readPairs(request.query);
  if (bodyFormat(request.headers) !== wanted) return `The body must be ${wanted}.`;
  if (wanted === 'form') return readPairs(new URLSearchParams(request.rawBody));
  try {
    const body = parseJson(request.rawBody);
    if (isObject(body) && Object.values(body).every((value) => typeof value === 'string')) {
      return body as Record<string, string>;
    }
  } catch (error) {
    if (!(error instanceof BodyMalformed)) throw error;
  }
  return 'The body is no JSON object of texts.';
}

function readPairs(pairs: URLSearchParams): Record<string, string> | string {
  const raw: Record<string, string> = {};
  for (const [name, value] of pairs) {
    if (Object.hasOwn(raw, name)) return `"${name}" is repeated.`;
    raw[name] = value;
  }
  return raw;
}

function extraProblem(raw: Record<string, string>, extra: Record<string, string>): string | undefined {
  for (const [name, value] of Object.entries(extra)) {
    if (raw[name] === undefined) return `"${name}" is missing.`;
    if (!hasHoles(value) && raw[name] !== value) return `"${name}" must be "${value}".`;
  }
  return undefined;
}

function nameProblem(
  oauth2: OAuth2Spec,
  raw: Record<string, string>,
  extra: Record<string, string>,
  nameOf: (standard: string) => string,
): string | undefined {
  const { token, refresh, pkce } = oauth2;
  const known = new Set([...STANDARD.map(nameOf), ...Object.keys(extra)]);
  const unknown = Object.keys(raw).find((name) => !known.has(name));
  if (unknown !== undefined) return `"${unknown}" is not known here.`;
  const isRefresh = raw[nameOf('refresh_token')] !== undefined;
  const sendsScope = isRefresh ? refresh?.sendScope === true : token.sendScope === true;
  const absent: string[] = [
    ...(token.omit ?? []),
    ...(pkce === 'off' ? ['code_verifier'] : []),
    ...(sendsScope ? [] : ['scope']),
    ...(isRefresh ? ['code', 'redirect_uri', 'code_verifier'] : []),
  ];
  const wrong = absent.find((name) => raw[nameOf(name)] !== undefined && !Object.hasOwn(extra, nameOf(name)));
  return wrong === undefined ? undefined : `"${nameOf(wrong)}" must not be sent.`;
}

function clientProblem(
  oauth2: OAuth2Spec,
  raw: Record<string, string>,
  request: HttpRequest,
  nameOf: (standard: string) => string,
): string | undefined {
  const how = oauth2.token.clientAuth ?? 'body';
  if (how !== 'basic' && request.headers['authorization'] !== undefined) return 'Authorization must not be sent.';
  if (how !== 'body' && raw[nameOf('client_secret')] !== undefined) return 'The secret must not stand in the body.';
  return undefined;
}

/** The provider's own code and status for a refusal. */
function refusalOf(
  oauth2: OAuth2Spec,
  { status, code, description }: TokenRefusal,
): { status: number; body: JsonObject } {
  const { errorKinds = {}, errorStatus, success } = oauth2.response ?? {};
  const own = Object.entries(errorKinds).find(([, kind]) => kind === code)?.[0] ?? code;
  const body: JsonObject = { error: own, error_description: description };
  if (success !== undefined) setAt<Json>(body, success.path, unlike(success.equals));
  // A server that has a problem of its own says so by the status, whatever its habit.
  return { status: status >= 500 ? status : (errorStatus ?? status), body };
}

/** The answer with token, end, scope and facts in their places. */
export function replyOf(
  spec: ProviderSpec,
  oauth2: Pick<OAuth2Spec, 'response' | 'refresh' | 'scopes'>,
  facts: Omit<TokenFacts, 'app'>,
): JsonObject {
  const { response = {}, refresh } = oauth2;
  const body: JsonObject = {};
  if (response.success !== undefined) setAt<Json>(body, response.success.path, response.success.equals);
  const places = response.accessToken ?? ['access_token'];
  const chosen = facts.knob(TOKEN_PLACE_KNOB);
  const place = places[typeof chosen === 'number' ? chosen : 0] ?? places[0] ?? 'access_token';
  const beside = place.slice(0, place.lastIndexOf('.') + 1);
  setAt<Json>(body, place, facts.accessToken);
  setAt<Json>(body, `${beside}token_type`, 'bearer');
  setAt<Json>(
    body,
    scopePath(response.scope, beside),
    facts.grant.scope.split(' ').join(oauth2.scopes?.separator ?? ' '),
  );
  // Where refresh tokens stay, the answer to a refresh has none.
  const keeps = facts.refreshed && refresh?.rotation.kind === 'none';
  if (facts.refreshToken !== undefined && !keeps) {
    setAt<Json>(body, besidePath(response.refreshToken ?? 'refresh_token', beside), facts.refreshToken);
  }
  const { expiry = { path: 'expires_in', kind: 'in', unit: 'seconds' } as const } = response;
  if (expiry.kind !== 'none' && facts.expiresInSeconds !== undefined) {
    setAt<Json>(body, besidePath(expiry.path, beside), expiryValue(expiry, facts.expiresInSeconds, facts.nowMs));
  }
  const foreign = facts.knob(FOREIGN_ORIGIN_KNOB);
  for (const [key, path] of Object.entries(response.metadata ?? {})) {
    const lies = typeof foreign === 'string' && foreign !== '' && spec.connectionConfig?.[key]?.hosts !== undefined;
    setAt<Json>(body, path, lies ? foreign : factOf(spec, key, facts.account));
  }
  return body;
}

function besidePath(path: string, beside: string): string {
  return path.includes('.') ? path : `${beside}${path}`;
}

function scopePath(path: string | undefined, beside: string): string {
  return besidePath(path ?? 'scope', beside);
}

function expiryValue(
  expiry: { kind: 'in' | 'at'; unit?: 'seconds' | 'milliseconds' },
  seconds: number,
  nowMs: number,
): Json {
  const scale = expiry.unit === 'milliseconds' ? 1_000 : 1;
  if (expiry.kind === 'in') return seconds * scale;
  const atMs = nowMs + seconds * 1_000;
  return expiry.unit === undefined ? new Date(atMs).toISOString() : Math.floor((atMs / 1_000) * scale);
}
