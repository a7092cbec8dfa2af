import type { Clock } from '../../base/clock.ts';
import { randomId } from '../../base/ids.ts';
import { errorText, type Log } from '../../base/log.ts';
import type { Keyring } from '../../platform/keyring/index.ts';
import type { Database } from '../../platform/postgres/index.ts';
import { deleteLostNodeKeyrings, deleteNodeKeyring, selectNow, upsertNodeKeyring } from './store-keys.ts';
import type { KeyedVault } from './vault.ts';

/** How often a node reads the data keys again and says so, beside doing it when told. */
const BEAT_MS = 15_000;
/** A node that has said nothing for this long is gone. Four beats: one slow answer of the database is no death. */
export const NODE_LIVE_MS = 60_000;
/** Rows of nodes that were killed are swept after this. */
const NODE_LOST_MS = 86_400_000;

export interface KeyWatch {
  /** Reads the data keys again soon; any number of calls meanwhile make one reading. */
  refresh(): void;
  /** Makes this node visible to a rotation until the returned function has resolved. */
  announce(): Promise<() => Promise<void>>;
}

/** Keeps this node's data keys fresh and, once announced, tells the database which keys it holds. */
export function createKeyWatch(deps: {
  db: Database;
  keyring: Keyring;
  vault: KeyedVault;
  clock: Clock;
  log: Log;
}): KeyWatch {
  const { db, keyring, vault, clock, log } = deps;
  let nodeId: string | undefined;
  let running: Promise<void> | undefined;
  let again = false;

  async function readOnce(): Promise<void> {
    try {
      // Before the keys: what is claimed must not be newer than what was read.
      const keysReadAt = await selectNow(db);
      await vault.reload();
      if (nodeId !== undefined) await upsertNodeKeyring(db, { id: nodeId, kekIds: keyring.ids, keysReadAt });
    } catch (error) {
      log.warn('the data keys could not be read again; those in memory stay in use', { error: errorText(error) });
    }
  }

  async function readUntilQuiet(): Promise<void> {
    do {
      again = false;
      await readOnce();
    } while (again);
    running = undefined;
  }

  function refresh(): void {
    again = true;
    running ??= readUntilQuiet();
  }

  return {
    refresh,
    async announce() {
      const own = randomId();
      nodeId = own;
      await deleteLostNodeKeyrings(db, NODE_LOST_MS).catch((error: unknown) =>
        log.warn('could not sweep nodes that are gone', { error: errorText(error) }),
      );
      refresh();
      await running;
      const stop = clock.every(BEAT_MS, refresh);
      return async () => {
        stop();
        nodeId = undefined;
        again = false;
        await running;
        await deleteNodeKeyring(db, own).catch((error: unknown) =>
          log.debug('this node stays listed for a minute', { error: errorText(error) }),
        );
      };
    },
  };
}
