/** Providers' webhooks through the gateway: proven, stored, routed, parked (threats 2.6, cases 31, 32 and 34). */
import { createHmac } from 'node:crypto';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it, vi, type Mock } from 'vitest';
import { KEEP_MS } from '../../src/features/inbound/limits.ts';
import { deleteOld } from '../../src/features/inbound/store-work.ts';
import { callApi, startTestApp, type TestApp } from '../support/app.ts';

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
/** Other work may have the machine. */
const PATIENT = { timeout: 10_000 };

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
  const [hash] = await app.services.environments.vault.contentHashes(1, [`webhook|id|0|${id}`]);
  const rows = await app.db.query<{
    state: string;
    reason: string | null;
    matched: number;
    trust: string;
    uuid: string;
  }>('SELECT state, reason, matched, trust, uuid FROM inbound_event WHERE dedupe_hash = $1', [
    Buffer.from(hash as string, 'hex'),
  ]);
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
    .poll(async () => (await app.db.query("SELECT 1 FROM inbound_event WHERE state = 'received'")).length, PATIENT)
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
    await expect.poll(async () => (await stored(body))[0]?.state, PATIENT).toBe('routed');
    expect(forwards().at(-1)).toMatchObject({ connectionId: 'c-late' });
  });

  it('waits a moment only for a connection that is just being stored: nobody could wake it', async () => {
    await addConnection('c-early', 'somebody-else');
    const body = eventOf('acct-early', { type: 'account.credentialed' });
    await app.db.transaction(async (tx) => {
      await tx.query("UPDATE connection SET account_id = 'acct-early' WHERE connection_id = 'c-early'");
      expect((await send(body)).status).toBe(200);
      await expect.poll(async () => (await stored(body))[0]?.state, PATIENT).toBe('parked');
    });
    const [{ isSoon } = { isSoon: undefined }] = await app.db.query<{ isSoon: boolean }>(
      `SELECT due_at - received_at < interval '8 s' AS "isSoon" FROM inbound_event WHERE uuid = $1`,
      [(await stored(body))[0]?.uuid],
    );
    expect(isSoon).toBe(true);
    await expect.poll(async () => (await stored(body))[0]?.state, PATIENT).toBe('routed');
  });

  it('that names nobody is told as it came, at once and once; of others when nobody has come for some seconds', async () => {
    await need(app.api('POST', '/integrations', { provider: 'github', unique_key: 'code', credentials: { type: 'OAUTH2', client_id: 'i', client_secret: 's', webhook_secret: 'hook' } })); // prettier-ignore
    const push = '{"ref":"refs/heads/main"}';
    const headers = { 'x-hub-signature-256': `sha256=${signatureOf(push, 'hook')}`, 'x-github-event': 'push', 'x-github-delivery': 'd1' }; // prettier-ignore
    expect((await send(push, { key: 'code', headers })).status).toBe(200);
    await quiet();
    expect(forwards().at(-1)).toEqual({ ref: 'refs/heads/main' });
    expect(told.mock.calls.at(-1)?.[1]).toMatchObject({ providerHeaders: { 'x-github-event': 'push' } });
    // Its provider names accounts, but this one names none: nobody has to be waited for.
    const nameless = JSON.stringify({ id: 'nameless', object: 'event', type: 'account.suspended' });
    await send(nameless);
    await quiet();
    expect(await stored(nameless)).toMatchObject([{ state: 'routed', matched: 0 }]);
    expect(forwards().at(-1)).toMatchObject({ id: 'nameless' });
    const body = eventOf('acct-nobody');
    await send(body);
    await quiet();
    expect(forwards().at(-1)).toMatchObject({ id: 'nameless' });
    const { uuid } = (await stored(body))[0] as { uuid: string };
    const looked = async () =>
      (await app.db.query<{ looks: number; isTold: boolean }>('SELECT looks, is_told AS "isTold" FROM inbound_event WHERE uuid = $1', [uuid]))[0] as { looks: number; isTold: boolean }; // prettier-ignore
    // The worker looks beside us: how often, we only read.
    for (let looks = 0; looks < 5;) {
      const now = await looked();
      expect(now.isTold).toBe(now.looks >= 3);
      ({ looks } = now);
      await app.db.query('UPDATE inbound_event SET due_at = statement_timestamp() WHERE uuid = $1', [uuid]);
      await app.services.inbound.work();
    }
    expect(forwards().filter(({ id }) => id === (JSON.parse(body) as { id: string }).id)).toHaveLength(1);
    expect(await stored(body)).toMatchObject([{ state: 'parked', reason: 'no_match' }]);
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
    expect(JSON.stringify(told.mock.calls.map(([, event]) => event))).not.toContain('token of c-token');
  });
});

