import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../engine/types.ts';
import { isSsn } from './rest-candidate-rules.ts';
import { aCaller, FULL_CANDIDATE } from './rest-testing.ts';

const emails = (body: JsonObject) => (body['data'] as JsonObject[]).map((row) => row['email']);

describe('create', () => {
  it('needs only an e-mail address, masks the SSN and tells candidate.created', () => {
    const { call, account } = aCaller();
    const reply = call('POST /v1/candidates', { ...FULL_CANDIDATE, email: 'ada@example.com', metadata: { crew: 'b' } });
    expect(reply.status).toBe(201);
    expect(reply.body).toMatchObject({
      object: 'candidate',
      uri: `/v1/candidates/${String(reply.body['id'])}`,
      created_at: '2026-11-21T10:00:00Z',
      email: 'ada@example.com',
      ssn: 'XXX-XX-2001',
      report_ids: [],
      geo_ids: [],
      adjudication: null,
      metadata: { crew: 'b' },
    });
    expect(reply.body['id']).toMatch(/^[0-9a-f]{24}$/);
    expect(JSON.stringify(reply)).not.toMatch(/hidden|111112001|111-11-2001/);
    expect(reply).toMatchObject({ changed: true, events: [{ type: 'candidate.created' }] });
    expect(account.data['candidates']).toHaveLength(1);
    expect(call('POST /v1/candidates', { email: 'b@example.com' }).body).toMatchObject({ first_name: null, ssn: null });
  });

  it('reads form values: booleans as text, lists of one', () => {
    const { call } = aCaller();
    const form = { email: 'ada@example.com', no_middle_name: 'true', copy_requested: '1', geo_ids: ['g1'] };
    expect(call('POST /v1/candidates', form).body).toMatchObject({ no_middle_name: true, copy_requested: true });
  });

  it.each([
    [{ email: 'no-at-sign' }, 'Email is invalid'],
    [{ email: `${'a'.repeat(250)}@example.com` }, 'Email is invalid'],
    [{ first_name: 'Ada <b>' }, 'First name contains invalid characters'],
    [{ ssn: '666-12-3456' }, 'SSN is invalid'],
    [{ zipcode: '9410' }, 'Zipcode is invalid'],
    [{ dob: '2015-01-01' }, 'Candidate must be at least 16 years old'],
    [{ dob: '1980-02-30' }, 'Dob is invalid'],
    [{ dob: '3.2.1980' }, 'Dob is invalid'],
    [{ no_middle_name: true, middle_name: 'B' }, 'Middle name must be blank when no_middle_name is true'],
    [{ driver_license_state: 'California' }, 'Driver license state is invalid'],
  ])('refuses %j', (fields, error) => {
    const { call, account } = aCaller();
    expect(call('POST /v1/candidates', { email: 'ada@example.com', ...fields })).toMatchObject({
      status: 400,
      body: { error },
    });
    expect(account.data['candidates']).toHaveLength(0);
  });

  it('allows the birthday of the youngest age and names of other languages', () => {
    const { call } = aCaller();
    const body = { email: 'a@example.com', dob: '2010-11-21', first_name: 'Zoë', last_name: "O'Neil-Čapek, Jr." };
    expect(call('POST /v1/candidates', body).status).toBe(201);
    expect(call('POST /v1/candidates', { ...body, dob: '2010-11-22' }).status).toBe(400);
  });

  it('refuses the third candidate alike within a day', () => {
    const { call, tools } = aCaller();
    const create = () => call('POST /v1/candidates', { ...FULL_CANDIDATE, email: 'ada@example.com' }).status;
    expect([create(), create(), create()]).toEqual([201, 201, 409]);
    tools.clock.advanceDays(1);
    expect(create()).toBe(201);
  });

  it('refuses the SSN of somebody else, but not a mock SSN', () => {
    const { call } = aCaller();
    const create = (email: string, ssn: string) => call('POST /v1/candidates', { email, ssn });
    expect(create('a@example.com', '401-55-1234').status).toBe(201);
    expect(create('b@example.com', '401551234').body).toEqual({ error: 'SSN has already been taken' });
    expect(create('c@example.com', '111-11-2002').status).toBe(201);
    expect(create('d@example.com', '111-11-2002').status).toBe(201);
  });

  it('knows which SSNs exist', () => {
    expect(isSsn('111112001')).toBe(true);
    for (const bad of ['11111200', '900112001', '666112001', '333333333', '123456789', '987654321', '40155123x']) {
      expect(isSsn(bad)).toBe(false);
    }
  });
});

