/** Invoices: request money, list, read, cancel; pay a received one. Source: providers.md 3.6; replies assumed. */
import { RestFault, textField, type Call, type Route } from '../engine/rest-routes.ts';
import type { JsonObject, RestReply } from '../engine/types.ts';
import { addCheck, checkEvent } from './rest-checks.ts';
import {
  findOr404,
  invoicesOf,
  listReply,
  naiveDate,
  nextNumber,
  open,
  requireSend,
  spends,
  STATUSES,
  type Invoice,
} from './rest-model.ts';
import { checkFunds, jsonBody, readMoney, readRecipient, refuseFields } from './rest-rules.ts';

/** Number of the first invoice of an account. */
const FIRST_NUMBER = 1;

export const invoiceRoutes: Route[] = [
  ['POST', '/v3/invoice', createInvoice],
  ['POST', '/v3/invoice/payment', payInvoice],
  ['GET', '/v3/invoice', listInvoices],
  ['GET', '/v3/invoice/:id', (call) => ({ status: 200, body: open(findInvoice(call, call.params['id'])) })],
  ['DELETE', '/v3/invoice/:id', cancelInvoice],
];

function invoiceEvent(invoice: Invoice): JsonObject {
  return { id: invoice.id, status: invoice.status, type: 'INVOICE' };
}

function findInvoice(call: Call, id: string | undefined): Invoice {
  return findOr404(invoicesOf(call.account), id, 'Invoice');
}

function createInvoice(call: Call): RestReply {
  const { account, request, tools } = call;
  const body = jsonBody(call);
  const fields: Record<string, string> = {};
  const { name, amount, description } = readMoney(body, fields);
  const recipient = readRecipient(body, fields);
  if (description === null) fields['description'] = 'Required';
  refuseFields(fields);
  const invoice: Invoice = {
    id: tools.hexId(32),
    status: 'UNPAID',
    amount,
    name,
    recipient,
    description: description ?? '',
    number: textField(body, 'number') ?? nextNumber(invoicesOf(account), FIRST_NUMBER),
    date: naiveDate(tools.clock.now()),
    hiddenDirection: 'OUTGOING',
  };
  invoicesOf(account).push(invoice);
  call.emit('INVOICE', invoiceEvent(invoice));
  return { status: 201, body: open(invoice), changed: true, ...spends(request.grant) };
}

function listInvoices(call: Call): RestReply {
  const status = call.request.query.get('status');
  if (status && !STATUSES.some((known) => known === status)) {
    throw new RestFault(400, 'Invalid query parameters', { status: 'Invalid' });
  }
  const rows = invoicesOf(call.account).filter((invoice) => !status || invoice.status === status);
  return listReply(call, 'invoices', rows.toReversed().map(open));
}

function cancelInvoice(call: Call): RestReply {
  const invoice = findInvoice(call, call.params['id']);
  if (invoice.hiddenDirection === 'INCOMING') throw new RestFault(403, 'Only the sender can cancel an invoice');
  if (invoice.status !== 'UNPAID') throw new RestFault(400, `An invoice that is ${invoice.status} cannot be canceled`);
  invoice.status = 'VOID';
  call.emit('INVOICE', invoiceEvent(invoice));
  return { status: 200, changed: true };
}

/** Pays a received invoice with a digital check. */
function payInvoice(call: Call): RestReply {
  const { account, request, tools } = call;
  requireSend(request.grant);
  const body = jsonBody(call);
  const invoice = findInvoice(call, textField(body, 'id'));
  if (invoice.hiddenDirection !== 'INCOMING') throw new RestFault(403, 'Only the recipient can pay an invoice');
  if (invoice.status !== 'UNPAID') throw new RestFault(400, `An invoice that is ${invoice.status} cannot be paid`);
  const amount = body['amount'] ?? invoice.amount;
  if (amount !== invoice.amount) refuseFields({ amount: 'Must be the amount of the invoice' });
  checkFunds(call, invoice.amount, textField(body, 'account'));

  const { name, description } = invoice;
  const check = addCheck(
    account,
    {
      name,
      amount: invoice.amount,
      recipient: invoice.recipient,
      description,
      type: 'DIGITAL',
      direction: 'OUTGOING',
      sender: account.name,
      status: 'UNPAID',
    },
    tools,
  );
  invoice.status = 'PAID';
  call.emit('INVOICE', invoiceEvent(invoice));
  call.emit('CHECK', checkEvent(check));
  return { status: 201, body: open(check), changed: true, ...spends(request.grant) };
}
