import { describe, expect, it } from 'vitest';
import { anAccount, someTools } from '../engine/testing.ts';
import type { JsonObject } from '../engine/types.ts';
import { checkbookRest } from './rest.ts';
import { aCaller, CHECK, INVOICE } from './rest-testing.ts';

describe('invoices', () => {
  it('is created, listed, read and canceled', () => {
    const { call } = aCaller();
    const made = call('POST /v3/invoice', INVOICE);
    expect(made).toMatchObject({
      status: 201,
      body: { status: 'UNPAID', amount: 20, number: '3', date: '2026-11-21 10:00:00' },
      events: [{ type: 'INVOICE', object: { type: 'INVOICE', status: 'UNPAID' } }],
    });
    const path = `/v3/invoice/${String(made.body['id'])}`;
    expect(call(`GET ${path}`).body).toEqual(made.body);
    expect(call('GET /v3/invoice').body).toMatchObject({ page: 1, pages: 1, total: 3 });
    const removed = call(`DELETE ${path}`);
    expect([removed.status, removed.body]).toEqual([200, undefined]);
    expect(call('GET /v3/invoice?status=VOID').body).toMatchObject({ total: 1, invoices: [{ id: made.body['id'] }] });
    expect(call(`DELETE ${path}`).status).toBe(400);
    expect(call('GET /v3/invoice?status=LOST').status).toBe(400);
    expect(call('GET /v3/invoice/none').status).toBe(404);
  });

  it('refuses what is incomplete', () => {
    const { call } = aCaller();
    expect(call('POST /v3/invoice', {}).body).toMatchObject({
      errors: {
        name: expect.anything(),
        amount: expect.anything(),
        recipient: expect.anything(),
        description: 'Required',
      },
    });
  });

  it('is a request: check_receive may make it, single-use is spent by it, no bank is needed', () => {
    expect(aCaller({ scope: 'check_receive' }).call('POST /v3/invoice', INVOICE).status).toBe(201);
    expect(aCaller({ scope: 'single-use', ready: false }).call('POST /v3/invoice', INVOICE)).toMatchObject({
      status: 201,
      spendsGrant: true,
    });
  });

  it('pays a received invoice once, with a check of its amount', () => {
    const { call, account } = aCaller({ scope: 'single-use' });
    const invoices = account.data['invoices'] as JsonObject[];
    const received = invoices.find((invoice) => invoice['hiddenDirection'] === 'INCOMING')?.['id'] as string;
    const sent = invoices.find((invoice) => invoice['hiddenDirection'] === 'OUTGOING')?.['id'] as string;
    expect(call('POST /v3/invoice/payment', { id: sent }).status).toBe(403);
    expect(call('POST /v3/invoice/payment', { id: received, amount: 1 }).status).toBe(400);
    expect(call('POST /v3/invoice/payment', { id: received, amount: 150.75 })).toMatchObject({
      status: 201,
      body: { amount: 150.75, status: 'UNPAID' },
      events: [{ type: 'INVOICE', object: { status: 'PAID' } }, { type: 'CHECK' }],
      spendsGrant: true,
    });
    expect(account.data['checks']).toHaveLength(1);
    expect(call('POST /v3/invoice/payment', { id: received }).status).toBe(400);
  });
});

