/**
 * Reference requests of the fake Xref. Xref's API reference is not public: everything here is an assumption.
 *
 * Request: `created` → `sent` → `in_progress` → `complete`; from each of them → `archived`. Only a request whose
 * candidate has a mock address (`mock.complete@…`, `mock.complete+tag@…`) moves by itself; others stay `created`.
 * Source: providers.md 2.3 (event names) and 2.4 (fields).
 */
import {
  bodyObject,
  collection,
  hrefPage,
  isEmail,
  isObject,
  isoSeconds,
  numberKnob,
  RestFault,
  textField,
  type Call,
  type Route,
} from '../engine/rest-routes.ts';
import type { Account, Json, JsonObject, ResourceEvent, RestReply, RestTools } from '../engine/types.ts';

/** Every knob that this slice reads, with its default. */
export const xrefKnobs = {
  /** Seconds from one state of a mock candidate's request to the next. */
  requestStepSeconds: 60,
  /** `new` (`error` as text), `array`, `errors`, `message` or `legacy` (`error` as object). */
  errorShape: 'new',
} satisfies Record<string, Json>;

export type RequestStatus = 'created' | 'sent' | 'in_progress' | 'complete' | 'archived';

/** What time moves, in order. */
const STEPS: RequestStatus[] = ['created', 'sent', 'in_progress', 'complete'];

const STATUSES: RequestStatus[] = [...STEPS, 'archived'];

/** Referees of one request: more than anybody asks for. */
const REFEREES_MAX = 20;

const MOCK_EMAIL = /^mock\.complete(\+[^@]*)?@/i;

export interface Template extends JsonObject {
  id: string;
  name: string;
  created_at: string;
}

export interface Referee extends JsonObject {
  id: string;
  name: string;
  email: string;
  relationship: string | null;
  status: 'pending' | 'responded';
}

export interface ReferenceRequest extends JsonObject {
  id: string;
  status: RequestStatus;
  candidate: JsonObject;
  template_id: string;
  position: string | null;
  referees: Referee[];
  created_at: string;
  updated_at: string;
  completed_at: string | null;
}

export const requestsOf = (account: Account) => collection<ReferenceRequest>(account, 'requests');
export const templatesOf = (account: Account) => collection<Template>(account, 'templates');

export const requestRoutes: Route[] = [
  ['GET', '/requests', listRequests],
  ['POST', '/requests', createRequest],
  ['GET', '/requests/:id', getRequest],
  ['POST', '/requests/:id/archive', archiveRequest],
  ['GET', '/requests/:id/report', getReport],
];

/** As told in events and lists; the report has an address once the request is complete. */
export function showRequest(request: ReferenceRequest, baseUrl: string | undefined): JsonObject {
  const path = `/requests/${request.id}/report`;
  return { ...request, report_url: request.completed_at === null ? null : `${baseUrl ?? ''}${path}` };
}

/** A list in the envelope `data`, `count`, `next_href`, `previous_href`. */
export function listReply(call: Call, rows: JsonObject[]): RestReply {
  const page = hrefPage(call.request, rows, 'same');
  return {
    status: 200,
    body: { data: page.rows, count: page.count, next_href: page.nextHref, previous_href: page.previousHref },
  };
}

/** Moves the requests of mock candidates. */
export function advance(account: Account, tools: RestTools): ResourceEvent[] {
  const events: ResourceEvent[] = [];
  const stepMs = numberKnob(tools, 'requestStepSeconds', xrefKnobs.requestStepSeconds) * 1_000;
  for (const request of requestsOf(account)) {
    const email = request.candidate['email'];
    if (typeof email !== 'string' || !MOCK_EMAIL.test(email)) continue;
    // Every step has its own moment, also when nobody looked in between.
    for (let at = STEPS.indexOf(request.status); at >= 0 && at < STEPS.length - 1; at += 1) {
      const dueMs = Date.parse(request.created_at) + (at + 1) * stepMs;
      if (tools.clock.now() < dueMs) break;
      events.push(...moveRequest(request, STEPS[at + 1] as RequestStatus, dueMs));
    }
  }
  return events;
}

