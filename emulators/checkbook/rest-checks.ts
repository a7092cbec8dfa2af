/** Checks: send, list, read, void, remind, follow; the sandbox's status trigger. Source: providers.md 3.5 and 3.6. */
import { booleanKnob, isObject, RestFault, textField, type Call, type Route } from '../engine/rest-routes.ts';
import type { Account, Json, JsonObject, RestReply, RestTools } from '../engine/types.ts';
import {
  checkbookKnobs,
  checksOf,
  findOr404,
  listReply,
  naiveDate,
  nextNumber,
  open,
  requireSend,
  spends,
  STATUSES,
  type Check,
  type Direction,
  type Status,
} from './rest-model.ts';
import {
  checkDepositOptions,
  checkFunds,
  jsonBody,
  readAddress,
  readMoney,
  readNotes,
  readRecipient,
  refuseFields,
} from './rest-rules.ts';

/** Number of the first check of an account. */
const FIRST_NUMBER = 5_001;

/** Statuses in which the money has not moved yet (assumption). */
const VOIDABLE: Status[] = ['UNPAID', 'IN_PROCESS', 'PRINTED'];

/** What `sort` may name → field of a check. */
const SORTS: Readonly<Record<string, string>> = {
  NUMBER: 'number',
  TYPE: 'hiddenType',
  AMOUNT: 'amount',
  STATUS: 'status',
  DATE: 'date',
  DESCRIPTION: 'description',
};

export const checkRoutes: Route[] = [
  ['POST', '/v3/check/digital', (call) => sendCheck(call, 'DIGITAL')],
  ['POST', '/v3/check/physical', (call) => sendCheck(call, 'PHYSICAL')],
  ['GET', '/v3/check', listChecks],
  ['GET', '/v3/check/:id', getCheck],
  ['DELETE', '/v3/check/:id', voidCheck],
  ['GET', '/v3/check/:id/tracking', getTracking],
  ['POST', '/v3/check/notify/:id', notifyRecipient],
  ['PUT', '/v3/check/webhook/:id', triggerStatus],
];

/** What a new check is made from. */
export interface CheckOrder {
  name: string;
  amount: number;
  recipient: Json;
  description: string | null;
  comment?: string | null;
  remittance?: Json;
  number?: string | undefined;
  type: Check['hiddenType'];
  direction: Direction;
  sender: string;
  status: Status;
}

/** Puts a check into the account. */
export function addCheck(account: Account, order: CheckOrder, tools: RestTools): Check {
  const date = naiveDate(tools.clock.now());
  const check: Check = {
    id: tools.hexId(32),
    status: order.status,
    amount: order.amount,
    name: order.name,
    recipient: order.recipient,
    description: order.description,
    comment: order.comment ?? null,
    number: order.number ?? nextNumber(checksOf(account), FIRST_NUMBER),
    date,
    image_uri: null,
    remittance_advice: order.remittance ?? null,
    hiddenDirection: order.direction,
    hiddenSender: order.sender,
    hiddenType: order.type,
    hiddenHistory: [{ status: order.status, date }],
  };
  checksOf(account).push(check);
  return check;
}

/** The thin event that the provider sends: id, status and type only. */
export function checkEvent(check: Check): JsonObject {
  return { id: check.id, status: check.status, type: 'CHECK' };
}

function sendCheck(call: Call, type: Check['hiddenType']): RestReply {
  const { account, request, tools } = call;
  requireSend(request.grant);
  const body = jsonBody(call);
  const fields: Record<string, string> = {};
  const money = readMoney(body, fields);
  const recipient = type === 'DIGITAL' ? readRecipient(body, fields) : readAddress(body, fields);
  const notes = readNotes(body, fields);
  refuseFields(fields);
  checkDepositOptions(body);
  checkFunds(call, money.amount, textField(body, 'account'));

  const order: CheckOrder = {
    ...money,
    ...notes,
    recipient,
    number: textField(body, 'number'),
    type,
    direction: 'OUTGOING',
    sender: account.name,
    status: type === 'DIGITAL' ? 'UNPAID' : 'IN_PROCESS',
  };
  const check = addCheck(account, order, tools);
  call.emit('CHECK', checkEvent(check));
  return { status: 201, body: open(check), changed: true, ...spends(request.grant) };
}

