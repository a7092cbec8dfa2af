/** First resources of a new fake Checkr account: four packages, nodes, candidates and their orders. All invented. */
import { collection, isoSeconds } from '../engine/rest-routes.ts';
import type { Account, JsonObject, RestTools } from '../engine/types.ts';
import { createReport, finishReport } from './rest-lifecycle.ts';
import {
  candidatesOf,
  invitationsOf,
  nodesOf,
  packagesOf,
  type Candidate,
  type Invitation,
  type Plain,
} from './rest-model.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** More than one page of 25, so that paging can be seen at once. */
const CANDIDATES = 30;

/** The default packages that Checkr made for test accounts. Source: providers.md 1.1. */
const PACKAGES: [slug: string, name: string, price: number, screenings: string[]][] = [
  ['tasker_standard', 'Tasker Standard', 2_000, ['ssn_trace', 'sex_offender_search', 'national_criminal_search']],
  [
    'tasker_pro',
    'Tasker Pro',
    3_500,
    [
      'ssn_trace',
      'sex_offender_search',
      'global_watchlist_search',
      'national_criminal_search',
      'county_criminal_search',
    ],
  ],
  [
    'driver_standard',
    'Driver Standard',
    4_000,
    ['ssn_trace', 'sex_offender_search', 'national_criminal_search', 'motor_vehicle_report'],
  ],
  [
    'driver_pro',
    'Driver Pro',
    5_500,
    [
      'ssn_trace',
      'sex_offender_search',
      'global_watchlist_search',
      'national_criminal_search',
      'county_criminal_search',
      'motor_vehicle_report',
    ],
  ],
];

const FIRST_NAMES = ['Ada', 'Bruno', 'Chidi', 'Dora', 'Emil', 'Fatima', 'Goran', 'Hana', 'Ivo', 'June'];
const LAST_NAMES = ['Alder', 'Birch', 'Cedar'];

/** Fills `account.data`. An account that may not order yet gets candidates only. */
export function seed(account: Account, tools: RestTools): void {
  const nowMs = tools.clock.now();
  const at = (agoMs: number) => isoSeconds(nowMs - agoMs);

  for (const [slug, name, price, screenings] of PACKAGES) {
    packagesOf(account).push({
      id: tools.hexId(24),
      name,
      slug,
      price,
      screenings: screenings.map((type): JsonObject => ({
        type,
        subtype: type === 'county_criminal_search' ? '7years' : null,
      })),
      created_at: at(200 * DAY_MS),
      deleted_at: null,
    });
  }
  for (const [customId, name, tier, parent, slugs] of [
    ['NA', 'North America', 'region', null, []],
    ['NA-W', 'West', 'district', 'NA', ['tasker_standard', 'tasker_pro']],
    ['NA-E', 'East', 'district', 'NA', ['tasker_standard', 'driver_standard']],
  ] as const) {
    nodesOf(account).push({
      id: tools.hexId(24),
      name,
      custom_id: customId,
      tier,
      parent_custom_id: parent,
      created_at: at(190 * DAY_MS),
      hiddenPackages: [...slugs],
    });
  }
  const geo: Plain = {
    id: tools.hexId(24),
    created_at: at(180 * DAY_MS),
    name: 'San Francisco',
    city: 'San Francisco',
    state: 'CA',
  };
  collection<Plain>(account, 'geos').push(geo);
  collection<Plain>(account, 'programs').push({
    id: tools.hexId(24),
    created_at: at(180 * DAY_MS),
    name: 'Warehouse',
    geo_ids: [geo.id],
    package_ids: packagesOf(account).map((one) => one.id),
    deleted_at: null,
  });

  const count = account.ready ? CANDIDATES : 3;
  for (let index = 0; index < count; index += 1) {
    // Oldest first: the last candidates came within the last days, so their invitations are still open.
    const agoMs = (count - index) * 18 * HOUR_MS;
    const candidate = seedCandidate(index, tools.hexId(24), at(agoMs));
    candidatesOf(account).push(candidate);
    if (account.ready && index % 10 !== 9) seedOrder(account, candidate, index, agoMs, tools);
  }
}

function seedCandidate(index: number, id: string, createdAt: string): Candidate {
  const first = FIRST_NAMES[index % FIRST_NAMES.length] as string;
  const last = LAST_NAMES[Math.floor(index / FIRST_NAMES.length) % LAST_NAMES.length] as string;
  return {
    id,
    created_at: createdAt,
    first_name: first,
    middle_name: null,
    no_middle_name: true,
    last_name: last,
    mother_maiden_name: null,
    email: `${first}.${last}@example.com`.toLowerCase(),
    phone: `555555${String(1_000 + index)}`,
    zipcode: '94105',
    dob: `19${70 + (index % 30)}-0${1 + (index % 9)}-1${index % 10}`,
    driver_license_number: null,
    driver_license_state: null,
    previous_driver_license_number: null,
    previous_driver_license_state: null,
    copy_requested: false,
    custom_id: null,
    adjudication: null,
    geo_ids: [],
    metadata: {},
    work_locations: [{ country: 'US', state: 'CA', city: 'San Francisco' }],
    hiddenSsn: `40155${String(1_000 + index)}`,
    hiddenAnonymised: false,
  };
}

/** Open while younger than a week; else every fourth expired, the others completed with a finished report. */
function seedOrder(account: Account, candidate: Candidate, index: number, agoMs: number, tools: RestTools): void {
  const nowMs = tools.clock.now();
  const createdMs = nowMs - agoMs;
  const invitation: Invitation = {
    id: tools.hexId(24),
    invitation_url: `https://apply.checkr.example/invite/seed/${tools.hexId(12)}`,
    status: 'pending',
    created_at: isoSeconds(createdMs),
    expires_at: isoSeconds(createdMs + 7 * DAY_MS),
    completed_at: null,
    deleted_at: null,
    package: PACKAGES[index % PACKAGES.length]?.[0] ?? 'tasker_standard',
    candidate_id: candidate.id,
    report_id: null,
    archived: false,
    archived_info: null,
    tags: [],
    hiddenNode: null,
    hiddenWorkLocations: candidate.work_locations,
  };
  invitationsOf(account).push(invitation);
  if (agoMs < 7 * DAY_MS) return;
  if (index % 4 === 3) {
    invitation.status = 'expired';
    return;
  }
  const past: RestTools = { ...tools, clock: { ...tools.clock, now: () => createdMs + 12 * HOUR_MS } };
  const done: RestTools = { ...tools, clock: { ...tools.clock, now: () => createdMs + 60 * HOUR_MS } };
  const report = createReport(account, invitation, 'web', past);
  finishReport(account, report, index % 5 === 1 ? 'consider' : 'clear', done, () => {
    // Nobody was connected when this happened, so there is nobody to tell.
  });
  invitation.status = 'completed';
  invitation.completed_at = report.created_at;
  invitation.report_id = report.id;
}
