/**
 * Webhooks of every entry that has them, through the whole server, as its file says: proven, routed, asked back; and the
 * disconnects that a provider tells by account. A provider is named only where it has rules of its own.
 */
import { createHmac, generateKeyPairSync } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { catalogue } from '../../catalogue/index.ts';
import type { ProviderSpec, WebhookMeaningRule, WebhooksSpec } from '../../catalogue/_spec/index.ts';
import { startTestApp, type TestApp } from '../support/app.ts';
import { webhookOf, type EventFacts } from '../support/sign-webhook.ts';
import { settingsOf } from './stage.ts';

const SECRET = 'a secret of ours';
const PEM = generateKeyPairSync('rsa', { modulusLength: 2_048 }).privateKey.export({ type: 'pkcs1', format: 'pem' });
const PATIENT = { timeout: 10_000, interval: 20 };

const entries = [...catalogue.values()].filter(({ webhooks }) => webhooks !== undefined);

let app: TestApp;
let environmentUuid: string;
let made = 0;
const unique = (): string => String((made += 1) + 1_000);

beforeAll(async () => {
  app = await startTestApp({ seed: false });
  environmentUuid = (await app.services.environments.byName('dev'))?.uuid as string;
  for (const spec of entries) await setUp(spec);
});
afterAll(() => app?.close());

async function need(answer: Promise<{ status: number; text: string }>): Promise<void> {
  const { status, text } = await answer;
  if (status >= 300) throw new Error(`${status} ${text}`);
}

/** Providers are played by nobody: what is asked of them fails at once and is tried later. */
async function setUp(spec: ProviderSpec): Promise<void> {
  const credentials =
    spec.authMode === 'APP'
      ? { type: 'APP', app_id: '4711', app_link: 'https://github.com/apps/acme', private_key: PEM.toString() }
      : { type: spec.authMode, client_id: 'id', client_secret: SECRET };
  const config = settingsOf(spec);
  await need(
    app.api('POST', '/integrations', {
      provider: spec.name,
      unique_key: spec.name,
      ...(['APP', 'OAUTH1', 'OAUTH2'].includes(spec.authMode) && { credentials }),
      ...(Object.keys(config).length > 0 && { integration_config: config }),
      custom: { emulated: 'true', webhookSecret: SECRET },
    }),
  );
}

/** Connects, or connects again, as the one whom the provider knows by `name`. */
async function connect(
  spec: ProviderSpec,
  id: string,
  name: string,
  more: Record<string, string> = {},
  token = `token ${unique()}`,
): Promise<void> {
  const credentials =
    spec.authMode === 'APP'
      ? { type: 'APP', app_id: '4711', installation_id: name }
      : { type: 'OAUTH2', access_token: token };
  const field = fieldOf(spec);
  const config = { ...(spec.account !== undefined && { [spec.account.idFrom]: name }), [field]: name, ...more };
  await need(
    app.api('POST', '/connections', { provider_config_key: spec.name, connection_id: id, credentials, connection_config: config }), // prettier-ignore
  );
}

/** The field by which events name a connection. */
function fieldOf(spec: ProviderSpec): string {
  const { route } = spec.webhooks as WebhooksSpec;
  const rule = route === 'all' ? undefined : route.find(({ events }) => events === undefined);
  const [group, name] = (rule?.by ?? '').split('.');
  return (group === 'account' ? spec.account?.idFrom : name) as string;
}

interface Ending {
  type: string;
  more: Record<string, unknown>;
}

/** How an entry tells an end: its type, and what else has to be in the event. */
function endingOf(webhooks: WebhooksSpec): Ending | undefined {
  const all = Object.entries(webhooks.meanings ?? {}).map(([type, given]): [string, WebhookMeaningRule] => [
    type,
    typeof given === 'string' ? { is: given } : given,
  ]);
  const rules = webhooks.route === 'all' ? [] : webhooks.route;
  const found = all.find(([type, { is, lists }]) => {
    const byToken = rules.some(({ by, events }) => by === 'token' && events?.includes(type) === true);
    return is === 'deauthorized' && !byToken && lists === undefined;
  });
  if (found === undefined) return undefined;
  const [type, { when }] = found;
  return { type, more: when === undefined ? {} : { [when.path]: when.equals } };
}

const urlOf = (spec: ProviderSpec): string => `${app.url}/webhook/${environmentUuid}/${spec.name}`;