describe('banks', () => {
  const BANK = { account: '000123456789', routing: '021000021', type: 'CHECKING', name: 'Pier Bank' };

  it.each(['/v3/account/bank', '/v3/bank'])('lists and adds at %s, showing four digits', (path) => {
    const { call, account } = aCaller();
    expect(call(`POST ${path}`, BANK)).toMatchObject({
      status: 201,
      body: { account: '6789', routing: '021000021', status: 'PENDING', default: false, name: 'Pier Bank' },
    });
    expect(call(`GET ${path}`).body['banks']).toMatchObject([{ status: 'VERIFIED' }, { status: 'PENDING' }]);
    expect(JSON.stringify(account.data)).not.toContain('000123456789');
    expect(call(`POST ${path}`, { ...BANK, routing: '1', type: 'X', account: 'x' }).body['errors']).toEqual({
      account: 'Must have 4 to 17 digits',
      routing: 'Must have 9 digits',
      type: 'Must be one of CHECKING, SAVINGS, BUSINESS',
    });
  });

  it('is verified by the two micro-deposits, which makes the account ready', () => {
    const { call, account } = aCaller({ ready: false });
    const id = (call('GET /v3/account/bank').body['banks'] as JsonObject[])[0]?.['id'] as string;
    const verify = (amount_1: number, amount_2: number) =>
      call('POST /v3/account/bank/verify', { account: id, amount_1, amount_2 });
    expect(verify(0.07, 0.15).body).toEqual({ message: 'The micro-deposits were not released' });
    expect(call('POST /v3/account/bank/release', { account: id }).status).toBe(204);
    expect(verify(0.07, 0.16).status).toBe(400);
    expect(verify(0.15, 0.07)).toMatchObject({ status: 204, changed: true });
    expect(account.ready).toBe(true);
    expect(verify(0.07, 0.15).status).toBe(400);
    expect(call('POST /v3/check/digital', { ...CHECK, account: id }).status).toBe(201);
  });

  it('pays from the named bank only when that one is verified', () => {
    const { call } = aCaller();
    const id = call('POST /v3/account/bank', BANK).body['id'] as string;
    expect(call('POST /v3/check/digital', { ...CHECK, account: id }).body).toEqual({
      message: 'No verified bank account',
    });
  });

  it('follows an account that somebody else made unready', () => {
    const { call, account } = aCaller();
    account.ready = false;
    expect(call('GET /v3/account/bank').body['banks']).toMatchObject([{ status: 'PENDING' }]);
  });
});

describe('user', () => {
  it('shows and updates the person behind the grant; of an SSN only four digits stay', () => {
    const { call, account } = aCaller();
    expect(call('GET /v3/user').body).toMatchObject({
      user: { first_name: 'Ann', last_name: 'Harbour', email: 'ann@harbour.example', status: 'VERIFIED' },
      merchant: null,
      brand: null,
    });
    const body = {
      user: { phone: '5555550100', ssn: '401-55-1234' },
      developer: { webhook_uri: 'https://a.example/h' },
    };
    expect(call('PUT /v3/user', body)).toMatchObject({
      status: 200,
      changed: true,
      body: { user: { phone: '5555550100', ssn: '1234' }, developer: { webhook_uri: 'https://a.example/h' } },
    });
    expect(JSON.stringify(account.data)).not.toContain('401551234');
    expect(call('PUT /v3/user', { ssn: '12', dob: 'then' }).body['errors']).toEqual({
      ssn: 'Must have 9 digits',
      dob: 'Must be yyyy-mm-dd',
    });
    expect(call('PUT /v3/user', { developer: { webhook_uri: `https://a.example/${'x'.repeat(256)}` } }).status).toBe(
      400,
    );
  });

  it('refuses what only marketplaces may do', () => {
    const { call } = aCaller();
    for (const line of ['POST /v3/user', 'GET /v3/user/list', 'DELETE /v3/user/x', 'POST /v3/user/signature']) {
      expect(call(line).status, line).toBe(403);
    }
  });
});

it('has its first resources in both directions, and no sent check without a bank', () => {
  const tools = someTools();
  const [ready, unready] = [anAccount(), anAccount({ ready: false })];
  checkbookRest.seed(ready, [], tools);
  checkbookRest.seed(unready, [], tools);
  const directions = (account: typeof ready) =>
    new Set(account.data['checks']?.map((check) => check['hiddenDirection']));
  expect(directions(ready)).toEqual(new Set(['OUTGOING', 'INCOMING']));
  expect(directions(unready)).toEqual(new Set(['INCOMING']));
});

it('has errors as {message}, or {error} in the older dialect', () => {
  expect(checkbookRest.error(401, 'invalid_token', () => undefined)).toEqual({
    status: 401,
    body: { message: 'invalid_token' },
  });
  expect(checkbookRest.error(401, 'invalid_token', () => 'legacy').body).toEqual({ error: 'invalid_token' });
});
