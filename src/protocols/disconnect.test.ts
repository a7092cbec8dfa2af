import { describe, expect, it } from 'vitest';
import type { DisconnectCall, ProviderSpec } from '../../catalogue/_spec/index.ts';
import { disconnectRequest, readDisconnectAnswer, type DisconnectInput } from './disconnect.ts';
import { PROVIDER } from './oauth2/testing.ts';

function build(
  call: Partial<DisconnectCall>,
  more: Partial<DisconnectInput> = {},
  api: Partial<ProviderSpec['api']> = {},
) {
  return disconnectRequest({
    provider: { ...PROVIDER, api: { ...PROVIDER.api, ...api } },
    connectionConfig: { shop: 'acme', note: 'n-1' },
    integrationConfig: { audience: 'aud' },
    disconnect: { kind: 'call', method: 'POST', url: 'https://api.example.com/revoke', ...call },
    credential: { type: 'OAUTH2', access_token: 'at-1' },
    refreshToken: 'rt-1',
    client: { clientId: 'id-1', clientSecret: 'secret-1' },
    ...more,
  });
}

const basic = (user: string, password: string) => `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;

describe('disconnectRequest', () => {
  it('is authorised like an API call by default', () => {
    const request = build({ method: 'DELETE', url: 'https://${connectionConfig.shop}.shop.example/grant' });
    expect(request.method).toBe('DELETE');
    expect(request.url.href).toBe('https://acme.shop.example/grant');
    expect(request.headers).toEqual({ accept: 'application/json', authorization: 'Bearer at-1' });
    expect(request.body).toBeUndefined();
  });

  it('can be authorised by the app, with the token in a JSON body', () => {
    const request = build({
      url: 'https://api.example.com/apps/${clientId}/grant',
      auth: { in: 'basic', username: '${clientId}', password: '${clientSecret}' },
      body: { format: 'json', params: { access_token: '${accessToken}' } },
    });
    expect(request.url.pathname).toBe('/apps/id-1/grant');
    expect(request.headers).toMatchObject({
      authorization: basic('id-1', 'secret-1'),
      'content-type': 'application/json',
    });
    expect(request.body).toBe('{"access_token":"at-1"}');
  });

  it('can name account and app in a form, authorised by a scheme of its own', () => {
    const request = build({
      auth: { in: 'header', name: 'Authorization', value: 'Client ${clientSecret}' },
      body: { format: 'form', params: { client: '${clientId}', note: '${connectionConfig.note}' } },
    });
    expect(request.headers['authorization']).toBe('Client secret-1');
    expect(request.headers['content-type']).toBe('application/x-www-form-urlencoded');
    expect(request.body).toBe('client=id-1&note=n-1');
  });

  it('takes the refresh token, else the access token', () => {
    const call = {
      auth: { in: 'none' as const },
      body: { format: 'form' as const, params: { token: '${refreshToken} || ${accessToken}' } },
    };
    expect(build(call).body).toBe('token=rt-1');
    expect(build(call, { refreshToken: undefined }).body).toBe('token=at-1');
    expect(build(call).headers['authorization']).toBeUndefined();
  });

  it('puts a token into the query where the provider reads it there', () => {
    const request = build({ auth: { in: 'query', name: 'token', value: '${refreshToken}' } });
    expect(request.url.search).toBe('?token=rt-1');
    expect(() =>
      build({ auth: { in: 'query', name: 'token', value: '${refreshToken}' } }, { refreshToken: undefined }),
    ).toThrow(expect.objectContaining({ code: 'unsupported_auth' }));
  });

  it('keeps the provider’s plain headers, but not its credential, when the app authorises', () => {
    const api = { headers: { 'X-Version': '7', 'X-Key': '${accessToken}' } };
    const request = build({ auth: { in: 'none' } }, {}, api);
    expect(request.headers).toEqual({ accept: 'application/json', 'x-version': '7' });
    expect(build({}, {}, api).headers).toMatchObject({ 'x-version': '7', 'x-key': 'at-1' });
  });
});

describe('readDisconnectAnswer', () => {
  const read = (status: number, body: string, call: Partial<DisconnectCall> = {}) =>
    readDisconnectAnswer(
      { kind: 'call', method: 'POST', url: 'https://a.example', ...call },
      { status, body: Buffer.from(body) },
    );

  it('takes any 2xx for done, and a 401 for gone', () => {
    expect(read(200, '')).toBe('revoked');
    expect(read(204, '')).toBe('revoked');
    expect(read(200, '<html>')).toBe('revoked');
    expect(read(401, '')).toBe('gone');
    for (const status of [302, 400, 403, 404, 429, 500]) expect(read(status, '{}')).toBe('failed');
  });

  it('does not take a refused app for a dead token', () => {
    expect(read(401, '', { auth: { in: 'basic', username: '${clientId}', password: '' } })).toBe('failed');
  });

  it('looks into a 200 where the provider fails with it', () => {
    const success = { path: 'ok', equals: true };
    expect(read(200, '{"ok":true}', { success })).toBe('revoked');
    expect(read(200, '{"ok":false,"error":"ratelimited"}', { success })).toBe('failed');
    expect(read(200, '', { success })).toBe('failed');
    expect(read(200, '<html>', { success })).toBe('failed');
  });

  it('knows the codes that mean gone', () => {
    const goneErrors = ['invalid_token', 'token_revoked'];
    expect(read(400, '{"error":"invalid_token"}', { goneErrors })).toBe('gone');
    expect(
      read(200, '{"ok":false,"error":"token_revoked"}', { goneErrors, success: { path: 'ok', equals: true } }),
    ).toBe('gone');
    expect(read(400, '{"error":"invalid_request"}', { goneErrors })).toBe('failed');
    expect(read(400, '{"error":"invalid_token"}')).toBe('failed');
  });
});
