/**
 * Resources of the fake Checkr: their shapes, where they are kept, how they are found.
 * Conventions: ids of 24 hex digits, `object` names the type, `uri` is a relative path, dates in ISO 8601 with Z,
 * money in cents. Names that begin with `hidden` never leave the emulator.
 * Source: providers.md 1.10 (Checkr's OpenAPI document).
 */
import { booleanKnob, collection, hrefPage, isoSeconds, RestFault, type Call } from '../engine/rest-routes.ts';
import type { Account, Json, JsonObject, RestReply, RestTools } from '../engine/types.ts';

/** Every knob that this slice reads, with its default. */
export const checkrKnobs = {
  /** Nodes exist and an order must name one. */
  hierarchyEnabled: false,
  /** Scheme of `next_href`: `http` (Checkr's own oddity), `https` or `same`. */
  hrefScheme: 'http',
  /** `new` (`error` as text), `array`, `errors`, `message`, or `legacy` (`error` as object, old Ruby client). */
  errorShape: 'new',
  /** Status of a created report: 200 in the specification, 201 in older fixtures. */
  reportCreateStatus: 200,
  /** Seconds until a mock candidate fills in the invitation (assumption). */
  invitationCompletesAfterSeconds: 60,
  /** Seconds until a mock candidate's report is done; Checkr says "minutes" (assumption). */
  reportFinishesAfterSeconds: 120,
  /** False in staging: invitations never expire there. */
  invitationExpiry: true,
} satisfies Record<string, Json>;

export interface Candidate extends JsonObject {
  id: string;
  created_at: string;
  first_name: string | null;
  middle_name: string | null;
  no_middle_name: boolean;
  last_name: string | null;
  mother_maiden_name: string | null;
  email: string;
  phone: string | null;
  zipcode: string | null;
  dob: string | null;
  driver_license_number: string | null;
  driver_license_state: string | null;
  previous_driver_license_number: string | null;
  previous_driver_license_state: string | null;
  copy_requested: boolean;
  custom_id: string | null;
  adjudication: string | null;
  geo_ids: string[];
  metadata: JsonObject;
  work_locations: Json[];
  /** Nine digits, as sent. Shown masked only. */
  hiddenSsn: string | null;
  /** True after the candidate's personal data was removed. */
  hiddenAnonymised: boolean;
}

export interface Invitation extends JsonObject {
  id: string;
  invitation_url: string;
  status: 'pending' | 'completed' | 'expired';
  created_at: string;
  expires_at: string;
  completed_at: string | null;
  deleted_at: string | null;
  package: string;
  candidate_id: string;
  report_id: string | null;
  archived: boolean;
  archived_info: JsonObject | null;
  tags: string[];
  hiddenNode: string | null;
  hiddenWorkLocations: Json[];
}

export interface Report extends JsonObject {
  id: string;
  status: 'pending' | 'complete' | 'suspended' | 'dispute' | 'canceled';
  result: 'clear' | 'consider' | null;
  includes_canceled: boolean;
  created_at: string;
  completed_at: string | null;
  revised_at: string | null;
  upgraded_at: string | null;
  turnaround_time: number | null;
  estimated_completion_time: string | null;
  package: string;
  adjudication: string | null;
  assessment: string | null;
  source: string;
  tags: string[];
  segment_stamps: string[];
  work_locations: Json[];
  candidate_id: string;
  program_id: string | null;
  archived: boolean;
  hiddenNode: string | null;
}

/** One search inside a report; `type` is the `object` name. */
export interface Screening extends JsonObject {
  id: string;
  type: string;
  report_id: string;
  status: string;
  result: string | null;
  created_at: string;
  completed_at: string | null;
}

export interface Package extends JsonObject {
  id: string;
  name: string;
  slug: string;
  price: number;
  screenings: JsonObject[];
  created_at: string;
  deleted_at: string | null;
}

export interface Node extends JsonObject {
  id: string;
  name: string;
  custom_id: string;
  tier: string;
  parent_custom_id: string | null;
  created_at: string;
  /** Slugs that may be ordered under this node. */
  hiddenPackages: string[];
}

export interface Webhook extends JsonObject {
  id: string;
  webhook_url: string;
  include_object: boolean;
  application_id: string | null;
  created_at: string;
  deleted_at: string | null;
}

export interface AdverseAction extends JsonObject {
  id: string;
  report_id: string;
  adverse_item_ids: string[];
  status: 'pending' | 'complete' | 'dispute' | 'canceled';
  delivery: JsonObject;
  individualized_assessment_engaged: boolean;
  post_notice_scheduled_at: string;
  post_notice_ready_at: string;
  created_at: string;
  canceled_at: string | null;
}

