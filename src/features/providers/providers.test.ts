import { describe, expect, it } from 'vitest';
import { catalogue } from '../../../catalogue/index.ts';
import type { ProviderSpec } from '../../../catalogue/_spec/index.ts';
import type { Route, RouteReply } from '../../base/route.ts';
import { createProviders, initialsSvg, providerRoutes, wireProvider, wireProviderShape } from './index.ts';

const SERVER = { serverUrl: 'https://hawser.example/' };

const ODD: ProviderSpec = {
  name: 'odd',
  displayName: 'Odd <&"\'> Thing',
  categories: ['other'],
  authMode: 'OAUTH2',
  docsUrl: 'https://example.com',
  summary: 'Odd.',
  oauth2: {
    authorize: { url: 'https://${connectionConfig.shop}.odd.example/a', params: { prompt: 'consent', scope: null } },
    callback: { stateEcho: 'always', code: 'odd_code', metadata: ['realm'] },
    scopes: { separator: ',', default: ['a'], allowed: ['a', 'b'] },
    pkce: 'off',
    pkceOffReason: 'Because.',
    token: { url: 'https://odd.example/t', body: 'json', clientAuth: 'basic', params: { audience: 'x' } },
    refresh: { rotation: { kind: 'strict' }, url: 'https://odd.example/r', params: { type: 'refresh' } },
    response: { metadata: { account: 'data.account' } },
  },
  connectionConfig: {
    shop: { title: 'Shop', description: 'Shop.', kind: 'label', order: 1 },
    site: { title: 'Site', description: 'Site.', kind: 'host', example: 'a.example', optional: true },
    realm: { title: 'Realm', description: 'Realm.', kind: 'segment', automated: true },
    zone: { title: 'Zone', description: 'Zone.', kind: 'enum', options: ['eu'], default: 'eu' },
  },
  integrationConfig: { base: { title: 'Base', description: 'Base.', kind: 'url', secret: true } },
  api: {
    baseUrl: 'https://api.odd.example',
    auth: { in: 'header', name: 'X-Key', value: '${accessToken}' },
    headers: { 'X-Version': '2' },
    query: { v: '1' },
    verification: { method: 'GET', path: '/me' },
    retry: { at: ['x-reset'], statuses: ['429'] },
  },
  disconnect: { kind: 'nothing' },
  gotchas: [],
  sources: ['https://example.com (read 2026-11)'],
};

describe('createProviders', () => {
  const providers = createProviders();

  it('has the catalogue', () => {
    expect(providers.get('xref')).toBe(catalogue.get('xref'));
    for (const name of ['nobody', '__proto__', 'constructor', '']) expect(providers.get(name)).toBeUndefined();
    expect(providers.list().map((spec) => spec.name)).toEqual([...catalogue.keys()]);
    expect(providers.list('')).toHaveLength(catalogue.size);
  });

  it('searches plain text, whatever its case', () => {
    const names = (search: string) => providers.list(search).map((spec) => spec.name);
    expect(names('CHECKR')).toEqual(['checkr-partner', 'checkr-partner-staging']);
    expect(names('sandbox')).toEqual(['checkbook-sandbox']);
    expect(names('.*')).toEqual([]);
    expect(names('^xref$')).toEqual([]);
  });

  it('does not run a search as a pattern', () => {
    const hostile = createProviders(
      new Map([['a'.repeat(64), { ...ODD, name: 'a'.repeat(64), displayName: `${'a'.repeat(64)}!` }]]),
    );
    // As a pattern this would take longer than the sun lasts.
    expect(hostile.list('^(a+)+$')).toEqual([]);
  });
});

