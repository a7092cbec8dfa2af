/** Providers' webhooks through the gateway: proven, stored, routed, parked (threats 2.6, cases 31 and 32). */
import { createHmac } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { TestApp } from '../support/app.ts';
import { need, signatureOf, useInboundStage, type InboundStage } from './inbound-stage.ts';

/** Other work may have the machine. */
const PATIENT = { timeout: 10_000 };
let app: TestApp;
let environmentUuid: string;
let told: InboundStage['told'];
const { addConnection, eventOf, forwards, quiet, send, stored } = useInboundStage((stage) => {
  ({ app, environmentUuid, told } = stage);
});

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
    // It names nobody, so the app is told: nothing of it may come amid the next test.
    await quiet();
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
    const lookTwice = async (ageMs: number) => {
      const before = (await looked()).looks;
      for (let { looks } = await looked(); looks < before + 2; { looks } = await looked()) {
        await app.db.query(
          `UPDATE inbound_event SET due_at = statement_timestamp(),
             received_at = statement_timestamp() - $2::float8 * interval '1 millisecond' WHERE uuid = $1`,
          [uuid, ageMs],
        );
        await app.services.inbound.work();
      }
      return (await looked()).isTold;
    };
    expect(await lookTwice(0)).toBe(false);
    expect(await lookTwice(10_000)).toBe(true);
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
