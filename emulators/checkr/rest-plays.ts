/** What people do who are not the customer: the candidate fills in the form, the clerk ends the report. */
import type { Account, JsonObject, Play, ResourceEvent, RestTools } from '../engine/types.ts';
import { completeInvitation, finishReport } from './rest-lifecycle.ts';
import { candidatesOf, invitationsOf, reportsOf } from './rest-model.ts';
import type { Outcome } from './rest-outcomes.ts';

/** Older ones have no button. */
const SHOWN_MAX = 10;

const ENDS: Readonly<Record<string, Outcome>> = { 'complete-report': 'clear', 'complete-report-consider': 'consider' };

export function plays(account: Account): Play[] {
  const who = (candidateId: string): string =>
    candidatesOf(account).find((candidate) => candidate.id === candidateId)?.email ?? 'a candidate';
  const open = invitationsOf(account).filter((one) => one.status === 'pending' && one.deleted_at === null);
  const reports = reportsOf(account).filter((one) => one.status === 'pending' || one.status === 'suspended');
  return [
    ...open.slice(-SHOWN_MAX).map((invitation) => ({
      name: 'complete-invitation',
      id: invitation.id,
      label: `Complete this invitation: ${who(invitation.candidate_id)}, ${invitation.package}`,
    })),
    ...reports.slice(-SHOWN_MAX).flatMap((report) => {
      const text = `${who(report.candidate_id)}, ${report.package}`;
      return [
        { name: 'complete-report', id: report.id, label: `Complete this report: ${text}` },
        { name: 'complete-report-consider', id: report.id, label: `Complete it with a finding: ${text}` },
      ];
    }),
  ];
}

export function play(
  account: Account,
  { name, id }: Pick<Play, 'name' | 'id'>,
  tools: RestTools,
): ResourceEvent[] | undefined {
  const events: ResourceEvent[] = [];
  const emit = (type: string, object: JsonObject) => void events.push({ type, object });
  if (name === 'complete-invitation') {
    const invitation = invitationsOf(account).find((one) => one.id === id);
    if (invitation?.status !== 'pending' || invitation.deleted_at !== null) return undefined;
    completeInvitation(account, invitation, tools, emit);
    return events;
  }
  const outcome = Object.hasOwn(ENDS, name) ? ENDS[name] : undefined;
  const report = reportsOf(account).find((one) => one.id === id);
  if (outcome === undefined || (report?.status !== 'pending' && report?.status !== 'suspended')) return undefined;
  finishReport(account, report, outcome, tools, emit);
  return events;
}
