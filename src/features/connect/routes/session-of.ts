import type { Principal } from '../../../base/route.ts';
import type { ConnectDeps } from '../deps.ts';
import type { ConnectSession } from '../model.ts';
import { selectSessionById } from '../store.ts';

/** The whole session behind a session principal; undefined when it ended meanwhile. */
export async function sessionOf(deps: ConnectDeps, principal: Principal): Promise<ConnectSession | undefined> {
  if (principal.kind !== 'session') return undefined;
  const session = await selectSessionById(deps.db, principal.environment.id, principal.session.id);
  return session === undefined || session.used ? undefined : session;
}
