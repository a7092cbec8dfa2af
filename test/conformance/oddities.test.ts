/**
 * Habits of real providers, each written as data and nothing else. Shapes after public documentation; hosts are made up
 * where the host is not the point. Every entry also passes the rules for provider files.
 */
import { describe, expect, it } from 'vitest';
import { checkProvider } from '../../catalogue/_spec/check.ts';
import type { ApiSpec, OAuth2Spec, ProviderSpec } from '../../catalogue/_spec/index.ts';
import { apiRequest, type ApiCredential } from '../../src/protocols/api-auth.ts';
import {
  authorizeUrl,
  codeRequest,
  readCallback,
  readTokenAnswer,
  refreshRequest,
  type OAuth2Input,
  type TokenAnswer,
} from '../../src/protocols/oauth2/index.ts';

const NOW = Date.parse('2026-11-21T12:00:00Z');
const REDIRECT = 'https://app.example/cb';

interface Change {
  oauth2?: Partial<OAuth2Spec>;
  api?: Partial<ApiSpec>;
  connectionConfig?: ProviderSpec['connectionConfig'];
  integrationConfig?: ProviderSpec['integrationConfig'];
}

/** A well-formed provider that differs from a plain one by the given knobs. */
function odd(change: Change): ProviderSpec {
  const spec: ProviderSpec = {
    name: 'odd',
    displayName: 'Odd',
    categories: ['other'],
    authMode: 'OAUTH2',
    docsUrl: 'https://example.com',
    summary: 'Odd.',
    oauth2: {
      authorize: { url: 'https://odd.example/authorize' },
      callback: { stateEcho: 'always' },
      pkce: 'S256',
      token: { url: 'https://odd.example/token' },
      refresh: { rotation: { kind: 'unknown' } },
      ...change.oauth2,
    },
    ...(change.connectionConfig === undefined ? {} : { connectionConfig: change.connectionConfig }),
    ...(change.integrationConfig === undefined ? {} : { integrationConfig: change.integrationConfig }),
    api: {
      baseUrl: 'https://api.odd.example',
      auth: { in: 'header', name: 'Authorization', value: 'Bearer ${accessToken}' },
      ...change.api,
    },
    disconnect: { kind: 'unsupported', customerMustDo: 'Remove the app.' },
    gotchas: [],
    sources: ['https://example.com (read 2026-11)'],
  };
  expect(checkProvider(spec)).toEqual([]);
  return spec;
}

function inputOf(change: Change, config: Record<string, string> = {}): OAuth2Input {
  const provider = odd(change);
  return {
    provider,
    oauth2: provider.oauth2 as OAuth2Spec,
    client: { clientId: 'id-1', clientSecret: 'secret-1' },
    connectionConfig: config,
    integrationConfig: {},
  };
}

const page = (change: Change, config?: Record<string, string>, scopes = ['a', 'b']) =>
  authorizeUrl({ ...inputOf(change, config), redirectUri: REDIRECT, scopes, state: 's', codeChallenge: 'ch' });

const exchange = (change: Change, config?: Record<string, string>) =>
  codeRequest({ ...inputOf(change, config), code: 'c', redirectUri: REDIRECT, codeVerifier: 'v', scope: 'a b' });

const refresh = (change: Change) => refreshRequest({ ...inputOf(change), refreshToken: 'rt', scope: 'a b' });

function answer(change: Change, body: unknown, status = 200): TokenAnswer {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return readTokenAnswer(inputOf(change).oauth2, { status, headers: {}, body: Buffer.from(text) }, NOW);
}

const form = (request: { body?: string }) => Object.fromEntries(new URLSearchParams(request.body ?? ''));
const label = { title: 'Shop', description: 'Shop.', kind: 'label' as const };
const learned = { title: 'Learned', description: 'Learned.', kind: 'segment' as const, automated: true };
const plainToken = { url: 'https://odd.example/token' };
const noPkce = { pkce: 'off' as const, pkceOffReason: 'Refused by the server.' };

