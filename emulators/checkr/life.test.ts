/** What becomes of a connection: the account's review, its end on either side, and what can be called meanwhile. */
import { describe, expect, it } from 'vitest';
import type { EmulatorEvent } from '../index.ts';
import { basic, useCheckr } from './connect-testing.ts';

const stage = useCheckr();
const { call, clock, exchange, getCode, getToken, user } = stage;

const deauthorize = (token: string) => call('POST', '/oauth/deauthorize', { authorization: basic(token) });

const order = async (token: string) => {
  const headers = { authorization: basic(token), 'content-type': 'application/json' };
  const made = await call('POST', '/v1/candidates', headers, JSON.stringify({ email: 'cand@example.com' }));
  const { id } = (await made.json()) as { id: string };
  const invitation = { candidate_id: id, package: 'tasker_standard' };
  return await call('POST', '/v1/invitations', headers, JSON.stringify(invitation));
};

describe('credentialing', () => {
  it('refuses orders with 403 until the account is credentialed, then takes them', async () => {
    const events: EmulatorEvent[] = [];
    stage.checkr.onEvent((event) => void (event.type === 'resource' || events.push(event)));
    const token = await getToken(2);
    expect(events).toEqual([]);
    const before = await order(token);
    expect(before.status).toBe(403);
    expect(await before.json()).toEqual({ error: expect.stringContaining('not approved for production') });
    await stage.checkr.makeReady(user(2).accountId);
    expect(events).toMatchObject([
      {
        type: 'account.credentialed',
        emulator: 'checkr',
        account: { id: user(2).accountId },
        app: { name: 'Shiftly' },
      },
    ]);
    expect((await order(token)).status).toBe(201);
  });

  it('tells of a credentialed account after the token, or before it with early-event', async () => {
    const told: [string, number][] = [];
    let answered = 0;
    const both = new Promise<void>((resolve) => {
      stage.checkr.onEvent((event) => {
        told.push([event.type, answered]);
        if (told.length === 2) resolve();
      });
    });
    stage.checkr.setKnob('credentialing', 'early-event');
    const code = await getCode(2);
    await exchange({ code });
    answered += 1;
    stage.checkr.setKnob('credentialing', 'by-account');
    const second = await getCode(0);
    await exchange({ code: second });
    await both;
    expect(told[0]).toEqual(['account.credentialed', 0]);
    expect(told.map(([type]) => type)).toEqual(['account.credentialed', 'account.credentialed']);
  });

  it('credentials an account some seconds after the token with credentialing = after', async () => {
    const told = new Promise<EmulatorEvent>((resolve) => {
      stage.checkr.onEvent((event) => void (event.type === 'account.credentialed' && resolve(event)));
    });
    stage.checkr.setKnob('credentialing', 'after');
    stage.checkr.setKnob('credentialAfterSec', 90);
    const token = await getToken(2);
    clock.advance(89_999);
    expect((await order(token)).status).toBe(403);
    clock.advance(1);
    expect(await told).toMatchObject({ type: 'account.credentialed' });
    expect(stage.checkr.accounts()[1]?.ready).toBe(true);
  });
});

