/** How the fake Checkr shows its resources. `include` puts related objects in place of their ids. */
import { collection } from '../engine/rest-routes.ts';
import type { Account, JsonObject } from '../engine/types.ts';
import {
  adverseItemsOf,
  findPackage,
  reportsOf,
  screeningsOf,
  shown,
  type AdverseAction,
  type Candidate,
  type Invitation,
  type Node,
  type Package,
  type Plain,
  type Report,
  type Webhook,
} from './rest-model.ts';

/** No relation is embedded. */
export const NOTHING: ReadonlySet<string> = new Set();

/** Screenings of which a report has at most one: screening type → name of the id field. */
const SINGLE_SCREENINGS: Readonly<Record<string, string>> = {
  ssn_trace: 'ssn_trace_id',
  sex_offender_search: 'sex_offender_search_id',
  global_watchlist_search: 'global_watchlist_search_id',
  national_criminal_search: 'national_criminal_search_id',
  motor_vehicle_report: 'motor_vehicle_report_id',
};

/** Screenings of which a report may have several: screening type → name of the ids field. */
const MANY_SCREENINGS: Readonly<Record<string, string>> = {
  county_criminal_search: 'county_criminal_search_ids',
  state_criminal_search: 'state_criminal_search_ids',
  federal_criminal_search: 'federal_criminal_search_ids',
  education_verification: 'education_verification_ids',
  employment_verification: 'employment_verification_ids',
};

/** Plural path of a screening's own address: `/v1/<path>/<id>`. */
export const SCREENING_PATHS: Readonly<Record<string, string>> = {
  ssn_trace: 'ssn_traces',
  sex_offender_search: 'sex_offender_searches',
  global_watchlist_search: 'global_watchlist_searches',
  national_criminal_search: 'national_criminal_searches',
  motor_vehicle_report: 'motor_vehicle_reports',
  county_criminal_search: 'county_criminal_searches',
  state_criminal_search: 'state_criminal_searches',
  federal_criminal_search: 'federal_criminal_searches',
  education_verification: 'education_verifications',
  employment_verification: 'employment_verifications',
};

export function showCandidate(
  account: Account,
  candidate: Candidate,
  include: ReadonlySet<string> = NOTHING,
): JsonObject {
  const reports = reportsOf(account).filter((report) => report.candidate_id === candidate.id);
  const { geo_ids: geoIds, ...rest } = shown('candidate', 'candidates', candidate);
  return {
    ...rest,
    ssn: candidate.hiddenSsn === null ? null : `XXX-XX-${candidate.hiddenSsn.slice(-4)}`,
    postal_address: null,
    ...(include.has('reports')
      ? { reports: reports.map((report) => showReport(account, report)) }
      : { report_ids: reports.map((report) => report.id) }),
    ...(include.has('geos')
      ? {
          geos: geosOf(account)
            .filter((geo) => candidate.geo_ids.includes(geo.id))
            .map(showGeo),
        }
      : { geo_ids: geoIds ?? [] }),
  };
}

export function showInvitation(invitation: Invitation): JsonObject {
  return shown('invitation', 'invitations', invitation);
}

export function showReport(account: Account, report: Report, include: ReadonlySet<string> = NOTHING): JsonObject {
  const { candidate_id: candidateId, ...rest } = shown('report', 'reports', report);
  const view: JsonObject = { ...rest, candidate_id: candidateId ?? null };
  if (include.has('candidate')) {
    const candidate = collection<Candidate>(account, 'candidates').find((row) => row.id === report.candidate_id);
    delete view['candidate_id'];
    view['candidate'] = candidate ? showCandidate(account, candidate) : null;
  }

  const own = screeningsOf(account).filter((screening) => screening.report_id === report.id);
  for (const [type, field] of Object.entries(SINGLE_SCREENINGS)) {
    const found = own.find((screening) => screening.type === type);
    if (include.has(type)) view[type] = found ? showScreening(found) : null;
    else view[field] = found?.id ?? null;
  }
  for (const [type, field] of Object.entries(MANY_SCREENINGS)) {
    const found = own.filter((screening) => screening.type === type);
    const plural = SCREENING_PATHS[type] as string;
    if (include.has(plural)) view[plural] = found.map(showScreening);
    else view[field] = found.map((screening) => screening.id);
  }

  const documents = collection<Plain>(account, 'documents').filter(
    (document) => document['candidate_id'] === report.candidate_id,
  );
  if (include.has('documents')) view['documents'] = documents.map(showDocument);
  else view['document_ids'] = documents.map((document) => document.id);
  view['geo_ids'] =
    collection<Candidate>(account, 'candidates').find((row) => row.id === report.candidate_id)?.geo_ids ?? [];
  return view;
}

export function showScreening(screening: JsonObject): JsonObject {
  const { type, ...rest } = screening;
  return shown(String(type), SCREENING_PATHS[String(type)] ?? 'screenings', rest);
}

export function showDocument(document: Plain): JsonObject {
  const { candidate_id: candidateId, ...rest } = document;
  return shown('document', `candidates/${String(candidateId)}/documents`, rest);
}

/** Test tokens of the old model see `test_package`. Source: providers.md 1.10 (packages, 2016 documents). */
export function showPackage(request: { baseUrl: string; grant: { mode: string } }, one: Package): JsonObject {
  const object = request.grant.mode === 'test' ? 'test_package' : 'package';
  return { ...shown(object, 'packages', one), apply_url: `${request.baseUrl}/apply/${one.slug}` };
}

export function showNode(
  account: Account,
  request: Parameters<typeof showPackage>[0],
  node: Node,
  include: ReadonlySet<string>,
): JsonObject {
  const view = shown('node', 'nodes', node);
  if (!include.has('packages')) return view;
  const alive = node.hiddenPackages.flatMap((slug) => {
    const found = collection<Package>(account, 'packages').find((one) => one.slug === slug && one.deleted_at === null);
    return found ? [showPackage(request, found)] : [];
  });
  return { ...view, packages: alive };
}

export function showAdverseAction(account: Account, action: AdverseAction): JsonObject {
  const { adverse_item_ids: ids, ...rest } = shown('adverse_action', 'adverse_actions', action);
  const wanted = new Set(Array.isArray(ids) ? ids : []);
  return {
    ...rest,
    adverse_items: adverseItemsOf(account)
      .filter((item) => wanted.has(item.id))
      .map(showAdverseItem),
  };
}

export function showAdverseItem(item: Plain): JsonObject {
  const { report_id: reportId, ...rest } = item;
  return shown('adverse_item', `reports/${String(reportId)}/adverse_items`, rest);
}

export function showWebhook(account: Account, webhook: Webhook): JsonObject {
  return { ...shown('webhook', 'webhooks', webhook), account_id: account.id };
}

export function showGeo(geo: Plain): JsonObject {
  return shown('geo', 'geos', geo);
}

export const geosOf = (account: Account) => collection<Plain>(account, 'geos');

/** Screening types of a package by slug; empty when the package is gone. */
export function screeningTypes(account: Account, slug: string): string[] {
  return findPackage(account, slug).screenings.map((screening) => String(screening['type']));
}
