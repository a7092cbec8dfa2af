/**
 * What an account has beside orders: itself, packages, nodes, users, programs, geos, subscriptions, webhooks.
 * Source: providers.md 1.9 and 1.10.
 */
import {
  bodyObject,
  booleanField,
  collection,
  isObject,
  RestFault,
  textField,
  type Call,
  type Handler,
  type Route,
} from '../engine/rest-routes.ts';
import type { Account, JsonObject, RestReply } from '../engine/types.ts';
import { writableCandidate } from './rest-candidates.ts';
import { slugOf } from './rest-invitations.ts';
import {
  findOr404,
  findPackage,
  hasHierarchy,
  includes,
  listReply,
  newestFirst,
  nodesOf,
  nowIso,
  packagesOf,
  requireCredentialed,
  shown,
  webhooksOf,
  type Package,
  type Plain,
  type Webhook,
} from './rest-model.ts';
import { showNode, showPackage, showWebhook } from './rest-views.ts';

const WEBHOOKS_MAX = 2;

/** Screening types of Checkr's old packages document. */
const SCREENING_TYPES = new Set([
  'ssn_trace',
  'sex_offender_search',
  'motor_vehicle_report',
  'national_criminal_search',
  'county_criminal_search',
  'state_criminal_search',
  'county_civil_search',
  'federal_criminal_search',
  'federal_civil_search',
  'employment_verification',
  'education_verification',
  'eviction_search',
  'terrorist_watchlist_search',
  'global_watchlist_search',
]);

const INTERVAL_UNITS = ['day', 'week', 'month', 'year'];

export const catalogRoutes: Route[] = [
  ['GET', '/v1/account', getAccount],
  ['GET', '/v1/packages', listPackages],
  ['POST', '/v1/packages', createPackage],
  ['GET', '/v1/packages/:id', getPackage],
  ['DELETE', '/v1/packages/:id', deletePackage],
  ['GET', '/v1/nodes', listNodes],
  ['GET', '/v1/users', listUsers],
  ['GET', '/v1/programs', listPlain('programs', 'program')],
  ['GET', '/v1/geos', listPlain('geos', 'geo')],
  ['GET', '/v1/subscriptions', listPlain('subscriptions', 'subscription')],
  ['POST', '/v1/subscriptions', createSubscription],
  ['GET', '/v1/webhooks', listWebhooks],
  ['POST', '/v1/webhooks', createWebhook],
  ['GET', '/v1/webhooks/:id', getWebhook],
  ['DELETE', '/v1/webhooks/:id', deleteWebhook],
];

function getAccount(call: Call): RestReply {
  return { status: 200, body: showAccount(call.account, hasHierarchy(call.tools)) };
}

/** The whole account, as `GET /v1/account` shows it. */
export function showAccount(account: Account, segmented: boolean): JsonObject {
  const domain = `${slugOf(account.name)}.example`;
  return {
    id: account.id,
    object: 'account',
    uri: `/v1/accounts/${account.id}`,
    name: account.name,
    uri_name: slugOf(account.name),
    authorized: account.ready,
    api_authorized: account.ready,
    account_deauthorization: null,
    purpose: 'employment',
    available_screenings: [...new Set(packagesOf(account).flatMap((one) => one.screenings.map(screeningType)))],
    billing_email: `billing@${domain}`,
    adverse_action_email: `adverse@${domain}`,
    compliance_contact_email: `compliance@${domain}`,
    technical_contact_email: `technical@${domain}`,
    company: { dba_name: account.name, city: 'San Francisco', state: 'CA', zipcode: '94105' },
    default_compliance_city: 'San Francisco',
    default_compliance_state: 'CA',
    geos_required: false,
    segmentation_enabled: segmented,
    support_email: `support@${domain}`,
    support_phone: '555-555-0100',
    created_at: account.createdAt.replace(/\.\d+Z$/, 'Z'),
  };
}

function screeningType(screening: JsonObject): string {
  return String(screening['type']);
}

function listPackages(call: Call): RestReply {
  const alive = packagesOf(call.account).filter((one) => one.deleted_at === null);
  return listReply(
    call,
    alive.map((one) => showPackage(call.request, one)),
  );
}

function getPackage(call: Call): RestReply {
  return { status: 200, body: showPackage(call.request, findPackage(call.account, call.params['id'])) };
}

function createPackage(call: Call): RestReply {
  const body = bodyObject(call.request, 'Invalid request body');
  const slug = textField(body, 'slug');
  const name = textField(body, 'name');
  const screenings = Array.isArray(body['screenings']) ? body['screenings'].filter(isObject) : [];
  const wrong: string[] = [];
  if (!name) wrong.push("Name can't be blank");
  if (!slug || !/^[a-z0-9_-]+$/.test(slug)) wrong.push('Slug is invalid');
  else if (packagesOf(call.account).some((one) => one.slug === slug && one.deleted_at === null)) {
    wrong.push('Slug has already been taken');
  }
  if (screenings.length === 0) wrong.push("Screenings can't be blank");
  else if (screenings.some((screening) => !SCREENING_TYPES.has(screeningType(screening)))) {
    wrong.push('Screenings are invalid');
  }
  if (!name || !slug || wrong.length > 0) throw new RestFault(400, wrong);
  const made: Package = {
    id: call.tools.hexId(24),
    name,
    slug,
    price: 1_000 * screenings.length,
    screenings: screenings.map((screening) => ({
      type: screeningType(screening),
      subtype: textField(screening, 'subtype') ?? null,
    })),
    created_at: nowIso(call.tools),
    deleted_at: null,
  };
  packagesOf(call.account).push(made);
  const view = showPackage(call.request, made);
  call.emit('package.created', view);
  return { status: 201, body: view, changed: true };
}

