/**
 * What must be seen on the wire, worked out from a provider file and nothing else: no code that builds requests is used
 * here, so that both can be held against each other.
 */
import { expect } from 'vitest';
import type { ApiAuth, OAuth2Spec, ProviderSpec } from '../../catalogue/_spec/index.ts';
import type { SeenRequest } from '../../emulators/derived/index.ts';

/** Values by full hole name: `connectionConfig.shop`, `clientId`. */
export type HoleValues = Record<string, string>;

export function fill(template: string, values: HoleValues): string {
  const filled = template.split(' || ').map((one) => {
    let complete = true;
    const text = one.replaceAll(/\$\{([^}]+)\}/g, (_, name: string) => {
      if (values[name] === undefined) complete = false;
      return values[name] ?? '';
    });
    return complete ? text : undefined;
  });
  const text = filled.find((one) => one !== undefined);
  if (text === undefined) throw new Error(`"${template}" has an empty hole`);
  return text;
}

/** The path of a URL template, as it arrives at an emulator. */
export function pathOf(template: string, values: HoleValues): string {
  return new URL(fill(template, values)).pathname;
}

function fillTable(table: Record<string, string | null> | undefined, values: HoleValues): Record<string, string> {
  return Object.fromEntries(
    Object.entries(table ?? {}).flatMap(([name, value]) => (value === null ? [] : [[name, fill(value, values)]])),
  );
}

/** The authorize URL holds exactly the declared parameters, under the declared names. */
export function expectAuthorize(
  oauth2: OAuth2Spec,
  url: URL,
  mount: string,
  flow: { values: HoleValues; clientId: string; redirectUri: string },
): void {
  const { authorize, scopes, pkce } = oauth2;
  expect(url.pathname).toBe(`/${mount}${pathOf(authorize.url, { ...flow.values, clientId: flow.clientId })}`);
  const standard: Record<string, unknown> = {
    response_type: 'code',
    client_id: flow.clientId,
    redirect_uri: flow.redirectUri,
    state: expect.stringMatching(/^[\w-]{20,}$/),
    ...(scopes?.default === undefined ? {} : { scope: scopes.default.join(scopes.separator ?? ' ') }),
    ...(pkce === 'S256' ? { code_challenge: expect.stringMatching(/^[\w-]{43}$/), code_challenge_method: 'S256' } : {}),
    ...fillTable(authorize.params, flow.values),
  };
  for (const [name, value] of Object.entries(authorize.params ?? {})) if (value === null) delete standard[name];
  const wanted = Object.fromEntries(
    Object.entries(standard).map(([name, value]) => [authorize.rename?.[name] ?? name, value]),
  );
  expect(Object.fromEntries(url.searchParams)).toEqual(wanted);
  if (authorize.decoded === true) expect(url.search).toContain(`=${flow.redirectUri}&`);
  else if (authorize.params?.['redirect_uri'] !== null) {
    expect(url.search).toContain(`=${encodeURIComponent(flow.redirectUri)}`);
  }
}

/** A token request holds exactly the declared parameters, in the declared form. */
export function expectTokenRequest(
  oauth2: OAuth2Spec,
  request: SeenRequest,
  flow: {
    values: HoleValues;
    client: { id: string; secret: string };
    grant: { code: string; redirectUri: string; scope: string } | { refreshToken: string };
  },
): void {
  const { token, refresh, pkce, scopes } = oauth2;
  const isRefresh = 'refreshToken' in flow.grant;
  const url = (isRefresh ? refresh?.url : undefined) ?? token.url;
  expect(request.path).toBe(pathOf(url, flow.values));
  expect(request.method).toBe(token.method ?? 'POST');

  const how = token.clientAuth ?? 'body';
  const params: Record<string, unknown> =
    'refreshToken' in flow.grant
      ? { grant_type: 'refresh_token', refresh_token: flow.grant.refreshToken }
      : {
          grant_type: 'authorization_code',
          code: flow.grant.code,
          redirect_uri: flow.grant.redirectUri,
          ...(pkce === 'S256' ? { code_verifier: expect.stringMatching(/^[\w.~-]{43,128}$/) } : {}),
          ...(token.sendScope === true ? { scope: flow.grant.scope.split(' ').join(scopes?.separator ?? ' ') } : {}),
        };
  if (how !== 'basic') params['client_id'] = flow.client.id;
  if (how === 'body') params['client_secret'] = flow.client.secret;
  for (const name of token.omit ?? []) delete params[name];
  const wanted = {
    ...Object.fromEntries(Object.entries(params).map(([name, value]) => [token.rename?.[name] ?? name, value])),
    ...fillTable((isRefresh ? refresh?.params : undefined) ?? token.params, flow.values),
  };
  const format = token.method === 'GET' ? 'query' : (token.body ?? 'form');
  expect(paramsOf(request, format)).toEqual(wanted);

  const basic = Buffer.from(`${flow.client.id}:${flow.client.secret}`).toString('base64');
  expect(request.headers['authorization']).toBe(how === 'basic' ? `Basic ${basic}` : undefined);
  expect(request.headers).toMatchObject({
    accept: 'application/json',
    ...lowered(fillTable(token.headers, flow.values)),
  });
}