describe('authorize URL', () => {
  it('subdomain per tenant (Shopify, Zendesk)', () => {
    const change = {
      connectionConfig: { shop: label },
      oauth2: {
        authorize: { url: 'https://${connectionConfig.shop}.myshopify.com/admin/oauth/authorize' },
        token: { url: 'https://${connectionConfig.shop}.myshopify.com/admin/oauth/access_token' },
      },
    };
    expect(page(change, { shop: 'acme' }).href).toMatch(/^https:\/\/acme\.myshopify\.com\/admin\/oauth\/authorize\?/);
    expect(exchange(change, { shop: 'acme' }).url.host).toBe('acme.myshopify.com');
  });

  it('region in the top-level domain (Exact Online, Zoho)', () => {
    const extension = {
      title: 'Region',
      description: 'Region.',
      kind: 'enum' as const,
      options: ['com', 'co.uk', 'com.au'],
    };
    const change = {
      connectionConfig: { extension },
      oauth2: { authorize: { url: 'https://accounts.zoho.${connectionConfig.extension}/oauth/v2/auth' } },
    };
    expect(page(change, { extension: 'com.au' }).host).toBe('accounts.zoho.com.au');
    expect(() => page(change, { extension: 'evil.example' })).toThrow(/must be one of/);
  });

  it('whole host per tenant with Basic client authentication (Snowflake)', () => {
    const change = {
      connectionConfig: { account: { title: 'Host', description: 'Host.', kind: 'host' as const } },
      oauth2: {
        authorize: { url: 'https://${connectionConfig.account}/oauth/authorize' },
        token: { url: 'https://${connectionConfig.account}/oauth/token-request', clientAuth: 'basic' as const },
      },
    };
    expect(page(change, { account: 'ab12.eu.snowflakecomputing.com' }).host).toBe('ab12.eu.snowflakecomputing.com');
    expect(exchange(change, { account: 'ab12.eu.snowflakecomputing.com' }).headers['authorization']).toMatch(/^Basic /);
  });

  it('comma, plus and unencoded scopes (Slack, Attio, Pennylane)', () => {
    expect(page({ oauth2: { scopes: { separator: ',' } } }).searchParams.get('scope')).toBe('a,b');
    expect(page({ oauth2: { scopes: { separator: '+', encode: false } } }).search).toContain('scope=a+b&');
  });

  it('extra parameters for a refresh token (Google, Atlassian, Reddit)', () => {
    const params = { access_type: 'offline', prompt: 'consent', audience: 'api.atlassian.com', duration: 'permanent' };
    const made = page({ oauth2: { authorize: { url: 'https://odd.example/authorize', params } } });
    expect(Object.fromEntries(made.searchParams)).toMatchObject(params);
  });

  it('other names, state included (Shopline, TikTok)', () => {
    const rename = {
      client_id: 'appKey',
      response_type: 'responseType',
      redirect_uri: 'redirectUri',
      state: 'customField',
    };
    const change = {
      oauth2: {
        authorize: { url: 'https://odd.example/authorize', rename },
        callback: { stateEcho: 'always' as const, state: 'customField' },
      },
    };
    expect(page(change).search).toBe(
      '?responseType=code&appKey=id-1&redirectUri=https%3A%2F%2Fapp.example%2Fcb&scope=a%20b&customField=s&code_challenge=ch&code_challenge_method=S256',
    );
    expect(readCallback(inputOf(change).oauth2, new URLSearchParams('code=c&customField=s'))).toMatchObject({
      state: 's',
    });
  });

  it('a standard parameter must be absent, empty ones too (monday, Pipedrive)', () => {
    const authorize = {
      url: 'https://odd.example/authorize',
      params: { response_type: null, hint: '' },
      skipEmpty: true,
    };
    const made = page({ oauth2: { ...noPkce, authorize } });
    expect([...made.searchParams.keys()]).toEqual(['client_id', 'redirect_uri', 'scope', 'state']);
  });

  it('page behind a fragment (Apollo)', () => {
    const made = page({
      oauth2: { authorize: { url: 'https://app.apollo.example/#/oauth/authorize', paramsIn: 'fragment' } },
    });
    expect(made.href).toMatch(
      /^https:\/\/app\.apollo\.example\/#\/oauth\/authorize\?response_type=code&client_id=id-1/,
    );
  });

  it('sent decoded (Square)', () => {
    const authorize = { url: 'https://odd.example/oauth2/authorize', params: { session: 'false' }, decoded: true };
    expect(page({ oauth2: { authorize } }, {}, ['MERCHANT_PROFILE_READ', 'ORDERS:READ']).search).toContain(
      'redirect_uri=https://app.example/cb&scope=MERCHANT_PROFILE_READ%20ORDERS:READ',
    );
  });
});

