import { describe, expect, it } from 'vitest';
import type { OAuth2Spec, TokenRequestSpec } from '../../../catalogue/_spec/index.ts';
import type { HttpRequest, OAuth2Input } from './request.ts';
import { inputWith, pairs, SPEC } from './testing.ts';
import { codeRequest, refreshRequest } from './token-request.ts';

const grant = { code: 'c-1', redirectUri: 'https://app.example/oauth/callback', codeVerifier: 'v-1', scope: 'read' };

function exchange(token: Partial<TokenRequestSpec> = {}, more: Partial<OAuth2Input> = {}): HttpRequest {
  return codeRequest({ ...inputWith({ token: { ...SPEC.token, ...token } }), ...grant, ...more });
}

function form(request: HttpRequest): Record<string, string> {
  return Object.fromEntries(new URLSearchParams(request.body ?? ''));
}

describe('codeRequest', () => {
  it('is a form with the client in the body by default', () => {
    const request = exchange();
    expect(request.method).toBe('POST');
    expect(request.url.href).toBe('https://login.example.com/oauth/token');
    expect(request.headers).toEqual({
      accept: 'application/json',
      'content-type': 'application/x-www-form-urlencoded',
    });
    expect(form(request)).toEqual({
      grant_type: 'authorization_code',
      code: 'c-1',
      redirect_uri: grant.redirectUri,
      code_verifier: 'v-1',
      client_id: 'client-1',
      client_secret: 'shh-1',
    });
  });

  it('sends JSON', () => {
    const request = exchange({ body: 'json', omit: ['grant_type', 'redirect_uri', 'code_verifier'] });
    expect(request.headers['content-type']).toBe('application/json');
    expect(JSON.parse(request.body ?? '')).toEqual({ code: 'c-1', client_id: 'client-1', client_secret: 'shh-1' });
  });

  it('sends a query, by POST and by GET', () => {
    const post = exchange({ body: 'query' });
    expect([post.method, post.body, pairs(post.url)['client_secret']]).toEqual(['POST', undefined, 'shh-1']);
    const get = exchange({ method: 'GET' });
    expect([get.method, get.body, pairs(get.url)['code']]).toEqual(['GET', undefined, 'c-1']);
    expect(get.headers).not.toHaveProperty('content-type');
  });

  it('authenticates by Basic with both parts form-encoded', () => {
    const request = exchange({ clientAuth: 'basic' }, { client: { clientId: 'id:ü +', clientSecret: 'p%&=1' } });
    const [scheme, value = ''] = (request.headers['authorization'] ?? '').split(' ');
    expect(scheme).toBe('Basic');
    expect(Buffer.from(value, 'base64').toString()).toBe('id%3A%C3%BC+%2B:p%25%26%3D1');
    expect(form(request)).not.toHaveProperty('client_id');
    expect(form(request)).not.toHaveProperty('client_secret');
  });

  it('is a public client without secret', () => {
    const sent = form(exchange({ clientAuth: 'none' }));
    expect(sent['client_id']).toBe('client-1');
    expect(sent).not.toHaveProperty('client_secret');
  });

  it('repeats the scope only when told', () => {
    expect(form(exchange())).not.toHaveProperty('scope');
    expect(form(exchange({ sendScope: true }))['scope']).toBe('read');
  });

  it('sends no verifier where PKCE is off', () => {
    const request = codeRequest({ ...inputWith({ pkce: 'off' }), ...grant });
    expect(form(request)).not.toHaveProperty('code_verifier');
  });

  it('adds and replaces parameters, renames standard ones, adds headers', () => {
    const request = exchange(
      {
        params: { grant_type: 'web_server', audience: '${integrationConfig.audience}', app: '${clientId}' },
        rename: { client_id: 'client_key', code: 'auth_code' },
        headers: { 'X-Tenant': '${integrationConfig.audience}', Accept: 'text/plain' },
      },
      { integrationConfig: { audience: 'aud' } },
    );
    expect(form(request)).toMatchObject({
      grant_type: 'web_server',
      audience: 'aud',
      app: 'client-1',
      client_key: 'client-1',
      auth_code: 'c-1',
    });
    expect(form(request)).not.toHaveProperty('code');
    expect(request.headers).toMatchObject({ 'x-tenant': 'aud', accept: 'text/plain' });
  });

  it('refuses a header value that would break the line', () => {
    const bad = () =>
      exchange({ headers: { 'x-a': '${integrationConfig.audience}' } }, { integrationConfig: { audience: 'a\r\nb' } });
    expect(bad).toThrow(expect.objectContaining({ code: 'template_value_invalid' }));
  });
});

describe('refreshRequest', () => {
  const refresh = (part: Partial<OAuth2Spec>, scope?: string) =>
    refreshRequest({ ...inputWith(part), refreshToken: 'rt-1', ...(scope === undefined ? {} : { scope }) });

  it('uses the token endpoint', () => {
    const request = refresh({});
    expect(request.url.href).toBe('https://login.example.com/oauth/token');
    expect(form(request)).toEqual({
      grant_type: 'refresh_token',
      refresh_token: 'rt-1',
      client_id: 'client-1',
      client_secret: 'shh-1',
    });
  });

  it('honours its own URL, parameters and scope', () => {
    const request = refresh(
      {
        token: { ...SPEC.token, params: { audience: 'not-here' }, body: 'json' },
        refresh: {
          rotation: { kind: 'strict' },
          url: 'https://login.example.com/refresh',
          params: { type: 'refresh' },
          sendScope: true,
        },
      },
      'read',
    );
    expect(request.url.pathname).toBe('/refresh');
    expect(JSON.parse(request.body ?? '')).toEqual({
      grant_type: 'refresh_token',
      refresh_token: 'rt-1',
      client_id: 'client-1',
      client_secret: 'shh-1',
      type: 'refresh',
      scope: 'read',
    });
  });

  it('falls back to the parameters of the exchange', () => {
    expect(form(refresh({ token: { ...SPEC.token, params: { audience: 'a' } } }))).toHaveProperty('audience', 'a');
  });

  it('leaves the grant type out where the provider wants none', () => {
    const token = { ...SPEC.token, omit: ['grant_type' as const] };
    expect(form(refresh({ token }))).not.toHaveProperty('grant_type');
  });

  it('is refused without a refresh in the spec', () => {
    expect(() => refresh({ refresh: undefined })).toThrow(expect.objectContaining({ code: 'refresh_unsupported' }));
  });
});
