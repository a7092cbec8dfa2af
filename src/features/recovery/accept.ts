import type { Log } from '../../base/log.ts';
import type { Database, Sql } from '../../platform/postgres/index.ts';
import { createMarkFile } from './mark-file.ts';
import type { Quarantine } from './model.ts';
import { lockRecovery, notifyChanged, selectNow, selectPlace, selectRecovery, updateAccepted } from './store.ts';
import { judge } from './verdict.ts';

/**
 * Ends the quarantine, on a database that no node has seen yet as well. Resolves to what it ended, or to undefined when
 * there was none. Errors: those of the database.
 */
export async function acceptRestore(options: {
  db: Database;
  log: Log;
  dataDir: string;
  ownsDatabase: boolean;
  /** In the same transaction: what is older than the quarantine is no longer certain. */
  onAccept: (tx: Sql, before: Date) => Promise<void>;
}): Promise<Quarantine | undefined> {
  const { db } = options;
  const file = createMarkFile(options);
  const known = await file.read();
  const folder = await file.folder();
  const place = await selectPlace(db);
  const { ended, row } = await db.transaction(async (tx) => {
    await lockRecovery(tx);
    const old = await selectRecovery(tx);
    let found: Quarantine | undefined;
    if (old.quarantined_at !== null && old.quarantine_reason !== null) {
      found = { since: old.quarantined_at, reason: old.quarantine_reason };
    } else {
      const verdict = judge(old, place, known, folder);
      if (verdict !== undefined && verdict !== 'lost') found = { since: await selectNow(tx), reason: verdict };
    }
    if (found === undefined) return { ended: undefined, row: undefined };
    const accepted = await updateAccepted(tx, place, known?.installation === old.installation ? known.mark : 0);
    await options.onAccept(tx, found.since);
    await notifyChanged(tx);
    return { ended: found, row: accepted };
  });
  if (row !== undefined && (known !== undefined || options.ownsDatabase)) {
    await file.write({
      installation: row.installation,
      acceptedAtMs: row.accepted_at_ms,
      mark: row.mark,
      timeline: row.timeline ?? undefined,
    });
  }
  return ended;
}
