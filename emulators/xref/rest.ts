/**
 * The REST surface of the fake Xref. Only `POST /auth` is known to exist; its reply and all other calls are
 * assumptions. Limits and errors differ from the fake Checkr's on purpose, to exercise a client.
 * Source: providers.md 2.2 and 2.4.
 */
import { createHandle, isoSeconds, RestFault } from '../engine/rest-routes.ts';
import type { Account, Json, RestReply, RestSlice, RestTools } from '../engine/types.ts';
import { advance, listReply, moveRequest, requestRoutes, requestsOf, templatesOf, xrefKnobs } from './rest-requests.ts';
import { play, plays } from './rest-plays.ts';

function refuse(fault: RestFault, knob: (name: string) => Json | undefined): RestReply {
  const { status, messages, message } = fault;
  switch (knob('errorShape')) {
    case 'legacy':
      return { status, body: { error: { type: 'request_error', message: messages.join(', ') } } };
    case 'errors':
      return { status, body: { errors: messages } };
    case 'array':
      return { status, body: { error: messages } };
    case 'message':
      return { status, body: { message } };
    default:
      return { status, body: { error: messages.join(', ') } };
  }
}

const DAY_MS = 86_400_000;

const TEMPLATES = ['General reference', 'Management reference', 'Graduate reference'];

const PEOPLE = [
  ['Kit', 'Larch'],
  ['Lena', 'Maple'],
  ['Milo', 'Oak'],
  ['Nour', 'Pine'],
  ['Olga', 'Rowan'],
] as const;

/** Three templates and five requests, one in each state. All invented. */
function seed(account: Account, tools: RestTools): void {
  const nowMs = tools.clock.now();
  for (const name of TEMPLATES) {
    templatesOf(account).push({ id: tools.hexId(32), name, created_at: isoSeconds(nowMs - 300 * DAY_MS) });
  }
  for (const [index, status] of (['archived', 'complete', 'in_progress', 'sent', 'created'] as const).entries()) {
    const [first, last] = PEOPLE[index] as (typeof PEOPLE)[number];
    const createdMs = nowMs - (PEOPLE.length - index) * DAY_MS;
    requestsOf(account).push({
      id: tools.hexId(32),
      status: 'created',
      candidate: {
        first_name: first,
        last_name: last,
        email: `${first}.${last}@example.com`.toLowerCase(),
        mobile: '+61 491 570 006',
      },
      template_id: templatesOf(account)[index % TEMPLATES.length]?.id ?? '',
      position: 'Warehouse associate',
      referees: [
        {
          id: tools.hexId(32),
          name: 'Rae Yew',
          email: 'rae.yew@example.com',
          relationship: 'manager',
          status: 'pending',
        },
      ],
      created_at: isoSeconds(createdMs),
      updated_at: isoSeconds(createdMs),
      completed_at: null,
    });
    const made = requestsOf(account).at(-1);
    if (made && status !== 'created') moveRequest(made, status, createdMs + DAY_MS / 2);
  }
}

export const xrefRest: RestSlice = {
  handle: createHandle({
    routes: [
      ['POST', '/auth', (call) => ({ status: 200, body: { xref_account_id: call.account.id } })],
      [
        'GET',
        '/users',
        (call) =>
          listReply(
            call,
            call.request.users.map((user) => ({ id: user.id, email: user.email, full_name: user.fullName })),
          ),
      ],
      ['GET', '/templates', (call) => listReply(call, templatesOf(call.account))],
      ...requestRoutes,
    ],
    advance,
    refuse,
  }),
  error: (status, message, knob) => refuse(new RestFault(status, message), knob),
  seed: (account, _users, tools) => seed(account, tools),
  advance,
  plays,
  play,
  knobs: xrefKnobs,
  limit: { kind: 'retry-after', perMinute: 120, scope: 'account', body: { error: 'Too many requests' } },
  // Nothing is known about keys: they are ignored.
  idempotency: { kind: 'none', windowHours: 0 },
};
