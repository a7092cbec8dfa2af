import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { catalogue } from '../index.ts';
import { checkProvider } from './check.ts';
import type { ProviderSpec } from './index.ts';
import { providerJsonSchema } from './schema.ts';

const FOLDER = new URL('..', import.meta.url);

/** The emulators that can play a provider. */
const EMULATORS = ['checkr', 'checkr-staging', 'xref', 'checkbook', 'checkbook-sandbox'];

const GOOD: ProviderSpec = {
  name: 'sample',
  displayName: 'Sample',
  categories: ['other'],
  authMode: 'OAUTH2',
  docsUrl: 'https://example.com',
  summary: 'Sample.',
  oauth2: {
    authorize: { url: 'https://${connectionConfig.shop}.shop.example/authorize' },
    callback: { stateEcho: 'always', metadata: ['realm'] },
    scopes: { default: ['a'], allowed: ['a', 'b'] },
    pkce: 'S256',
    token: { url: 'https://${connectionConfig.shop}.shop.example/token' },
    refresh: { rotation: { kind: 'overlap', graceSeconds: 30 } },
    choices: { auth: { body: { clientAuth: 'body' }, basic: { clientAuth: 'basic' } } },
  },
  connectionConfig: {
    shop: { title: 'Shop', description: 'Shop.', kind: 'label', example: 'acme' },
    instance: { title: 'I', description: 'I.', kind: 'url', hosts: ['.shop.example'], automated: true },
    realm: { title: 'Realm', description: 'Realm.', kind: 'segment', automated: true },
  },
  integrationConfig: {
    auth: { title: 'Auth', description: 'Auth.', kind: 'enum', options: ['body', 'basic'], default: 'body' },
    base: { title: 'Base', description: 'Base.', kind: 'url', optional: true },
    key: { title: 'Key', description: 'Key.', kind: 'segment', secret: true },
  },
  api: {
    baseUrl: 'https://api.shop.example',
    auth: { in: 'header', name: 'Authorization', value: 'Bearer ${accessToken}' },
  },
  disconnect: { kind: 'rfc7009', url: 'https://${connectionConfig.shop}.shop.example/revoke' },
  account: { idFrom: 'realm' },
  emulator: 'xref',
  gotchas: [],
  sources: ['https://example.com (read 2026-11)'],
};

describe('the catalogue', () => {
  const files = readdirSync(FOLDER)
    .filter((file) => file.endsWith('.ts') && file !== 'index.ts')
    .map((file) => file.slice(0, -'.ts'.length));

  it('lists every file, sorted', () => {
    expect([...catalogue.keys()]).toEqual(files.toSorted());
  });

  it.each(files)('%s follows the rules', async (file) => {
    const module = (await import(new URL(`${file}.ts`, FOLDER).href)) as { default: ProviderSpec };
    expect(checkProvider(module.default, { fileName: file, emulators: EMULATORS })).toEqual([]);
    expect(catalogue.get(file)).toBe(module.default);
  });

  it('has a JSON Schema that is up to date', () => {
    const file = readFileSync(new URL('_spec/provider.schema.json', FOLDER), 'utf8');
    expect(JSON.parse(file)).toEqual(JSON.parse(JSON.stringify(providerJsonSchema())));
  });
});

/** A change at a dotted path; undefined deletes. */
function changed(path: string, value: unknown): unknown {
  const copy = structuredClone(GOOD) as unknown as Record<string, unknown>;
  const keys = path.split('.');
  const last = keys.pop() as string;
  let place = copy;
  for (const key of keys) place = (place[key] ??= {}) as Record<string, unknown>;
  if (value === undefined) delete place[last];
  else place[last] = value;
  return copy;
}

