import { describe, expect, it } from 'vitest';
import { pythonJson } from './checkbook/webhooks.ts';
import { eventually, hmac, type Received, useReceiver } from './webhooks-testing.ts';

const stage = useReceiver();
const { bodies, connect, received } = stage;

describe('webhooks of the other emulators', () => {
  it('Checkbook: thin, in Python’s JSON, signed with a nonce and a key of its own', async () => {
    const { handle, app, account, token } = await connect('checkbook');
    const [next] = handle.plays(account.id);
    await handle.play(account.id, next as { name: string; id: string });
    expect(received).toHaveLength(1);
    const { headers, body } = received[0] as Received;
    expect(body).toBe(`{"id": "${next?.id}", "status": "PAID", "type": "CHECK"}`);
    const [, nonce = '', signature] = /^nonce=(\d+),signature=([0-9a-f]{64})$/.exec(String(headers['signature'])) ?? [];
    expect(signature).toBe(hmac(body + nonce, app.webhookKey ?? ''));
    // A user may want to hear of the account as well.
    const set = (uri: string) =>
      fetch(`${handle.url}/v3/user`, {
        method: 'PUT',
        headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' },
        body: JSON.stringify({ developer: { webhook_uri: uri } }),
      });
    expect((await set('no address')).status).toBe(400);
    expect((await set(`${stage.url}/own`)).status).toBe(200);
    handle.tell(account.id, { type: 'PREFUND_ACCOUNT' });
    await eventually(() => received.length === 3);
    const keys = received.slice(1).map(({ headers: { signature: header }, body: sent }) => {
      const [, nonceThen = '', digest] = /^nonce=(\d+),signature=(\w+)$/.exec(String(header)) ?? [];
      return [app.webhookKey, account.apiKey?.secretKey].find((key) => hmac(sent + nonceThen, key ?? '') === digest);
    });
    expect(keys.toSorted()).toEqual([app.webhookKey, account.apiKey?.secretKey].toSorted());
    expect((await set('')).status).toBe(200);
    received.length = 1;
    // Without an event id, only the resource tells two events apart.
    handle.tell(account.id, { type: 'INVOICE' }, 2);
    await eventually(() => received.length === 3);
    expect(new Set(received.map((one) => one.body)).size).toBe(3);
    expect(pythonJson({ a: [1, 'é', null, true] })).toBe(String.raw`{"a": [1, "\u00e9", null, true]}`);
  });

  it('Xref: an assumption in the manner of the others', async () => {
    const { handle, app, account, token } = await connect('xref');
    const [next] = handle.plays(account.id);
    await handle.play(account.id, next as { name: string; id: string });
    await handle.revokeGrant(handle.grants().at(-1)?.id ?? '');
    const types = bodies().map(({ type }) => type);
    expect(types.slice(-3)).toEqual(['request.completed', 'report.ready', 'token.deauthorized']);
    expect(bodies().at(-1)).toMatchObject({ account_id: account.id, data: { object: { access_code: token } } });
    const { headers, body } = received.at(-1) as Received;
    expect(headers['x-xref-signature']).toBe(hmac(body, app.liveSecret));
    expect(handle.webhooks().every(({ state }) => state === 'delivered')).toBe(true);
  });
});