describe('wireProvider', () => {
  it('has the shape of the contract for every entry', () => {
    for (const spec of catalogue.values()) {
      const wire = wireProvider(spec, SERVER);
      expect(wireProviderShape.strict().parse(wire)).toEqual(wire);
      expect(wire.logo_url).toBe(`https://hawser.example/images/template-logos/${spec.name}.svg`);
    }
  });

  it('translates every part', () => {
    expect(wireProvider(ODD, SERVER)).toEqual({
      name: 'odd',
      display_name: ODD.displayName,
      auth_mode: 'OAUTH2',
      categories: ['other'],
      docs: 'https://example.com',
      summary: 'Odd.',
      logo_url: 'https://hawser.example/images/template-logos/odd.svg',
      authorization_url: 'https://${connectionConfig.shop}.odd.example/a',
      authorization_params: { prompt: 'consent' },
      token_url: 'https://odd.example/t',
      token_params: { audience: 'x' },
      refresh_url: 'https://odd.example/r',
      refresh_params: { type: 'refresh' },
      scope_separator: ',',
      default_scopes: ['a'],
      allowed_scopes: ['a', 'b'],
      disable_pkce: true,
      body_format: 'json',
      token_request_auth_method: 'basic',
      authorization_code_param_in_callback: 'odd_code',
      token_response_metadata: ['data.account'],
      redirect_uri_metadata: ['realm'],
      proxy: {
        base_url: 'https://api.odd.example',
        headers: { 'X-Version': '2', 'X-Key': '${accessToken}' },
        query: { v: '1' },
        retry: { at: 'x-reset', error_code: ['429'] },
        verification: { method: 'GET', endpoints: ['/me'] },
      },
      connection_config: {
        shop: { type: 'string', title: 'Shop', description: 'Shop.', pattern: expect.any(String) as string, order: 1 },
        site: {
          type: 'string',
          title: 'Site',
          description: 'Site.',
          example: 'a.example',
          format: 'hostname',
          optional: true,
        },
        realm: {
          type: 'string',
          title: 'Realm',
          description: 'Realm.',
          pattern: expect.any(String) as string,
          automated: true,
        },
        zone: { type: 'string', title: 'Zone', description: 'Zone.', enum: ['eu'], default_value: 'eu' },
      },
      integration_config: {
        base: { type: 'string', title: 'Base', description: 'Base.', format: 'uri', secret: true },
      },
    });
  });
});

describe('routes', () => {
  const routes = providerRoutes({
    providers: createProviders(new Map([['odd', ODD]])),
    serverUrl: () => SERVER.serverUrl,
  });
  const call = (path: string, request: { params?: unknown; query?: unknown }): RouteReply => {
    const route = routes.find((candidate) => candidate.path === path) as Route;
    const params = route.params?.parse(request.params ?? {});
    const query = route.query?.parse(request.query ?? {});
    return route.handle({ params, query } as Parameters<Route['handle']>[0]) as RouteReply;
  };

  it('list and get need a key or a session', () => {
    expect(routes.map(({ path, auth }) => [path, auth.by])).toEqual([
      ['/providers', 'key-or-session'],
      ['/providers/:provider', 'key-or-session'],
      ['/images/template-logos/:file', 'public'],
    ]);
  });

  it('list, search and get', () => {
    const wire = wireProvider(ODD, SERVER);
    expect(call('/providers', {}).body).toEqual({ data: [wire] });
    expect(call('/providers', { query: { search: 'ODD' } }).body).toEqual({ data: [wire] });
    expect(call('/providers', { query: { search: 'x' } }).body).toEqual({ data: [] });
    expect(call('/providers/:provider', { params: { provider: 'odd' } }).body).toEqual({ data: wire });
    expect(() => call('/providers', { query: { other: '1' } })).toThrow();
    expect(() => call('/providers/:provider', { params: { provider: '../odd' } })).toThrow();
    expect(() => call('/providers/:provider', { params: { provider: 'nobody' } })).toThrow(
      expect.objectContaining({ code: 'not_found', status: 404 }),
    );
  });

  it('shows initials as a picture that can do nothing', () => {
    const reply = call('/images/template-logos/:file', { params: { file: 'odd.svg' } });
    expect(reply.headers).toMatchObject({
      'content-type': 'image/svg+xml; charset=utf-8',
      'content-security-policy': "default-src 'none'; sandbox",
    });
    expect(reply.body).toBe(initialsSvg(ODD));
    expect(reply.body).toContain('>OT</text>');
    expect(reply.body).toContain('<title>Odd &#60;&#38;&#34;&#39;&#62; Thing</title>');
    for (const file of ['nobody.svg', 'odd', 'odd.png', '../odd.svg', '.svg']) {
      expect(() => call('/images/template-logos/:file', { params: { file } })).toThrow(
        expect.objectContaining({ code: 'not_found' }),
      );
    }
  });
});