describe('checkProvider', () => {
  it('is silent about a good entry', () => {
    expect(checkProvider(GOOD, { fileName: 'sample', emulators: EMULATORS })).toEqual([]);
  });

  it.each<[path: string, value: unknown, problem: RegExp]>([
    ['name', 'Sample', /name: a slug/],
    ['name', 'other', /must be the file name/],
    ['extra', 1, /[Uu]nrecognized key/],
    ['oauth2.authorize.extra', 1, /oauth2.authorize: [Uu]nrecognized key/],
    ['sources', [], /sources/],
    ['sources', ['https://example.com'], /must say when it was read/],
    ['docsUrl', 'http://example.com', /an https URL/],
    ['emulator', 'nobody', /there is no emulator "nobody"/],
    ['authMode', 'API_KEY', /oauth2: belongs to authMode OAUTH2/],
    ['authMode', 'API_KEY', /credentials: authMode API_KEY has exactly: apiKey/],
    ['oauth2', undefined, /belongs to authMode OAUTH2/],
    ['authMode', 'TWO_STEP', /disconnect: rfc7009 belongs to authMode OAUTH2; in TWO_STEP/],
    ['authMode', 'OAUTH2_CC', /disconnect: rfc7009 belongs to authMode OAUTH2; in OAUTH2_CC/],
    ['credentials', { apiKey: { title: 'K', description: 'K', kind: 'text' } }, /has exactly: none/],
    ['api.auth', { in: 'none' }, /sent nowhere/],
    ['api.auth.value', 'Bearer ${apiKey}', /authMode OAUTH2 has no \$\{apiKey\}/],
    ['api.auth.value', 'Bearer ${token}', /\$\{token\} is not declared/],
    ['api.auth.value', 'Bearer ${access token}', /misspelled/],
    ['api.headers', { 'x y': 'a' }, /a header name/],
    ['api.baseUrl', 'http://api.shop.example', /must be https/],
    ['api.baseUrl', 'https://api.shop.example?x=1', /has no query/],
    ['api.baseUrl', 'https://${connectionConfig.other}.shop.example', /is not declared/],
    ['api.baseUrl', 'https://api.shop.example/${accessToken}', /kind text/],
    ['api.baseUrl', 'https://api.shop.example/${integrationConfig.key}', /a secret may not stand in a URL/],
    ['api.baseUrl', 'https://api.shop.example/${clientId}', /authorize URL only/],
    ['api.spentAfterWriteWithScope', 'c', /no allowed scope/],
    ['api.verification', { method: 'GET', path: 'v1' }, /api.verification.path/],
    ['api.retry', { statuses: ['4xx', '6xx'] }, /429, 5xx or 500-502/],
    ['connectionConfig.shop.kind', 'url', /only the developer may set a whole URL/],
    ['connectionConfig.instance.hosts', undefined, /needs `automated` and `hosts`/],
    ['connectionConfig.instance.automated', undefined, /needs `automated` and `hosts`/],
    ['connectionConfig.instance.hosts', [], /connectionConfig.instance.hosts/],
    ['connectionConfig.instance.hosts', ['com'], /a host name, or a dot and a domain/],
    ['connectionConfig.instance.hosts', ['*.shop.example'], /a host name, or a dot and a domain/],
    ['connectionConfig.instance.example', 'https://evil.example', /instance.example: I must be an https address/],
    ['connectionConfig.shop.hosts', ['.shop.example'], /hosts belong to a learned URL/],
    ['api.verification', { method: 'GET', path: '/v1/${connectionConfig.other}' }, /is not declared/],
    ['api.verification', { method: 'GET', path: '/v1/${connectionConfig.instance}' }, /a path never takes/],
    ['api.verification', { method: 'GET', path: '/v1/${accessToken}' }, /a secret may not stand in a URL/],
    ['api.auth.value', 'Bearer ${clientSecret}', /exists only in the disconnect call/],
    ['oauth2.token.params', { a: '${refreshToken}' }, /exists only in API calls/],
    [
      'disconnect',
      { kind: 'call', method: 'POST', url: 'https://a.example', auth: { in: 'header', name: 'a', value: '${apiKey}' } },
      /authMode OAUTH2 has no \$\{apiKey\}/,
    ],
    [
      'disconnect',
      { kind: 'call', method: 'POST', url: 'https://a.example', body: { format: 'xml', params: {} } },
      /disconnect.body.format/,
    ],
    ['disconnect', { kind: 'call', method: 'POST', url: 'https://a.example/${refreshToken}' }, /kind text/],
    ['oauth2.response', { expiry: { kind: 'none', path: 'x' } }, /expiry/],
    ['connectionConfig.shop.kind', 'text', /kind text/],
    ['connectionConfig.shop.kind', 'segment', /kind segment/],
    ['connectionConfig.shop.example', 'a.b', /connectionConfig.shop.example: Shop must be/],
    ['connectionConfig.shop.options', ['a'], /options belong to kind enum/],
    ['connectionConfig.realm.automated', undefined, /missing or not automated/],
    ['connectionConfig.realm.automated', undefined, /account.idFrom/],
    ['integrationConfig.auth.options', undefined, /options belong to kind enum/],
    ['integrationConfig.auth.default', 'none', /must be one of: body, basic/],
    ['integrationConfig.auth.options', ['body', 'basic', 'none'], /exactly the options/],
    ['integrationConfig.auth.automated', true, /only connectionConfig is filled/],
    ['integrationConfig.key.default', 'x', /a secret has no default/],
    ['oauth2.choices.other', { a: {} }, /must name an integrationConfig field of kind enum/],
    ['oauth2.choices.auth.basic', { pkce: 'off' }, /PKCE off needs its reason/],
    ['oauth2.pkce', 'off', /pkceOffReason: is given exactly when/],
    ['oauth2.pkceOffReason', 'because', /pkceOffReason: is given exactly when/],
    ['oauth2.authorize.url', 'https://shop.example/#/a', /`fragment` exactly when/],
    ['oauth2.authorize.paramsIn', 'fragment', /`fragment` exactly when/],
    ['oauth2.authorize.rename', { client: 'x' }, /no standard parameter/],
    ['oauth2.authorize.rename', { state: 'custom' }, /name under which the state is sent/],
    ['oauth2.authorize.params', { state: null }, /no state is sent/],
    ['oauth2.authorize.params', { a: '${accessToken}' }, /exists only in API calls/],
    ['oauth2.authorize.params', { a: '${integrationConfig.key}' }, /a secret may not stand in a URL/],
    ['oauth2.token.params', { a: '${integrationConfig.nokey}' }, /is not declared/],
    ['oauth2.token.rename', { foo: 'x' }, /no standard parameter/],
    ['oauth2.token.method', 'PUT', /oauth2.token.method/],
    ['oauth2.token', { url: 'https://a.example/t', method: 'GET', body: 'form' }, /a GET has no body/],
    ['oauth2.scopes.default', ['c'], /"c" is not allowed/],
    ['oauth2.scopes', { default: ['a', 'b'], choose: 'one' }, /only one can be chosen/],
    ['oauth2.response', { expiry: { path: 'x', kind: 'in' } }, /expiry.unit/],
    ['oauth2.response', { metadata: { id: 'id' } }, /connectionConfig.id is missing/],
    ['oauth2.response', { accessToken: ['a..b'] }, /a dotted path/],
    ['oauth2.afterConnect', { url: 'https://a.example', metadata: { shop: 'id' } }, /connectionConfig.shop is missing/],
    ['oauth2.afterConnect', { url: 'http://a.example', metadata: { realm: 'id' } }, /afterConnect.url: must be https/],
    [
      'oauth2.afterConnect',
      { url: 'https://a.example/${accessToken}', metadata: { realm: 'id' } },
      /afterConnect.url: .*kind text/,
    ],
    [
      'oauth2.afterConnect',
      { url: 'https://a.example', newestBy: 'at', metadata: { realm: 'id' } },
      /afterConnect.list: is what/,
    ],
    ['oauth2.callback.signature', {}, /oauth2.callback.signature/],
    ['api.refusal', { success: { path: 'ok', equals: true }, code: 'error', unauthorized: [] }, /api.refusal/],
    ['disconnect', { kind: 'call', method: 'POST', url: 'https://a.example', goneStatuses: [200] }, /goneStatuses/],
    ['oauth2.refresh.rotation', { kind: 'overlap' }, /graceSeconds/],
    ['disconnect.url', 'https://${connectionConfig.shop}.example', /two fixed labels/],
  ])('%s = %j is told', (path, value, problem) => {
    const problems = checkProvider(changed(path, value), { fileName: 'sample', emulators: EMULATORS });
    expect(problems.join('\n')).toMatch(problem);
  });

  it('wants to know the account where one call ends all of it', () => {
    const all = changed('disconnect.ends', 'account');
    expect(checkProvider(all, { fileName: 'sample', emulators: EMULATORS })).toEqual([]);
    const { account: _, ...rest } = all as ProviderSpec;
    expect(checkProvider(rest, { emulators: EMULATORS }).join()).toMatch(/disconnect.ends: `account` needs/);
  });

  it('takes an origin learned from the provider as the start of a URL', () => {
    const learned = changed('api.baseUrl', '${connectionConfig.instance}');
    expect(checkProvider(learned, { fileName: 'sample', emulators: EMULATORS })).toEqual([]);
  });

  it('takes the client in the call that ends a grant', () => {
    const call = {
      kind: 'call',
      method: 'DELETE',
      url: 'https://api.shop.example/apps/${clientId}/grant',
      auth: { in: 'basic', username: '${clientId}', password: '${clientSecret}' },
      body: {
        format: 'json',
        params: { token: '${refreshToken} || ${accessToken}', realm: '${connectionConfig.realm}' },
      },
      success: { path: 'ok', equals: true },
      goneErrors: ['invalid_token'],
    };
    expect(checkProvider(changed('disconnect', call), { fileName: 'sample', emulators: EMULATORS })).toEqual([]);
  });

  it('refuses what JSON cannot hold', () => {
    expect(checkProvider({ ...GOOD, setupGuideUrl: undefined }).join()).toMatch(/JSON round trip/);
    expect(checkProvider({ ...GOOD, summary: () => 'x' })).not.toEqual([]);
    expect(checkProvider(null)).not.toEqual([]);
  });
});
