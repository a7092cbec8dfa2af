import type { Vault } from '../environments/index.ts';
import type { TaskSecret } from './model.ts';
import type { TaskRow } from './store.ts';

interface Place {
  environmentId: number;
  connectionId: number;
}

function placeOf({ environmentId, connectionId }: Place) {
  return { environmentId, table: 'disconnect_task', row: connectionId, column: 'sealed' };
}

export function sealSecret(vault: Vault, place: Place, secret: TaskSecret): Promise<Buffer> {
  return vault.seal(placeOf(place), JSON.stringify(secret));
}

/** Undefined when the task holds none. Errors: `sealed`. */
export async function openSecret(vault: Vault, task: TaskRow): Promise<TaskSecret | undefined> {
  if (task.sealed === null) return undefined;
  const place = { environmentId: task.environment_id, connectionId: task.connection_id };
  return JSON.parse(await vault.open(placeOf(place), task.sealed)) as TaskSecret;
}
