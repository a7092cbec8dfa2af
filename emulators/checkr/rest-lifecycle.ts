/**
 * What happens to orders: by time, or because somebody asks for it.
 *
 * Invitation: `pending` → `completed` (the candidate filled in the form; a report is made) | `expired` (7 days).
 * Report: `pending` → `complete` | `suspended` | `dispute` | `canceled`; only a scripted candidate's moves by itself.
 * Adverse action: `pending` → `complete` (the post notice went out) | `canceled`.
 * Source: providers.md 1.10; the timing and scripts are assumptions.
 */
import { booleanKnob, isoSeconds, numberKnob } from '../engine/rest-routes.ts';
import type { Account, JsonObject, ResourceEvent, RestTools } from '../engine/types.ts';
import {
  adverseActionsOf,
  adverseItemsOf,
  candidatesOf,
  checkrKnobs,
  invitationsOf,
  nowIso,
  packagesOf,
  reportsOf,
  screeningsOf,
  type Candidate,
  type Invitation,
  type Report,
} from './rest-model.ts';
import { scriptedOutcome, type Outcome } from './rest-outcomes.ts';
import { showCandidate, showInvitation, showReport } from './rest-views.ts';

type Emit = (type: string, object: JsonObject) => void;

/** Turnaround that the emulator promises for a report, in seconds (assumption). */
const TURNAROUND_ESTIMATE_SECONDS = 2 * 86_400;

/** Lets time pass for one account: scripted forms and results, expiry, post-adverse-action notices. */
export function advance(account: Account, tools: RestTools): ResourceEvent[] {
  const events: ResourceEvent[] = [];
  const emit: Emit = (type, object) => void events.push({ type, object });
  const nowMs = tools.clock.now();
  const passed = (since: string, seconds: number) => nowMs >= Date.parse(since) + seconds * 1_000;

  const formSeconds = numberKnob(tools, 'invitationCompletesAfterSeconds', checkrKnobs.invitationCompletesAfterSeconds);
  const expires = booleanKnob(tools, 'invitationExpiry', checkrKnobs.invitationExpiry);
  for (const invitation of invitationsOf(account)) {
    if (invitation.status !== 'pending' || invitation.deleted_at !== null) continue;
    const candidate = candidatesOf(account).find((row) => row.id === invitation.candidate_id);
    if (scriptedOutcome(candidate) && passed(invitation.created_at, formSeconds)) {
      completeInvitation(account, invitation, tools, emit);
    } else if (expires && nowMs >= Date.parse(invitation.expires_at)) {
      invitation.status = 'expired';
      emit('invitation.expired', showInvitation(invitation));
    }
  }

  const reportSeconds = numberKnob(tools, 'reportFinishesAfterSeconds', checkrKnobs.reportFinishesAfterSeconds);
  for (const report of reportsOf(account)) {
    if (report.status !== 'pending') continue;
    const outcome = scriptedOutcome(candidatesOf(account).find((row) => row.id === report.candidate_id));
    const since = report.upgraded_at ?? report.created_at;
    if (outcome && passed(since, reportSeconds)) finishReport(account, report, outcome, tools, emit);
  }

  for (const action of adverseActionsOf(account)) {
    if (action.status !== 'pending' || nowMs < Date.parse(action.post_notice_scheduled_at)) continue;
    action.status = 'complete';
    const report = reportsOf(account).find((row) => row.id === action.report_id);
    if (report) adjudicate(account, report, 'post_adverse_action', emit);
  }
  return events;
}

/** The candidate fills in the form: the invitation is completed and its report made. Returns the report. */
export function completeInvitation(account: Account, invitation: Invitation, tools: RestTools, emit: Emit): Report {
  const report = createReport(account, invitation, 'web', tools);
  invitation.status = 'completed';
  invitation.completed_at = nowIso(tools);
  invitation.report_id = report.id;
  emit('invitation.completed', showInvitation(invitation));
  emit('report.created', showReport(account, report));
  return report;
}

/** What a report is made from: an invitation, or the body of `POST /v1/reports`. */
export interface Order {
  package: string;
  candidate_id: string;
  tags: string[];
  hiddenNode: string | null;
  hiddenWorkLocations: Report['work_locations'];
}

