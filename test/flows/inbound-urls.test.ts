/** The webhook URL that one connection has for itself: it proves, it routes, it can be rotated. */
import { createHmac } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { callApi, type TestApp } from '../support/app.ts';
import { need, signatureOf, useInboundStage } from './inbound-stage.ts';

let app: TestApp;
let environmentUuid: string;
const { addConnection, eventOf, forwards, quiet, send } = useInboundStage(async (stage) => {
  ({ app, environmentUuid } = stage);
  await addConnection('c1', 'acct1');
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