describe('callback', () => {
  it('code under another name, ids beside it (Amazon Selling Partner, QuickBooks)', () => {
    const change = {
      connectionConfig: { selling_partner_id: learned, realmId: learned },
      oauth2: {
        callback: {
          stateEcho: 'always' as const,
          code: 'spapi_oauth_code',
          metadata: ['selling_partner_id', 'realmId'],
        },
      },
    };
    const query = new URLSearchParams('spapi_oauth_code=c&selling_partner_id=SP1&realmId=42&state=s');
    expect(readCallback(inputOf(change).oauth2, query)).toMatchObject({
      kind: 'code',
      code: 'c',
      metadata: { selling_partner_id: 'SP1', realmId: '42' },
    });
  });
});

describe('token request', () => {
  it('JSON with Basic (Notion)', () => {
    const request = exchange({ oauth2: { token: { ...plainToken, body: 'json', clientAuth: 'basic' } } });
    expect(JSON.parse(request.body ?? '')).toEqual({
      grant_type: 'authorization_code',
      code: 'c',
      redirect_uri: REDIRECT,
      code_verifier: 'v',
    });
  });

  it('renamed credentials (TikTok Ads)', () => {
    const rename = { client_id: 'app_id', client_secret: 'secret', code: 'auth_code' };
    const omit = ['grant_type' as const, 'redirect_uri' as const];
    const request = exchange({ oauth2: { ...noPkce, token: { ...plainToken, body: 'json', rename, omit } } });
    expect(JSON.parse(request.body ?? '')).toEqual({ auth_code: 'c', app_id: 'id-1', secret: 'secret-1' });
  });

  it('a life asked for by the client (Shopify, Zendesk)', () => {
    expect(form(exchange({ oauth2: { token: { ...plainToken, params: { expiring: '1' } } } }))).toHaveProperty(
      'expiring',
      '1',
    );
  });

  it('own names for the grant (Basecamp, BambooHR)', () => {
    const change = {
      oauth2: {
        token: { ...plainToken, params: { type: 'web_server', request: 'token' }, omit: ['grant_type' as const] },
        refresh: { rotation: { kind: 'none' as const }, params: { type: 'refresh' } },
      },
    };
    expect(form(exchange(change))).toMatchObject({ type: 'web_server', request: 'token' });
    expect(form(exchange(change))).not.toHaveProperty('grant_type');
    expect(form(refresh(change))).toMatchObject({ type: 'refresh', refresh_token: 'rt' });
    expect(form(refresh(change))).not.toHaveProperty('grant_type');
  });

  it('a refresh endpoint of its own, with a query (Figma, Dropbox Sign)', () => {
    const change = {
      oauth2: { refresh: { rotation: { kind: 'none' as const }, url: 'https://odd.example/oauth/token?refresh' } },
    };
    expect(refresh(change).url.href).toBe('https://odd.example/oauth/token?refresh');
  });
});

