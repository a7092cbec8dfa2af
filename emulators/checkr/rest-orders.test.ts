import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../engine/types.ts';
import { checkrRest } from './rest.ts';
import { aCaller, FULL_CANDIDATE, type Caller } from './rest-testing.ts';

const types = (events: { type: string }[] | undefined) => (events ?? []).map((event) => event.type);

function invite(caller: Caller, fields: JsonObject = {}): JsonObject {
  const reply = caller.call('POST /v1/invitations', {
    package: 'tasker_standard',
    candidate_id: caller.candidate(fields),
  });
  expect(reply.status).toBe(201);
  return reply.body;
}

function orderReport(caller: Caller, fields: JsonObject = {}, slug = 'tasker_standard'): JsonObject {
  const candidate_id = caller.candidate({ ...FULL_CANDIDATE, ...fields });
  const reply = caller.call('POST /v1/reports', { package: slug, candidate_id });
  expect(reply.status).toBe(200);
  return reply.body;
}

describe('ordering before the account is credentialed', () => {
  it('answers 403 with the documented sentence; reading works; afterwards 201', () => {
    const caller = aCaller({ ready: false });
    const candidate_id = caller.candidate(FULL_CANDIDATE);
    const order = { package: 'tasker_standard', candidate_id };
    for (const path of ['/v1/invitations', '/v1/reports']) {
      expect(caller.call(`POST ${path}`, order)).toEqual({
        status: 403,
        body: { error: 'Sorry, your account is not approved for production' },
      });
    }
    expect(caller.call('GET /v1/invitations').status).toBe(200);
    caller.account.ready = true;
    expect(caller.call('POST /v1/invitations', order).status).toBe(201);
    expect(caller.call('POST /v1/reports', order).status).toBe(200);
  });
});

describe('invitations', () => {
  it('is pending for seven days', () => {
    const caller = aCaller();
    const invitation = invite(caller);
    expect(invitation).toMatchObject({
      object: 'invitation',
      status: 'pending',
      created_at: '2026-11-21T10:00:00Z',
      expires_at: '2026-11-28T10:00:00Z',
      report_id: null,
      package: 'tasker_standard',
      archived: false,
      tags: [],
    });
    expect(invitation['invitation_url']).toMatch(/\/invite\/harbour-sons\/[0-9a-f]{12}$/);
  });

  it('names what is missing or unknown', () => {
    const { call, candidate } = aCaller();
    const candidate_id = candidate();
    expect(call('POST /v1/invitations', { candidate_id }).body).toEqual({ error: "Package can't be blank" });
    expect(call('POST /v1/invitations', { candidate_id, package: 'none' })).toMatchObject({
      status: 404,
      body: { error: 'Package not found' },
    });
    expect(call('POST /v1/invitations', { candidate_id: 'x', package: 'tasker_pro' })).toMatchObject({
      status: 404,
      body: { error: 'Candidate not found' },
    });
  });

  it('lists by candidate and status, and refuses an unknown status', () => {
    const caller = aCaller();
    const first = invite(caller);
    invite(caller);
    caller.call(`POST /v1/emulator/invitations/${String(first['id'])}/complete`);
    const count = (query: string) => caller.call(`GET /v1/invitations?${query}`).body['count'];
    expect([count(''), count('status=pending'), count('status=completed'), count('status=expired')]).toEqual([
      2, 1, 1, 0,
    ]);
    expect(count(`candidate_id=${String(first['candidate_id'])}`)).toBe(1);
    expect(caller.call('GET /v1/invitations?status=open').status).toBe(400);
  });

  it('is canceled once, by DELETE, and leaves the list', () => {
    const caller = aCaller();
    const path = `/v1/invitations/${String(invite(caller)['id'])}`;
    const first = caller.call(`DELETE ${path}`);
    expect(first).toMatchObject({ status: 200, body: { deleted_at: '2026-11-21T10:00:00Z' } });
    expect(types(first.events)).toEqual(['invitation.deleted']);
    expect(caller.call(`DELETE ${path}`).events).toBeUndefined();
    expect(caller.call('GET /v1/invitations').body['count']).toBe(0);
  });

  it('completes by the call of the emulator: a pending report appears', () => {
    const caller = aCaller();
    const id = String(invite(caller)['id']);
    const reply = caller.call(`POST /v1/emulator/invitations/${id}/complete`);
    expect(types(reply.events)).toEqual(['invitation.completed', 'report.created']);
    expect(reply.body).toMatchObject({ status: 'completed', completed_at: '2026-11-21T10:00:00Z' });
    const report = caller.call(`GET /v1/reports/${String(reply.body['report_id'])}`).body;
    expect(report).toMatchObject({ status: 'pending', result: null, source: 'web', ssn_trace_id: expect.any(String) });
    expect(caller.call(`POST /v1/emulator/invitations/${id}/complete`).status).toBe(400);
    expect(caller.call(`DELETE /v1/invitations/${id}`).status).toBe(400);
  });
});