describe('list', () => {
  it('filters by each documented field', () => {
    const { call, tools, candidate } = aCaller();
    candidate({ email: 'ada@example.com', first_name: 'Ada', middle_name: 'B', last_name: 'Alder', custom_id: 'c-1' });
    tools.clock.advanceDays(2);
    candidate({ email: 'bo@example.com', first_name: 'Bo', last_name: 'Birch', geo_ids: ['g1'] });
    const list = (query: string) => emails(call(`GET /v1/candidates?${query}`).body);
    expect(list('')).toEqual(['bo@example.com', 'ada@example.com']);
    expect(list('email=ADA@example.com')).toEqual(['ada@example.com']);
    expect(list('full_name=ada+alder')).toEqual(['ada@example.com']);
    expect(list('full_name=Ada+B+Alder')).toEqual(['ada@example.com']);
    expect(list('full_name=Ada')).toEqual([]);
    expect(list('custom_id=c-1')).toEqual(['ada@example.com']);
    expect(list('geo_id=g1')).toEqual(['bo@example.com']);
    expect(list('created_after=2026-11-22T00:00:00Z')).toEqual(['bo@example.com']);
    expect(list('created_before=2026-11-22')).toEqual(['ada@example.com']);
    expect(call('GET /v1/candidates?created_after=soon').status).toBe(400);
  });

  it('filters by reports: one report must satisfy everything', () => {
    const { call, candidate } = aCaller();
    for (const outcome of ['clear', 'consider']) {
      const id = candidate({ ...FULL_CANDIDATE, email: `${outcome}@example.com` });
      const report = call('POST /v1/reports', { package: 'tasker_standard', candidate_id: id }).body;
      call(`POST /v1/emulator/reports/${String(report['id'])}/finish`, { outcome });
    }
    const list = (query: string) => emails(call(`GET /v1/candidates?${query}`).body);
    expect(list('report_result=consider')).toEqual(['consider@example.com']);
    expect(list('report_status=complete&report_result=clear')).toEqual(['clear@example.com']);
    expect(list('report_completed_after=2026-11-21T09:00:00Z')).toHaveLength(2);
    expect(list('report_completed_before=2026-11-21T09:00:00Z')).toEqual([]);
    expect(list('report_status=suspended')).toEqual([]);
  });

  it('leaves out candidates outside the United States', () => {
    const { call, candidate } = aCaller();
    candidate({ email: 'us@example.com', work_locations: [{ country: 'US', state: 'CA' }] });
    const abroad = candidate({ email: 'nz@example.com', work_locations: [{ country: 'NZ' }] });
    expect(emails(call('GET /v1/candidates').body)).toEqual(['us@example.com']);
    expect(call(`GET /v1/candidates/${abroad}`).status).toBe(200);
  });
});