describe('a body', () => {
  const sendRaw = (head: string[], body: string | Buffer) =>
    new Promise<string>((resolve, reject) => {
      const socket = connect(Number(new URL(app.url).port), 'localhost');
      let answer = '';
      socket.setEncoding('utf8').on('data', (text: string) => {
        answer += text;
      });
      socket.on('close', () => resolve(answer)).on('error', reject);
      socket.write([`POST /webhook/${environmentUuid}/checks HTTP/1.1`, 'host: x', 'connection: close', ...head, '', ''].join('\r\n')); // prettier-ignore
      socket.end(body);
    });

  it('abuse 34: over 1 MiB is refused, of a known and of an unknown length', async () => {
    const big = Buffer.alloc(1_048_577, 'a');
    expect(await sendRaw([`content-length: ${big.length}`], big)).toMatch(/^HTTP\/1\.1 413 /);
    const chunk = Buffer.concat([Buffer.from(`${big.length.toString(16)}\r\n`), big, Buffer.from('\r\n0\r\n\r\n')]);
    expect(await sendRaw(['transfer-encoding: chunked'], chunk)).toMatch(/^HTTP\/1\.1 413 /);
    const most = `"${'a'.repeat(1_048_574)}"`;
    expect((await send(most)).status).toBe(200);
  });

  it.each([
    ['nested 100,000 deep', '['.repeat(100_000) + ']'.repeat(100_000)],
    ['with a key that changes prototypes', '{"__proto__":{"isAdmin":true}}'],
    ['with a constructor’s prototype', '{"constructor":{"prototype":{"x":1}}}'],
    ['with the same key twice', '{"id":"1","id":"2"}'],
    ['with half a million values', `{"a":[${'0,'.repeat(500_000)}0]}`],
    ['that breaks off', '{"id":'],
    ['that says it is JSON', 'no JSON'],
    ['with a NUL', '{"type":"\\u0000"}'],
  ])('abuse 34: %s is refused, proven or not, and nothing is stored', async (_what, body) => {
    const before = await app.db.query('SELECT count(*) FROM inbound_event');
    const answer = await send(body);
    expect([answer.status, JSON.parse(answer.text).code]).toEqual([400, 'webhook_invalid_payload']);
    expect((await send(body, { headers: { 'x-checkr-signature': 'no' } })).status).toBe(401);
    expect(await app.db.query('SELECT count(*) FROM inbound_event')).toEqual(before);
  });

  it('that is no text is refused; without content type, as a form and as text it is kept', async () => {
    await need(app.api('PATCH', '/integrations/chat', { custom: { webhook_trust: 'none' } }));
    const to = (body: string | Uint8Array<ArrayBuffer>, type?: string) =>
      fetch(`${app.url}/webhook/${environmentUuid}/chat`, { method: 'POST', body, headers: type === undefined ? {} : { 'content-type': type } }).then(({ status }) => status); // prettier-ignore
    expect(await to(new Uint8Array([0xff, 0xfe, 0x00]), 'application/octet-stream')).toBe(400);
    expect(await to('command=%2Fx&team_id=T1', 'application/x-www-form-urlencoded')).toBe(200);
    expect(await to('plain words', 'text/plain')).toBe(200);
    expect(await to(new Uint8Array(Buffer.from('{"event_id":"Ev2"}')))).toBe(200);
    const kinds = await app.db.query<{ body_kind: string }>(
      'SELECT body_kind FROM inbound_event ORDER BY id DESC LIMIT 3',
    );
    expect(kinds.map((row) => row.body_kind)).toEqual(['json', 'text', 'form']);
  });
});