describe('what time does', () => {
  it('expires an invitation after seven days, unless expiry is off (staging)', () => {
    const caller = aCaller();
    const id = String(invite(caller)['id']);
    caller.tools.clock.advanceMs(7 * 86_400_000 - 1);
    expect(caller.call(`GET /v1/invitations/${id}`).body['status']).toBe('pending');
    caller.tools.knobs['invitationExpiry'] = false;
    caller.tools.clock.advanceDays(1);
    expect(caller.call(`GET /v1/invitations/${id}`).body['status']).toBe('pending');
    caller.tools.knobs['invitationExpiry'] = true;
    const reply = caller.call(`GET /v1/invitations/${id}`);
    expect(reply.body['status']).toBe('expired');
    expect(reply.changed).toBe(true);
    expect(types(reply.events)).toEqual(['invitation.expired']);
  });

  it.each([
    ['111-11-2001', 'complete', 'clear', 'report.completed'],
    ['111-11-2002', 'complete', 'consider', 'report.completed'],
    ['111-11-2003', 'suspended', null, 'report.suspended'],
    ['111-11-2004', 'dispute', 'consider', 'report.disputed'],
    ['111-11-2005', 'canceled', null, 'report.canceled'],
  ])('plays the mock candidate %s to %s', (ssn, status, result, event) => {
    const caller = aCaller();
    const invitation = invite(caller, { ssn });
    caller.tools.clock.advanceMs(60_000);
    expect(types(checkrRest.advance(caller.account, caller.tools))).toEqual(['invitation.completed', 'report.created']);
    caller.tools.clock.advanceMs(120_000);
    expect(types(checkrRest.advance(caller.account, caller.tools))).toEqual([event]);
    expect(checkrRest.advance(caller.account, caller.tools)).toEqual([]);

    const { body } = caller.call(`GET /v1/invitations/${String(invitation['id'])}`);
    const report = caller.call(`GET /v1/reports/${String(body['report_id'])}`).body;
    expect(report).toMatchObject({ status, result });
    if (status !== 'suspended')
      expect(report).toMatchObject({ completed_at: '2026-11-21T10:03:00Z', turnaround_time: 120 });
  });

  it('plays by e-mail address too, and leaves everybody else pending for ever', () => {
    const caller = aCaller({ knobs: { invitationExpiry: false } });
    const mock = invite(caller, { email: 'mock.consider+7@example.com' });
    const real = invite(caller, { email: 'ada@example.com', ssn: '401-55-1234' });
    caller.tools.clock.advanceDays(1);
    checkrRest.advance(caller.account, caller.tools);
    caller.tools.clock.advanceDays(30);
    checkrRest.advance(caller.account, caller.tools);
    expect(caller.call(`GET /v1/invitations/${String(mock['id'])}`).body['status']).toBe('completed');
    expect(caller.account.data['reports']).toMatchObject([{ status: 'complete', result: 'consider' }]);
    expect(caller.call(`GET /v1/invitations/${String(real['id'])}`).body['status']).toBe('pending');
  });
});

