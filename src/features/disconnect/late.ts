/** Tokens that a refresh brought after its connection was let go: they are let go of as well (step 11, fault 26). */
import { errorText } from '../../base/log.ts';
import { isForeignKeyViolation } from '../../platform/postgres/index.ts';
import type { Credential, LateGrant } from '../credentials/index.ts';
import type { DisconnectDeps, TaskSecret } from './model.ts';
import { openSecret, sealSecret } from './secret.ts';
import { selectTask, upsertTask } from './store.ts';

const BATCH_MAX = 50;

/** Moves late tokens into the tasks of their connections; the sweep then works on them. */
export async function adoptLateGrants(deps: DisconnectDeps, giveUpInMs: number): Promise<void> {
  for (const late of await deps.credentials.late(BATCH_MAX)) {
    try {
      await adopt(deps, late, giveUpInMs);
    } catch (error) {
      // It is found again; meanwhile it must not hold up the disconnects of everybody else.
      const reason = errorText(error);
      deps.log.error('a token that came late could not be taken over', {
        connection: late.connectionId,
        error: reason,
      });
    }
  }
}

async function adopt(deps: DisconnectDeps, late: LateGrant, giveUpInMs: number): Promise<void> {
  const { environmentId, connectionId } = late;
  const grant: Credential = {
    type: 'OAUTH2',
    access_token: late.accessToken,
    refresh_token: late.refreshToken,
    raw: {},
  };
  try {
    await deps.db.transaction(async (tx) => {
      // A task that is not there yet cannot be locked: another node would take the next token over, and one be lost.
      await deps.connections.lockGrant(tx, environmentId, connectionId);
      const task = await selectTask(tx, environmentId, connectionId, { lock: true });
      const old = task?.sealed ? await openSecret(deps.vault, task) : undefined;
      const secret: TaskSecret = {
        integrationId: late.integrationId,
        connectionConfig: old?.connectionConfig ?? {},
        grants: [...(old?.grants ?? []), grant],
      };
      await upsertTask(tx, {
        environmentId,
        connectionId,
        sealed: await sealSecret(deps.vault, { environmentId, connectionId }, secret),
        // A connection without a task was wiped otherwise: nobody waits to be told.
        told: task?.told ?? true,
        attempts: task?.attempts ?? 0,
        dueInMs: 0,
        giveUpInMs,
        echoHashes: null,
      });
      await deps.credentials.wipeLate(tx, late);
    });
  } catch (error) {
    if (!isForeignKeyViolation(error)) throw error;
    // The tombstone is gone too; nothing is left that could own the token.
    await deps.credentials.wipeLate(deps.db, late);
  }
}
