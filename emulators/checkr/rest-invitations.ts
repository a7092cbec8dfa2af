/** Invitations: order, list, read, cancel. Source: providers.md 1.10. */
import {
  bodyObject,
  isoSeconds,
  RestFault,
  textField,
  textsField,
  type Call,
  type Route,
} from '../engine/rest-routes.ts';
import type { RestReply } from '../engine/types.ts';
import { writableCandidate } from './rest-candidates.ts';
import {
  findOr404,
  findPackage,
  invitationsOf,
  listReply,
  newestFirst,
  nowIso,
  orderPlace,
  reportsOf,
  requireCredentialed,
  type Invitation,
} from './rest-model.ts';
import { completeInvitation, finishReport } from './rest-lifecycle.ts';
import { OUTCOMES, readOutcome } from './rest-outcomes.ts';
import { showInvitation, showReport } from './rest-views.ts';

/** An invitation that nobody filled in expires after this long. */
const INVITATION_DAYS = 7;

const STATUSES = ['pending', 'completed', 'expired'];

export const invitationRoutes: Route[] = [
  ['POST', '/v1/invitations', createInvitation],
  ['GET', '/v1/invitations', listInvitations],
  ['GET', '/v1/invitations/:id', getInvitation],
  ['DELETE', '/v1/invitations/:id', cancelInvitation],
  // Two calls that Checkr does not have: they play the candidate and the clerk, for tests and demonstrations.
  ['POST', '/v1/emulator/invitations/:id/complete', playCandidate],
  ['POST', '/v1/emulator/reports/:id/finish', playClerk],
];

function createInvitation(call: Call): RestReply {
  const { account, tools, request } = call;
  requireCredentialed(account);
  const body = bodyObject(request, 'Invalid request body');
  const packageName = textField(body, 'package');
  const candidateId = textField(body, 'candidate_id');
  const missing = [
    ...(packageName === undefined ? ["Package can't be blank"] : []),
    ...(candidateId === undefined ? ["Candidate can't be blank"] : []),
  ];
  if (missing.length > 0) throw new RestFault(400, missing);
  const ordered = findPackage(account, packageName);
  const candidate = writableCandidate(call, candidateId);
  const { node, workLocations } = orderPlace(call, body);

  const nowMs = tools.clock.now();
  const invitation: Invitation = {
    id: tools.hexId(24),
    invitation_url: invitationUrl(call),
    status: 'pending',
    created_at: nowIso(tools),
    expires_at: isoSeconds(nowMs + INVITATION_DAYS * 86_400_000),
    completed_at: null,
    deleted_at: null,
    package: ordered.slug,
    candidate_id: candidate.id,
    report_id: null,
    archived: false,
    archived_info: null,
    tags: textsField(body, 'tags'),
    hiddenNode: node,
    hiddenWorkLocations: workLocations,
  };
  invitationsOf(account).push(invitation);
  const view = showInvitation(invitation);
  call.emit('invitation.created', view);
  return { status: 201, body: view, changed: true };
}

/** `/invite/<account>/<hex>`, with `/test` at the end for a test token. */
function invitationUrl(call: Call): string {
  const { account, request, tools } = call;
  return `${request.baseUrl}/invite/${slugOf(account.name)}/${tools.hexId(12)}${request.grant.mode === 'test' ? '/test' : ''}`;
}

/** The account's name as it stands in addresses: `harbour-sons`. */
export function slugOf(name: string): string {
  return (
    name
      .toLowerCase()
      .replaceAll(/[^a-z0-9]+/g, '-')
      .replaceAll(/^-|-$/g, '') || 'account'
  );
}

function listInvitations(call: Call): RestReply {
  const { query } = call.request;
  const status = query.get('status');
  if (status !== null && !STATUSES.includes(status)) throw new RestFault(400, 'Status is invalid');
  const rows = invitationsOf(call.account).filter(
    (invitation) =>
      invitation.deleted_at === null &&
      (status === null || invitation.status === status) &&
      (!query.get('candidate_id') || invitation.candidate_id === query.get('candidate_id')),
  );
  return listReply(call, newestFirst(rows).map(showInvitation));
}

function getInvitation(call: Call): RestReply {
  return { status: 200, body: showInvitation(findOr404(invitationsOf(call.account), call.params['id'])) };
}

function cancelInvitation(call: Call): RestReply {
  const invitation = findOr404(invitationsOf(call.account), call.params['id']);
  if (invitation.status !== 'pending') throw new RestFault(400, 'Only a pending invitation can be canceled');
  if (invitation.deleted_at !== null) return { status: 200, body: showInvitation(invitation) };
  invitation.deleted_at = nowIso(call.tools);
  const view = showInvitation(invitation);
  call.emit('invitation.deleted', view);
  return { status: 200, body: view, changed: true };
}

function playCandidate(call: Call): RestReply {
  const invitation = findOr404(invitationsOf(call.account), call.params['id']);
  if (invitation.status !== 'pending' || invitation.deleted_at !== null) {
    throw new RestFault(400, 'Only a pending invitation can be completed');
  }
  completeInvitation(call.account, invitation, call.tools, call.emit);
  return { status: 200, body: showInvitation(invitation), changed: true };
}

function playClerk(call: Call): RestReply {
  const report = findOr404(reportsOf(call.account), call.params['id'], 'Report');
  const outcome = readOutcome(textField(bodyObject(call.request, 'Invalid request body'), 'outcome'));
  if (!outcome) throw new RestFault(400, `Outcome must be one of ${OUTCOMES.join(', ')}`);
  if (report.status !== 'pending' && report.status !== 'suspended') throw new RestFault(400, 'Report is not pending');
  finishReport(call.account, report, outcome, call.tools, call.emit);
  return { status: 200, body: showReport(call.account, report), changed: true };
}