describe('reports', () => {
  it('answers 200, or 201 by knob', () => {
    const caller = aCaller();
    const report = orderReport(caller);
    expect(report).toMatchObject({
      object: 'report',
      status: 'pending',
      result: null,
      source: 'api',
      package: 'tasker_standard',
    });
    caller.tools.knobs['reportCreateStatus'] = 201;
    const candidate_id = caller.candidate(FULL_CANDIDATE);
    expect(caller.call('POST /v1/reports', { package: 'tasker_pro', candidate_id }).status).toBe(201);
  });

  it('needs the personal data that its searches need', () => {
    const { call, candidate } = aCaller();
    const candidate_id = candidate({ first_name: 'Ada', last_name: 'Alder', dob: '1980-01-01' });
    expect(call('POST /v1/reports', { package: 'driver_pro', candidate_id })).toEqual({
      status: 400,
      body: { error: ['Package requires SSN', 'Package requires zipcode', 'Package requires driver license'] },
    });
  });

  it('refuses the fourth report of a candidate within a day', () => {
    const { call, candidate, tools } = aCaller();
    const body = { package: 'tasker_standard', candidate_id: candidate({ ...FULL_CANDIDATE, ssn: '401-55-1234' }) };
    const order = () => call('POST /v1/reports', body).status;
    expect([order(), order(), order(), order()]).toEqual([200, 200, 200, 409]);
    tools.clock.advanceDays(1);
    expect(order()).toBe(200);
  });

  it('puts candidate and searches in place of their ids', () => {
    const caller = aCaller();
    const id = String(orderReport(caller, {}, 'tasker_pro')['id']);
    const plain = caller.call(`GET /v1/reports/${id}`).body;
    const full = caller.call(`GET /v1/reports/${id}?include=candidate,ssn_trace,county_criminal_searches`).body;
    expect(full).toMatchObject({
      candidate: { id: plain['candidate_id'], ssn: 'XXX-XX-2001' },
      ssn_trace: { id: plain['ssn_trace_id'], object: 'ssn_trace', status: 'pending' },
      county_criminal_searches: [{ object: 'county_criminal_search' }],
      sex_offender_search_id: plain['sex_offender_search_id'],
    });
    expect(full).not.toHaveProperty('candidate_id');
    expect(full).not.toHaveProperty('ssn_trace_id');
    const trace = full['ssn_trace'] as JsonObject;
    expect(caller.call(`GET ${String(trace['uri'])}`).body).toEqual(trace);
    expect(JSON.stringify(full)).not.toContain('hidden');
  });

  it('estimates the end while pending', () => {
    const caller = aCaller();
    const id = String(orderReport(caller)['id']);
    expect(caller.call(`GET /v1/reports/${id}/eta`).body).toEqual({
      estimate_generated_at: '2026-11-21T10:00:00Z',
      estimated_completion_time: '2026-11-23T10:00:00Z',
    });
  });

  it('finishes now with what is done', () => {
    const caller = aCaller();
    const id = String(orderReport(caller)['id']);
    const reply = caller.call(`POST /v1/reports/${id}/complete`);
    expect(reply).toMatchObject({ status: 200, body: { status: 'complete', includes_canceled: true } });
    expect(types(reply.events)).toEqual(['report.completed']);
    expect(caller.call(`POST /v1/reports/${id}/complete`).status).toBe(400);
  });

  it('is upgraded to a package that adds searches', () => {
    const caller = aCaller();
    const id = String(orderReport(caller)['id']);
    const upgrade = (slug: string) => caller.call(`POST /v1/reports/${id}`, { package: slug });
    expect(upgrade('tasker_standard').body).toEqual({ error: 'Upgrade package does not add any screenings' });
    const reply = upgrade('tasker_pro');
    expect(reply.body).toMatchObject({ package: 'tasker_pro', upgraded_at: '2026-11-21T10:00:00Z', status: 'pending' });
    expect(reply.body['county_criminal_search_ids']).toHaveLength(1);
    expect(types(reply.events)).toEqual(['report.upgraded']);
    caller.tools.clock.advanceDays(366);
    expect(upgrade('driver_pro').body).toEqual({ error: 'Report is too old to be upgraded' });
  });

  it('is adjudicated, together with its candidate', () => {
    const caller = aCaller();
    const report = orderReport(caller);
    const path = `/v1/reports/${String(report['id'])}`;
    expect(caller.call(`POST ${path}`, { adjudication: 'liked' }).status).toBe(400);
    expect(caller.call(`POST ${path}`, {}).status).toBe(400);
    const reply = caller.call(`POST ${path}`, { adjudication: 'engaged' });
    expect(reply.body['adjudication']).toBe('engaged');
    expect(types(reply.events)).toEqual(['report.engaged']);
    const found = caller.call('GET /v1/candidates?adjudication=engaged').body;
    expect(found).toMatchObject({ count: 1, data: [{ id: report['candidate_id'] }] });
  });
});

function considered(): { caller: Caller; path: string; items: string[] } {
  const caller = aCaller();
  const path = `/v1/reports/${String(orderReport(caller)['id'])}`;
  caller.call(`POST ${path.replace('/v1/', '/v1/emulator/')}/finish`, { outcome: 'consider' });
  const items = caller.call(`GET ${path}/adverse_items`).body['data'] as JsonObject[];
  return { caller, path, items: items.map((item) => String(item['id'])) };
}

describe('adverse actions', () => {
  it('needs items of the report, notifies, and completes after the waiting time', () => {
    const { caller, path, items } = considered();
    expect(items).toHaveLength(1);
    expect(caller.call(`POST ${path}/adverse_actions`, {}).status).toBe(400);
    expect(caller.call(`POST ${path}/adverse_actions`, { adverse_item_ids: ['x'] }).status).toBe(400);
    const reply = caller.call(`POST ${path}/adverse_actions`, { adverse_item_ids: items });
    expect(reply).toMatchObject({ status: 201, body: { status: 'pending', adverse_items: [{ id: items[0] }] } });
    expect(types(reply.events)).toEqual(['report.pre_adverse_action', 'candidate.pre_adverse_action']);
    expect(caller.call(`POST ${path}/adverse_actions`, { adverse_item_ids: items }).status).toBe(400);

    caller.tools.clock.advanceDays(7);
    const read = caller.call(`GET /v1/adverse_actions/${String(reply.body['id'])}`);
    expect(read.body['status']).toBe('complete');
    expect(types(read.events)).toEqual(['report.post_adverse_action', 'candidate.post_adverse_action']);
    expect(caller.call(`GET ${path}`).body['adjudication']).toBe('post_adverse_action');
  });

  it('is canceled before the post notice goes out', () => {
    const { caller, path, items } = considered();
    const id = String(caller.call(`POST ${path}/adverse_actions`, { adverse_item_ids: items }).body['id']);
    expect(caller.call(`DELETE /v1/adverse_actions/${id}`)).toMatchObject({
      status: 200,
      body: { status: 'canceled' },
    });
    expect(caller.call(`DELETE /v1/adverse_actions/${id}`).status).toBe(400);
    caller.tools.clock.advanceDays(8);
    expect(checkrRest.advance(caller.account, caller.tools)).toEqual([]);
  });
});
