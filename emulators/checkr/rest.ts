/**
 * The REST surface of the fake Checkr.
 *
 * Left out: `POST /v1/accounts` (a partner's own call, not made with a customer's token), embeds, and sub-resources of
 * reports of which only the name is known (tags, addresses, assessments).
 * Source: providers.md 1.6, 1.9, 1.10. Sentences of errors are assumed where the documents only describe them.
 */
import { createHandle, RestFault } from '../engine/rest-routes.ts';
import type { Json, RestReply, RestSlice } from '../engine/types.ts';
import { candidatePartRoutes } from './rest-candidate-parts.ts';
import { candidateRoutes } from './rest-candidates.ts';
import { catalogRoutes } from './rest-catalog.ts';
import { invitationRoutes } from './rest-invitations.ts';
import { advance } from './rest-lifecycle.ts';
import { checkrKnobs } from './rest-model.ts';
import { play, plays } from './rest-plays.ts';
import { reportRoutes } from './rest-reports.ts';
import { seed } from './rest-seed.ts';

/** Several sentences become an array; the knob `errorShape` picks the older and odder shapes. */
function refuse(fault: RestFault, knob: (name: string) => Json | undefined): RestReply {
  const { status, messages, message } = fault;
  switch (knob('errorShape')) {
    case 'legacy':
      return { status, body: { error: { type: legacyType(status), message: messages.join(', ') } } };
    case 'errors':
      return { status, body: { errors: messages } };
    case 'array':
      return { status, body: { error: messages } };
    case 'message':
      return { status, body: { message } };
    default:
      return { status, body: { error: messages.length > 1 ? messages : message } };
  }
}

function legacyType(status: number): string {
  if (status === 401) return 'authentication_error';
  return status >= 500 ? 'api_error' : 'invalid_request_error';
}

export const checkrRest: RestSlice = {
  handle: createHandle({
    routes: [...catalogRoutes, ...candidateRoutes, ...candidatePartRoutes, ...invitationRoutes, ...reportRoutes],
    advance,
    refuse,
  }),
  error: (status, message, knob) => refuse(new RestFault(status, message), knob),
  seed: (account, _users, tools) => seed(account, tools),
  advance,
  plays,
  play,
  knobs: checkrKnobs,
  // 1200 a minute for everything together; per account is an assumption. The 429's body is the gateway's default.
  limit: {
    kind: 'minute-window',
    perMinute: 1_200,
    scope: 'account',
    body: { message: 'API rate limit exceeded' },
  },
  // The key alone decides, the body is not compared. Source: Checkr's gateway plugin.
  idempotency: {
    kind: 'replay-2xx',
    windowHours: 24,
    inFlightBody: { message: 'Another request with the same idempotency key is in progress' },
  },
};
