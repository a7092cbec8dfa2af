/** Providers' webhooks through the gateway: proven, stored, routed, parked (threats 2.6, cases 31, 32 and 34). */
import { createHmac } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it, vi, type Mock } from 'vitest';
import { startTestApp, type TestApp } from '../support/app.ts';

let app: TestApp;
let environmentUuid: string;
let told: Mock<TestApp['services']['connections']['writeEvent']>;
beforeAll(async () => {
  app = await startTestApp();
  told = vi.spyOn(app.services.connections, 'writeEvent');
  environmentUuid = (await app.services.environments.byName('dev'))?.uuid as string;
  await need(
    app.api('POST', '/integrations', {
      provider: 'checkr-partner',
      unique_key: 'checks',
      credentials: { type: 'OAUTH2', client_id: 'id', client_secret: SECRET },
    }),
  );
});
afterAll(() => app?.close());

const SECRET = 'the client secret';

async function need(answer: Promise<{ status: number; text: string }>): Promise<void> {
  const { status, text } = await answer;
  if (status >= 300) throw new Error(`${status} ${text}`);
}

async function addConnection(id: string, accountId: string, integration = 'checks'): Promise<void> {
  await need(
    app.api('POST', '/connections', {
      provider_config_key: integration,
      connection_id: id,
      credentials: { type: 'OAUTH2', access_token: `token of ${id}` },
      connection_config: { checkr_account_id: accountId },
    }),
  );
}

const signatureOf = (body: string, secret = SECRET) => createHmac('sha256', secret).update(body).digest('hex');
let made = 0;
const newId = () => String((made += 1)).padStart(24, '0');

/** Sends as a provider does. */
async function send(
  body: string,
  options: { key?: string; headers?: Record<string, string>; url?: string; path?: string } = {},
) {
  const url = options.url ?? `${app.url}/webhook/${environmentUuid}/${options.key ?? 'checks'}`;
  const response = await fetch(url, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(options.headers ?? { 'x-checkr-signature': signatureOf(body) }),
    },
    body,
  });
  const text = await response.text();
  return { status: response.status, text, headers: response.headers };
}

const eventOf = (accountId: string, more: Record<string, unknown> = {}) =>
  JSON.stringify({ id: newId(), object: 'event', type: 'report.completed', account_id: accountId, data: { object: { id: 'r1' } }, ...more }); // prettier-ignore

async function stored(body: string) {
  const { id } = JSON.parse(body) as { id: string };
  const place = await app.services.environments.vault.lookupHash(1, `webhook|id|0|${id}`);
  const rows = await app.db.query<{
    state: string;
    reason: string | null;
    matched: number;
    trust: string;
    uuid: string;
  }>('SELECT state, reason, matched, trust, uuid FROM inbound_event WHERE dedupe_hash = $1', [place]);
  return rows;
}

/** What the app is told of webhooks, newest last. */
function forwards(): Record<string, unknown>[] {
  return told.mock.calls.map(([, event]) => event).filter(({ type }) => type === 'forward').map(({ payload }) => payload as Record<string, unknown>); // prettier-ignore
}

/** Waits until nothing is due. */
async function quiet(): Promise<void> {
  await app.services.inbound.work();
  await expect
    .poll(async () => (await app.db.query("SELECT 1 FROM inbound_event WHERE state = 'received'")).length)
    .toBe(0);
}

describe('where it is sent to', () => {
  it('must be there', async () => {
    const unknown = await send('{}', { url: `${app.url}/webhook/${crypto.randomUUID()}/checks` });
    expect([unknown.status, JSON.parse(unknown.text).error.code]).toEqual([404, 'unknown_environment']);
    const key = await send('{}', { key: 'nobody' });
    expect([key.status, JSON.parse(key.text).error.code]).toEqual([404, 'unknown_provider_config']);
    const url = await send('{}', { url: `${app.url}/webhook/${environmentUuid}/checks/1-${'0'.repeat(40)}` });
    expect([url.status, JSON.parse(url.text).error.code]).toEqual([404, 'unknown_webhook_url']);
    expect((await app.api('GET', '/integrations/checks?include=webhook')).body.data.webhook_url).toBe(
      `${app.url}/webhook/${environmentUuid}/checks`,
    );
  });

  it('abuse 31: is closed without a secret, unless nobody has to prove anything', async () => {
    const slack = {
      provider: 'slack',
      unique_key: 'chat',
      credentials: { type: 'OAUTH2', client_id: 'i', client_secret: 's' },
    };
    await need(app.api('POST', '/integrations', slack));
    const closed = await send('{"type":"x"}', { key: 'chat', headers: {} });
    expect([closed.status, JSON.parse(closed.text).code]).toEqual([403, 'webhook_closed']);
    await need(app.api('PATCH', '/integrations/chat', { custom: { webhook_trust: 'none' } }));
    expect((await send('{"type":"x","event_id":"Ev1"}', { key: 'chat', headers: {} })).status).toBe(200);
    const rows = await app.db.query('SELECT trust FROM inbound_event e JOIN integration i ON i.id = e.integration_id WHERE i.unique_key = $1', ['chat']); // prettier-ignore
    expect(rows).toEqual([{ trust: 'none' }]);
  });
});

describe('a stored event', () => {
  it('is answered once it is there, and told to the connection of its account', async () => {
    await addConnection('c1', 'acct1');
    const body = eventOf('acct1');
    const answer = await send(body);
    expect([answer.status, answer.text]).toEqual([200, '{"status":"success"}']);
    await quiet();
    expect(await stored(body)).toMatchObject([{ state: 'routed', matched: 1, trust: 'signature' }]);
    expect(forwards().at(-1)).toEqual({
      from: 'checkr-partner',
      type: 'forward',
      connectionId: 'c1',
      providerConfigKey: 'checks',
      payload: JSON.parse(body),
    });
  });

  it('abuse 32: comes ten times and is there once', async () => {
    const body = eventOf('acct1');
    const before = forwards().length;
    const answers = await Promise.all(Array.from({ length: 10 }, () => send(body)));
    expect(answers.map(({ status }) => status)).toEqual(Array(10).fill(200));
    await quiet();
    expect(await stored(body)).toHaveLength(1);
    expect((await send(body)).status).toBe(200);
    await quiet();
    expect(forwards().length).toBe(before + 1);
  });

  it('waits for its connection when there is none yet', async () => {
    const body = eventOf('acct-late', { type: 'account.credentialed', account_id: 'the partner', data: { object: { account: { id: 'acct-late' } } } }); // prettier-ignore
    expect((await send(body)).status).toBe(200);
    await quiet();
    expect(await stored(body)).toMatchObject([{ state: 'parked', reason: 'no_match' }]);
    await addConnection('c-late', 'acct-late');
    await expect.poll(async () => (await stored(body))[0]?.state).toBe('routed');
    expect(forwards().at(-1)).toMatchObject({ connectionId: 'c-late' });
  });

  it('never tells the token that it names', async () => {
    await addConnection('c-token', 'acct-token');
    const body = eventOf('the partner', {
      type: 'token.deauthorized',
      data: { object: { access_code: 'token of c-token' } },
    });
    expect((await send(body)).status).toBe(200);
    await quiet();
    expect(await stored(body)).toMatchObject([{ state: 'routed', matched: 1 }]);
    const last = forwards().at(-1);
    expect(last).toMatchObject({ connectionId: 'c-token' });
    expect(JSON.stringify(last)).not.toContain('token of c-token');
    expect(JSON.stringify(last)).toContain('[redacted]');
  });
});
