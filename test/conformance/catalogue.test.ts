/** Cases derived from each provider file: nothing here names a provider. */
import { describe, expect, it } from 'vitest';
import { urlTemplatesOf } from '../../catalogue/_spec/check.ts';
import { fieldsOf } from '../../catalogue/_spec/holes.ts';
import { catalogue } from '../../catalogue/index.ts';
import type { ProviderSpec } from '../../catalogue/_spec/index.ts';
import { isHawserError } from '../../src/base/errors.ts';
import { alternativesOf, fillUrl, holesOf, sampleHost } from '../../src/base/template.ts';
import { apiRequest } from '../../src/protocols/api-auth.ts';
import { holesFor, urlFrom } from '../../src/protocols/input.ts';
import { authorizeUrl, codeRequest, refreshRequest, type HttpRequest } from '../../src/protocols/oauth2/index.ts';
import { CLIENT, formsOf, learnedHost, sampleCredential, sampleInput, SECRETS, valuesFor } from './sample.ts';
import { ADDRESS_CORPUS, TEMPLATE_CORPUS } from './template-corpus.ts';

const entries = [...catalogue.values()];
const oauthEntries = entries.filter((spec) => spec.oauth2 !== undefined);
const REDIRECT = 'https://app.example/oauth/callback';

function paramsOf(request: HttpRequest): Record<string, unknown> {
  if (request.body === undefined) return Object.fromEntries(request.url.searchParams);
  if (request.headers['content-type'] === 'application/json')
    return JSON.parse(request.body) as Record<string, unknown>;
  return Object.fromEntries(new URLSearchParams(request.body));
}

describe.each(oauthEntries.map((spec) => [spec.name, spec] as const))('%s, OAuth 2', (_, spec) => {
  const input = sampleInput(spec);
  const { authorize, token, scopes, pkce, refresh } = input.oauth2;
  const flow = {
    redirectUri: REDIRECT,
    scopes: scopes?.default ?? ['a', 'b'],
    state: 'state-1',
    codeChallenge: 'challenge-1',
  };
  const url = authorizeUrl({ ...input, ...flow });
  const holes = holesFor(input, { clientId: CLIENT.clientId });
  const query = authorize.paramsIn === 'fragment' ? new URLSearchParams(url.hash.split('?')[1]) : url.searchParams;
  const nameOf = (standard: string) => authorize.rename?.[standard] ?? standard;
  const isSent = (standard: string) => authorize.params?.[standard] !== null;

  it('goes to the page that the template names', () => {
    const page = urlFrom(authorize.url, holes);
    expect([url.protocol, url.host, url.pathname]).toEqual(['https:', page.host, page.pathname]);
  });

  it('carries client id, state, redirect and scope as the file says', () => {
    const inPath = holesOf(authorize.url).includes('clientId');
    expect(inPath || query.get(nameOf('client_id')) === CLIENT.clientId).toBe(true);
    expect(query.has(nameOf('client_id'))).toBe(isSent('client_id'));
    expect(query.get(nameOf('state'))).toBe(isSent('state') ? 'state-1' : null);
    expect(query.get(nameOf('redirect_uri'))).toBe(isSent('redirect_uri') ? REDIRECT : null);
    expect(query.get(nameOf('response_type'))).toBe(isSent('response_type') ? 'code' : null);
    expect(query.get(nameOf('scope'))).toBe(isSent('scope') ? flow.scopes.join(scopes?.separator ?? ' ') : null);
    for (const [name, value] of Object.entries(authorize.params ?? {})) {
      if (value !== null && holesOf(value).length === 0) expect(query.get(name)).toBe(value);
    }
    expect(query.has('code_challenge')).toBe(pkce === 'S256');
  });

  it('holds no secret', () => {
    for (const secret of SECRETS) for (const form of formsOf(secret)) expect(url.href).not.toContain(form);
  });

  it('exchanges the code at the token endpoint', () => {
    const request = codeRequest({
      ...input,
      code: 'code-1',
      redirectUri: REDIRECT,
      codeVerifier: 'verifier-1',
      scope: 'a',
    });
    const params = paramsOf(request);
    const name = (standard: string) => token.rename?.[standard] ?? standard;
    const omitted = new Set<string>(token.omit ?? []);
    expect(request.method).toBe(token.method ?? 'POST');
    expect([request.url.protocol, request.url.host]).toEqual(['https:', urlFrom(token.url, holes).host]);
    expect(params[name('code')]).toBe('code-1');
    expect(params[name('grant_type')] === undefined).toBe(omitted.has('grant_type'));
    expect(params[name('redirect_uri')] === undefined).toBe(omitted.has('redirect_uri'));
    expect(params[name('code_verifier')] === undefined).toBe(omitted.has('code_verifier') || pkce === 'off');
    expect(params[name('scope')] === undefined).toBe(token.sendScope !== true);
    expectClient(request, params);
  });

  it('refreshes, or has no refresh', () => {
    const run = () => refreshRequest({ ...input, refreshToken: 'refresh-token-canary' });
    if (refresh === undefined) {
      expect(run).toThrow(expect.objectContaining({ code: 'refresh_unsupported' }));
      return;
    }
    const request = run();
    const params = paramsOf(request);
    expect(params[token.rename?.['refresh_token'] ?? 'refresh_token']).toBe('refresh-token-canary');
    expectClient(request, params);
  });

  function expectClient(request: HttpRequest, params: Record<string, unknown>): void {
    const how = token.clientAuth ?? 'body';
    expect(params[token.rename?.['client_secret'] ?? 'client_secret']).toBe(
      how === 'body' ? CLIENT.clientSecret : undefined,
    );
    expect(request.headers['authorization'] === undefined).toBe(how !== 'basic');
    if (token.body !== 'query' && token.method !== 'GET') {
      for (const secret of SECRETS) expect(request.url.href).not.toContain(secret);
    }
  }
});