/** Moves one request to its next state at the given moment, and returns what a webhook would tell. */
export function moveRequest(request: ReferenceRequest, status: RequestStatus, wallMs: number): ResourceEvent[] {
  request.status = status;
  request.updated_at = isoSeconds(wallMs);
  const told = () => showRequest(request, undefined);
  switch (status) {
    case 'created':
      return [{ type: 'request.created', object: told() }];
    case 'sent':
    case 'in_progress':
      return [{ type: 'request.updated', object: told() }];
    case 'archived':
      return [{ type: 'request.archived', object: told() }];
    case 'complete': {
      request.completed_at = isoSeconds(wallMs);
      const responded = request.referees.map((referee): ResourceEvent => {
        referee.status = 'responded';
        return { type: 'referee.responded', object: { request_id: request.id, ...referee } };
      });
      return [...responded, { type: 'request.completed', object: told() }, { type: 'report.ready', object: told() }];
    }
  }
}

function listRequests(call: Call): RestReply {
  const status = call.request.query.get('status');
  if (status !== null && !STATUSES.some((known) => known === status)) throw new RestFault(400, 'status is invalid');
  const rows = requestsOf(call.account).filter((request) => status === null || request.status === status);
  return listReply(
    call,
    rows.toReversed().map((request) => showRequest(request, call.request.baseUrl)),
  );
}

function createRequest(call: Call): RestReply {
  const { account, tools } = call;
  const body = bodyObject(call.request, 'Body must be a JSON object');
  const person = isObject(body['candidate']) ? body['candidate'] : {};
  const [firstName, lastName, email] = ['first_name', 'last_name', 'email'].map((name) => textField(person, name));
  const templateId = textField(body, 'template_id');
  const wrong: string[] = [];
  if (!firstName) wrong.push('candidate.first_name is required');
  if (!lastName) wrong.push('candidate.last_name is required');
  if (!email || !isEmail(email)) wrong.push('candidate.email is invalid');
  if (!templateId) wrong.push('template_id is required');
  else if (!templatesOf(account).some((template) => template.id === templateId)) wrong.push('template_id is unknown');
  const referees = readReferees(body['referees'], tools, wrong);
  if (!firstName || !lastName || !email || !templateId || wrong.length > 0) throw new RestFault(400, wrong);

  const now = isoSeconds(tools.clock.now());
  const request: ReferenceRequest = {
    id: tools.hexId(32),
    status: 'created',
    candidate: { first_name: firstName, last_name: lastName, email, mobile: textField(person, 'mobile') ?? null },
    template_id: templateId,
    position: textField(body, 'position') ?? null,
    referees,
    created_at: now,
    updated_at: now,
    completed_at: null,
  };
  requestsOf(account).push(request);
  call.emit('request.created', showRequest(request, undefined));
  return { status: 201, body: showRequest(request, call.request.baseUrl), changed: true };
}

function readReferees(value: Json | undefined, tools: RestTools, wrong: string[]): Referee[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value) || value.length > REFEREES_MAX) {
    wrong.push(`referees must be a list of at most ${REFEREES_MAX}`);
    return [];
  }
  return value.flatMap((item, index) => {
    const fields = isObject(item) ? item : {};
    const name = textField(fields, 'name');
    const email = textField(fields, 'email');
    if (!name || !email || !isEmail(email)) {
      wrong.push(`referees[${index}] needs a name and a valid email`);
      return [];
    }
    const relationship = textField(fields, 'relationship') ?? null;
    return [{ id: tools.hexId(32), name, email, relationship, status: 'pending' as const }];
  });
}

function findRequest(call: Call): ReferenceRequest {
  const found = requestsOf(call.account).find((request) => request.id === call.params['id']);
  if (!found) throw new RestFault(404, 'Request not found');
  return found;
}

function getRequest(call: Call): RestReply {
  return { status: 200, body: showRequest(findRequest(call), call.request.baseUrl) };
}

function archiveRequest(call: Call): RestReply {
  const request = findRequest(call);
  const isNew = request.status !== 'archived';
  if (isNew) {
    for (const event of moveRequest(request, 'archived', call.tools.clock.now())) call.emit(event.type, event.object);
  }
  return { status: 200, body: showRequest(request, call.request.baseUrl), changed: isNew };
}

/** Stands for the PDF of a real report. */
function getReport(call: Call): RestReply {
  const request = findRequest(call);
  if (request.completed_at === null) throw new RestFault(404, 'Report is not ready');
  return {
    status: 200,
    body: {
      request_id: request.id,
      candidate: request.candidate,
      completed_at: request.completed_at,
      answers: request.referees.map((referee) => ({ referee_id: referee.id, recommends: true })),
    },
  };
}
