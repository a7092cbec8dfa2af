/**
 * Disconnects that a provider tells by account, through the whole server: every entry whose file says so. Nothing here
 * names a provider, but where one has rules of its own.
 */
import { generateKeyPairSync } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { catalogue } from '../../catalogue/index.ts';
import type { ProviderSpec, WebhookMeaningRule, WebhooksSpec } from '../../catalogue/_spec/index.ts';
import { startTestApp, type TestApp } from '../support/app.ts';
import { eventOf, signWebhook, type EventFacts } from '../support/sign-webhook.ts';

const SECRET = 'a secret of ours';
const PEM = generateKeyPairSync('rsa', { modulusLength: 2_048 }).privateKey.export({ type: 'pkcs1', format: 'pem' });
const PATIENT = { timeout: 10_000, interval: 20 };

let app: TestApp;
let environmentUuid: string;
let made = 0;
const unique = (): string => String((made += 1) + 1_000);

beforeAll(async () => {
  app = await startTestApp({ seed: false });
  environmentUuid = (await app.services.environments.byName('dev'))?.uuid as string;
});
afterAll(() => app?.close());

async function need(answer: Promise<{ status: number; text: string }>): Promise<void> {
  const { status, text } = await answer;
  if (status >= 300) throw new Error(`${status} ${text}`);
}

/** Providers are played by nobody: what is asked of them fails at once and is tried later. */
async function setUp(spec: ProviderSpec): Promise<void> {
  const client =
    spec.authMode === 'APP'
      ? { type: 'APP', app_id: '4711', app_link: 'https://github.com/apps/acme', private_key: PEM.toString() }
      : { type: 'OAUTH2', client_id: 'id', client_secret: SECRET };
  const custom = { emulated: 'true', webhookSecret: SECRET };
  await need(
    app.api('POST', '/integrations', { provider: spec.name, unique_key: spec.name, credentials: client, custom }),
  );
}

/** Connects, or connects again, as the one whom the provider knows by `name`. */
async function connect(spec: ProviderSpec, id: string, name: string, more: Record<string, string> = {}): Promise<void> {
  const credentials =
    spec.authMode === 'APP'
      ? { type: 'APP', app_id: '4711', installation_id: name }
      : { type: 'OAUTH2', access_token: `token ${unique()}` };
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

async function send(spec: ProviderSpec, facts: EventFacts, secret = SECRET, to?: string): Promise<number> {
  const webhooks = spec.webhooks as WebhooksSpec;
  const { headers, body } = eventOf(webhooks, facts);
  const url = to ?? `${app.url}/webhook/${environmentUuid}/${spec.name}`;
  const { verify } = webhooks;
  const proof = verify.kind === 'hmac' ? signWebhook(verify, { secret, atMs: Date.now(), body, url }) : {};
  const all = { 'content-type': 'application/json', ...headers, ...proof };
  const { status } = await fetch(url, { method: 'POST', headers: all, body });
  await handled();
  return status;
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

const endings = [...catalogue.values()].flatMap((spec) => {
  const ending = spec.webhooks && endingOf(spec.webhooks);
  return ending === undefined ? [] : [[spec.name, spec, ending] as const];
});

it('those that are promised tell it by account', () => {
  expect(endings.map(([name]) => name)).toEqual(
    expect.arrayContaining(['github-app', 'shopify', 'slack', 'square', 'stripe']),
  );
});

describe.each(endings)('a disconnect at %s', (name, spec, { type, more }) => {
  const who = unique();
  const tell = (id: string, atMs = Date.now(), secret?: string) =>
    send(spec, { type, more, id, atMs, about: who }, secret);

  beforeAll(() => setUp(spec));

  it('ends the connection that it names, once; what comes late or again does not end the next grant', async () => {
    const id = `${name}-a`;
    const other = `${name}-b`;
    await connect(spec, id, who);
    await connect(spec, other, unique());
    const beforeMs = Date.now() - 60_000;
    expect(await tell('forged', Date.now(), 'somebody else’s')).toBe(401);
    expect(await row(id)).toEqual(ALIVE);

    expect(await tell('e1')).toBe(200);
    expect([await row(id), await row(other)]).toEqual([OVER, ALIVE]);
    expect(await told(id)).toEqual(['connection.state', 'connection.deauthorized', 'forward']);
    expect(await tell('e1')).toBe(200);
    expect(await tell('e2')).toBe(200);
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
});
