import { describe, expect, it } from 'vitest';
import { anAccount, aGrant, aUser, someTools } from '../engine/testing.ts';
import type { JsonObject } from '../engine/types.ts';
import { checkrRest } from './rest.ts';
import { aCaller } from './rest-testing.ts';

function sixty() {
  const caller = aCaller();
  for (let row = 0; row < 60; row += 1) caller.candidate({ custom_id: `row-${row}` });
  return caller;
}

describe('lists (scenario 6)', () => {
  it('gives 60 rows as pages of 25, 25 and 10; the last next_href is null', () => {
    const { call } = sixty();
    const seen: string[] = [];
    const sizes: number[] = [];
    let target = '/v1/candidates';
    for (let guard = 0; guard < 10; guard += 1) {
      const { body } = call(`GET ${target}`);
      expect(body).toMatchObject({ object: 'list', count: 60 });
      const rows = body['data'] as JsonObject[];
      sizes.push(rows.length);
      seen.push(...rows.map((row) => String(row['custom_id'])));
      if (body['next_href'] === null) break;
      target = String(body['next_href']).replace('http://127.0.0.1:3004/mount', '');
    }
    expect(sizes).toEqual([25, 25, 10]);
    expect(new Set(seen).size).toBe(60);
    expect(seen[0]).toBe('row-59');
  });

  it('carries page, per_page and the other parameters in absolute addresses', () => {
    const { call } = sixty();
    const { body } = call('GET /v1/candidates?include=reports,geos&page=2&per_page=10');
    const next = new URL(String(body['next_href']));
    expect(next.origin + next.pathname).toBe('http://127.0.0.1:3004/mount/v1/candidates');
    expect(Object.fromEntries(next.searchParams)).toEqual({ include: 'reports,geos', page: '3', per_page: '10' });
    expect(new URL(String(body['previous_href'])).searchParams.get('page')).toBe('1');
    expect(call('GET /v1/candidates').body['previous_href']).toBeNull();
  });

  it('writes http addresses also when it is served by https, unless told otherwise', () => {
    const caller = sixty();
    const https = { baseUrl: 'https://emulator.example/checkr' };
    const href = () => String(caller.call('GET /v1/candidates', undefined, https).body['next_href']);
    expect(href()).toMatch(/^http:\/\/emulator\.example\/checkr\/v1\/candidates\?/);
    caller.tools.knobs['hrefScheme'] = 'same';
    expect(href()).toMatch(/^https:\/\/emulator\.example\//);
  });

  it('takes per_page from 0 to 100 and refuses the rest', () => {
    const { call } = sixty();
    expect(call('GET /v1/candidates?per_page=0').body).toMatchObject({ data: [], count: 60, next_href: null });
    expect(call('GET /v1/candidates?per_page=100').body['data']).toHaveLength(60);
    // A full last page is the last page all the same.
    expect(call('GET /v1/candidates?per_page=20&page=3').body['next_href']).toBeNull();
    for (const query of ['per_page=101', 'per_page=-1', 'per_page=ten', 'page=0', 'page=1.5']) {
      expect(call(`GET /v1/candidates?${query}`)).toMatchObject({ status: 400, body: { error: expect.any(String) } });
    }
  });
});

const knobs = (shape: string) => (name: string) => (name === 'errorShape' ? shape : undefined);

describe('errors', () => {
  it('says one thing as text and several as an array', () => {
    const { call } = aCaller();
    expect(call('POST /v1/candidates', {})).toMatchObject({ status: 400, body: { error: "Email can't be blank" } });
    expect(call('POST /v1/invitations', {}).body).toEqual({
      error: ["Package can't be blank", "Candidate can't be blank"],
    });
    expect(call('POST /v1/candidates', 'text')).toMatchObject({ status: 400 });
  });

  it.each([
    ['new', { error: 'Resource not found' }],
    ['array', { error: ['Resource not found'] }],
    ['errors', { errors: ['Resource not found'] }],
    ['message', { message: 'Resource not found' }],
    ['legacy', { error: { type: 'invalid_request_error', message: 'Resource not found' } }],
  ])('has the shape %s', (shape, body) => {
    expect(checkrRest.error(404, 'Resource not found', knobs(shape))).toEqual({ status: 404, body });
  });

  it('knows no list of reports, and no other path', () => {
    const { call } = aCaller();
    expect(() => call('GET /v1/reports')).toThrow('No route');
    expect(() => call('PATCH /v1/candidates')).toThrow('No route');
    expect(() => call('GET /v2/candidates')).toThrow('No route');
  });
});

describe('hierarchy (scenario 9)', () => {
  it('refuses nodes with 403 while off', () => {
    expect(aCaller().call('GET /v1/nodes?page=1&per_page=1')).toMatchObject({
      status: 403,
      body: { error: 'Account is not enabled for segmentation' },
    });
  });

  it('lists nodes while on, sorted and with packages when asked', () => {
    const { call } = aCaller({ knobs: { hierarchyEnabled: true } });
    const ids = (query: string) =>
      (call(`GET /v1/nodes?${query}`).body['data'] as JsonObject[]).map((node) => node['custom_id']);
    expect(ids('per_page=1')).toEqual(['NA']);
    expect(ids('order_by=custom_id&order=desc')).toEqual(['NA-W', 'NA-E', 'NA']);
    expect(call('GET /v1/nodes?order_by=name').status).toBe(400);

    const { body } = call('GET /v1/nodes?include=packages');
    const west = (body['data'] as JsonObject[]).find((node) => node['custom_id'] === 'NA-W');
    expect(west).toMatchObject({ object: 'node', tier: 'district', parent_custom_id: 'NA' });
    expect(west?.['packages']).toMatchObject([{ slug: 'tasker_standard' }, { slug: 'tasker_pro' }]);
    expect(JSON.stringify(body)).not.toContain('hidden');
    expect(call('GET /v1/account').body['segmentation_enabled']).toBe(true);
  });

  it('asks an order for node and work locations only while on', () => {
    const caller = aCaller({ knobs: { hierarchyEnabled: true } });
    const candidate_id = caller.candidate();
    const order = { package: 'tasker_standard', candidate_id };
    expect(caller.call('POST /v1/invitations', order)).toMatchObject({
      status: 400,
      body: { error: ["Node can't be blank", "Work locations can't be blank"] },
    });
    const placed = { ...order, work_locations: [{ country: 'US', state: 'CA', city: 'San Francisco' }] };
    expect(caller.call('POST /v1/invitations', { ...placed, node: 'nowhere' }).status).toBe(400);
    expect(caller.call('POST /v1/invitations', { ...placed, node: 'NA-W' }).status).toBe(201);
    caller.tools.knobs['hierarchyEnabled'] = false;
    expect(caller.call('POST /v1/invitations', order).status).toBe(201);
  });
});

describe('account and catalogue', () => {
  it('shows the account of the token', () => {
    const { call } = aCaller();
    expect(call('GET /v1/account').body).toMatchObject({
      id: 'acc000000000000000000001',
      object: 'account',
      uri: '/v1/accounts/acc000000000000000000001',
      uri_name: 'harbour-sons',
      authorized: true,
      api_authorized: true,
      created_at: '2026-01-02T03:04:05Z',
    });
    expect(aCaller({ ready: false }).call('GET /v1/account').body).toMatchObject({ authorized: false });
  });

  it('finds a package by id and by slug, until it is deleted', () => {
    const { call } = aCaller();
    const bySlug = call('GET /v1/packages/driver_pro').body;
    expect(bySlug).toMatchObject({ object: 'package', slug: 'driver_pro', price: 5_500 });
    expect(call(`GET /v1/packages/${String(bySlug['id'])}`).body).toEqual(bySlug);
    expect(call('GET /v1/packages').body['count']).toBe(4);

    expect(call('DELETE /v1/packages/driver_pro')).toMatchObject({
      status: 200,
      body: { deleted_at: '2026-11-21T10:00:00Z' },
      events: [{ type: 'package.deleted' }],
    });
    expect(call('GET /v1/packages/driver_pro')).toMatchObject({ status: 404, body: { error: 'Package not found' } });
    expect(call('GET /v1/packages').body['count']).toBe(3);
  });

  it('makes a package and refuses a bad one', () => {
    const { call } = aCaller();
    const body = { slug: 'mine', name: 'Mine', screenings: [{ type: 'county_criminal_search', subtype: 'current' }] };
    expect(call('POST /v1/packages', body)).toMatchObject({ status: 201, body: { slug: 'mine' } });
    expect(call('POST /v1/packages', body).body).toEqual({ error: 'Slug has already been taken' });
    expect(call('POST /v1/packages', { ...body, slug: 'other', screenings: [{ type: 'palm_reading' }] }).body).toEqual({
      error: 'Screenings are invalid',
    });
  });

  it('shows test packages to a test token', () => {
    const { call } = aCaller();
    const reply = call('GET /v1/packages/tasker_pro', undefined, { grant: aGrant({ mode: 'test' }) });
    expect(reply.body['object']).toBe('test_package');
  });

  it('lists users, programs, geos and subscriptions', () => {
    const caller = aCaller();
    const users = [aUser(), aUser({ id: 'bbbbbbbbbbbbbbbbbbbbbbbb', email: 'bo@harbour.example' })];
    expect(caller.call('GET /v1/users', undefined, { users }).body).toMatchObject({
      count: 2,
      data: [{ email: 'ann@harbour.example', full_name: 'Ann Harbour', roles: [{ name: 'Admin' }] }, {}],
    });
    expect(JSON.stringify(caller.call('GET /v1/users').body)).not.toContain('password');
    expect(caller.call('GET /v1/programs').body).toMatchObject({ count: 1, data: [{ object: 'program' }] });
    expect(caller.call('GET /v1/geos').body).toMatchObject({ count: 1, data: [{ object: 'geo' }] });

    const candidate_id = caller.candidate();
    const body = {
      package: 'tasker_pro',
      candidate_id,
      start_date: '2027-01-01',
      interval_count: '6',
      interval_unit: 'month',
    };
    expect(caller.call('POST /v1/subscriptions', body)).toMatchObject({ status: 201, body: { interval_count: 6 } });
    expect(caller.call('POST /v1/subscriptions', { ...body, interval_unit: 'moon' }).status).toBe(400);
    expect(caller.call('GET /v1/subscriptions').body['count']).toBe(1);
  });

  it('keeps at most two webhooks, each with its own reachable address', () => {
    const { call } = aCaller();
    const post = (webhook_url: string) => call('POST /v1/webhooks', { webhook_url, include_object: 'true' });
    expect(call('POST /v1/webhooks', {}).body).toEqual({ error: "Webhook url can't be blank" });
    for (const bad of [
      'ftp://a.example/x',
      'http://a.example/x',
      'https://intranet/x',
      'sns://k:s@r/o/t',
      'nonsense',
    ]) {
      expect(post(bad)).toMatchObject({ status: 400, body: { error: expect.stringContaining('reachable') } });
    }
    const first = post('https://user:word@a.example/hook');
    expect(first).toMatchObject({
      status: 201,
      body: { object: 'webhook', include_object: true, application_id: 'cccccccccccccccccccccccc', deleted_at: null },
    });
    expect(post('https://user:word@a.example/hook').body).toEqual({ error: 'Webhook url has already been taken' });
    expect(post('http://127.0.0.1:4000/hook').status).toBe(201);
    expect(post('https://c.example/hook').body).toEqual({ error: 'Webhook limit has been exceeded' });

    const id = String(first.body['id']);
    expect(call(`GET /v1/webhooks/${id}`).body).toEqual(first.body);
    expect(call(`DELETE /v1/webhooks/${id}`).body['deleted_at']).toBe('2026-11-21T10:00:00Z');
    expect(call(`GET /v1/webhooks/${id}`).status).toBe(404);
    expect(call('GET /v1/webhooks').body['count']).toBe(1);
    expect(post('https://c.example/hook').status).toBe(201);
  });
});

describe('seed', () => {
  it('fills more than one page for an account that may order', () => {
    const tools = someTools();
    const account = anAccount();
    checkrRest.seed(account, [], tools);
    expect(account.data['candidates']).toHaveLength(30);
    const statuses = new Set(account.data['invitations']?.map((invitation) => invitation['status']));
    expect(statuses).toEqual(new Set(['pending', 'completed', 'expired']));
    const results = new Set(account.data['reports']?.map((report) => report['result']));
    expect(results).toEqual(new Set(['clear', 'consider']));
    // What was seeded is settled: no event fires because somebody looks.
    expect(checkrRest.advance(account, tools)).toEqual([]);
  });

  it('gives an account that may not order yet candidates but no orders', () => {
    const account = anAccount({ ready: false });
    checkrRest.seed(account, [], someTools());
    expect(account.data['candidates']).toHaveLength(3);
    expect(account.data['invitations'] ?? []).toEqual([]);
  });
});
