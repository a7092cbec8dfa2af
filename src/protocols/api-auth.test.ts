import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ApiSpec, ProviderSpec } from '../../catalogue/_spec/index.ts';
import { anyText, anyUrl } from '../../test/support/texts.ts';
import { isHawserError } from '../base/errors.ts';
import { apiRequest, baseUrl, joinPath, type ApiCredential } from './api-auth.ts';
import { PROVIDER } from './oauth2/testing.ts';

const OAUTH: ApiCredential = { type: 'OAUTH2', access_token: 'at-1' };

function provider(api: Partial<ApiSpec>): ProviderSpec {
  return { ...PROVIDER, api: { ...PROVIDER.api, ...api } };
}

function request(
  api: Partial<ApiSpec>,
  credential: ApiCredential = OAUTH,
  more: { path?: string; query?: string } = {},
) {
  return apiRequest({
    provider: provider(api),
    connectionConfig: { shop: 'acme' },
    integrationConfig: { audience: 'aud' },
    credential,
    path: more.path ?? '/v1/me',
    ...(more.query === undefined ? {} : { query: more.query }),
  });
}

describe('apiRequest', () => {
  it('sends a header', () => {
    const made = request({ auth: { in: 'header', name: 'Authorization', value: 'Token ${accessToken}' } });
    expect(made.url.href).toBe('https://api.example.com/v1/me');
    expect(made.headers).toEqual({ authorization: 'Token at-1' });
    expect(made.secretHeaders).toEqual(['authorization']);
    expect(made.secretQuery).toEqual([]);
  });

  it('fills the holes of a path, each as one segment', () => {
    const path = '/v3/company/${connectionConfig.shop}/info/${connectionConfig.region}';
    const at = (connectionConfig: Record<string, unknown>) =>
      apiRequest({ provider: provider({}), connectionConfig, integrationConfig: {}, credential: OAUTH, path }).url
        .pathname;
    expect(at({ shop: 'acme', region: 'eu' })).toBe('/v3/company/acme/info/eu');
    expect(() => at({ shop: '../x', region: 'eu' })).toThrow(
      expect.objectContaining({ code: 'template_value_invalid' }),
    );
    expect(() => at({ region: 'eu' })).toThrow(expect.objectContaining({ code: 'template_value_missing' }));
  });

  it('sends Basic with the token as user name', () => {
    const made = request({ auth: { in: 'basic', username: '${accessToken}', password: '' } });
    expect(made.headers['authorization']).toBe(`Basic ${Buffer.from('at-1:').toString('base64')}`);
  });

  it('sends Basic for a person, also with an empty half', () => {
    const auth = { in: 'basic' as const, username: '${username}', password: '${password}' };
    const header = (username: string, password: string) =>
      Buffer.from(
        (request({ auth }, { type: 'BASIC', username, password }).headers['authorization'] ?? '').slice(6),
        'base64',
      ).toString();
    expect(header('jörg', 'pä:ss')).toBe('jörg:pä:ss');
    expect(header('key', '')).toBe('key:');
    expect(header('', 'x')).toBe(':x');
    expect(() => header('a:b', 'x')).toThrow(/colon/);
  });

  it('sends an API key in the query and says that it is secret', () => {
    const made = request(
      {
        auth: { in: 'query', name: 'key', value: '${apiKey}' },
        query: { v: '2', region: '${connectionConfig.region}' },
      },
      { type: 'API_KEY', apiKey: 'k&1' },
      { path: '/v1/a?x=%2F&y=1' },
    );
    expect(made.url.search).toBe('?x=%2F&y=1&v=2&key=k%261');
    expect(made.secretQuery).toEqual(['key']);
    expect(made.secretHeaders).toEqual([]);
  });

  it('sends nothing where nothing is needed', () => {
    expect(request({ auth: { in: 'none' } }, { type: 'NONE' })).toMatchObject({ headers: {}, secretHeaders: [] });
  });

  it('adds templated headers and marks those with a secret', () => {
    const made = request({
      headers: {
        'X-Key': '${accessToken}',
        'X-Aud': '${integrationConfig.audience}',
        'X-R': '${connectionConfig.region}',
      },
    });
    expect(made.headers).toEqual({ 'x-key': 'at-1', 'x-aud': 'aud', authorization: 'Bearer at-1' });
    expect(made.secretHeaders).toEqual(['x-key', 'authorization']);
  });

  it('refuses a credential of another type, and one that breaks the header', () => {
    expect(() => request({}, { type: 'API_KEY', apiKey: 'k' })).toThrow(
      expect.objectContaining({ code: 'unsupported_auth' }),
    );
    expect(() =>
      request({ auth: { in: 'basic', username: '${accessToken}', password: '' } }, { type: 'NONE' }),
    ).toThrow(expect.objectContaining({ code: 'unsupported_auth' }));
    for (const access_token of ['a\r\nX: y', 'a\u0000']) {
      expect(() => request({}, { type: 'OAUTH2', access_token })).toThrow(
        expect.objectContaining({ code: 'template_value_invalid' }),
      );
    }
  });

  it('never fills a secret that looks like a template', () => {
    expect(request({}, { type: 'OAUTH2', access_token: '${apiKey}' }).headers['authorization']).toBe(
      'Bearer ${apiKey}',
    );
  });
});