/** Makes a pending report with one pending screening per search of its package. Tells nothing. */
export function createReport(account: Account, order: Order, source: string, tools: RestTools): Report {
  const report: Report = {
    id: tools.hexId(24),
    status: 'pending',
    result: null,
    includes_canceled: false,
    created_at: nowIso(tools),
    completed_at: null,
    revised_at: null,
    upgraded_at: null,
    turnaround_time: null,
    estimated_completion_time: isoSeconds(tools.clock.now() + TURNAROUND_ESTIMATE_SECONDS * 1_000),
    package: order.package,
    adjudication: null,
    assessment: null,
    source,
    tags: [...order.tags],
    segment_stamps: order.hiddenNode === null ? [] : [order.hiddenNode],
    work_locations: order.hiddenWorkLocations,
    candidate_id: order.candidate_id,
    program_id: null,
    archived: false,
    hiddenNode: order.hiddenNode,
  };
  reportsOf(account).push(report);
  addScreenings(account, report, tools);
  return report;
}

/** Adds the pending screenings that the report's package asks for and the report does not have yet. */
export function addScreenings(account: Account, report: Report, tools: RestTools): void {
  const present = new Set(
    screeningsOf(account)
      .filter((screening) => screening.report_id === report.id)
      .map((screening) => screening.type),
  );
  // The package may have been deleted while its invitation was open: then the report has no searches.
  const ordered = packagesOf(account).find((one) => one.slug === report.package)?.screenings ?? [];
  for (const { type } of ordered) {
    if (typeof type !== 'string' || present.has(type)) continue;
    screeningsOf(account).push({
      id: tools.hexId(24),
      type,
      report_id: report.id,
      status: 'pending',
      result: null,
      created_at: nowIso(tools),
      completed_at: null,
    });
  }
}

/** Ends a report in the given way, with its screenings, and tells it. */
export function finishReport(account: Account, report: Report, outcome: Outcome, tools: RestTools, emit: Emit): void {
  const now = nowIso(tools);
  const screenings = screeningsOf(account).filter((screening) => screening.report_id === report.id);
  const end = (status: Report['status'], result: Report['result']) => {
    report.status = status;
    report.result = result;
    if (status === 'suspended') return;
    report.completed_at = now;
    report.turnaround_time = Math.round((tools.clock.now() - Date.parse(report.created_at)) / 1_000);
    for (const [index, screening] of screenings.entries()) {
      if (screening.status !== 'pending') continue;
      screening.status = status === 'canceled' ? 'canceled' : 'complete';
      screening.result = status === 'canceled' ? null : index === screenings.length - 1 ? result : 'clear';
      screening.completed_at = now;
    }
  };

  switch (outcome) {
    case 'clear':
      end('complete', 'clear');
      report.assessment = 'eligible';
      emit('report.completed', showReport(account, report));
      return;
    case 'consider':
      end('complete', 'consider');
      report.assessment = 'review';
      addAdverseItem(account, report, tools);
      emit('report.completed', showReport(account, report));
      return;
    case 'suspended':
      end('suspended', null);
      emit('report.suspended', showReport(account, report));
      return;
    case 'dispute':
      end('dispute', 'consider');
      addAdverseItem(account, report, tools);
      emit('report.disputed', showReport(account, report));
      return;
    case 'canceled':
      end('canceled', null);
      report.includes_canceled = true;
      emit('report.canceled', showReport(account, report));
      return;
  }
}

/** Ends a report now with what is done: open searches are canceled. Source: `POST /v1/reports/:id/complete`. */
export function completeReportNow(account: Account, report: Report, tools: RestTools, emit: Emit): void {
  const now = nowIso(tools);
  for (const screening of screeningsOf(account)) {
    if (screening.report_id !== report.id || screening.status !== 'pending') continue;
    Object.assign(screening, { status: 'canceled', completed_at: now });
    report.includes_canceled = true;
  }
  finishReport(account, report, 'clear', tools, emit);
}

/** Sets the adjudication of a report and its candidate, and tells both. */
export function adjudicate(account: Account, report: Report, adjudication: string, emit: Emit): void {
  report.adjudication = adjudication;
  emit(`report.${adjudication}`, showReport(account, report));
  const candidate = candidatesOf(account).find((row: Candidate) => row.id === report.candidate_id);
  if (!candidate) return;
  candidate.adjudication = adjudication;
  if (adjudication !== 'engaged') emit(`candidate.${adjudication}`, showCandidate(account, candidate));
}

function addAdverseItem(account: Account, report: Report, tools: RestTools): void {
  adverseItemsOf(account).push({
    id: tools.hexId(24),
    created_at: nowIso(tools),
    report_id: report.id,
    text: 'Invented record of the emulator',
  });
}
