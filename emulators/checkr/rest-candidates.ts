/** Candidates: create, list, read, update, removal of personal data. Source: providers.md 1.10. */
import { bodyObject, isEmail, isObject, RestFault, textField, type Call, type Route } from '../engine/rest-routes.ts';
import type { RestReply } from '../engine/types.ts';
import { readCandidate } from './rest-candidate-rules.ts';
import {
  candidatesOf,
  dateParam,
  findOr404,
  includes,
  listReply,
  newestFirst,
  nowIso,
  reportsOf,
  type Candidate,
  type Report,
} from './rest-model.ts';
import { showCandidate } from './rest-views.ts';

/** Candidates alike that may be made within a day; the next one is refused with 409. */
const CANDIDATES_ALIKE_MAX = 2;
const DAY_MS = 86_400_000;

export const candidateRoutes: Route[] = [
  ['POST', '/v1/candidates', createCandidate],
  ['GET', '/v1/candidates', listCandidates],
  ['GET', '/v1/candidates/:id', getCandidate],
  ['POST', '/v1/candidates/:id', updateCandidate],
  ['DELETE', '/v1/candidates/:id/pii', removePersonalData],
];

/** The candidate that a write is about: 404 when unknown, 403 when its personal data was removed. */
export function writableCandidate(call: Call, id: string | undefined): Candidate {
  const candidate = findOr404(candidatesOf(call.account), id, 'Candidate');
  if (candidate.hiddenAnonymised) throw new RestFault(403, 'PII removal was requested for this candidate');
  return candidate;
}

function createCandidate(call: Call): RestReply {
  const { account, tools } = call;
  const fields = readCandidate(account, bodyObject(call.request, 'Invalid request body'), tools.clock.now());
  const candidate: Candidate = {
    id: tools.hexId(24),
    created_at: nowIso(tools),
    first_name: null,
    middle_name: null,
    no_middle_name: false,
    last_name: null,
    mother_maiden_name: null,
    email: '',
    phone: null,
    zipcode: null,
    dob: null,
    driver_license_number: null,
    driver_license_state: null,
    previous_driver_license_number: null,
    previous_driver_license_state: null,
    copy_requested: false,
    custom_id: null,
    adjudication: null,
    geo_ids: [],
    metadata: {},
    work_locations: [],
    hiddenSsn: null,
    hiddenAnonymised: false,
    ...fields,
  };

  const alike = candidatesOf(account).filter((other) => isAlike(other, candidate, tools.clock.now()));
  if (alike.length >= CANDIDATES_ALIKE_MAX) throw new RestFault(409, 'Candidate is a duplicate');
  candidatesOf(account).push(candidate);
  const view = showCandidate(account, candidate);
  call.emit('candidate.created', view);
  return { status: 201, body: view, changed: true };
}

/** "Duplicate" is not defined in the documents: same e-mail, names, SSN and birthday within 24 hours (assumption). */
function isAlike(other: Candidate, candidate: Candidate, nowMs: number): boolean {
  return (
    nowMs - Date.parse(other.created_at) < DAY_MS &&
    other.email.toLowerCase() === candidate.email.toLowerCase() &&
    (['first_name', 'last_name', 'dob', 'hiddenSsn'] as const).every((name) => other[name] === candidate[name])
  );
}

function listCandidates(call: Call): RestReply {
  const { account, request } = call;
  const wanted = candidateFilter(request.query);
  const include = includes(call);
  const rows = candidatesOf(account).filter((candidate) => {
    if (isAbroad(candidate)) return false;
    const reports = reportsOf(account).filter((report) => report.candidate_id === candidate.id);
    return wanted(candidate, reports);
  });
  return listReply(
    call,
    newestFirst(rows).map((candidate) => showCandidate(account, candidate, include)),
  );
}

/** Candidates outside the United States are left out of lists. */
function isAbroad(candidate: Candidate): boolean {
  const first = candidate.work_locations[0];
  return isObject(first) && typeof first['country'] === 'string' && first['country'].toUpperCase() !== 'US';
}