async function send(spec: ProviderSpec, facts: EventFacts, secret = SECRET, url = urlOf(spec)): Promise<number> {
  const { status } = await deliver(spec, facts, secret, url);
  await handled();
  return status;
}

async function deliver(spec: ProviderSpec, facts: EventFacts, secret: string, url: string): Promise<Response> {
  const { headers, body } = webhookOf(spec.webhooks as WebhooksSpec, facts, { secret, url, atMs: Date.now() });
  return fetch(url, { method: 'POST', headers, body });
}

async function handled(): Promise<void> {
  await app.services.inbound.work();
  await expect
    .poll(async () => (await app.db.query("SELECT 1 FROM inbound_event WHERE state = 'received'")).length, PATIENT)
    .toBe(0);
}

async function row(id: string): Promise<{ state: string; secrets: number } | undefined> {
  const rows = await app.db.query<{ state: string; secrets: number }>(
    `SELECT c.state, (SELECT count(*)::int FROM credential k WHERE k.environment_id = c.environment_id
       AND k.connection_id = coalesce(c.grant_of, c.id)) AS secrets
     FROM connection c WHERE c.connection_id = $1 ORDER BY c.id DESC LIMIT 1`,
    [id],
  );
  return rows[0];
}

const ALIVE = { state: 'active', secrets: 1 };
const OVER = { state: 'revoked_by_provider', secrets: 0 };

async function told(id: string): Promise<string[]> {
  const rows = await app.db.query<{ type: string }>(
    `SELECT e.type FROM event e JOIN connection c ON c.environment_id = e.environment_id AND c.id = e.connection_id
     WHERE c.connection_id = $1 AND e.type <> 'auth' ORDER BY e.id`,
    [id],
  );
  return rows.map(({ type }) => type);
}

async function stateOf(type: string): Promise<string[]> {
  const rows = await app.db.query<{ state: string }>(
    'SELECT state FROM inbound_event WHERE type = $1 ORDER BY id DESC LIMIT 1',
    [type],
  );
  return rows.map(({ state }) => state);
}

const letGo = (spec: ProviderSpec, id: string) =>
  need(app.api('DELETE', `/connections/${id}?provider_config_key=${spec.name}`));

describe('an event of every entry', () => {
  /** One connection each, which the provider knows by its number. */
  const who = new Map(entries.map(({ name }) => [name, unique()]));
  const facts = (spec: ProviderSpec, more: Partial<EventFacts> = {}): EventFacts => ({
    type: 'something',
    id: unique(),
    about: who.get(spec.name) as string,
    ...more,
  });

  beforeAll(async () => {
    for (const spec of entries) {
      const field = fieldOf(spec);
      const name = who.get(spec.name) as string;
      await app.db.query(
        `INSERT INTO connection (environment_id, integration_id, connection_id, connection_config, account_id, state)
         SELECT environment_id, id, $2, $3, $4, 'active' FROM integration WHERE unique_key = $1`,
        [spec.name, `${spec.name}-c`, field === undefined ? {} : { [field]: name }, name],
      );
    }
  });

  async function stored(spec: ProviderSpec): Promise<{ matched: number; trust: string }[]> {
    return app.db.query(
      `SELECT e.matched, e.trust FROM inbound_event e JOIN integration i ON i.id = e.integration_id
       WHERE i.unique_key = $1 ORDER BY e.id`,
      [spec.name],
    );
  }

  const connectionUrl = async ({ name }: ProviderSpec): Promise<string> =>
    (await app.api('GET', `/connections/${name}-c/webhook-url?provider_config_key=${name}`)).body.webhook_url;

  it('is stored once when it is proven, and reaches the connection that it names', async () => {
    const answers: unknown[] = [];
    for (const spec of entries) {
      const { verify, route, reply } = spec.webhooks as WebhooksSpec;
      const names = route === 'all' || route.some(({ by, events }) => by !== 'record' && events === undefined);
      const url = names && verify.kind !== 'none' ? urlOf(spec) : await connectionUrl(spec);
      const event = facts(spec, { about: fieldOf(spec) === 'connectionId' ? `${spec.name}-c` : who.get(spec.name) });
      const again = spec.webhooks?.repeats === true ? facts(spec) : event;
      const statuses = [event, again].map(async (one) => (await deliver(spec, one, SECRET, url)).status);
      const expected = reply?.status ?? 200;
      answers.push([spec.name, await Promise.all(statuses), [expected, expected], verify.kind]);
    }
    await handled();
    const found = await Promise.all(entries.map(stored));
    const trusts = { hmac: 'signature', token: 'signature', none: 'url' };
    for (const [index, spec] of entries.entries()) {
      const [name, statuses, expected, kind] = answers[index] as [string, number[], number[], keyof typeof trusts];
      const one = { matched: 1, trust: trusts[kind] };
      const events = spec.webhooks?.repeats === true ? [one, one] : [one];
      expect([name, statuses, found[index]]).toEqual([name, expected, events]);
    }
  });

  it('is refused when somebody else’s secret proves it, unless the URL is enough', async () => {
    for (const spec of entries) {
      const { verify } = spec.webhooks as WebhooksSpec;
      if (verify.kind === 'none') continue;
      const refused = await deliver(spec, facts(spec), 'another secret', urlOf(spec));
      const atUrl = await deliver(spec, facts(spec), 'another secret', await connectionUrl(spec));
      const proves = verify.kind === 'hmac' && verify.urlProves !== undefined;
      const expected = proves ? (spec.webhooks?.reply?.status ?? 200) : 401;
      expect([spec.name, refused.status, atUrl.status]).toEqual([spec.name, 401, expected]);
    }
    await handled();
  });

  it('never tells what the file calls a secret', async () => {
    const secrets = entries.filter(({ webhooks }) => webhooks?.verify.kind === 'token');
    expect(secrets.map(({ name }) => name)).toEqual(expect.arrayContaining(['google', 'microsoft', 'zoho-crm']));
    const shown = await app.api('GET', '/inbound-events?limit=100');
    const bodies = await Promise.all(
      shown.body.events.map(async ({ id }: { id: string }) => (await app.api('GET', `/inbound-events/${id}`)).text),
    );
    const told = await app.db.query('SELECT payload, provider_headers FROM event');
    expect(JSON.stringify([bodies, told])).not.toContain(SECRET);
  });
});