function listChecks(call: Call): RestReply {
  const { query } = call.request;
  const wanted = checkFilter(query);
  const rows = checksOf(call.account).filter(wanted).toReversed();
  return listReply(
    call,
    'checks',
    sorted(rows, query.get('sort')).map((check) => ({
      ...open(check),
      direction: check.hiddenDirection,
      sender: check.hiddenSender,
    })),
  );
}

function checkFilter(query: URLSearchParams): (check: Check) => boolean {
  const fields: Record<string, string> = {};
  const direction = query.get('direction');
  const status = query.get('status');
  const type = query.get('type');
  const [startDate, endDate] = [query.get('start_date'), query.get('end_date')];
  const search = query.get('q')?.toLowerCase();
  if (direction && direction !== 'INCOMING' && direction !== 'OUTGOING') fields['direction'] = 'Invalid';
  if (status && !STATUSES.some((known) => known === status)) fields['status'] = 'Invalid';
  for (const [name, value] of Object.entries({ start_date: startDate, end_date: endDate })) {
    if (value && !/^\d{4}-\d{2}-\d{2}$/.test(value)) fields[name] = 'Must be yyyy-mm-dd';
  }
  if (Object.keys(fields).length > 0) throw new RestFault(400, 'Invalid query parameters', fields);

  return (check) =>
    (!direction || check.hiddenDirection === direction) &&
    (!status || check.status === status) &&
    (!type || check.hiddenType === type) &&
    (!startDate || check.date.slice(0, 10) >= startDate) &&
    (!endDate || check.date.slice(0, 10) <= endDate) &&
    (!search ||
      [check.name, check.description, check.number].some((text) => (text ?? '').toLowerCase().includes(search)));
}

/** `+AMOUNT` or `-AMOUNT`; a plus that was not escaped arrives as a space. Newest first when absent. */
function sorted(rows: Check[], sort: string | null): Check[] {
  if (sort === null || sort === '') return rows;
  const field = SORTS[sort.replace(/^[+\- ]/, '')];
  if (field === undefined) throw new RestFault(400, 'Invalid query parameters', { sort: 'Invalid' });
  const sign = sort.startsWith('-') ? -1 : 1;
  return rows.toSorted((a, b) => sign * compare(a[field], b[field]));
}

function compare(a: Json | undefined, b: Json | undefined): number {
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  return String(a ?? '').localeCompare(String(b ?? ''), 'en', { numeric: true });
}

function findCheck(call: Call): Check {
  return findOr404(checksOf(call.account), call.params['id'], 'Check');
}

function getCheck(call: Call): RestReply {
  return { status: 200, body: open(findCheck(call)) };
}

function voidCheck(call: Call): RestReply {
  const check = findCheck(call);
  if (check.hiddenDirection === 'INCOMING') throw new RestFault(403, 'Only the sender can void a check');
  if (!VOIDABLE.includes(check.status)) throw new RestFault(400, `A check that is ${check.status} cannot be voided`);
  moveCheck(call, check, 'VOID');
  return { status: 200, changed: true };
}

/** The shape of this reply is an assumption. */
function getTracking(call: Call): RestReply {
  const check = findCheck(call);
  return { status: 200, body: { id: check.id, tracking: check.hiddenHistory } };
}

function notifyRecipient(call: Call): RestReply {
  const check = findCheck(call);
  if (check.status !== 'UNPAID') throw new RestFault(400, `The recipient of a ${check.status} check is not reminded`);
  return { status: 204 };
}

/** The sandbox's way to bring a check into another status; answers without body. */
function triggerStatus(call: Call): RestReply {
  if (!booleanKnob(call.tools, 'sandboxCalls', checkbookKnobs.sandboxCalls)) throw new RestFault(404, 'Not found');
  const body = jsonBody(call);
  const status = STATUSES.find((known) => known === body['status']);
  if (!status) throw new RestFault(400, 'JSON parameters invalid', { status: `Must be one of ${STATUSES.join(', ')}` });
  const returnCode = isObject(body['options']) ? textField(body['options'], 'return_code') : undefined;
  moveCheck(call, findCheck(call), status, returnCode);
  return { status: 204, changed: true };
}

/** Brings a check into another status and tells it. */
export function moveCheck(call: Pick<Call, 'tools' | 'emit'>, check: Check, status: Status, returnCode?: string): void {
  check.status = status;
  check.hiddenHistory.push({
    status,
    date: naiveDate(call.tools.clock.now()),
    ...(returnCode === undefined ? {} : { return_code: returnCode }),
  });
  call.emit('CHECK', checkEvent(check));
}