describe('token answer', () => {
  it('no type, no expiry, no refresh token (ClickUp)', () => {
    expect(answer({}, { access_token: 'at' })).toEqual({
      ok: true,
      accessToken: 'at',
      metadata: {},
      raw: { access_token: 'at' },
    });
  });

  it('form-encoded (GitHub)', () => {
    expect(answer({}, 'access_token=gho_1&scope=repo%2Cgist&token_type=bearer')).toMatchObject({
      accessToken: 'gho_1',
      scope: 'repo,gist',
    });
  });

  it('an error with status 200 (GitHub, Slack, TikTok)', () => {
    const github = { oauth2: { response: { errorKinds: { bad_verification_code: 'invalid_grant' as const } } } };
    expect(
      answer(github, 'error=bad_verification_code&error_description=The+code+is+incorrect+or+expired.'),
    ).toMatchObject({
      ok: false,
      kind: 'invalid_grant',
      description: 'The code is incorrect or expired.',
    });
    const slack = { oauth2: { response: { success: { path: 'ok', equals: true } } } };
    expect(answer(slack, { ok: false, error: 'invalid_code' })).toMatchObject({ ok: false, error: 'invalid_code' });
    const tiktok = {
      oauth2: { response: { success: { path: 'code', equals: 0 }, accessToken: ['data.access_token'] } },
    };
    expect(answer(tiktok, { code: 40_110, message: 'Auth_code is expired', data: {} })).toMatchObject({
      ok: false,
      error: '40110',
    });
    expect(answer(tiktok, { code: 0, message: 'OK', data: { access_token: 'at' } })).toMatchObject({
      ok: true,
      accessToken: 'at',
    });
  });

  it('nested tokens (Slack user token, Tripletex)', () => {
    const slack = { oauth2: { response: { accessToken: ['access_token', 'authed_user.access_token'] } } };
    expect(answer(slack, { ok: true, authed_user: { access_token: 'xoxp' } })).toMatchObject({ accessToken: 'xoxp' });
    expect(answer({ oauth2: { response: { accessToken: ['value.token'] } } }, { value: { token: 't' } })).toMatchObject(
      { accessToken: 't' },
    );
  });

  it('facts beside the token (Stripe, Notion, Slack)', () => {
    const change = {
      connectionConfig: { account: learned, team: learned },
      oauth2: { response: { metadata: { account: 'stripe_user_id', team: 'team.id' } } },
    };
    expect(answer(change, { access_token: 'at', stripe_user_id: 'acct_1', team: { id: 'T1' } })).toMatchObject({
      metadata: { account: 'acct_1', team: 'T1' },
    });
  });

  it('absolute expiry, other units, a known life (Strava, Square, Fiserv, Workday)', () => {
    const at = (expiry: NonNullable<OAuth2Spec['response']>['expiry']) => ({ oauth2: { response: { expiry } } });
    const expires = { path: 'expires_at', kind: 'at' } as const;
    expect(answer(at(expires), { access_token: 'a', expires_at: NOW / 1000 + 60 })).toMatchObject({
      expiresAtMs: NOW + 60_000,
    });
    expect(answer(at(expires), { access_token: 'a', expires_at: '2026-11-21T12:01:00Z' })).toMatchObject({
      expiresAtMs: NOW + 60_000,
    });
    const ms = at({ path: 'expires_in', kind: 'in', unit: 'milliseconds' });
    expect(answer(ms, { access_token: 'a', expires_in: 60_000 })).toMatchObject({ expiresAtMs: NOW + 60_000 });
    expect(answer({ oauth2: { response: { lifetimeSeconds: 60 } } }, { access_token: 'a' })).toMatchObject({
      expiresAtMs: NOW + 60_000,
    });
  });

  it('a refresh without a new refresh token keeps the old one (Google)', () => {
    const read = answer({}, { access_token: 'at2', expires_in: 3599 });
    expect(read.ok && read.refreshToken).toBeUndefined();
  });
});

describe('API credential', () => {
  const headers = (api: Partial<ApiSpec>, credential: ApiCredential = { type: 'OAUTH2', access_token: 'at' }) => {
    const { provider, connectionConfig, integrationConfig } = inputOf({ api });
    return apiRequest({ provider, connectionConfig, integrationConfig, credential, path: '/x' });
  };

  it('other schemes and headers (Xref, ClickUp, Shopify)', () => {
    const scheme = (name: string, value: string) => headers({ auth: { in: 'header', name, value } }).headers;
    expect(scheme('Authorization', 'Token ${accessToken}')).toEqual({ authorization: 'Token at' });
    expect(scheme('Authorization', '${accessToken}')).toEqual({ authorization: 'at' });
    expect(scheme('X-Shopify-Access-Token', '${accessToken}')).toEqual({ 'x-shopify-access-token': 'at' });
  });

  it('static headers (Notion version, Basecamp contact)', () => {
    expect(
      headers({ headers: { 'Notion-Version': '2022-06-28', 'User-Agent': 'App (a@b.example)' } }).headers,
    ).toMatchObject({
      'notion-version': '2022-06-28',
      'user-agent': 'App (a@b.example)',
    });
  });
});
