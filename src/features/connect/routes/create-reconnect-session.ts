import { z } from 'zod';
import { defineRoute, environmentOf } from '../../../base/route.ts';
import { ENVIRONMENT_SCOPES } from '../../environments/index.ts';
import type { ConnectDeps } from '../deps.ts';
import { createReconnectSession, reconnectSessionSchema } from '../sessions.ts';
import { newSessionOutput, newSessionReply } from './create-session.ts';

/** Starts a session that may repair one connection (wire contract B.6). */
export function createReconnectSessionRoute(deps: ConnectDeps) {
  return defineRoute({
    method: 'POST',
    path: '/connect/sessions/reconnect',
    summary: 'Start a connect session locked to one existing connection',
    auth: { by: 'key', anyOf: ENVIRONMENT_SCOPES.connectSessionsWrite },
    query: z.strictObject({}),
    body: reconnectSessionSchema,
    output: newSessionOutput,
    errors: ['invalid_body'],
    async handle(request) {
      return newSessionReply(await createReconnectSession(deps, environmentOf(request), request.body));
    },
  });
}