describe('read and update', () => {
  it('puts reports and geos in place of their ids', () => {
    const { call, candidate, account } = aCaller();
    const geo = account.data['geos']?.[0]?.['id'] as string;
    const id = candidate({ ...FULL_CANDIDATE, geo_ids: [geo] });
    call('POST /v1/reports', { package: 'tasker_standard', candidate_id: id });
    const plain = call(`GET /v1/candidates/${id}`).body;
    expect(plain).toMatchObject({ report_ids: [expect.any(String)], geo_ids: [geo] });
    const full = call(`GET /v1/candidates/${id}?include=reports,geos`).body;
    expect(full).toMatchObject({ reports: [{ object: 'report' }], geos: [{ id: geo, object: 'geo' }] });
    expect(full).not.toHaveProperty('report_ids');
    expect(full).not.toHaveProperty('geo_ids');
  });

  it('updates by POST, keeps what was not sent, and tells candidate.updated', () => {
    const { call, candidate } = aCaller();
    const id = candidate({ ...FULL_CANDIDATE, email: 'ada@example.com' });
    expect(call(`POST /v1/candidates/${id}`, { phone: '5555551234', zipcode: '' })).toMatchObject({
      status: 200,
      body: { email: 'ada@example.com', phone: '5555551234', zipcode: null, ssn: 'XXX-XX-2001' },
      events: [{ type: 'candidate.updated' }],
    });
    expect(call(`POST /v1/candidates/${id}`, { middle_name: 'B', no_middle_name: true }).status).toBe(400);
    expect(call('POST /v1/candidates/000000000000000000000000', {})).toMatchObject({
      status: 404,
      body: { error: 'Candidate not found' },
    });
  });

  it('removes personal data, after which nothing can be written', () => {
    const { call, candidate, account } = aCaller();
    const id = candidate({ ...FULL_CANDIDATE, email: 'ada@example.com' });
    expect(call(`DELETE /v1/candidates/${id}/pii`, {}).status).toBe(400);
    const reply = call(`DELETE /v1/candidates/${id}/pii`, { deletion_contact_email_address: 'me@example.com' });
    expect(reply).toMatchObject({ status: 200, body: { id, first_name: null, ssn: null, dob: null } });
    expect(JSON.stringify(account.data['candidates'])).not.toMatch(/ada@|Alder|111112001/);
    for (const [line, body] of [
      [`POST /v1/candidates/${id}`, { phone: '1' }],
      [`POST /v1/candidates/${id}/documents`, { type: 'paystub' }],
      ['POST /v1/invitations', { package: 'tasker_pro', candidate_id: id }],
      ['POST /v1/reports', { package: 'tasker_pro', candidate_id: id }],
    ] as const) {
      expect(call(line, body), line).toMatchObject({ status: 403, body: { error: expect.stringContaining('PII') } });
    }
    expect(call(`GET /v1/candidates/${id}`).status).toBe(200);
  });
});

describe('what hangs below a candidate', () => {
  it('lists documents without pages and filters by types[]', () => {
    const { call, candidate } = aCaller();
    const id = candidate();
    for (const type of ['paystub', 'driver_license']) call(`POST /v1/candidates/${id}/documents`, { type });
    expect(call(`GET /v1/candidates/${id}/documents`).body).toEqual({
      object: 'list',
      data: [expect.objectContaining({ object: 'document', type: 'paystub' }), expect.anything()],
      count: 2,
    });
    const some = call(`GET /v1/candidates/${id}/documents?types[]=driver_license`).body;
    expect(some).toMatchObject({ count: 1, data: [{ type: 'driver_license' }] });
    expect(call(`POST /v1/candidates/${id}/documents`, {}).status).toBe(400);
  });

  it.each([
    ['driver_licenses', 'driver_license'],
    ['employers', 'employer'],
    ['schools', 'school'],
  ])('keeps %s as sent', (name, object) => {
    const { call, candidate } = aCaller();
    const [id, other] = [candidate(), candidate()];
    const made = call(`POST /v1/candidates/${id}/${name}`, { name: 'Dock Ltd', id: 'mine', object: 'x' });
    expect(made).toMatchObject({ status: 201, body: { object, name: 'Dock Ltd' } });
    expect(made.body['id']).not.toBe('mine');
    expect(call(`GET /v1/candidates/${id}/${name}`).body).toMatchObject({ count: 1, data: [{ name: 'Dock Ltd' }] });
    expect(call(`GET /v1/candidates/${other}/${name}`).body['count']).toBe(0);
  });

  it('starts continuous checks of two types', () => {
    const { call, candidate } = aCaller();
    const id = candidate();
    expect(call(`POST /v1/candidates/${id}/continuous_checks`, { type: 'mvr' }).status).toBe(201);
    expect(call(`POST /v1/candidates/${id}/continuous_checks`, { type: 'tarot' }).status).toBe(400);
    expect(call(`GET /v1/candidates/${id}/continuous_checks`).body['count']).toBe(1);
  });
});