/** An API call carries the credential in its place, and the provider's own headers. */
export function expectApiCall(spec: ProviderSpec, request: SeenRequest, secrets: HoleValues, values: HoleValues): void {
  expectAuth(spec.api.auth, request, { ...values, ...secrets });
  const own = lowered(fillTable(spec.api.headers, { ...values, ...secrets }));
  expect(Object.fromEntries(Object.keys(own).map((name) => [name, request.headers[name]]))).toEqual(own);
  expect(request.query).toMatchObject(fillTable(spec.api.query, { ...values, ...secrets }));
}

/** The credential stands where `auth` says, as `auth` says. */
export function expectAuth(auth: ApiAuth, request: SeenRequest, values: HoleValues): void {
  switch (auth.in) {
    case 'none':
      expect(request.headers['authorization']).toBeUndefined();
      return;
    case 'header':
      expect(request.headers[auth.name.toLowerCase()]).toBe(fill(auth.value, values));
      return;
    case 'query':
      expect(request.query[auth.name]).toBe(fill(auth.value, values));
      expect(request.headers['authorization']).toBeUndefined();
      return;
    case 'basic': {
      const pair = `${fill(auth.username, values)}:${fill(auth.password, values)}`;
      expect(request.headers['authorization']).toBe(`Basic ${Buffer.from(pair).toString('base64')}`);
    }
  }
}

/** The calls that end a grant, oldest first, are the declared ones. */
export function expectDisconnect(
  spec: ProviderSpec,
  requests: SeenRequest[],
  flow: { values: HoleValues; client: { id: string; secret: string }; accessToken: string; refreshToken?: string },
): void {
  const { disconnect } = spec;
  if (disconnect.kind !== 'call' && disconnect.kind !== 'rfc7009') {
    expect(requests).toEqual([]);
    return;
  }
  const secrets: HoleValues = {
    clientId: flow.client.id,
    clientSecret: flow.client.secret,
    accessToken: flow.accessToken,
    ...(flow.refreshToken === undefined ? {} : { refreshToken: flow.refreshToken }),
  };
  const values = { ...flow.values, ...secrets };
  for (const request of requests) {
    expect(request.path).toBe(pathOf(disconnect.url, values));
    expect(request.status).toBe(200);
  }
  if (disconnect.kind === 'rfc7009') {
    const how = spec.oauth2?.token.clientAuth ?? 'body';
    const client = how === 'basic' ? {} : { client_id: flow.client.id };
    const secret = how === 'body' ? { client_secret: flow.client.secret } : {};
    const tokens = [
      ...(flow.refreshToken === undefined ? [] : [{ token: flow.refreshToken, token_type_hint: 'refresh_token' }]),
      { token: flow.accessToken, token_type_hint: 'access_token' },
    ];
    expect(requests.map((request) => paramsOf(request, 'form'))).toEqual(
      tokens.map((token) => ({ ...token, ...client, ...secret })),
    );
    return;
  }
  const [request] = requests;
  expect([requests.length, request?.method]).toEqual([1, disconnect.method]);
  if (request === undefined) return;
  expectAuth(disconnect.auth ?? spec.api.auth, request, values);
  if (disconnect.body === undefined) expect(request.body).toBe('');
  else expect(paramsOf(request, disconnect.body.format)).toEqual(fillTable(disconnect.body.params, values));
}

function paramsOf(request: SeenRequest, format: 'form' | 'json' | 'query'): Record<string, unknown> {
  if (format === 'query') return request.query;
  const type = request.headers['content-type'] ?? '';
  if (format === 'json') {
    expect(type).toMatch(/^application\/json/);
    return JSON.parse(request.body) as Record<string, unknown>;
  }
  expect(type).toMatch(/^application\/x-www-form-urlencoded/);
  return Object.fromEntries(new URLSearchParams(request.body));
}

function lowered(headers: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
}