describe('the URL of a connection', () => {
  it('proves and routes what says neither', async () => {
    const body = {
      provider: 'checkbook',
      unique_key: 'money',
      credentials: { type: 'OAUTH2', client_id: 'i', client_secret: 's' },
    };
    await need(app.api('POST', '/integrations', body));
    await addConnection('payer', 'none', 'money');
    await addConnection('other', 'none', 'money');
    const answer = await app.api('GET', '/connections/payer/webhook-url?provider_config_key=money');
    const url = answer.body.webhook_url as string;
    expect(url).toMatch(new RegExp(`/webhook/${environmentUuid}/money/\\d+-[0-9a-f]{40}$`));
    const check = '{"status": "PAID", "id": "ed0af5fb335c47dd8eb53199ba50f5c4", "type": "CHECK"}';
    expect((await send(check, { url, headers: {} })).status).toBe(200);
    await quiet();
    expect(forwards().at(-1)).toMatchObject({ connectionId: 'payer', trust: 'url' });
    // With the key set, the signature has to be right as well.
    await need(
      app.api('PATCH', '/integrations/money', { custom: { webhookSecret: '335b5728e25b47e88995fce207bff380' } }),
    );
    expect((await send(check.replace('PAID', 'VOID'), { url, headers: {} })).status).toBe(401);
    const signature = 'nonce=1243549809,signature=4ee9758fc0bceb3ca1a2fe397fbd125364cfffdb04296fa118dab9778a4b3ce3';
    const again = await send(check, { key: 'money', headers: { signature } });
    expect(again.status).toBe(200);
    const [row] = await app.db.query<{ custom: object; sealed: Buffer }>("SELECT custom, credentials_sealed AS sealed FROM integration WHERE unique_key = 'money'"); // prettier-ignore
    expect(JSON.stringify(row?.custom)).not.toContain('335b');
    // A secret of one connection is none of another, nor of another integration.
    const other = url.replace(/\/(\d+)-/, (_all, id: string) => `/${Number(id) + 1}-`);
    expect((await send(check, { url: other, headers: {} })).status).toBe(404);
    expect((await send(check, { url: url.replace('/money/', '/checks/'), headers: {} })).status).toBe(404);
  });

  it('can be rotated: both are good for a while, then the new one only', async () => {
    const path = '/connections/other/webhook-url';
    const read = async () => (await app.api('GET', `${path}?provider_config_key=money`)).body;
    const rotate = async (hours?: number) =>
      (await app.api('POST', `${path}/rotate?provider_config_key=money`, hours === undefined ? undefined : { grace_hours: hours })).body; // prettier-ignore
    await need(app.api('PATCH', '/integrations/money', { custom: { webhook_trust: 'none' } }));
    let times = 0;
    const status = async (url: string) =>
      (await send(`{"id": "r${(times += 1)}", "status": "PAID", "type": "CHECK"}`, { url, headers: {} })).status;
    const first = await read();
    expect(first).toMatchObject({ previous_until: null });
    const second = await rotate();
    expect(second.webhook_url).toMatch(/\/\d+\.1-[0-9a-f]{40}$/);
    expect(Date.parse(second.previous_until) / 3_600_000 - Date.now() / 3_600_000).toBeCloseTo(24, 1);
    expect(await read()).toEqual(second);
    expect([await status(first.webhook_url), await status(second.webhook_url)]).toEqual([200, 200]);
    // The digits belong to their generation.
    expect(await status(second.webhook_url.replace('.1-', '.2-'))).toBe(404);
    // One more ends the first; without grace the one before ends at once.
    const third = await rotate(1);
    expect([await status(first.webhook_url), await status(second.webhook_url)]).toEqual([404, 200]);
    const fourth = await rotate(0);
    expect(fourth.previous_until).toBeNull();
    expect([await status(third.webhook_url), await status(fourth.webhook_url)]).toEqual([404, 200]);
    // The end of the time, as the database sees it.
    const fifth = await rotate(1);
    await app.db.query("UPDATE webhook_url SET previous_until = statement_timestamp() - interval '1 second'");
    expect([await status(fourth.webhook_url), await status(fifth.webhook_url)]).toEqual([404, 200]);
    await quiet();
    expect(forwards().at(-1)).toMatchObject({ connectionId: 'other', trust: 'url' });
    // Whoever may change connections, but not read credentials, does not learn it.
    const { secret } = await app.services.environments.createKey({ environmentId: 1, displayName: 'rotates', scopes: ['environment:connections:update'] }); // prettier-ignore
    const untold = await callApi(app.url, secret, 'POST', `${path}/rotate?provider_config_key=money`);
    expect([untold.status, untold.body.webhook_url]).toEqual([200, null]);
    expect(await status((await read()).webhook_url)).toBe(200);
    expect((await app.api('POST', `${path}/rotate?provider_config_key=money`, { grace_hours: 721 })).status).toBe(400);
    await need(app.api('PATCH', '/integrations/money', { custom: { webhookSecret: '335b5728e25b47e88995fce207bff380' } })); // prettier-ignore
  });

  it('is not needed where a sync has stored what the event is about', async () => {
    const { integrations, connections, records } = app.services;
    const integration = await integrations.byKey(1, 'money');
    const payer = await connections.byPublicId(1, integration?.id as number, 'payer');
    await records.write({ environmentId: 1, connectionId: payer?.id as number, model: 'Check', action: 'save', records: [{ id: 'check-9' }], syncId: 1, generation: 1 }); // prettier-ignore
    const body = '{"status": "PAID", "id": "check-9", "type": "CHECK"}';
    const digest = createHmac('sha256', '335b5728e25b47e88995fce207bff380').update(`${body}17`).digest('hex');
    expect((await send(body, { key: 'money', headers: { signature: `nonce=17,signature=${digest}` } })).status).toBe(
      200,
    );
    await quiet();
    expect(forwards().at(-1)).toMatchObject({ connectionId: 'payer', payload: { id: 'check-9' } });
    expect(forwards().at(-1)).not.toHaveProperty('trust');
  });

  it('takes what the account has signed with a key of its own', async () => {
    const url = (await app.api('GET', '/connections/c1/webhook-url?provider_config_key=checks')).body
      .webhook_url as string;
    const body = eventOf('acct1');
    const headers = { 'x-checkr-signature': signatureOf(body, 'the account’s own key') };
    expect((await send(body, { headers })).status).toBe(401);
    expect((await send(body, { url, headers })).status).toBe(200);
    await quiet();
    expect(forwards().at(-1)).toMatchObject({ connectionId: 'c1', trust: 'url' });
    // The same event at the URL of the application is another delivery: it may be about other connections.
    expect((await send(body)).status).toBe(200);
    await quiet();
    expect(forwards().at(-1)).not.toHaveProperty('trust');
  });
});

