import { describe, expect, it } from 'vitest';
import { type Connected, eventually, hmac, useReceiver } from './webhooks-testing.ts';

const stage = useReceiver();
const { answers, bodies, clock, connect, lastFields, received } = stage;

/** A candidate with an order that waits for the clerk. */
async function orderReport({ handle, account, token }: Connected): Promise<string> {
  const call = async (path: string, body: object) => {
    const answer = await fetch(handle.url + path, {
      method: 'POST',
      headers: {
        Authorization: `Basic ${btoa(`${token}:`)}`,
        'Content-Type': 'application/json',
        'User-Agent': 'test',
      },
      body: JSON.stringify(body),
    });
    expect(answer.status).toBeLessThan(300);
    return (await answer.json()) as { id: string };
  };
  const candidate = await call('/v1/candidates', {
    email: 'ada@example.com',
    first_name: 'Ada',
    last_name: 'Alder',
    dob: '1980-02-03',
    ssn: '212-11-2001',
    zipcode: '94105',
  });
  const [first] = account.data['packages'] ?? [];
  return (await call('/v1/reports', { candidate_id: candidate.id, package: first?.['slug'] })).id;
}

describe('webhooks of the emulated Checkr', () => {
  it('announces readiness, orders and results, signed with the client secret', async () => {
    const connected = await connect('checkr');
    const { handle, app, account } = connected;
    await eventually(() => received.length === 1);
    const id = await orderReport(connected);
    await eventually(() => received.length === 3);
    expect(handle.plays(account.id)).toContainEqual({
      name: 'complete-report',
      id,
      label: expect.stringContaining('ada@example.com'),
    });
    await handle.play(account.id, { name: 'complete-report', id });
    expect(bodies().map(({ type }) => type)).toEqual([
      'account.credentialed',
      'candidate.created',
      'report.created',
      'report.completed',
    ]);
    for (const { headers, body } of received) {
      expect(headers).toMatchObject({
        'content-type': 'application/json',
        'x-checkr-signature': hmac(body, app.liveSecret),
      });
      expect(headers['user-agent']).toMatch(/^Checkr-Webhook\//);
      expect(JSON.parse(body)).toMatchObject({
        object: 'event',
        account_id: account.id,
        id: expect.stringMatching(/^[0-9a-f]{24}$/),
      });
      expect(JSON.stringify(JSON.parse(body))).toBe(body);
    }
    expect(bodies().at(-1)).toMatchObject({ data: { object: { id, status: 'complete', result: 'clear' } } });
    await expect(handle.play(account.id, { name: 'complete-report', id })).rejects.toThrow('cannot happen any more');
  });

  it('tells of a disconnect by the token, with an account id that is no customer’s', async () => {
    const { handle, account, token } = await connect('checkr');
    await eventually(() => received.length === 1);
    await handle.revokeGrant(handle.grants().at(-1)?.id ?? '');
    const last = bodies().at(-1);
    expect(last).toMatchObject({ type: 'token.deauthorized', data: { object: { access_code: token } } });
    expect(last?.['account_id']).toMatch(/^[0-9a-f]{24}$/);
    expect(last?.['account_id']).not.toBe(account.id);
  });

  it('tries again every minute ten times, then every hour for a day, with the same bytes', async () => {
    const { handle, account } = await connect('checkr');
    await eventually(() => received.length === 1);
    // What time alone moves would be told in between.
    handle.setKnob('invitationCompletesAfterSeconds', 1e9);
    handle.setKnob('reportFinishesAfterSeconds', 1e9);
    handle.setKnob('invitationExpiry', false);
    received.length = 0;
    answers.push(...Array<number>(40).fill(500));
    handle.tell(account.id, { type: 'report.completed', object: { id: 'r' } });
    await eventually(() => handle.webhooks().at(-1)?.attempts.length === 1);
    const waits = [...Array<number>(10).fill(60_000), ...Array<number>(24).fill(3_600_000)];
    for (const [index, waitMs] of waits.entries()) {
      clock.advance(waitMs - 1);
      expect(received).toHaveLength(index + 1);
      clock.advance(1);
      await eventually(() => handle.webhooks().at(-1)?.attempts.length === index + 2);
    }
    expect(handle.webhooks().at(-1)).toMatchObject({ state: 'given-up', dueMs: null });
    expect(new Set(received.map(({ body }) => body)).size).toBe(1);
    await handle.resendWebhook(handle.webhooks().at(-1)?.id ?? '');
    expect(received.at(-1)?.body).toBe(received[0]?.body);
  });

  it('knobs: faster, doubled, out of order, other signatures, older shapes', async () => {
    const { handle, app, account } = await connect('checkr');
    await eventually(() => received.length === 1);
    const tell = async (id: string, count: number) => {
      received.length = 0;
      handle.tell(account.id, { type: 'report.updated', object: { id } });
      await eventually(() => received.length === count);
    };
    handle.setKnob('webhookTimeScale', 60);
    answers.push(503);
    await tell('a', 1);
    await eventually(() => handle.webhooks().at(-1)?.dueMs === clock.now() + 1_000);
    clock.advance(1_000);
    await eventually(() => received.length === 2);

    handle.setKnob('webhookDuplicates', 2);
    await tell('b', 3);
    expect(new Set(bodies().map(({ id }) => id)).size).toBe(1);
    handle.setKnob('webhookDuplicates', 0);

    handle.setKnob('webhookReorder', true);
    received.length = 0;
    for (const id of ['c', 'd', 'e', 'f']) handle.tell(account.id, { type: 'report.updated', object: { id } });
    await eventually(() => received.length === 2);
    clock.advance(1_000);
    await eventually(() => received.length === 4);
    const order = bodies().map(({ data }) => (data as { object: { id: string } }).object.id);
    expect(order.toSorted()).toEqual(['c', 'd', 'e', 'f']);
    expect(order).not.toEqual(['c', 'd', 'e', 'f']);
    handle.setKnob('webhookReorder', false);

    const signatureOf = async (form: string) => {
      handle.setKnob('webhookSignature', form);
      await tell(form, 1);
      return received[0]?.headers['x-checkr-signature'];
    };
    expect(await signatureOf('missing')).toBeUndefined();
    expect(await signatureOf('sentence')).toContain('API key');
    expect(await signatureOf('wrong')).not.toBe(hmac(received[0]?.body ?? '', app.liveSecret));
    expect(await signatureOf('upper-case')).toBe(hmac(received[0]?.body ?? '', app.liveSecret).toUpperCase());
    handle.setKnob('webhookSignature', 'good');
    handle.setKnob('webhookKey', 'client_id');
    await tell('g', 1);
    expect(received[0]?.headers['x-checkr-signature']).toBe(hmac(received[0]?.body ?? '', app.clientId));

    handle.setKnob('deauthorizedShape', 'gist');
    await handle.revokeGrant(handle.grants().at(-1)?.id ?? '');
    expect(lastFields()).toEqual(['access_token']);
  });

  it('bursts of made-up events by handle, by form and by HTTP, and one of them again', async () => {
    const { handle, account } = await connect('checkr');
    await eventually(() => received.length === 1);
    handle.tell(account.id, { type: 'report.updated' }, 40);
    await eventually(() => received.length === 41);
    const form = new URLSearchParams({ account_id: account.id, type: 'form_i9.created', count: '3' });
    const pressed = await fetch(`${handle.url}/developer/send-events`, { method: 'POST', body: form });
    expect(await pressed.text()).toContain('<td>form_i9.created</td>');
    const send = (path: string, body: object) =>
      fetch(`${handle.url}/_emulator/${path}`, { method: 'POST', body: JSON.stringify(body) });
    const asked = { account_id: account.id, type: 'report.engaged', object: { id: 'mine' }, count: 2.5 };
    expect((await send('events', asked)).status).toBe(202);
    await eventually(() => received.length === 46);
    const objects = bodies().map(({ data }) => (data as { object: { id: string } }).object);
    expect(objects.filter(({ id }) => id === 'mine')).toHaveLength(2);
    expect(new Set(bodies().map(({ id }) => id)).size).toBe(46);
    expect(new Set(objects.map(({ id }) => id)).size).toBe(45);
    const [first] = handle.webhooks();
    const again = await send(`webhooks/${first?.id}/resend`, {});
    expect(await again.json()).toMatchObject({ state: 'delivered', attempts: [{ status: 200 }, { status: 200 }] });
    expect(received.at(-1)?.body).toBe(received[0]?.body);
  });

  it('credentialing in its three shapes', async () => {
    const handle = stage.emulators.get('checkr');
    const seen: unknown[] = [];
    for (const shape of ['today', '2018', '2016']) {
      handle.reset();
      handle.setKnob('credentialedShape', shape);
      const { account } = await connect('checkr', 'rosa@pinecone.example');
      await handle.makeReady(account.id);
      const { account_id: accountId, data } = bodies().at(-1) as { account_id?: string; data: { object: object } };
      seen.push([accountId === account.id, accountId === undefined, JSON.stringify(data).includes(account.id), data]);
    }
    expect(seen).toMatchObject([
      [true, false, true, { object: { object: 'account', uri: expect.any(String) } }],
      [false, true, true, { object: { object: 'account', authorized: true } }],
      [false, false, true, { object: { account: {} } }],
    ]);
  });

  it('webhooks that an account registered are signed with its API key, and say so when there is none', async () => {
    const connected = await connect('checkr');
    await eventually(() => received.length === 1);
    const { handle, account, token } = connected;
    const headers = {
      Authorization: `Basic ${btoa(`${token}:`)}`,
      'User-Agent': 'test',
      'Content-Type': 'application/json',
    };
    handle.editApp(connected.app.clientId, { webhookUrl: '' });
    const registered = await fetch(`${handle.url}/v1/webhooks`, {
      method: 'POST',
      headers,
      body: JSON.stringify({ webhook_url: `${stage.url}/own`, include_object: false }),
    });
    expect(registered.status).toBe(201);
    received.length = 0;
    await orderReport(connected);
    await eventually(() => received.length === 2);
    expect(received[1]?.headers['x-checkr-signature']).toBe(
      hmac(received[1]?.body ?? '', account.apiKey?.secretKey ?? ''),
    );
    expect(lastFields()).toEqual(['id', 'object', 'uri']);
    handle.setKnob('accountHasApiKey', false);
    received.length = 0;
    handle.tell(account.id, { type: 'report.updated', object: {} });
    await eventually(() => received.length === 1);
    expect(received[0]?.headers['x-checkr-signature']).toMatch(/^Please create an API key/);
  });
});
