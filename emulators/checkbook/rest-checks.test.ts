import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../engine/types.ts';
import { aCaller, CHECK } from './rest-testing.ts';

const ADDRESS = { line_1: '1 Pier', city: 'Oakland', state: 'CA', zip: '94607', country: 'US' };

describe('sending', () => {
  it('makes a digital check with a decimal amount and a date without zone', () => {
    const { call } = aCaller();
    const reply = call('POST /v3/check/digital', CHECK);
    expect(reply).toMatchObject({
      status: 201,
      changed: true,
      body: {
        status: 'UNPAID',
        amount: 5.25,
        name: 'Kit Larch',
        recipient: 'kit@example.com',
        description: 'Kites',
        comment: null,
        number: '5001',
        date: '2026-11-21 10:00:00',
      },
    });
    expect(reply.body['id']).toMatch(/^[0-9a-f]{32}$/);
    expect(reply.events).toEqual([
      { type: 'CHECK', object: { id: reply.body['id'], status: 'UNPAID', type: 'CHECK' } },
    ]);
    expect(reply.spendsGrant).toBeUndefined();
    expect(call('POST /v3/check/digital', CHECK).body['number']).toBe('5002');
    expect(JSON.stringify(reply.body)).not.toContain('hidden');
  });

  it('makes a physical check to an address', () => {
    const { call } = aCaller();
    const { recipient: _, ...rest } = CHECK;
    expect(call('POST /v3/check/physical', { ...rest, recipient: ADDRESS })).toMatchObject({
      status: 201,
      body: { status: 'IN_PROCESS', recipient: ADDRESS },
    });
    expect(call('POST /v3/check/physical', CHECK)).toMatchObject({
      status: 400,
      body: { errors: { recipient: 'Must be an address' } },
    });
    expect(call('POST /v3/check/physical', { ...CHECK, recipient: { line_1: '1 Pier' } }).body['errors']).toEqual({
      'recipient.city': 'Required',
      'recipient.state': 'Required',
      'recipient.zip': 'Required',
    });
  });

  it.each([
    [{ amount: 0 }, 'amount'],
    [{ amount: '5.25' }, 'amount'],
    [{ amount: 1.005 }, 'amount'],
    [{ name: 'K' }, 'name'],
    [{ name: 'K'.repeat(181) }, 'name'],
    [{ recipient: 'somebody' }, 'recipient'],
    [{ comment: 'x'.repeat(1_025) }, 'comment'],
    [{ remittance_advice: [] }, 'remittance_advice'],
    [{ account: 'unknown' }, 'account'],
  ])('refuses %j per field', (fields, field) => {
    const { call, account } = aCaller();
    expect(call('POST /v3/check/digital', { ...CHECK, ...fields })).toMatchObject({
      status: 400,
      body: { message: 'JSON parameters invalid', errors: { [field]: expect.any(String) } },
    });
    expect(account.data['checks']).toEqual([]);
  });

  it('takes amounts whose cents floats cannot hold, phones and user ids', () => {
    const { call } = aCaller();
    for (const amount of [0.01, 0.29, 1.15, 4.35, 1_999.99, 2_000]) {
      expect(call('POST /v3/check/digital', { ...CHECK, amount }).status).toBe(201);
    }
    for (const recipient of ['+1 (555) 555-0100', 'ab'.repeat(16)]) {
      expect(call('POST /v3/check/digital', { ...CHECK, recipient }).status).toBe(201);
    }
  });

  it('answers the documented refusals', () => {
    const { call, tools } = aCaller();
    const send = (fields: JsonObject) => call('POST /v3/check/digital', { ...CHECK, ...fields });
    expect(send({ deposit_options: ['BANK', 'GOLD'] }).body).toEqual({ message: 'Invalid deposit option' });
    expect(send({ deposit_options: ['BANK', 'RTP'] }).status).toBe(201);
    expect(send({ amount: 2_000.01 }).body).toEqual({
      message: 'A signature is required for amounts above $2000',
    });
    tools.knobs['signatureOnFile'] = true;
    expect(send({ amount: 2_000.01 }).status).toBe(201);
  });

  it('refuses while no bank is verified, and speaks the older dialect by knob', () => {
    const { call, tools, account } = aCaller({ ready: false });
    expect(call('POST /v3/check/digital', CHECK)).toEqual({
      status: 400,
      body: { message: 'No verified bank account' },
    });
    tools.knobs['errorShape'] = 'legacy';
    expect(call('POST /v3/check/digital', CHECK).body).toEqual({ error: 'No verified bank account' });
    expect(call('GET /v3/check').status).toBe(200);
    account.ready = true;
    expect(call('POST /v3/check/digital', CHECK).status).toBe(201);
  });
});