describe('the question by which a provider checks the URL', () => {
  const spec = (name: string) => catalogue.get(name) as ProviderSpec;
  const ask = async (name: string, query = '', method = 'GET') => {
    const response = await fetch(urlOf(spec(name)) + query, { method });
    const [type, allow] = ['content-type', 'allow'].map((header) => response.headers.get(header));
    return { status: response.status, text: await response.text(), type, allow };
  };

  it('is answered: echoed, signed, or by being there', async () => {
    expect(await ask('microsoft', '?validationToken=a%20b%26c', 'POST')).toMatchObject({ status: 200, text: 'a b&c' });
    const token = createHmac('sha256', SECRET).update('challenge_string').digest('base64');
    const signed = await ask('twitter', '?crc_token=challenge_string&nonce=1');
    expect(signed).toMatchObject({ status: 200, text: `{"response_token":"sha256=${token}"}` });
    expect(signed.type).toBe('application/json; charset=utf-8');
    const query = `?hub.mode=subscribe&hub.challenge=15f7d1a91c1f40&hub.verify_token=${encodeURIComponent(SECRET)}`;
    expect(await ask('strava', query)).toMatchObject({ status: 200, text: '{"hub.challenge":"15f7d1a91c1f40"}' });
    expect(await ask('trello', '', 'HEAD')).toMatchObject({ status: 200, text: '' });
  });

  it.each<[why: string, name: string, query: string, status: number, method?: string]>([
    ['the wrong secret', 'strava', '?hub.challenge=1&hub.verify_token=no', 401],
    ['no secret', 'strava', '?hub.challenge=1', 401],
    ['nothing to answer', 'twitter', '', 405],
    ['a text that is too long', 'twitter', `?crc_token=${'a'.repeat(3_000)}`, 405],
    ['one that is asked in another way', 'trello', '', 405],
    ['one that asks nothing', 'stripe', '?crc_token=1', 405],
    ['one that asks nothing', 'stripe', '', 405, 'HEAD'],
  ])('is refused with %s', async (_why, name, query, status, method) => {
    expect(await ask(name, query, method)).toMatchObject({ status, allow: status === 405 ? 'POST' : null });
  });

  it('lends nobody a signature: what is signed for whoever asks is no event', async () => {
    const url = urlOf(spec('twitter'));
    const sign = async (text: string) => ask('twitter', `?crc_token=${encodeURIComponent(text)}`);
    expect((await sign('{"for_user_id":"1"}')).status).toBe(405);
    const { text } = await sign('for_user_id=1');
    const proof = JSON.parse(text).response_token as string;
    const headers = {
      'x-twitter-webhooks-signature': proof,
      'content-type': 'application/x-www-form-urlencoded',
    };
    expect((await fetch(url, { method: 'POST', headers, body: 'for_user_id=1' })).status).toBe(401);
  });

  it('is not answered before there is a secret', async () => {
    await need(app.api('PATCH', '/integrations/twitter', { custom: { emulated: 'true', webhookSecret: '' } }));
    expect((await ask('twitter', '?crc_token=1')).status).toBe(403);
  });
});

