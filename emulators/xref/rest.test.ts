import { describe, expect, it } from 'vitest';
import { anAccount, aRequest, aUser, someTools } from '../engine/testing.ts';
import type { Json, JsonObject, RestReply, RestRequest } from '../engine/types.ts';
import { xrefRest } from './rest.ts';

function aCaller(knobs: Record<string, Json> = {}) {
  const tools = someTools(knobs);
  const account = anAccount({ id: 'abcdefabcdefabcdefabcdefabcdefab' });
  xrefRest.seed(account, [], tools);
  const template = account.data['templates']?.[0]?.['id'] as string;
  const call = (line: string, body?: Json, fields: Partial<RestRequest> = {}) => {
    const reply = xrefRest.handle(aRequest(line, { account, body, ...fields }), tools);
    if (!reply) throw new Error(`No route for ${line}`);
    return reply as RestReply & { body: JsonObject };
  };
  const order = (email: string): JsonObject => ({
    candidate: { first_name: 'Kit', last_name: 'Larch', email },
    template_id: template,
    referees: [{ name: 'Rae Yew', email: 'rae@example.com', relationship: 'manager' }],
  });
  return { tools, account, call, order };
}

describe('credentials, users, templates', () => {
  it('names the account at POST /auth only', () => {
    const { call } = aCaller();
    expect(call('POST /auth')).toEqual({ status: 200, body: { xref_account_id: 'abcdefabcdefabcdefabcdefabcdefab' } });
    expect(() => call('GET /auth')).toThrow('No route');
  });

  it('lists users without passwords, and templates', () => {
    const { call } = aCaller();
    const users = [aUser(), aUser({ id: 'b', email: 'bo@harbour.example' })];
    const { body } = call('GET /users', undefined, { users });
    expect(body).toMatchObject({ count: 2, data: [{ email: 'ann@harbour.example' }, { id: 'b' }] });
    expect(JSON.stringify(body)).not.toContain('not-used');
    expect(call('GET /templates').body).toMatchObject({ count: 3, next_href: null });
  });
});

describe('requests', () => {
  it('is created with its referees and read back', () => {
    const { call, order } = aCaller();
    const reply = call('POST /requests', { ...order('kit@example.com'), position: 'Driver' });
    expect(reply).toMatchObject({
      status: 201,
      changed: true,
      events: [{ type: 'request.created' }],
      body: {
        status: 'created',
        position: 'Driver',
        candidate: { first_name: 'Kit', mobile: null },
        referees: [{ name: 'Rae Yew', relationship: 'manager', status: 'pending' }],
        created_at: '2026-11-21T10:00:00Z',
        completed_at: null,
        report_url: null,
      },
    });
    expect(reply.body['id']).toMatch(/^[0-9a-f]{32}$/);
    expect(call(`GET /requests/${String(reply.body['id'])}`).body).toEqual(reply.body);
    expect(call('GET /requests/none')).toMatchObject({ status: 404, body: { error: 'Request not found' } });
  });

  it('refuses what is incomplete, in one sentence', () => {
    const { call, order, account } = aCaller();
    const before = account.data['requests']?.length;
    const reply = call('POST /requests', { ...order('not an address'), template_id: 'x', referees: [{}] });
    expect(reply).toEqual({
      status: 400,
      body: {
        error: 'candidate.email is invalid, template_id is unknown, referees[0] needs a name and a valid email',
      },
    });
    expect(call('POST /requests', undefined).status).toBe(400);
    expect(call('POST /requests', []).status).toBe(400);
    expect(account.data['requests']).toHaveLength(before ?? 0);
  });

  it('pages in its own scheme and filters by status', () => {
    const { call, order } = aCaller();
    for (let row = 0; row < 30; row += 1) call('POST /requests', order(`kit${row}@example.com`));
    const first = call('GET /requests?status=created&per_page=20', undefined, { baseUrl: 'https://xref.test' }).body;
    expect(first).toMatchObject({ count: 31, previous_href: null });
    const next = new URL(String(first['next_href']));
    expect(next.href).toMatch(/^https:\/\/xref\.test\/requests\?/);
    expect(call(`GET /requests${next.search}`).body).toMatchObject({ count: 31, next_href: null });
    expect(call('GET /requests?status=lost').status).toBe(400);
    expect(call('GET /requests?per_page=101').status).toBe(400);
  });

  it('is archived once', () => {
    const { call, order } = aCaller();
    const path = `/requests/${String(call('POST /requests', order('kit@example.com')).body['id'])}/archive`;
    expect(call(`POST ${path}`)).toMatchObject({
      status: 200,
      body: { status: 'archived' },
      events: [{ type: 'request.archived' }],
    });
    const again = call(`POST ${path}`);
    expect(again).toMatchObject({ status: 200, changed: false });
    expect(again.events).toBeUndefined();
  });

  it('moves by itself only for a mock candidate, step by step also when nobody looks', () => {
    const { call, order, tools, account } = aCaller();
    const mock = String(call('POST /requests', order('mock.complete+1@example.com')).body['id']);
    const real = String(call('POST /requests', order('kit@example.com')).body['id']);
    tools.clock.advanceMs(60_000);
    expect(call(`GET /requests/${mock}`)).toMatchObject({ body: { status: 'sent' }, changed: true });
    expect(call(`GET /requests/${mock}/report`).status).toBe(404);

    tools.clock.advanceMs(3_600_000);
    expect(xrefRest.advance(account, tools).map((event) => event.type)).toEqual([
      'request.updated',
      'referee.responded',
      'request.completed',
      'report.ready',
    ]);
    const done = call(`GET /requests/${mock}`).body;
    expect(done).toMatchObject({
      status: 'complete',
      completed_at: '2026-11-21T10:03:00Z',
      referees: [{ status: 'responded' }],
      report_url: `http://127.0.0.1:3004/mount/requests/${mock}/report`,
    });
    expect(call(`GET /requests/${mock}/report`).body).toMatchObject({ request_id: mock });
    expect(call(`GET /requests/${real}`).body['status']).toBe('created');
  });
});

it('tells limits by Retry-After, unlike the first provider, and errors as {error}', () => {
  expect(xrefRest.limit).toMatchObject({ kind: 'retry-after', scope: 'account' });
  expect(xrefRest.error(401, 'Unauthorized', () => undefined)).toEqual({
    status: 401,
    body: { error: 'Unauthorized' },
  });
});

it('is seeded with one request in each state', () => {
  const { account, tools } = aCaller();
  expect(account.data['requests']?.map((request) => request['status'])).toEqual([
    'archived',
    'complete',
    'in_progress',
    'sent',
    'created',
  ]);
  expect(xrefRest.advance(account, tools)).toEqual([]);
});