/** A resource of which the documents give little more than that it exists. */
export interface Plain extends JsonObject {
  id: string;
  created_at: string;
}

export const candidatesOf = (account: Account) => collection<Candidate>(account, 'candidates');
export const invitationsOf = (account: Account) => collection<Invitation>(account, 'invitations');
export const reportsOf = (account: Account) => collection<Report>(account, 'reports');
export const screeningsOf = (account: Account) => collection<Screening>(account, 'screenings');
export const packagesOf = (account: Account) => collection<Package>(account, 'packages');
export const nodesOf = (account: Account) => collection<Node>(account, 'nodes');
export const webhooksOf = (account: Account) => collection<Webhook>(account, 'webhooks');
export const adverseActionsOf = (account: Account) => collection<AdverseAction>(account, 'adverse_actions');
export const adverseItemsOf = (account: Account) => collection<Plain>(account, 'adverse_items');

/** Finds by id or throws 404. */
export function findOr404<T extends { id: string }>(rows: T[], id: string | undefined, what = 'Resource'): T {
  const found = rows.find((row) => row.id === id);
  if (!found) throw new RestFault(404, `${what} not found`);
  return found;
}

/** A package by id or slug that was not deleted, or a 404. */
export function findPackage(account: Account, idOrSlug: string | undefined): Package {
  const alive = packagesOf(account).filter((row) => row.deleted_at === null);
  const found = alive.find((row) => row.id === idOrSlug || row.slug === idOrSlug);
  if (!found) throw new RestFault(404, 'Package not found');
  return found;
}

/** A resource without its internal fields, with the three conventional ones in front. */
export function shown(object: string, path: string, resource: JsonObject): JsonObject {
  const open = Object.entries(resource).filter(([name]) => !name.startsWith('hidden') && name !== 'id');
  return {
    id: resource['id'] ?? null,
    object,
    uri: `/v1/${path}/${String(resource['id'])}`,
    ...Object.fromEntries(open),
  };
}

/** Now, as Checkr writes dates. */
export function nowIso(tools: Pick<RestTools, 'clock'>): string {
  return isoSeconds(tools.clock.now());
}

/** Refuses an order of an account that Checkr has not approved yet. Source: Checkr's error list (403). */
export function requireCredentialed(account: Account): void {
  if (!account.ready) throw new RestFault(403, 'Sorry, your account is not approved for production');
}

/** Whether the account has a hierarchy of nodes. */
export function hasHierarchy(tools: Pick<RestTools, 'knob'>): boolean {
  return booleanKnob(tools, 'hierarchyEnabled', checkrKnobs.hierarchyEnabled);
}

/** The node and work locations of an order; both mandatory with a hierarchy (400), the node must exist. */
export function orderPlace(call: Call, body: JsonObject): { node: string | null; workLocations: Json[] } {
  const node = typeof body['node'] === 'string' && body['node'] !== '' ? body['node'] : null;
  const workLocations = Array.isArray(body['work_locations']) ? body['work_locations'] : [];
  if (hasHierarchy(call.tools)) {
    const missing = [
      ...(node === null ? ["Node can't be blank"] : []),
      ...(workLocations.length === 0 ? ["Work locations can't be blank"] : []),
    ];
    if (missing.length > 0) throw new RestFault(400, missing);
    if (!nodesOf(call.account).some((row) => row.custom_id === node)) throw new RestFault(400, 'Node is invalid');
  }
  return { node, workLocations };
}

/** Names of `include=a,b`. */
export function includes(call: Call): Set<string> {
  return new Set(
    call.request.query
      .getAll('include')
      .flatMap((value) => value.split(','))
      .map((name) => name.trim()),
  );
}

/** A paged list in Checkr's envelope, newest first unless sorted by the caller. */
export function listReply(call: Call, rows: JsonObject[]): RestReply {
  const scheme = call.tools.knob('hrefScheme');
  const page = hrefPage(call.request, rows, typeof scheme === 'string' ? scheme : checkrKnobs.hrefScheme);
  return {
    status: 200,
    body: {
      object: 'list',
      data: page.rows,
      count: page.count,
      next_href: page.nextHref,
      previous_href: page.previousHref,
    },
  };
}

/** A short list without pages (documents, verifications). */
export function shortListReply(rows: JsonObject[]): RestReply {
  return { status: 200, body: { object: 'list', data: rows, count: rows.length } };
}

/** Newest first. */
export function newestFirst<T>(rows: T[]): T[] {
  return rows.toReversed();
}

/** Date filter of a query as milliseconds; undefined when absent, 400 when not a date. */
export function dateParam(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name);
  if (text === null || text === '') return undefined;
  const wallMs = Date.parse(text);
  if (Number.isNaN(wallMs)) throw new RestFault(400, `${name} is invalid`);
  return wallMs;
}