describe('what providers want to hear', () => {
  it('a challenge is answered when it is proven', async () => {
    await need(app.api('PATCH', '/integrations/chat', { custom: { webhookSecret: 'signing secret' } }));
    const body = '{"type":"url_verification","challenge":"3eZbrw1a","token":"x"}';
    const at = String(Math.floor(Date.now() / 1_000));
    const signature = `v0=${signatureOf(`v0:${at}:${body}`, 'signing secret')}`;
    const answer = await send(body, { key: 'chat', headers: { 'x-slack-signature': signature, 'x-slack-request-timestamp': at } }); // prettier-ignore
    expect([answer.status, answer.text, answer.headers.get('content-type')]).toEqual([200, '3eZbrw1a', 'text/plain; charset=utf-8']); // prettier-ignore
    expect((await send(body, { key: 'chat', headers: { 'x-slack-signature': signature, 'x-slack-request-timestamp': '1' } })).status).toBe(401); // prettier-ignore
  });

  it('a list is as many events, and an intent to receive is answered and forgotten', async () => {
    await need(app.api('POST', '/integrations', { provider: 'xero', unique_key: 'books', credentials: { type: 'OAUTH2', client_id: 'i', client_secret: 's', webhook_secret: 'key' } })); // prettier-ignore
    for (const tenant of ['t1', 't2']) {
      await need(app.api('POST', '/connections', { provider_config_key: 'books', connection_id: tenant, credentials: { type: 'OAUTH2', access_token: tenant, refresh_token: 'r' }, connection_config: { tenant_id: tenant } })); // prettier-ignore
    }
    const signed = (body: string) => send(body, { key: 'books', headers: { 'x-xero-signature': createHmac('sha256', 'key').update(body).digest('base64') } }); // prettier-ignore
    const intent = await signed(
      '{"events":[],"lastEventSequence":0,"firstEventSequence":0,"entropy":"S0m3r4Nd0mt3xt"}',
    );
    expect([intent.status, intent.text]).toEqual([200, '']);
    expect((await send('{"events":[]}', { key: 'books', headers: { 'x-xero-signature': 'AA==' } })).status).toBe(401);
    const before = forwards().length;
    const item = (tenantId: string) => ({ tenantId, eventCategory: 'INVOICE', resourceId: 'r' });
    await signed(JSON.stringify({ events: [item('t1'), item('t2'), item('t2')] }));
    await quiet();
    const told = forwards().slice(before);
    expect(told.map((one) => [one['connectionId'], one['payload']])).toEqual([['t1', item('t1')], ['t2', item('t2')]]); // prettier-ignore
  });
});

