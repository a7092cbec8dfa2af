import { describe, expect, it } from 'vitest';
import type { AuthorizeSpec, OAuth2Spec } from '../../../catalogue/_spec/index.ts';
import { authorizeUrl, type AuthorizeInput } from './authorize.ts';
import { inputWith, pairs, SPEC } from './testing.ts';

const flow = {
  redirectUri: 'https://app.example/oauth/callback',
  scopes: ['read', 'write:all'],
  state: 'st-1',
  codeChallenge: 'ch-1',
};

function url(part: Partial<OAuth2Spec> = {}, more: Partial<AuthorizeInput> = {}): URL {
  return authorizeUrl({ ...inputWith(part), ...flow, ...more });
}

function authorize(part: Partial<AuthorizeSpec>, more: Partial<AuthorizeInput> = {}): URL {
  return url({ authorize: { ...SPEC.authorize, ...part } }, more);
}

describe('authorizeUrl', () => {
  it('sends the standard parameters in their order', () => {
    expect(url().href).toBe(
      'https://login.example.com/oauth/authorize?response_type=code&client_id=client-1' +
        '&redirect_uri=https%3A%2F%2Fapp.example%2Foauth%2Fcallback&scope=read%20write%3Aall&state=st-1' +
        '&code_challenge=ch-1&code_challenge_method=S256',
    );
  });

  it('leaves PKCE out when the spec says so, or when there is no challenge', () => {
    expect(pairs(url({ pkce: 'off' }))).not.toHaveProperty('code_challenge');
    expect(pairs(url({}, { codeChallenge: undefined }))).not.toHaveProperty('code_challenge_method');
  });

  it('leaves an empty scope out', () => {
    expect(pairs(url({}, { scopes: [] }))).not.toHaveProperty('scope');
  });

  it('puts the client id into the path and removes parameters', () => {
    const made = authorize({
      url: 'https://p.example.com/authorize/${clientId}',
      params: { client_id: null, response_type: null },
    });
    expect(made.pathname).toBe('/authorize/client-1');
    expect(Object.keys(pairs(made))).toEqual([
      'redirect_uri',
      'scope',
      'state',
      'code_challenge',
      'code_challenge_method',
    ]);
  });

  it('fills parameters and leaves optional empty ones out', () => {
    const params = {
      audience: '${integrationConfig.audience}',
      region: '${connectionConfig.region}',
      prompt: 'consent',
    };
    const made = authorize({ params }, { integrationConfig: { audience: 'a b&c' } });
    expect(pairs(made)).toMatchObject({ audience: 'a b&c', prompt: 'consent' });
    expect(pairs(made)).not.toHaveProperty('region');
    expect(() => authorize({ params })).toThrow(
      expect.objectContaining({ code: 'template_value_missing', message: 'Audience is missing.' }),
    );
  });

  it('fills the host and demands its value', () => {
    const host = { url: 'https://${connectionConfig.shop}.shop.example/authorize' };
    expect(authorize(host, { connectionConfig: { shop: 'acme' } }).host).toBe('acme.shop.example');
    expect(() => authorize(host)).toThrow(expect.objectContaining({ code: 'template_value_missing' }));
    expect(() => authorize(host, { connectionConfig: { shop: 'evil.tld/' } })).toThrow(
      expect.objectContaining({ code: 'template_value_invalid' }),
    );
  });

  it('renames parameters, the state and the scope too', () => {
    const made = authorize({ rename: { client_id: 'appKey', state: 'customField', scope: 'scopes' } });
    expect(pairs(made)).toMatchObject({ appKey: 'client-1', customField: 'st-1', scopes: 'read write:all' });
    expect(pairs(made)).not.toHaveProperty('client_id');
  });

  it('writes behind a fragment', () => {
    const made = authorize({ url: 'https://app.example.com/#/oauth/authorize', paramsIn: 'fragment' });
    expect(made.search).toBe('');
    expect(made.hash).toMatch(/^#\/oauth\/authorize\?response_type=code&client_id=client-1&/);
  });

  it('keeps a query that the URL already has', () => {
    expect(authorize({ url: 'https://login.example.com/authorize?tenant=a' }).search).toMatch(
      /^\?tenant=a&response_type=code/,
    );
  });

  it('joins scopes as told, encoded or not', () => {
    const scope = (scopes: OAuth2Spec['scopes']) => /[?&]scope=([^&]*)/.exec(url({ scopes }).search)?.[1];
    expect(scope({ separator: ',' })).toBe('read%2Cwrite%3Aall');
    expect(scope({ separator: '+' })).toBe('read%2Bwrite%3Aall');
    expect(scope({ separator: '+', encode: false })).toBe('read+write:all');
    expect(scope({ encode: false })).toBe('read%20write:all');
  });

  it('sends a decoded query without letting a value end', () => {
    const made = authorize({ decoded: true, params: { session: 'false', odd: 'a&b#c' } });
    expect(made.search).toContain('redirect_uri=https://app.example/oauth/callback&scope=read%20write:all');
    expect(made.search).toContain('odd=a%26b%23c');
    expect(made.hash).toBe('');
  });

  it('drops empty parameters when told', () => {
    expect(pairs(authorize({ skipEmpty: true, params: { prompt: '' } }))).not.toHaveProperty('prompt');
    expect(pairs(authorize({ params: { prompt: '' } }))).toHaveProperty('prompt', '');
  });

  it('asks for scopes of the person', () => {
    expect(pairs(url({ scopes: { separator: ',' } }, { userScopes: ['a', 'b'] }))).toHaveProperty('user_scope', 'a,b');
  });

  it('lets one connect add and remove, but not touch what binds the flow', () => {
    const extraParams = {
      prompt: 'login',
      response_type: 'undefined',
      state: 'evil',
      redirect_uri: 'https://evil.example',
      client_id: 'evil',
      scope: 'admin',
      user_scope: 'admin',
      response_mode: 'fragment',
      request_uri: 'https://evil.example',
      code_challenge: 'undefined',
      code_challenge_method: 'plain',
    };
    expect(pairs(url({}, { extraParams }))).toEqual({
      client_id: 'client-1',
      redirect_uri: flow.redirectUri,
      scope: 'read write:all',
      state: 'st-1',
      code_challenge: 'ch-1',
      code_challenge_method: 'S256',
      prompt: 'login',
    });
    expect(pairs(url({}, { extraParams: { scope: 'undefined' } }))).not.toHaveProperty('scope');
  });

  it('protects renamed parameters too', () => {
    const made = authorize({ rename: { client_id: 'appKey' } }, { extraParams: { appKey: 'evil' } });
    expect(pairs(made)).toHaveProperty('appKey', 'client-1');
  });

  it('never holds the client secret', () => {
    expect(url({}, { extraParams: { a: '${clientSecret}' } }).href).not.toContain('shh-1');
  });
});
