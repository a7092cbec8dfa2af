/**
 * Reports: order, read, upgrade, adjudicate, finish, adverse actions. There is no list of reports, as at Checkr.
 * Source: providers.md 1.10.
 */
import {
  bodyObject,
  isoSeconds,
  numberKnob,
  RestFault,
  textField,
  textsField,
  type Call,
  type Route,
} from '../engine/rest-routes.ts';
import type { RestReply } from '../engine/types.ts';
import { writableCandidate } from './rest-candidates.ts';
import { addScreenings, adjudicate, completeReportNow, createReport } from './rest-lifecycle.ts';
import {
  adverseActionsOf,
  adverseItemsOf,
  checkrKnobs,
  findOr404,
  findPackage,
  includes,
  nowIso,
  orderPlace,
  reportsOf,
  requireCredentialed,
  screeningsOf,
  shortListReply,
  type AdverseAction,
  type Candidate,
  type Report,
} from './rest-model.ts';
import {
  SCREENING_PATHS,
  screeningTypes,
  showAdverseAction,
  showAdverseItem,
  showReport,
  showScreening,
} from './rest-views.ts';

const DAY_MS = 86_400_000;

/** Reports per candidate within a day; the next one is refused with 409. */
const REPORTS_PER_DAY_MAX = 3;

/** A report older than this cannot be upgraded; Checkr gives no number (assumption). */
const UPGRADE_DAYS_MAX = 365;

/** The post notice follows the pre notice after this long unless the call says otherwise (assumption). */
const POST_NOTICE_DAYS = 7;

const ADJUDICATIONS = ['engaged', 'pre_adverse_action', 'post_adverse_action'];

const VERIFICATION_TYPES = ['education_verification', 'employment_verification'];

export const reportRoutes: Route[] = [
  ['POST', '/v1/reports', orderReport],
  ['GET', '/v1/reports/:id', getReport],
  ['POST', '/v1/reports/:id', updateReport],
  ['GET', '/v1/reports/:id/eta', getEta],
  ['POST', '/v1/reports/:id/complete', completeReport],
  ['GET', '/v1/reports/:id/adverse_items', listAdverseItems],
  ['GET', '/v1/reports/:id/verifications', listVerifications],
  ['POST', '/v1/reports/:id/adverse_actions', createAdverseAction],
  ['GET', '/v1/adverse_actions/:id', getAdverseAction],
  ['DELETE', '/v1/adverse_actions/:id', deleteAdverseAction],
  ...Object.entries(SCREENING_PATHS).map(([type, path]): Route => [
    'GET',
    `/v1/${path}/:id`,
    (call) => {
      const own = screeningsOf(call.account).filter((screening) => screening.type === type);
      return { status: 200, body: showScreening(findOr404(own, call.params['id'])) };
    },
  ]),
];

function findReport(call: Call): Report {
  return findOr404(reportsOf(call.account), call.params['id'], 'Report');
}

function orderReport(call: Call): RestReply {
  const { account, tools } = call;
  requireCredentialed(account);
  const body = bodyObject(call.request, 'Invalid request body');
  const packageName = textField(body, 'package');
  const candidateId = textField(body, 'candidate_id');
  const missing = [
    ...(packageName === undefined ? ["Package can't be blank"] : []),
    ...(candidateId === undefined ? ["Candidate can't be blank"] : []),
  ];
  if (missing.length > 0) throw new RestFault(400, missing);
  const slug = findPackage(account, packageName).slug;
  const candidate = writableCandidate(call, candidateId);
  const { node, workLocations } = orderPlace(call, body);
  requirePersonalData(candidate, screeningTypes(account, slug));

  const dayAgoMs = tools.clock.now() - DAY_MS;
  const recent = reportsOf(account).filter(
    (report) => report.candidate_id === candidate.id && Date.parse(report.created_at) > dayAgoMs,
  );
  if (recent.length >= REPORTS_PER_DAY_MAX) throw new RestFault(409, 'Report is a duplicate');

  const order = {
    package: slug,
    candidate_id: candidate.id,
    tags: textsField(body, 'tags'),
    hiddenNode: node,
    hiddenWorkLocations: workLocations,
  };
  const report = createReport(account, order, 'api', tools);
  const view = showReport(account, report);
  call.emit('report.created', view);
  return { status: numberKnob(tools, 'reportCreateStatus', checkrKnobs.reportCreateStatus), body: view, changed: true };
}

/** A direct order has no form in which the candidate adds what is missing. */
function requirePersonalData(candidate: Candidate, screenings: string[]): void {
  const wrong: string[] = [];
  for (const [field, name] of [
    ['first_name', 'First name'],
    ['last_name', 'Last name'],
    ['dob', 'Dob'],
  ] as const) {
    if (!candidate[field]) wrong.push(`Candidate ${name.toLowerCase()} can't be blank`);
  }
  const needsSsn = screenings.some((type) => type === 'ssn_trace' || type.endsWith('_criminal_search'));
  if (needsSsn && !candidate.hiddenSsn) wrong.push('Package requires SSN');
  if (needsSsn && !candidate.zipcode) wrong.push('Package requires zipcode');
  if (
    screenings.includes('motor_vehicle_report') &&
    !(candidate.driver_license_number && candidate.driver_license_state)
  ) {
    wrong.push('Package requires driver license');
  }
  if (wrong.length > 0) throw new RestFault(400, wrong);
}