const endings = entries.flatMap((spec) => {
  const ending = spec.webhooks && endingOf(spec.webhooks);
  return ending === undefined ? [] : [[spec.name, spec, ending] as const];
});

it('those that are promised tell it by account', () => {
  expect(endings.map(([name]) => name)).toEqual(
    expect.arrayContaining(['github-app', 'shopify', 'slack', 'square', 'stripe', 'tiktok']),
  );
});

describe.each(endings)('a disconnect at %s', (name, spec, { type, more }) => {
  const who = unique();
  const tell = (id: string, atMs = Date.now(), secret?: string) =>
    send(spec, { type, more, id, atMs, about: who }, secret);

  it('ends the connection that it names, once; what comes late or again does not end the next grant', async () => {
    const id = `${name}-a`;
    const other = `${name}-b`;
    await connect(spec, id, who);
    await connect(spec, other, unique());
    const beforeMs = Date.now() - 60_000;
    expect(await tell('forged', Date.now(), 'another secret')).toBe(401);
    expect(await row(id)).toEqual(ALIVE);

    expect(await tell('e1')).toBe(200);
    expect([await row(id), await row(other)]).toEqual([OVER, ALIVE]);
    expect(await told(id)).toEqual(['connection.state', 'connection.deauthorized', 'forward']);
    expect(await tell('e1')).toBe(200);
    // A provider's clock may be ahead: no event is of a time after it came.
    expect(await tell('e2', Date.now() + 3_600_000)).toBe(200);
    expect((await told(id)).filter((one) => one === 'connection.deauthorized')).toHaveLength(1);

    await connect(spec, id, who);
    const toldBefore = await told(id);
    await need(app.api('POST', '/inbound-events/replay', { provider_config_key: spec.name }));
    await handled();
    if (spec.webhooks?.at !== undefined) expect(await tell('late', beforeMs)).toBe(200);
    expect(await row(id)).toEqual(ALIVE);
    expect(await told(id)).toEqual(toldBefore);
  });

  it('is nothing new when it was us', async () => {
    const id = `${name}-ours`;
    const mine = unique();
    await connect(spec, id, mine);
    await letGo(spec, id);
    const toldBefore = await told(id);
    expect(await send(spec, { type, more, id: 'echo', about: mine, atMs: Date.now() })).toBe(200);
    expect(await stateOf(type)).toEqual(['routed']);
    expect(await told(id)).toEqual(toldBefore);
  });
});