function candidateFilter(query: URLSearchParams): (candidate: Candidate, reports: Report[]) => boolean {
  const afterMs = dateParam(query, 'created_after');
  const beforeMs = dateParam(query, 'created_before');
  const email = query.get('email')?.toLowerCase();
  const fullName = query.get('full_name')?.toLowerCase();
  const ofReports = reportFilters(query);

  return (candidate, reports) => {
    const createdMs = Date.parse(candidate.created_at);
    const names = [candidate.first_name, candidate.middle_name, candidate.last_name].filter((name) => name !== null);
    const short = [candidate.first_name, candidate.last_name].filter((name) => name !== null);
    return (
      (afterMs === undefined || createdMs > afterMs) &&
      (beforeMs === undefined || createdMs < beforeMs) &&
      (!email || candidate.email.toLowerCase() === email) &&
      (!fullName || [names, short].some((parts) => parts.join(' ').toLowerCase() === fullName)) &&
      (!query.get('adjudication') || candidate.adjudication === query.get('adjudication')) &&
      (!query.get('custom_id') || candidate.custom_id === query.get('custom_id')) &&
      (!query.get('geo_id') || candidate.geo_ids.includes(query.get('geo_id') as string)) &&
      (!query.get('program_id') || reports.some((report) => report.program_id === query.get('program_id'))) &&
      (ofReports.length === 0 || reports.some((report) => ofReports.every((matches) => matches(report))))
    );
  };
}

/** `report_status`, `report_result`, `report_completed_after`: one report must satisfy all of them (assumption). */
function reportFilters(query: URLSearchParams): ((report: Report) => boolean)[] {
  return [...query].flatMap(([name, value]) => {
    if (!name.startsWith('report_') || value === '') return [];
    const field = name.slice('report_'.length);
    const bound = /^(created|completed|upgraded|revised)_(after|before)$/.exec(field);
    if (!bound) return [(report: Report) => report[field] === value];
    const limitMs = dateParam(query, name) as number;
    return [
      (report: Report) => {
        const date = report[`${bound[1]}_at`];
        if (typeof date !== 'string') return false;
        return bound[2] === 'after' ? Date.parse(date) > limitMs : Date.parse(date) < limitMs;
      },
    ];
  });
}

function getCandidate(call: Call): RestReply {
  const candidate = findOr404(candidatesOf(call.account), call.params['id'], 'Candidate');
  return { status: 200, body: showCandidate(call.account, candidate, includes(call)) };
}

function updateCandidate(call: Call): RestReply {
  const candidate = writableCandidate(call, call.params['id']);
  const body = bodyObject(call.request, 'Invalid request body');
  Object.assign(candidate, readCandidate(call.account, body, call.tools.clock.now(), candidate));
  const view = showCandidate(call.account, candidate);
  call.emit('candidate.updated', view);
  return { status: 200, body: view, changed: true };
}

function removePersonalData(call: Call): RestReply {
  const candidate = writableCandidate(call, call.params['id']);
  const contact = textField(bodyObject(call.request, 'Invalid request body'), 'deletion_contact_email_address');
  if (!contact || !isEmail(contact)) throw new RestFault(400, 'Deletion contact email address is invalid');
  Object.assign(candidate, {
    first_name: null,
    middle_name: null,
    last_name: null,
    mother_maiden_name: null,
    email: `${candidate.id}@anonymised.example`,
    phone: null,
    zipcode: null,
    dob: null,
    driver_license_number: null,
    driver_license_state: null,
    previous_driver_license_number: null,
    previous_driver_license_state: null,
    metadata: {},
    hiddenSsn: null,
    hiddenAnonymised: true,
  } satisfies Partial<Candidate>);
  const view = showCandidate(call.account, candidate);
  call.emit('candidate.updated', view);
  return { status: 200, body: view, changed: true };
}
