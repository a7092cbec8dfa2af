import { z } from 'zod';
import { defineRoute } from '../../../base/route.ts';
import type { ConnectDeps } from '../deps.ts';
import { deleteSession } from '../store.ts';

/** Ends the present session before its time (wire contract B.6). */
export function deleteSessionRoute(deps: ConnectDeps) {
  return defineRoute({
    method: 'DELETE',
    path: '/connect/session',
    summary: 'End the present connect session',
    auth: { by: 'session' },
    query: z.strictObject({}),
    errors: [],
    async handle({ principal }) {
      if (principal.kind === 'session') await deleteSession(deps.db, principal.environment.id, principal.session.id);
      return { status: 204 };
    },
  });
}
