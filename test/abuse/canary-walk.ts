/** Twelve secrets, and a walk through every flow of the program that they go with. */
import { createHmac, randomBytes, randomUUID } from 'node:crypto';
import { generateKey } from '../../src/platform/keyring/index.ts';
import { ECHOES, type Canary, type Echo } from '../support/canary.ts';
import { cookieOf } from '../support/connect.ts';
import type { TestDatabase } from '../support/database.ts';
import { turns } from '../support/evil.ts';
import type { HawserJson, Program } from '../support/process.ts';
import { exchange } from './edge.ts';

const random = (): string => randomBytes(12).toString('hex');
/** Characters that every encoding writes in its own way, as far as the place allows. */
export const odd = (name: string): string => `${name}/"+\\=?>é-${random()}`;
/** RFC 6749 A: codes and tokens are printable ASCII. */
const printable = (name: string): string => `${name}/"+\\=?>-${random()}`;
const ascii = (name: string): string => `${name}/+=~-${random()}`;

export const canaries = new Map<string, string>([
  ['client secret', odd('cs')],
  ['access token', ascii('at')],
  ['refresh token', printable('rt')],
  ['API key credential', ascii('ak')],
  ['Basic password', odd('bp')],
  ['code', printable('co')],
  ['encryption key', generateKey()],
  ['database password', `db-${random()}`],
]);
/** Of these there is a new one for every flow; none is forgotten. */
const passing: Canary[] = [];
const passes = (name: string, secret: string): void => {
  canaries.set(name, secret);
  passing.push({ name, secret });
};
export const canary = (name: string): string => canaries.get(name) as string;
export const all = (except: string[] = []): Canary[] =>
  [...[...canaries].map(([name, secret]) => ({ name, secret })), ...passing].filter(
    ({ name }) => !except.includes(name),
  );

/** What the program said, and answered. */
export const said: { where: string; text: string; except?: string[] }[] = [];

/** Where the app is told of events. */
export const HOOKS = '/hooks';

/** What the program stands on. */
interface Ground {
  /** The provider. */
  echo: Echo;
  database: TestDatabase;
  /** The program's user of the database. */
  role: string;
}

