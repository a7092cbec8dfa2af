import type { Connection, EndUser } from './model.ts';
import type { Connections } from './service.ts';
import { tagsFor } from './wire.ts';

/**
 * Tags of a connection that is given to this end user. `tags`: those of the call; default: the connection's own, without
 * what followed from the end user so far, which would outlive it and win over the new one's.
 */
export async function tagsWithUser(
  connections: Pick<Connections, 'endUser'>,
  connection: Connection,
  user: EndUser,
  tags?: Record<string, string>,
): Promise<Record<string, string>> {
  const { environmentId } = connection;
  const stored = await connections.endUser(environmentId, user.id);
  // As its row will be: what the call does not name stays.
  const merged = {
    ...user,
    email: user.email ?? stored?.email,
    displayName: user.displayName ?? stored?.displayName,
    organization: user.organization ?? stored?.organization,
  };
  return tagsFor(merged, tags ?? (await ownTags(connections, connection)));
}

async function ownTags(
  connections: Pick<Connections, 'endUser'>,
  { environmentId, endUserId, tags }: Connection,
): Promise<Record<string, string>> {
  const followed = endUserId === undefined ? {} : tagsFor(await connections.endUser(environmentId, endUserId));
  return Object.fromEntries(Object.entries(tags).filter(([key, value]) => followed[key] !== value));
}