describe('the body of a stored event', () => {
  it('is sealed at rest, and goes with the event after 30 days', async () => {
    const rows = await app.db.query<{ text: string }>(
      "SELECT encode(body_sealed, 'escape') AS text FROM inbound_event",
    );
    expect(rows.length).toBeGreaterThan(5);
    expect(rows.filter(({ text }) => /report|token|tenant/.test(text))).toEqual([]);
    const body = eventOf('acct1', { type: 'ancient' });
    await send(body);
    await quiet();
    await app.db.query("UPDATE inbound_event SET received_at = now() - interval '31 days' WHERE type = 'ancient'");
    expect(await deleteOld(app.db, KEEP_MS, 10)).toBe(1);
    expect(await stored(body)).toEqual([]);
  });
});

describe('stored events over the API', () => {
  it('are listed, read without secrets, and replayed', async () => {
    const list = (await app.api('GET', '/inbound-events?provider_config_key=checks&type=token.deauthorized')).body
      .events;
    expect(list).toMatchObject([{ type: 'token.deauthorized', trust: 'signature', state: 'routed', matched: 1 }]);
    const { text, body } = await app.api('GET', `/inbound-events/${list[0].id}`);
    expect(body.data.body.data.object).toEqual({ access_code: '[redacted]' });
    expect(text).not.toContain('token of c-token');
    const before = forwards().length;
    const ago = new Date(Date.now() - 3_600_000).toISOString();
    const answer = await app.api('POST', '/inbound-events/replay', { type: 'report.completed', received_after: ago, limit: 2 }); // prettier-ignore
    await quiet();
    expect(forwards().length).toBe(before + 2);
    const all = (await app.api('GET', '/inbound-events?type=report.completed&after=0')).body.events;
    expect(answer.body).toEqual({ replayed: 2, has_more: true, next_cursor: all[1].cursor });
    const behind = async (after: string) =>
      (await app.api('POST', '/inbound-events/replay', { type: 'report.completed', after })).body;
    expect(await behind(all.at(-2).cursor)).toEqual({ replayed: 1, has_more: false, next_cursor: null });
    expect((await behind(all.at(-1).cursor)).replayed).toBe(0);
    expect((await app.api('POST', '/inbound-events/replay', { after: '1' })).status).toBe(400);
    expect((await app.api('POST', '/inbound-events/replay', { ids: [list[0].id] })).body.replayed).toBe(1);
    await quiet();
    const prod = await fetch(`${app.url}/inbound-events`, { headers: { authorization: `Bearer ${app.prodApiKey}` } });
    expect(await prod.json()).toEqual({ events: [], next_cursor: null });
  });

  it('can be waited for', async () => {
    const [newest] = (await app.api('GET', '/inbound-events?limit=1')).body.events;
    const waiting = app.api('GET', `/inbound-events?after=${newest.cursor}&wait_seconds=20`);
    const body = eventOf('acct1');
    await send(body);
    expect((await waiting).body.events).toMatchObject([{ type: 'report.completed' }]);
  });
});