function getReport(call: Call): RestReply {
  return { status: 200, body: showReport(call.account, findReport(call), includes(call)) };
}

function updateReport(call: Call): RestReply {
  const { account } = call;
  const report = findReport(call);
  const body = bodyObject(call.request, 'Invalid request body');
  const adjudication = textField(body, 'adjudication');
  const packageName = textField(body, 'package');
  if (adjudication !== undefined && !ADJUDICATIONS.includes(adjudication)) {
    throw new RestFault(400, 'Adjudication is invalid');
  }
  if (packageName === undefined && adjudication === undefined) throw new RestFault(400, 'Nothing to update');
  if (packageName !== undefined) upgrade(call, report, packageName);
  if (adjudication !== undefined) adjudicate(account, report, adjudication, call.emit);
  return { status: 200, body: showReport(account, report), changed: true };
}

function upgrade(call: Call, report: Report, packageName: string): void {
  const { account, tools } = call;
  requireCredentialed(account);
  const wanted = findPackage(account, packageName);
  if (tools.clock.now() - Date.parse(report.created_at) > UPGRADE_DAYS_MAX * DAY_MS) {
    throw new RestFault(400, 'Report is too old to be upgraded');
  }
  const present = screeningsOf(account).filter((screening) => screening.report_id === report.id);
  const adds = wanted.screenings.some(({ type }) => !present.some((screening) => screening.type === type));
  if (!adds) throw new RestFault(400, 'Upgrade package does not add any screenings');
  const upgraded = { package: wanted.slug, status: 'pending', result: null, completed_at: null, assessment: null };
  Object.assign(report, upgraded, { upgraded_at: nowIso(tools) });
  addScreenings(account, report, tools);
  call.emit('report.upgraded', showReport(account, report));
}

function getEta(call: Call): RestReply {
  const report = findReport(call);
  return {
    status: 200,
    body: {
      estimate_generated_at: nowIso(call.tools),
      estimated_completion_time: report.status === 'pending' ? report.estimated_completion_time : null,
    },
  };
}

function completeReport(call: Call): RestReply {
  const report = findReport(call);
  if (report.status !== 'pending' && report.status !== 'suspended') throw new RestFault(400, 'Report is not pending');
  completeReportNow(call.account, report, call.tools, call.emit);
  return { status: 200, body: showReport(call.account, report), changed: true };
}

function listAdverseItems(call: Call): RestReply {
  const report = findReport(call);
  return shortListReply(
    adverseItemsOf(call.account)
      .filter((item) => item['report_id'] === report.id)
      .map(showAdverseItem),
  );
}

function listVerifications(call: Call): RestReply {
  const report = findReport(call);
  const own = screeningsOf(call.account).filter(
    (screening) => screening.report_id === report.id && VERIFICATION_TYPES.includes(screening.type),
  );
  return shortListReply(own.map(showScreening));
}

function createAdverseAction(call: Call): RestReply {
  const { account, tools } = call;
  const report = findReport(call);
  const body = bodyObject(call.request, 'Invalid request body');
  const ids = textsField(body, 'adverse_item_ids');
  if (ids.length === 0) throw new RestFault(400, "Adverse item ids can't be blank");
  const known = adverseItemsOf(account).filter((item) => item['report_id'] === report.id);
  if (ids.some((id) => !known.some((item) => item.id === id))) throw new RestFault(400, 'Adverse item ids are invalid');
  const open = adverseActionsOf(account).some((row) => row.report_id === report.id && row.status === 'pending');
  if (open) throw new RestFault(400, 'An adverse action is already pending');

  const scheduledText = textField(body, 'post_notice_scheduled_at');
  const scheduledMs = scheduledText ? Date.parse(scheduledText) : tools.clock.now() + POST_NOTICE_DAYS * DAY_MS;
  if (Number.isNaN(scheduledMs)) throw new RestFault(400, 'Post notice scheduled at is invalid');
  const action: AdverseAction = {
    id: tools.hexId(24),
    report_id: report.id,
    adverse_item_ids: ids,
    status: 'pending',
    delivery: { state: 'delivered' },
    individualized_assessment_engaged: false,
    post_notice_scheduled_at: isoSeconds(scheduledMs),
    post_notice_ready_at: isoSeconds(scheduledMs),
    created_at: nowIso(tools),
    canceled_at: null,
  };
  adverseActionsOf(account).push(action);
  adjudicate(account, report, 'pre_adverse_action', call.emit);
  return { status: 201, body: showAdverseAction(account, action), changed: true };
}

function getAdverseAction(call: Call): RestReply {
  const action = findOr404(adverseActionsOf(call.account), call.params['id']);
  return { status: 200, body: showAdverseAction(call.account, action) };
}

function deleteAdverseAction(call: Call): RestReply {
  const action = findOr404(adverseActionsOf(call.account), call.params['id']);
  if (action.status !== 'pending') throw new RestFault(400, 'Only a pending adverse action can be canceled');
  action.status = 'canceled';
  action.canceled_at = nowIso(call.tools);
  return { status: 200, body: showAdverseAction(call.account, action), changed: true };
}