describe('disconnect', () => {
  it('echoes the token, tells once, and answers 401 afterwards', async () => {
    const events: EmulatorEvent[] = [];
    const token = await getToken();
    const told = new Promise<void>((resolve) => {
      stage.checkr.onEvent((event) => {
        events.push(event);
        resolve();
      });
    });
    const reply = await deauthorize(token);
    expect([reply.status, await reply.json()]).toEqual([200, { access_token: token }]);
    await told;
    const again = await deauthorize(token);
    expect([again.status, await again.json()]).toEqual([401, { error: 'Bad authentication error' }]);
    expect((await call('GET', '/v1/account', { authorization: basic(token) })).status).toBe(401);
    expect(events).toMatchObject([
      { type: 'token.deauthorized', accessToken: token, by: 'app', app: { name: 'Shiftly' } },
    ]);
    const other = await getToken();
    expect(other).not.toBe(token);
    expect((await call('GET', '/v1/account', { authorization: basic(other) })).status).toBe(200);
  });

  it('ends a connection from the customer’s side, once', async () => {
    const token = await getToken();
    const events: EmulatorEvent[] = [];
    stage.checkr.onEvent((event) => void events.push(event));
    const [grant] = stage.checkr.grants();
    await stage.checkr.revokeGrant(grant?.id ?? '');
    await stage.checkr.revokeGrant(grant?.id ?? '');
    expect(events).toMatchObject([{ type: 'token.deauthorized', accessToken: token, by: 'customer' }]);
    expect((await call('GET', '/v1/account', { authorization: basic(token) })).status).toBe(401);
  });

  it('gives another account id on reconnect only with the knob', async () => {
    const first = await exchange({ code: await getCode() });
    const same = await exchange({ code: await getCode() });
    expect(same.body.checkr_account_id).toBe(first.body.checkr_account_id);
    stage.checkr.setKnob('rotateAccountIdOnReconnect', true);
    const rotated = await exchange({ code: await getCode() });
    expect(rotated.body.checkr_account_id).not.toBe(first.body.checkr_account_id);
    const account = await call('GET', '/v1/account', { authorization: basic(first.body.access_token ?? '') });
    expect(await account.json()).toMatchObject({ id: rotated.body.checkr_account_id });
  });
});

describe('worlds', () => {
  it('shares nothing between production and staging', async () => {
    const staging = stage.emulators.get('checkr-staging');
    const token = await getToken();
    expect(staging.apps()).toEqual([]);
    const url = `${staging.url}/v1/account`;
    expect((await fetch(url, { headers: { authorization: basic(token) } })).status).toBe(401);
    const visit = await stage.browser.open(`${staging.url}/authorize/${stage.app.clientId}`);
    expect(visit.status).toBe(404);
  });

  it('has nodes only with the knob hierarchyEnabled', async () => {
    const authorization = basic(await getToken());
    expect((await call('GET', '/v1/nodes', { authorization })).status).toBe(403);
    stage.checkr.setKnob('hierarchyEnabled', true);
    expect((await call('GET', '/v1/nodes', { authorization })).status).toBe(200);
  });

  it('tells what happens to resources', async () => {
    const authorization = basic(await getToken());
    const told = new Promise<EmulatorEvent>((resolve) => {
      stage.checkr.onEvent((event) => void (event.type === 'resource' && resolve(event)));
    });
    await call(
      'POST',
      '/v1/candidates',
      { authorization },
      new URLSearchParams({ email: 'new@example.com' }).toString(),
    );
    expect(await told).toMatchObject({
      account: { id: user(0).accountId },
      resource: { type: 'candidate.created', object: { email: 'new@example.com' } },
    });
  });

  it('lists pages, reads bracketed forms, and answers unknown paths in the provider’s shape', async () => {
    const authorization = basic(await getToken());
    const list = (await (await call('GET', '/v1/packages', { authorization })).json()) as { object: string };
    expect(list.object).toBe('list');
    const form = 'email=f%40example.com&work_locations[][state]=CA&work_locations[][city]=Oakland&metadata[ref]=7';
    const type = 'application/x-www-form-urlencoded';
    const made = await call('POST', '/v1/candidates', { authorization, 'content-type': type }, form);
    expect(made.status).toBe(201);
    expect(await made.json()).toMatchObject({
      work_locations: [{ state: 'CA', city: 'Oakland' }],
      metadata: { ref: '7' },
    });
    const unknown = await call('GET', '/v1/nothing', { authorization });
    expect([unknown.status, await unknown.json()]).toEqual([404, { error: 'Resource not found' }]);
    expect((await call('GET', '/v1/account', { authorization })).headers.get('x-ratelimit-limit')).toBe('1200');
  });
});