/** Every flow, each with everything that can fail in it. */
export async function walk(file: HawserJson, program: Program, { echo, database, role }: Ground): Promise<void> {
  const key = file.environments.dev.apiKey;
  let step = '';

  /** A call whose reply is kept for the search. `except`: what this reply is for. */
  async function call(
    method: string,
    path: string,
    options: {
      body?: unknown;
      text?: string;
      token?: string;
      headers?: Record<string, string>;
      except?: string[];
    } = {},
  ): Promise<{ response: Response; text: string }> {
    // prettier-ignore
    const body = options.text ?? (options.body === undefined ? undefined : JSON.stringify(options.body));
    const response = await fetch(file.url + path, {
      method,
      redirect: 'manual',
      headers: {
        ...(options.token !== '' && { authorization: `Bearer ${options.token ?? key}` }),
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...options.headers,
      },
      body,
    });
    const text = await response.text();
    const head = [...response.headers].map(([name, value]) => `${name}: ${value}`).join('\n');
    said.push({
      where: `reply of ${method} ${path.split('?')[0]} (${step})`,
      text: `${head}\n\n${text}`,
      except: options.except,
    });
    return { response, text };
  }
  const expectStatus = (made: { response: Response; text: string }, status: number): unknown => {
    if (made.response.status !== status) throw new Error(`${step}: ${made.response.status} ${made.text}`);
    return made.text === '' ? undefined : JSON.parse(made.text);
  };
  const good = (response: Parameters<Echo['token']>[1]): void => {
    const body = { access_token: canary('access token'), refresh_token: canary('refresh token'), token_type: 'Bearer', expires_in: 3_600, scope: 'a' }; // prettier-ignore
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  };

  step = 'integrations';
  const integration = (unique: string, more: object = {}): object => ({
    provider: 'oauth2-generic',
    unique_key: unique,
    credentials: { type: 'OAUTH2', client_id: 'an-id', client_secret: canary('client secret'), scopes: 'a' },
    integration_config: {
      authorization_url: `${echo.url}/authorize`,
      token_url: `${echo.url}/token`,
      revocation_url: `${echo.url}/revoke`,
      api_base_url: `${echo.url}/api`,
      rotation: 'none',
      ...more,
    },
  });
  expectStatus(await call('POST', '/integrations', { body: integration('crm') }), 200);
  expectStatus(await call('POST', '/integrations', { body: integration('crm-basic', { token_auth: 'basic' }) }), 200);
  for (const [unique, provider] of [
    ['with-key', 'private-api-bearer'],
    ['with-password', 'private-api-basic'],
  ] as const) {
    // prettier-ignore
    const body = { provider, unique_key: unique, integration_config: { base_url: `${echo.url}/api` } };
    expectStatus(await call('POST', '/integrations', { body }), 200);
  }
  // Every event from here on is signed with it and sent.
  const endpoint = await call('POST', '/endpoints', {
    body: { url: echo.url + HOOKS },
    except: ['endpoint secret'],
  });
  const made = JSON.parse(endpoint.text) as { data: { id: string; secret: string } };
  canaries.set('endpoint secret', made.data.secret);
  await call('POST', `/endpoints/${made.data.id}/test`);
  await call('GET', '/endpoints');
  await call('GET', '/integrations');
  await call('GET', '/integrations/crm');
  await call('GET', '/integrations/crm?include=credentials', { except: ['client secret'] });
  await call('POST', '/integrations', { body: integration('crm') });
  await call('POST', '/integrations', { body: { ...integration('x'), surprise: 1 } });
  await call('POST', '/integrations', { body: { ...integration('x'), credentials: { type: 'OAUTH1', client_id: 'a', client_secret: canary('client secret') } } }); // prettier-ignore
  await call('PATCH', '/integrations/crm', { body: { credentials: { type: 'OAUTH2', client_id: 'an-id', client_secret: canary('client secret'), scopes: 'not/ok?' } } }); // prettier-ignore

  step = 'connect';
  const newSession = async (): Promise<string> => {
    const made = await call('POST', '/connect/sessions', {
      body: { end_user: { id: 'user-1' } },
      except: ['session token'],
    });
    const { data } = expectStatus(made, 201) as { data: { token: string } };
    passes('session token', data.token);
    return data.token;
  };
  const begin = async (integrationKey: string, query: Record<string, string> = {}) => {
    const token = await newSession();
    const search = new URLSearchParams({ connect_session_token: token, ...query });
    const { response } = await call('GET', `/oauth/connect/${integrationKey}?${search}`, {
      token: '',
      except: ['state', 'browser cookie'],
    });
    const state = new URL(response.headers.get('location') as string).searchParams.get('state') as string;
    passes('state', state);
    const cookie = cookieOf(response);
    passes('browser cookie', cookie.split('=')[1] as string);
    return { token, state, cookie };
  };
  const back = (query: Record<string, string>, cookie: string) =>
    call('GET', `/oauth/callback?${new URLSearchParams(query)}`, { token: '', headers: { cookie } });
  const code = canary('code');
  for (const [name, answer] of Object.entries(ECHOES)) {
    for (const integrationKey of ['crm', 'crm-basic']) {
      step = `connect, ${integrationKey}: ${name}`;
      echo.token = answer;
      const { state, cookie } = await begin(integrationKey);
      await back({ code, state }, cookie);
    }
  }
  echo.token = (_request, response) => good(response);
  step = 'connect, refused';
  const refused = await begin('crm', { return_to: 'https://app.example.com/done' });
  await back({ state: refused.state, error: 'access_denied', error_description: `because of ${code}` }, refused.cookie);
  step = 'connect, other browser';
  const stolen = await begin('crm');
  await back({ state: stolen.state, code }, 'hawser_browser=1');
  await back({ state: stolen.state, code }, stolen.cookie);
  step = 'connect, good';
  const happy = await begin('crm');
  const done = await back({ state: happy.state, code }, happy.cookie);
  if (done.response.status !== 200) throw new Error(`the flow did not work: ${done.text}`);
  await back({ state: happy.state, code }, happy.cookie);
  await call('GET', '/connect/session', { token: happy.token });
  await call('GET', `/oauth/connect/crm?connect_session_token=${happy.token}`, { token: '' });
  await call('GET', `/oauth/connect/crm?connect_session_token=${happy.token}&surprise=1`, { token: '' });

  step = 'typed credentials';
  const typed = async (path: string, body: object): Promise<void> => {
    const query = `?connect_session_token=${await newSession()}`;
    await call('POST', `${path}/crm${query}`, { token: '', body });
    await call('POST', `${path}/nobody${query}`, { token: '', body });
    await call('POST', `${path}/with-key${query}`, { token: '', body: { ...body, surprise: 1 } });
    await call('POST', `${path}/${path.endsWith('basic') ? 'with-password' : 'with-key'}${query}`, { token: '', body });
    await call('POST', `${path}/with-key${query}`, { token: '', body });
  };
  await typed('/api-auth/api-key', { apiKey: canary('API key credential') });
  await typed('/api-auth/basic', { username: 'me', password: canary('Basic password') });

  step = 'imports';
  const oauth = { type: 'OAUTH2', access_token: canary('access token'), refresh_token: canary('refresh token') };
  const credentials = ['access token', 'refresh token', 'API key credential', 'Basic password'];
  const imported = (body: object, except: string[] = []) => call('POST', '/connections', { body, except });
  const expired = { ...oauth, expires_at: '2020-01-01T00:00:00Z' };
  expectStatus(
    await imported({ provider_config_key: 'crm', connection_id: 'old', credentials: expired }, credentials),
    201,
  );
  expectStatus(
    await imported({ provider_config_key: 'crm', connection_id: 'young', credentials: oauth }, credentials),
    201,
  );
  expectStatus(await imported({ provider_config_key: 'with-key', connection_id: 'k', credentials: { type: 'API_KEY', apiKey: canary('API key credential') } }, credentials), 201); // prettier-ignore
  expectStatus(await imported({ provider_config_key: 'with-password', connection_id: 'p', credentials: { type: 'BASIC', username: 'me', password: canary('Basic password') } }, credentials), 201); // prettier-ignore
  await imported({ provider_config_key: 'with-key', credentials: oauth });
  await imported({ provider_config_key: 'nobody', credentials: oauth });
  await imported({ provider_config_key: 'crm', credentials: { ...oauth, type: 'OAUTH9' } });
  await imported({ provider_config_key: 'crm', credentials: { ...oauth, expires_at: canary('access token') } });
  await imported({ provider_config_key: 'crm', credentials: oauth, connection_id: '\n', tags: { '1x': canary('access token') } }); // prettier-ignore
  await imported({ provider_config_key: 'crm', credentials: oauth, webhook_url_override: `x://${canary('code')}` });
  await imported({ provider_config_key: canary('client secret'), credentials: oauth });
  await call('POST', '/connections', { text: JSON.stringify({ credentials: oauth }).slice(0, -3) });
  await call('POST', '/connections', { text: `{"a":"${canary('access token')}","a":1}` });
  await call('POST', '/connections', { text: JSON.stringify(oauth), headers: { 'content-type': 'text/plain' } });
  await call('POST', '/connection', { body: { provider_config_key: 'crm', connection_id: 'flat', access_token: canary('access token') }, except: credentials }); // prettier-ignore

  step = 'reading';
  await call('GET', '/connections');
  await call('GET', '/connections/young?provider_config_key=crm&refresh_token=true', { except: credentials });
  await call('GET', `/connections/${encodeURIComponent(canary('code'))}?provider_config_key=crm`);
  await call('GET', `/connections?search=${encodeURIComponent(canary('access token'))}`);
  for (const token of [
    canary('access token'),
    `${key}x`,
    happy.token,
    canary('code').replaceAll(/[^ -~]/g, ''),
    randomUUID(),
  ]) {
    await call('GET', '/connections', { token });
    await call('GET', '/connect/session', { token });
    await call('GET', '/proxy/x', { token });
  }

  for (const [name, answer] of Object.entries(ECHOES)) {
    step = `refresh: ${name}`;
    echo.token = answer;
    const id = `refresh-${randomUUID()}`;
    expectStatus(
      await imported({ provider_config_key: 'crm', connection_id: id, credentials: expired }, credentials),
      201,
    );
    // What is refused holds no credential; what could still be served is the credential, which is the job.
    const read = await call('GET', `/connections/${id}?provider_config_key=crm&force_refresh=true`, {
      except: credentials,
    });
    if (read.response.status === 200) throw new Error(`${step}: it was refreshed`);
    (said.at(-1) as { except?: string[] }).except = [];
    await call('GET', '/proxy/x', { headers: { 'provider-config-key': 'crm', 'connection-id': id } });
    await call('DELETE', `/connections/${id}?provider_config_key=crm`);
  }
  echo.token = (_request, response) => good(response);
  await call('GET', '/connections/old?provider_config_key=crm&force_refresh=true', { except: credentials });

  step = 'proxy';
  // The provider's own answer is passed on as it is, echo or not; what we say ourselves is searched.
  for (const [integrationKey, connection] of [
    ['crm', 'young'],
    ['with-key', 'k'],
    ['with-password', 'p'],
  ] as const) {
    const names = { 'provider-config-key': integrationKey, 'connection-id': connection };
    for (const path of ['/status/200', '/status/400', '/status/401', '/status/500', '/status/503']) {
      await call('POST', `/proxy${path}?token=${encodeURIComponent(canary('code'))}`, { body: { a: 1 }, headers: names, except: [...credentials, 'code'] }); // prettier-ignore
    }
    await fetch(`${file.url}/proxy/cut`, { headers: { ...names, authorization: `Bearer ${key}` } }).then((response) => response.text()).catch(() => ''); // prettier-ignore
    await call('GET', '/proxy/../x', { headers: names });
    await call('GET', '/proxy/x', { headers: { ...names, 'base-url-override': `https://u:${encodeURIComponent(canary('code'))}@x.example` } }); // prettier-ignore
    await call('GET', '/proxy/x', { headers: { ...names, retries: canary('access token') } });
    await call('GET', '/proxy/x', { headers: { ...names, 'nango-proxy-x': canary('access token'), 'connection-id': 'nobody' } }); // prettier-ignore
  }
  step = 'proxy, provider gone';
  const gone = { ...(integration('gone') as { integration_config: object }) };
  await call('POST', '/integrations', { body: { ...gone, integration_config: { ...gone.integration_config, api_base_url: 'http://127.0.0.1:9', token_url: 'https://no-such-host.invalid/token' } } }); // prettier-ignore
  await imported({ provider_config_key: 'gone', connection_id: 'g', credentials: oauth }, credentials);
  await imported({ provider_config_key: 'gone', connection_id: 'h', credentials: expired }, credentials);
  for (const id of ['g', 'h']) {
    await call('GET', '/proxy/x', { headers: { 'provider-config-key': 'gone', 'connection-id': id } });
  }

  step = 'webhooks';
  const checks = { provider: 'checkr-partner', unique_key: 'checks', custom: { emulated: 'true' }, credentials: { type: 'OAUTH2', client_id: 'an-id', client_secret: canary('client secret') } }; // prettier-ignore
  expectStatus(await call('POST', '/integrations', { body: checks }), 200);
  await imported({ provider_config_key: 'checks', connection_id: 'candidate', credentials: { type: 'OAUTH2', access_token: canary('access token') } }, credentials); // prettier-ignore
  const told = expectStatus(await call('GET', '/integrations/checks?include=webhook'), 200);
  const { pathname } = new URL((told as { data: { webhook_url: string } }).data.webhook_url);
  const goodbye = { id: randomUUID(), object: 'event', type: 'token.deauthorized', data: { object: { access_code: canary('access token') } } }; // prettier-ignore
  const text = JSON.stringify(goodbye);
  const sign = (body: string) => createHmac('sha256', canary('client secret')).update(body).digest('hex');
  for (const [body, signature] of [
    [text, canary('client secret')],
    [text, undefined],
    [text.slice(0, -1), sign(text.slice(0, -1))],
    [text, sign(text)],
  ] as const) {
    await call('POST', pathname, { text: body, token: '', headers: signature === undefined ? {} : { 'x-checkr-signature': signature } }); // prettier-ignore
  }
  const isTold = () => echo.requests.some(({ path, body }) => path === HOOKS && body.includes('"[redacted]"'));
  while (!isTold()) await turns();
  const list = expectStatus(await call('GET', '/inbound-events'), 200) as { events: { id: string }[] };
  for (const { id } of list.events) await call('GET', `/inbound-events/${id}`);

  step = 'disconnect';
  for (const answer of [ECHOES['page of a gateway'], ECHOES['nothing but a hang-up'], ECHOES['plain text']]) {
    echo.revoke = answer as Echo['revoke'];
    const id = `leave-${randomUUID()}`;
    await imported({ provider_config_key: 'crm', connection_id: id, credentials: oauth }, credentials);
    await call('DELETE', `/connections/${id}?provider_config_key=crm`);
  }

  step = 'malformed requests';
  const { port } = new URL(file.url);
  for (const bytes of [
    `GET /connections HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer ${key}\r\nX: a\0b\r\n\r\n`,
    `GET /connections?key=${key} HTTP/1.1\r\nHost : h\r\n\r\n`,
    `${key} /connections HTTP/1.1\r\n\r\n`,
    `GET /connections HTTP/1.1\r\nHost: h\r\nAuthorization: ${key} ${'x'.repeat(40_000)}\r\n\r\n`,
  ]) {
    said.push({ where: `reply (${step})`, text: (await exchange(Number(port), bytes)).text });
  }

  step = 'connect, left open';
  await begin('crm');

  step = 'database lost';
  await database.db.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1', [role]);
  while ((await fetch(`${file.url}/ready`)).status !== 200) await turns();
  await call('GET', '/connections');
  if (program.child.exitCode !== null) throw new Error('the program ended');
  await call('GET', '/deliveries?limit=100');
  await call('GET', '/deliveries/1');
}