describe('who is meant', () => {
  const spec = (name: string) => catalogue.get(name) as ProviderSpec;
  const stripe = spec('stripe');
  const slack = spec('slack');
  const end = (about: string): EventFacts => ({
    type: 'account.application.deauthorized',
    id: unique(),
    about,
    atMs: Date.now(),
  });

  it('nobody, unless a signature proves it; and at the URL of a connection nobody else', async () => {
    const [one, another] = [unique(), unique()];
    await connect(stripe, 'trust-a', one);
    await connect(stripe, 'trust-b', another);
    const { body } = await app.api('GET', '/connections/trust-b/webhook-url?provider_config_key=stripe');
    expect(await send(stripe, end(one), SECRET, body.webhook_url)).toBe(200);
    expect([await row('trust-a'), await row('trust-b')]).toEqual([ALIVE, ALIVE]);

    const trusting = { emulated: 'true', webhookSecret: SECRET, webhook_trust: 'none' };
    await need(app.api('PATCH', '/integrations/stripe', { custom: trusting }));
    expect(await send(stripe, end(one))).toBe(200);
    expect(await row('trust-a')).toEqual(ALIVE);
    expect(await told('trust-a')).toEqual(['forward']);
    await need(app.api('PATCH', '/integrations/stripe', { custom: { emulated: 'true', webhookSecret: SECRET } }));
    expect(await send(stripe, end(one))).toBe(200);
    expect(await row('trust-a')).toEqual(OVER);
  });

  it('at Shopify the shop in the body, which is signed, and not that in a header, which is not', async () => {
    const shopify = spec('shopify');
    const [mine, theirs] = [unique(), unique()];
    await connect(shopify, 'shop-mine', mine);
    await connect(shopify, 'shop-theirs', theirs);
    const event = { type: 'app/uninstalled', id: unique(), about: mine, atMs: Date.now() };
    const url = urlOf(shopify);
    const { headers, body } = webhookOf(shopify.webhooks as WebhooksSpec, event, { secret: SECRET, url, atMs: 0 });
    const forged = { ...headers, 'x-shopify-shop-domain': `${theirs}.myshopify.com` };
    expect((await fetch(url, { method: 'POST', headers: forged, body })).status).toBe(200);
    await handled();
    expect([await row('shop-mine'), await row('shop-theirs')]).toEqual([OVER, ALIVE]);
  });

  const revoked = (team: string, tokens: { bot?: string[]; oauth?: string[] }): EventFacts => ({
    type: 'tokens_revoked',
    id: unique(),
    about: team,
    atMs: Date.now(),
    more: { 'event.tokens': tokens },
  });

  it('those in the list alone: a bot, or a person without one', async () => {
    const team = unique();
    await connect(slack, 'bot', team, { authed_user_id: 'U1', bot_user_id: 'B1' });
    await connect(slack, 'person-1', team, { authed_user_id: 'U1' });
    await connect(slack, 'person-2', team, { authed_user_id: 'U2' });
    await connect(slack, 'elsewhere', unique(), { authed_user_id: 'U1' });
    const states = () => Promise.all(['bot', 'person-1', 'person-2', 'elsewhere'].map(row));
    expect(await send(slack, revoked(team, { oauth: ['U1'] }))).toBe(200);
    expect(await states()).toEqual([ALIVE, OVER, ALIVE, ALIVE]);
    expect(await send(slack, revoked(team, { bot: ['B1'], oauth: [] }))).toBe(200);
    expect(await states()).toEqual([OVER, OVER, ALIVE, ALIVE]);
  });

  it('not the others, when it is the echo of one that we ended', async () => {
    const team = unique();
    const person = { authed_user_id: 'U7' };
    await connect(slack, 'mine', team, person);
    await connect(slack, 'sibling', team, person);
    await letGo(slack, 'mine');
    expect(await send(slack, revoked(team, { oauth: ['U7'] }))).toBe(200);
    expect([await row('sibling'), await told('sibling')]).toEqual([ALIVE, []]);
    expect(await send(slack, revoked(team, { oauth: ['U7'] }))).toBe(200);
    expect(await row('sibling')).toEqual(OVER);
  });

  it('not the third, when two are ended before the provider tells of either', async () => {
    const team = unique();
    const person = { authed_user_id: 'U8' };
    for (const id of ['first', 'second', 'third']) await connect(slack, id, team, person);
    await letGo(slack, 'first');
    await letGo(slack, 'second');
    expect(await send(slack, revoked(team, { oauth: ['U8'] }))).toBe(200);
    expect(await send(slack, revoked(team, { oauth: ['U8'] }))).toBe(200);
    expect([await row('third'), await told('third')]).toEqual([ALIVE, []]);
    expect(await send(slack, revoked(team, { oauth: ['U8'] }))).toBe(200);
    expect(await row('third')).toEqual(OVER);
  });

  it.each([
    ['with the same token', 'separate'],
    ['of a shared grant', 'share'],
  ])('the one that stays, when of two %s only one was ended: the provider was not asked', async (_what, policy) => {
    const [team, token] = [unique(), `token ${unique()}`];
    const person = { authed_user_id: 'U9' };
    const custom = { emulated: 'true', webhookSecret: SECRET, account_policy: policy };
    await need(app.api('PATCH', '/integrations/slack', { custom }));
    await connect(slack, `${policy}-leaves`, team, person, token);
    await connect(slack, `${policy}-stays`, team, person, token);
    await letGo(slack, `${policy}-leaves`);
    expect(await row(`${policy}-stays`)).toEqual(ALIVE);
    expect(await send(slack, revoked(team, { oauth: ['U9'] }))).toBe(200);
    expect(await row(`${policy}-stays`)).toEqual(OVER);
  });
});