function deletePackage(call: Call): RestReply {
  const found = findPackage(call.account, call.params['id']);
  found.deleted_at = nowIso(call.tools);
  const view = showPackage(call.request, found);
  call.emit('package.deleted', view);
  return { status: 200, body: view, changed: true };
}

function listNodes(call: Call): RestReply {
  // Seen in production; the specification's sample speaks of Hierarchy instead.
  if (!hasHierarchy(call.tools)) throw new RestFault(403, 'Account is not enabled for segmentation');
  const { query } = call.request;
  const orderBy = query.get('order_by') ?? 'created_at';
  const order = query.get('order') ?? 'asc';
  if (orderBy !== 'custom_id' && orderBy !== 'created_at') throw new RestFault(400, 'order_by is invalid');
  if (order !== 'asc' && order !== 'desc') throw new RestFault(400, 'order is invalid');
  const sorted = nodesOf(call.account).toSorted((a, b) =>
    a[orderBy] < b[orderBy] ? -1 : a[orderBy] > b[orderBy] ? 1 : 0,
  );
  const rows = order === 'asc' ? sorted : sorted.toReversed();
  const include = includes(call);
  return listReply(
    call,
    rows.map((node) => showNode(call.account, call.request, node, include)),
  );
}

function listUsers(call: Call): RestReply {
  return listReply(
    call,
    call.request.users.map((user, index) =>
      shown('user', 'users', {
        id: user.id,
        email: user.email,
        full_name: user.fullName,
        roles: [{ name: index === 0 ? 'Admin' : 'User' }],
        created_at: call.account.createdAt.replace(/\.\d+Z$/, 'Z'),
      }),
    ),
  );
}

function listPlain(name: string, object: string): Handler {
  return (call) =>
    listReply(
      call,
      newestFirst(collection<Plain>(call.account, name)).map((row) => shown(object, name, row)),
    );
}

function createSubscription(call: Call): RestReply {
  requireCredentialed(call.account);
  const body = bodyObject(call.request, 'Invalid request body');
  const startDate = textField(body, 'start_date');
  const count = Number(textField(body, 'interval_count') ?? Number.NaN);
  const unit = textField(body, 'interval_unit');
  const wrong: string[] = [];
  if (!startDate || Number.isNaN(Date.parse(startDate))) wrong.push('Start date is invalid');
  if (!Number.isInteger(count) || count < 1) wrong.push('Interval count is invalid');
  if (!unit || !INTERVAL_UNITS.includes(unit)) wrong.push('Interval unit is invalid');
  if (!startDate || !unit || wrong.length > 0) throw new RestFault(400, wrong);
  const row: Plain = {
    id: call.tools.hexId(24),
    created_at: nowIso(call.tools),
    package: findPackage(call.account, textField(body, 'package')).slug,
    candidate_id: writableCandidate(call, textField(body, 'candidate_id')).id,
    start_date: startDate,
    interval_count: count,
    interval_unit: unit,
  };
  collection<Plain>(call.account, 'subscriptions').push(row);
  return { status: 201, body: shown('subscription', 'subscriptions', row), changed: true };
}

function aliveWebhooks(call: Call): Webhook[] {
  return webhooksOf(call.account).filter((webhook) => webhook.deleted_at === null);
}

function listWebhooks(call: Call): RestReply {
  return listReply(
    call,
    newestFirst(aliveWebhooks(call)).map((webhook) => showWebhook(call.account, webhook)),
  );
}

function createWebhook(call: Call): RestReply {
  const body = bodyObject(call.request, 'Invalid request body');
  const webhookUrl = textField(body, 'webhook_url');
  if (!webhookUrl) throw new RestFault(400, "Webhook url can't be blank");
  if (!isReachable(webhookUrl)) throw new RestFault(400, 'Webhook url must be a publicly reachable https address');
  const alive = aliveWebhooks(call);
  if (alive.some((webhook) => webhook.webhook_url === webhookUrl)) {
    throw new RestFault(400, 'Webhook url has already been taken');
  }
  if (alive.length >= WEBHOOKS_MAX) throw new RestFault(400, 'Webhook limit has been exceeded');
  const webhook: Webhook = {
    id: call.tools.hexId(24),
    webhook_url: webhookUrl,
    include_object: booleanField(body, 'include_object') ?? false,
    // A call with the account's own key belongs to no application.
    application_id: call.request.grant.clientId || null,
    created_at: nowIso(call.tools),
    deleted_at: null,
  };
  webhooksOf(call.account).push(webhook);
  return { status: 201, body: showWebhook(call.account, webhook), changed: true };
}

/** Any https host with a dot; http only to this machine. `sns://` is refused, since nothing here could serve it. */
function isReachable(address: string): boolean {
  if (!URL.canParse(address)) return false;
  const { protocol, hostname } = new URL(address);
  const isLoopback = ['localhost', '127.0.0.1', '[::1]'].includes(hostname);
  return isLoopback ? protocol === 'http:' || protocol === 'https:' : protocol === 'https:' && hostname.includes('.');
}

function getWebhook(call: Call): RestReply {
  return { status: 200, body: showWebhook(call.account, findOr404(aliveWebhooks(call), call.params['id'])) };
}

function deleteWebhook(call: Call): RestReply {
  const webhook = findOr404(aliveWebhooks(call), call.params['id']);
  webhook.deleted_at = nowIso(call.tools);
  return { status: 200, body: showWebhook(call.account, webhook), changed: true };
}