describe('scopes (scenario 12)', () => {
  it('spends a single-use grant by a successful send, not by a refused one and not by reading', () => {
    const { call } = aCaller({ scope: 'single-use' });
    expect(call('GET /v3/check').spendsGrant).toBeUndefined();
    expect(call('GET /v3/user').spendsGrant).toBeUndefined();
    expect(call('POST /v3/check/digital', { ...CHECK, amount: 0 }).spendsGrant).toBeUndefined();
    const sent = call('POST /v3/check/digital', CHECK);
    expect(sent).toMatchObject({ status: 201, spendsGrant: true });
    const reading = call(`GET /v3/check/${String(sent.body['id'])}`);
    expect(reading.status).toBe(200);
    expect(reading.spendsGrant).toBeUndefined();
  });

  it('spends it by any successful call when the knob says so', () => {
    const { call } = aCaller({ scope: 'single-use', knobs: { singleUseConsumes: 'any' } });
    expect(call('GET /v3/check/none')).toMatchObject({ status: 404 });
    expect(call('GET /v3/check/none').spendsGrant).toBeUndefined();
    expect(call('GET /v3/check').spendsGrant).toBe(true);
  });

  it('does not let check_receive send', () => {
    const { call, account } = aCaller({ scope: 'check_receive' });
    for (const path of ['/v3/check/digital', '/v3/check/physical', '/v3/invoice/payment']) {
      expect(call(`POST ${path}`, CHECK)).toMatchObject({ status: 403, body: { message: expect.any(String) } });
    }
    expect(account.data['checks']).toEqual([]);
    expect(call('GET /v3/check').status).toBe(200);
  });
});

function several() {
  const caller = aCaller();
  for (const [name, amount] of [
    ['Alder', 30],
    ['Birch', 4],
    ['Cedar', 100.5],
  ] as const) {
    caller.call('POST /v3/check/digital', { ...CHECK, name, amount, description: `For ${name}` });
    caller.tools.clock.advanceDays(1);
  }
  const names = (query: string) =>
    (caller.call(`GET /v3/check?${query}`).body['checks'] as JsonObject[]).map((check) => check['name']);
  return { ...caller, names };
}

describe('reading', () => {
  it('lists newest first in the envelope of the resource, with direction and sender', () => {
    const { call, names } = several();
    expect(names('')).toEqual(['Cedar', 'Birch', 'Alder']);
    const { body } = call('GET /v3/check?per_page=2&page=2');
    expect(body).toMatchObject({ page: 2, pages: 2, total: 3 });
    expect(body['checks']).toMatchObject([{ name: 'Alder', direction: 'OUTGOING', sender: 'Harbour & Sons' }]);
    expect(call(`GET /v3/check/${String((body['checks'] as JsonObject[])[0]?.['id'])}`).body).not.toHaveProperty(
      'sender',
    );
    expect(call('GET /v3/check?per_page=0').body['errors']).toEqual({ per_page: 'Must be from 1 to 100' });
    expect(call('GET /v3/check?page=0').status).toBe(400);
  });

  it('filters and sorts', () => {
    const { call, names } = several();
    expect(names('sort=-AMOUNT')).toEqual(['Cedar', 'Alder', 'Birch']);
    expect(names('sort=+AMOUNT')).toEqual(['Birch', 'Alder', 'Cedar']);
    expect(names('sort=%2BNUMBER')).toEqual(['Alder', 'Birch', 'Cedar']);
    expect(names('q=for+bir')).toEqual(['Birch']);
    expect(names('start_date=2026-11-22&end_date=2026-11-22')).toEqual(['Birch']);
    expect(names('direction=INCOMING')).toEqual([]);
    expect(names('status=UNPAID&type=DIGITAL')).toHaveLength(3);
    for (const bad of ['direction=UP', 'status=GONE', 'start_date=1.1.2026', 'sort=COLOUR']) {
      expect(call(`GET /v3/check?${bad}`).status, bad).toBe(400);
    }
  });
});

describe('after sending', () => {
  it('is voided once, with an empty answer', () => {
    const { call } = aCaller();
    const path = `/v3/check/${String(call('POST /v3/check/digital', CHECK).body['id'])}`;
    const reply = call(`DELETE ${path}`);
    expect(reply).toMatchObject({ status: 200, changed: true, events: [{ object: { status: 'VOID' } }] });
    expect(reply.body).toBeUndefined();
    expect(call(`GET ${path}`).body['status']).toBe('VOID');
    expect(call(`DELETE ${path}`).status).toBe(400);
    expect(call('DELETE /v3/check/none')).toMatchObject({ status: 404, body: { message: 'Check not found' } });
  });

  it('follows the sandbox trigger and keeps its history', () => {
    const { call, tools } = aCaller();
    const id = String(call('POST /v3/check/digital', CHECK).body['id']);
    tools.clock.advanceMs(5_000);
    const reply = call(`PUT /v3/check/webhook/${id}`, { status: 'FAILED', options: { return_code: 'R01' } });
    expect(reply).toMatchObject({
      status: 204,
      events: [{ type: 'CHECK', object: { id, status: 'FAILED', type: 'CHECK' } }],
    });
    expect(reply.body).toBeUndefined();
    expect(call(`GET /v3/check/${id}/tracking`).body['tracking']).toEqual([
      { status: 'UNPAID', date: '2026-11-21 10:00:00' },
      { status: 'FAILED', date: '2026-11-21 10:00:05', return_code: 'R01' },
    ]);
    expect(call(`PUT /v3/check/webhook/${id}`, { status: 'LOST' }).status).toBe(400);
    tools.knobs['sandboxCalls'] = false;
    expect(call(`PUT /v3/check/webhook/${id}`, { status: 'PAID' }).status).toBe(404);
  });

  it('reminds the recipient of an open check', () => {
    const { call } = aCaller();
    const id = String(call('POST /v3/check/digital', CHECK).body['id']);
    expect(call(`POST /v3/check/notify/${id}`)).toEqual({ status: 204 });
    call(`PUT /v3/check/webhook/${id}`, { status: 'PAID' });
    expect(call(`POST /v3/check/notify/${id}`).status).toBe(400);
  });
});