const plainModes = ['OAUTH2', 'API_KEY', 'BASIC', 'NONE'];
const plain = entries.filter((spec) => plainModes.includes(spec.authMode));

describe.each(plain.map((spec) => [spec.name, spec] as const))('%s, API', (_, spec) => {
  const input = {
    provider: spec,
    connectionConfig: valuesFor(spec.connectionConfig),
    integrationConfig: valuesFor(spec.integrationConfig),
  };

  it('sends the credential where the file says, and names the place', () => {
    const made = apiRequest({
      ...input,
      credential: sampleCredential(spec),
      path: spec.api.verification?.path ?? '/v1/x',
    });
    const base = urlFrom(spec.api.baseUrl, holesFor(input));
    expect(made.url.origin).toBe(base.origin);
    const secrets = SECRETS.flatMap(formsOf);
    for (const [name, value] of Object.entries(made.headers)) {
      const decoded = value.startsWith('Basic ') ? Buffer.from(value.slice(6), 'base64').toString() : value;
      if (secrets.some((form) => decoded.includes(form))) expect(made.secretHeaders).toContain(name);
    }
    expect(secrets.some((form) => made.url.href.includes(form))).toBe(made.secretQuery.length > 0);
    const sends = made.secretHeaders.length + made.secretQuery.length > 0;
    expect(sends).toBe(spec.authMode !== 'NONE');
  });
});

describe('origins that the provider tells', () => {
  const learned = entries.flatMap((spec) =>
    Object.entries(spec.connectionConfig ?? {}).flatMap(([key, { hosts }]) =>
      hosts === undefined ? [] : [[`${spec.name} ${key}`, spec, key, hosts] as const],
    ),
  );

  it.each(learned)('%s decides where calls go, and nothing else can', (_, spec, key, hosts) => {
    const input = sampleInput(spec);
    const hole = `\${connectionConfig.${key}}`;
    const origin = `https://${learnedHost(hosts)}`;
    const targets = (config: Record<string, string>) => {
      const all = { ...input, connectionConfig: { ...input.connectionConfig, ...config } };
      const api = () => apiRequest({ ...all, credential: sampleCredential(spec), path: '/v1/x' }).url;
      const token = () => codeRequest({ ...all, code: 'c', redirectUri: REDIRECT }).url;
      const renewal = () => refreshRequest({ ...all, refreshToken: 'r' }).url;
      return [
        ...(spec.api.baseUrl.startsWith(hole) ? [api] : []),
        ...(spec.oauth2?.token.url.startsWith(hole) === true ? [token, renewal] : []),
      ];
    };
    expect(targets({}).length).toBeGreaterThan(0);
    for (const target of targets({ [key]: origin })) expect(target().origin).toBe(origin);
    for (const foreign of ['https://evil.example', `${origin}.evil.example`, `${origin}:8443`, `${origin}/path`]) {
      for (const target of targets({ [key]: foreign })) {
        expect(target).toThrow(expect.objectContaining({ code: 'template_value_invalid' }));
      }
    }
  });
});

describe('templates', () => {
  const templates = entries.flatMap((spec) =>
    urlTemplatesOf(spec).flatMap(([where, template]) =>
      alternativesOf(template).map((one) => [spec, where, one] as const),
    ),
  );

  it.each(templates.map(([spec, where, template]) => [`${spec.name} ${where}`, spec, template] as const))(
    '%s keeps its host under every hostile value',
    (_, spec, template) => {
      const fields = fieldsOf(spec);
      const good = goodValues(spec);
      for (const hole of holesOf(template)) {
        for (const value of [...TEMPLATE_CORPUS, ...ADDRESS_CORPUS]) {
          const url = attempt(() => fillUrl(template, fields, { ...good, [hole]: value }));
          if (url === undefined) continue;
          expect(url.username + url.password).toBe('');
          const { hosts, kind } = spec.connectionConfig?.[hole.split('.')[1] ?? ''] ?? {};
          if (hosts !== undefined) expect([value, kind, isListed(url, hosts)]).toEqual([value, 'url', true]);
          else if (fields[hole]?.kind === 'url') expect(url.href.startsWith(new URL(String(value)).origin)).toBe(true);
          else if (!inHost(template, hole))
            expect([value, url.host]).toEqual([value, fillUrl(template, fields, good).host]);
          else expect(url.host.split('.').length).toBe(sampleHost(template, fields)?.split('.').length);
        }
      }
    },
  );

  it('are there for every entry', () => {
    expect(new Set(templates.map(([spec]) => spec.name)).size).toBe(entries.length);
  });
});

function goodValues(spec: ProviderSpec): Record<string, string> {
  const values: Record<string, string> = { clientId: CLIENT.clientId };
  for (const group of ['connectionConfig', 'integrationConfig'] as const) {
    for (const [name, value] of Object.entries(valuesFor(spec[group]))) values[`${group}.${name}`] = value;
  }
  return values;
}

function isListed(url: URL, hosts: readonly string[]): boolean {
  const listed = hosts.some((host) => (host.startsWith('.') ? url.hostname.endsWith(host) : url.hostname === host));
  return listed && url.protocol === 'https:' && url.port === '';
}

function inHost(template: string, hole: string): boolean {
  return (/^https?:\/\/([^/?#]*)/.exec(template)?.[1] ?? '').includes(`\${${hole}}`);
}

function attempt(run: () => URL): URL | undefined {
  try {
    return run();
  } catch (error) {
    if (!isHawserError(error, 'template_value_invalid', 'template_value_missing')) throw error;
    return undefined; // refused, as it should be
  }
}