describe('baseUrl', () => {
  it('fills the address and says when there is none', () => {
    const input = { connectionConfig: {}, integrationConfig: {} };
    const tenant = provider({ baseUrl: 'https://${connectionConfig.shop}.shop.example/api' });
    expect(baseUrl({ ...input, provider: tenant, connectionConfig: { shop: 'acme' } }).href).toBe(
      'https://acme.shop.example/api',
    );
    expect(() => baseUrl({ ...input, provider: tenant })).toThrow(
      expect.objectContaining({ code: 'missing_api_url', status: 400 }),
    );
  });
});

const base = new URL('https://api.example.com/base/');

describe('joinPath', () => {
  it.each([
    ['/v1/a', 'https://api.example.com/base/v1/a'],
    ['v1/a', 'https://api.example.com/base/v1/a'],
    ['', 'https://api.example.com/base'],
    ['/', 'https://api.example.com/base/'],
    ['/a%2Fb', 'https://api.example.com/base/a%2Fb'],
    ['/a?x=a%20b&y=%2E%2E', 'https://api.example.com/base/a?x=a%20b&y=%2E%2E'],
    ['/a?u=https://evil.tld/../x', 'https://api.example.com/base/a?u=https://evil.tld/../x'],
    ['/a:b@c', 'https://api.example.com/base/a:b@c'],
    ['/...', 'https://api.example.com/base/...'],
    ['/a..b', 'https://api.example.com/base/a..b'],
    ['/ü', 'https://api.example.com/base/%C3%BC'],
  ])('joins %j', (path, expected) => {
    expect(joinPath(base, path).href).toBe(expected);
  });

  it('keeps a query byte for byte and adds the second', () => {
    expect(joinPath(base, '/a?b=%7e', 'c=%7E&d=+').search).toBe('?b=%7e&c=%7E&d=+');
  });

  it.each([
    '//evil.tld',
    '\\evil.tld',
    '/\\evil.tld',
    '/..',
    '/../x',
    '/a/../../x',
    '/a/..',
    '/./a',
    '/%2e%2e/x',
    '/%2E%2e%2fx',
    '/..%2fx',
    '/%252e%252e/x',
    '/%252e%252e%252fx',
    '/.%2e/x',
    '/a%5c..%5cx',
    '/a%255cx',
    '/a\r\nHost: evil.tld',
    '/a%0d%0aHost: evil',
    '/a%00',
    '/a b',
    '/a\tb',
    '/a#b',
    '/a?b#c',
    '/a?b c',
    `/${'a'.repeat(17_000)}`,
  ])('refuses %s', (path) => {
    expect(() => joinPath(base, path)).toThrow(expect.objectContaining({ code: 'invalid_path', status: 400 }));
  });

  it('never leaves origin and base path', () => {
    const odd = fc.string({ unit: fc.constantFrom(...'a/.%2eE5cfF\\?#@:&= \t\r\n'), maxLength: 30 });
    fc.assert(
      fc.property(fc.oneof(odd, anyText(), anyUrl()), (path) => {
        let url: URL;
        try {
          url = joinPath(base, path);
        } catch (error) {
          if (isHawserError(error, 'invalid_path')) return;
          throw error;
        }
        expect(url.origin).toBe('https://api.example.com');
        expect(url.pathname).toMatch(/^\/base(\/|$)/);
        expect(url.username + url.hash).toBe('');
      }),
      { numRuns: 5000 },
    );
  });
});
