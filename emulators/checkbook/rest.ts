/**
 * The REST surface of the fake Checkbook (v3).
 *
 * Left out, because little more than their names is known: check multi, preview, print, deposit, endorse, attachments,
 * subscriptions, cards, wallets and the other ways of payment.
 * Source: providers.md 3.4 to 3.6.
 */
import { createHandle, RestFault } from '../engine/rest-routes.ts';
import type { Account, Json, RestReply, RestSlice, RestTools } from '../engine/types.ts';
import { accountRoutes } from './rest-account.ts';
import { addCheck, checkRoutes } from './rest-checks.ts';
import { invoiceRoutes } from './rest-invoices.ts';
import { banksOf, checkbookKnobs, invoicesOf, naiveDate, type Status } from './rest-model.ts';
import { play, plays } from './rest-plays.ts';

function refuse(fault: RestFault, knob: (name: string) => Json | undefined): RestReply {
  const { status, message, fields } = fault;
  if (knob('errorShape') === 'legacy') return { status, body: { error: message } };
  return { status, body: { message, ...(Object.keys(fields).length > 0 ? { errors: fields } : {}) } };
}

const DAY_MS = 86_400_000;

/** A bank, some checks in both directions, a sent and a received invoice. All invented. */
function seed(account: Account, tools: RestTools): void {
  const nowMs = tools.clock.now();
  banksOf(account).push({
    id: tools.hexId(32),
    account: '6789',
    routing: '000000000',
    name: 'Emulated Savings Bank',
    type: 'BUSINESS',
    status: account.ready ? 'VERIFIED' : 'PENDING',
    default: true,
    billing: true,
    balance: null,
    date: naiveDate(nowMs - 90 * DAY_MS),
    hiddenReleased: false,
  });
  const checks: [name: string, amount: number, direction: 'INCOMING' | 'OUTGOING', status: Status][] = [
    ['Paper & Pens', 84.5, 'OUTGOING', 'PAID'],
    ['Harbour Cleaning', 320, 'OUTGOING', 'UNPAID'],
    ['Window Washers', 75.25, 'OUTGOING', 'VOID'],
    ['Kite Club', 12.34, 'INCOMING', 'PAID'],
    ['Coffee Cart', 48, 'INCOMING', 'UNPAID'],
  ];
  for (const [index, [name, amount, direction, status]] of checks.entries()) {
    const past: RestTools = { ...tools, clock: { ...tools.clock, now: () => nowMs - (10 - index) * DAY_MS } };
    const order = {
      name: direction === 'OUTGOING' ? name : account.name,
      amount,
      recipient: 'payee@example.com',
      description: 'Seeded by the emulator',
      type: 'DIGITAL' as const,
      direction,
      sender: direction === 'OUTGOING' ? account.name : name,
      status,
    };
    if (account.ready || direction === 'INCOMING') addCheck(account, order, past);
  }
  for (const direction of ['OUTGOING', 'INCOMING'] as const) {
    invoicesOf(account).push({
      id: tools.hexId(32),
      status: 'UNPAID',
      amount: 150.75,
      name: direction === 'OUTGOING' ? 'Kite Club' : 'Paper & Pens',
      recipient: direction === 'OUTGOING' ? 'kites@example.com' : 'billing@example.com',
      description: 'Seeded by the emulator',
      number: String(invoicesOf(account).length + 1),
      date: naiveDate(nowMs - 5 * DAY_MS),
      hiddenDirection: direction,
    });
  }
}

const handle = createHandle({
  routes: [...checkRoutes, ...invoiceRoutes, ...accountRoutes],
  advance: () => [],
  refuse,
});

export const checkbookRest: RestSlice = {
  handle(request, tools) {
    const reply = handle(request, tools);
    // Whether reading counts is not documented; by default only a send or a request does.
    const consumesAny = request.grant.scope === 'single-use' && tools.knob('singleUseConsumes') === 'any';
    return reply && consumesAny && reply.status < 300 ? { ...reply, spendsGrant: true } : reply;
  },
  error: (status, message, knob) => refuse(new RestFault(status, message), knob),
  seed: (account, _users, tools) => seed(account, tools),
  advance: () => [],
  plays,
  play,
  knobs: checkbookKnobs,
  // No numbers are published; they are per endpoint, and told by Retry-After only.
  limit: { kind: 'retry-after', perMinute: 60, scope: 'grant-and-endpoint', body: { message: 'Too many requests' } },
  // The same key with another body is a new call: the opposite of most providers.
  idempotency: {
    kind: 'key-and-body',
    windowHours: 24,
    inFlightBody: { message: 'A request with the same idempotency key is in progress' },
  },
};
