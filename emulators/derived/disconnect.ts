/** The call of a derived emulator that ends a grant: by RFC 7009, or as the provider file says. */
import type { DisconnectCall, OAuth2Spec, ProviderSpec } from '../../catalogue/_spec/index.ts';
import type { DeauthorizeHabit, DeauthorizeRead } from '../engine/definition.ts';
import { bodyFormat, BodyMalformed, type HttpRequest, isObject, matchPath, parseJson } from '../engine/http.ts';
import type { State } from '../engine/state.ts';
import type { App, Grant, Json, JsonObject } from '../engine/types.ts';
import { readAuth } from './api.ts';
import { readBasic } from './basic.ts';
import { capture, hasHoles, pathPatterns, setAt } from './template.ts';

export function disconnectHabit(
  spec: ProviderSpec,
  oauth2: OAuth2Spec | undefined,
  settings: Readonly<Record<string, string>>,
): DeauthorizeHabit | undefined {
  const { disconnect } = spec;
  if (disconnect.kind !== 'call' && disconnect.kind !== 'rfc7009') return undefined;
  const [path] = pathPatterns(disconnect.url, settings);
  if (path === undefined) return undefined;
  if (disconnect.kind === 'rfc7009') {
    if (oauth2 === undefined) return undefined;
    return { path, method: 'POST', read: (request, state) => readRevocation(oauth2, request, state), body: {} };
  }
  const body: JsonObject = {};
  if (disconnect.success !== undefined) setAt<Json>(body, disconnect.success.path, disconnect.success.equals);
  return {
    path,
    method: disconnect.method,
    read: (request, state) => readCall(spec, disconnect, path, request, state),
    body,
  };
}

const REFUSED: DeauthorizeRead = { kind: 'answer', status: 401, body: { error: 'invalid_client' } };

/** Source: RFC 7009 2.1, 2.2: an unknown token is a success. */
function readRevocation(oauth2: OAuth2Spec, request: HttpRequest, state: State): DeauthorizeRead {
  if (bodyFormat(request.headers) !== 'form') return malformed('The body must be a form.');
  const fields = Object.fromEntries(new URLSearchParams(request.rawBody));
  const how = oauth2.token.clientAuth ?? 'body';
  const basic = readBasic(request.headers['authorization'], { formEncoded: true });
  const client =
    how === 'basic' ? basic : { username: fields['client_id'] ?? '', password: fields['client_secret'] ?? '' };
  const app = state.apps.get(client?.username ?? '');
  if (app === undefined || (how !== 'none' && client?.password !== app.liveSecret)) return REFUSED;
  if (fields['token'] === undefined) return malformed('"token" is missing.');
  const grant = grantOfToken(state, fields['token']);
  return grant === undefined ? { kind: 'answer', status: 200, body: {} } : { kind: 'grants', grants: [grant] };
}

function readCall(
  spec: ProviderSpec,
  call: DisconnectCall,
  path: string,
  request: HttpRequest,
  state: State,
): DeauthorizeRead {
  const auth = readAuth(call.auth ?? spec.api.auth, request);
  if (auth === undefined) return REFUSED;
  const body = call.body === undefined ? {} : readBody(call.body, request);
  if (typeof body === 'string') return malformed(body);
  const inPath = matchPath(path, request.path)?.['client_id'];
  const values = { ...auth, ...body, ...(inPath === undefined ? {} : { clientId: inPath }) };

  const app = appOf(state, values);
  if (app === 'wrong') return REFUSED;
  const grants = grantsOf(spec, state, values, app);
  if (grants.length > 0) return { kind: 'grants', grants };
  const gone = call.goneErrors?.[0];
  const [goneStatus] = call.goneStatuses ?? [];
  if (call.auth === undefined && call.success === undefined && goneStatus === undefined)
    return { kind: 'answer', status: 401, body: { error: gone ?? 'invalid_token' } };
  const status = goneStatus ?? spec.oauth2?.response?.errorStatus ?? 400;
  const answer: JsonObject = { error: gone ?? 'invalid_token' };
  if (call.success !== undefined) setAt<Json>(answer, call.success.path, false);
  return { kind: 'answer', status, body: answer };
}

/** The holes of the body's parameters, or a sentence. */
function readBody(body: NonNullable<DisconnectCall['body']>, request: HttpRequest): Record<string, string> | string {
  if (bodyFormat(request.headers) !== body.format) return `The body must be ${body.format}.`;
  let sent: Record<string, unknown>;
  if (body.format === 'form') sent = Object.fromEntries(new URLSearchParams(request.rawBody));
  else {
    try {
      const parsed = parseJson(request.rawBody);
      if (!isObject(parsed)) return 'The body is no object.';
      sent = parsed;
    } catch (error) {
      if (!(error instanceof BodyMalformed)) throw error;
      return 'The body is not JSON.';
    }
  }
  const unknown = Object.keys(sent).find((name) => !Object.hasOwn(body.params, name));
  if (unknown !== undefined) return `"${unknown}" is not known here.`;
  const values: Record<string, string> = {};
  for (const [name, template] of Object.entries(body.params)) {
    const text = sent[name];
    if (typeof text !== 'string') return `"${name}" is missing.`;
    const found = capture(template, text);
    if (found === undefined) return `"${name}" is wrong.`;
    if (hasHoles(template)) Object.assign(values, found);
  }
  return values;
}

/** The application that a call names; `wrong` when id and secret do not belong together. */
function appOf(state: State, values: Record<string, string>): App | undefined | 'wrong' {
  const { clientId, clientSecret } = values;
  if (clientId === undefined && clientSecret === undefined) return undefined;
  const app = [...state.apps.values()].find(
    (one) =>
      (clientId === undefined || one.clientId === clientId) &&
      (clientSecret === undefined || one.liveSecret === clientSecret),
  );
  return app ?? 'wrong';
}

/** What the call names: one grant by its token, or all that the app has of an account. */
function grantsOf(spec: ProviderSpec, state: State, values: Record<string, string>, app: App | undefined): Grant[] {
  const isMine = (grant: Grant) => grant.state !== 'revoked' && (app === undefined || grant.clientId === app.clientId);
  const account = values[`connectionConfig.${spec.account?.idFrom ?? ''}`];
  if (account !== undefined) {
    return state.grantsOf(account).filter(isMine);
  }
  const endsAll = 'ends' in spec.disconnect && spec.disconnect.ends === 'account';
  // One template may name either token; which of the two holes caught it says nothing.
  for (const text of [values['refreshToken'], values['accessToken']]) {
    const grant = text === undefined ? undefined : grantOfToken(state, text);
    if (grant === undefined || !isMine(grant)) continue;
    return endsAll
      ? state.grantsOf(grant.accountId).filter((one) => isMine(one) && one.clientId === grant.clientId)
      : [grant];
  }
  return [];
}

/** The living grant of an access or refresh token. */
function grantOfToken(state: State, text: string): Grant | undefined {
  const token = state.accessTokens.get(text) ?? state.refreshTokens.get(text);
  const grant = token === undefined || token.dead ? undefined : state.grants.get(token.grantId);
  return grant === undefined || grant.state === 'revoked' ? undefined : grant;
}

function malformed(description: string): DeauthorizeRead {
  return { kind: 'answer', status: 400, body: { error: 'invalid_request', error_description: description } };
}
