import { z } from 'zod';
import { defineRoute, environmentOf } from '../../../base/route.ts';
import { ENVIRONMENT_SCOPES } from '../../environments/index.ts';
import type { ConnectDeps } from '../deps.ts';
import { createSession, createSessionSchema, type NewSession } from '../sessions.ts';

export const newSessionOutput = z.object({
  data: z.object({ token: z.string(), connect_link: z.string(), expires_at: z.string() }),
});

/** Starts a connect session for a new connection (wire contract B.6). */
export function createSessionRoute(deps: ConnectDeps) {
  return defineRoute({
    method: 'POST',
    path: '/connect/sessions',
    summary: 'Start a connect session: a 30-minute right of one customer to connect',
    auth: { by: 'key', anyOf: ENVIRONMENT_SCOPES.connectSessionsWrite },
    query: z.strictObject({}),
    body: createSessionSchema,
    output: newSessionOutput,
    errors: ['invalid_body'],
    async handle(request) {
      return newSessionReply(await createSession(deps, environmentOf(request), request.body));
    },
  });
}

export function newSessionReply(session: NewSession) {
  const { token, connectLink, expiresAt } = session;
  return { status: 201, body: { data: { token, connect_link: connectLink, expires_at: expiresAt.toISOString() } } };
}
