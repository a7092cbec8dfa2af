import type { Clock } from '../../base/clock.ts';
import { errorText, type Log } from '../../base/log.ts';
import type { Database } from '../../platform/postgres/index.ts';
import { createMarkFile } from './mark-file.ts';
import type { Quarantine, Recovery } from './model.ts';
import {
  CHANGED_CHANNEL,
  lockRecovery,
  notifyChanged,
  selectPlace,
  selectRecovery,
  updateRecovery,
  type RecoveryRow,
} from './store.ts';
import { judge } from './verdict.ts';

/** How much an older copy must at least be older to be noticed while nodes run. */
const BEAT_MS = 15_000;

const WORDS = {
  restored: 'it was restored from a backup',
  other_place: 'it was restored from a dump, or moved to another server',
  older_state: 'it holds an older state than this node has seen',
  copied_folder: 'its data folder is a copy',
};

/**
 * Resolves once it is known whether the database is a copy: before that nothing may be sent.
 * Errors: those of the database.
 */
export async function createRecovery(deps: {
  db: Database;
  clock: Clock;
  log: Log;
  dataDir: string;
  /** The database is the embedded one of `dataDir`. */
  ownsDatabase: boolean;
}): Promise<Recovery> {
  const { db, clock, log } = deps;
  const file = createMarkFile(deps);
  let quarantine: Quarantine | undefined;
  /** Found, but the database could not take it yet. */
  let unwritten: Quarantine | undefined;
  let running: Promise<void> | undefined;

  function follow(row: Pick<RecoveryRow, 'quarantined_at' | 'quarantine_reason'>): void {
    const before = quarantine;
    const { quarantined_at: since, quarantine_reason: reason } = row;
    quarantine = since === null || reason === null ? undefined : { since, reason };
    if (quarantine !== undefined && before === undefined) {
      log.warn('QUARANTINE: nothing is sent to providers until `hawser accept-restore`', {
        why: `the database is a copy: ${WORDS[quarantine.reason]}`,
      });
    }
    if (quarantine === undefined && before !== undefined) log.info('the restored database was accepted');
  }

  async function look(): Promise<void> {
    const known = await file.read();
    const folder = await file.folder();
    const place = await selectPlace(db);
    const { row, found } = await db.transaction(async (tx) => {
      await lockRecovery(tx);
      const old = await selectRecovery(tx);
      const verdict = judge(old, place, known, folder);
      const reason = verdict === 'lost' ? undefined : verdict;
      const markAtLeast = known?.installation === old.installation ? known.mark : 0;
      const updated = await updateRecovery(tx, { place, markAtLeast, quarantine: reason });
      if (reason !== undefined && old.quarantined_at === null) await notifyChanged(tx);
      return { row: updated, found: verdict };
    });
    if (found === 'lost') log.warn('the database lacks the last moments: a standby was promoted that was behind');
    unwritten = undefined;
    follow(row);
    // After the commit: the file must never be ahead of an ordinary database.
    await file
      .write({
        installation: row.installation,
        acceptedAtMs: row.accepted_at_ms,
        mark: row.mark,
        timeline: row.timeline ?? undefined,
      })
      .catch((error: unknown) =>
        log.warn('recovery.json cannot be written: an older copy of the database would not be noticed', {
          error: errorText(error),
        }),
      );
  }

  function beat(): Promise<void> {
    running ??= look().finally(() => {
      running = undefined;
    });
    return running;
  }

  const reread = (): void => {
    selectRecovery(db).then(follow, (error: unknown) =>
      log.warn('the quarantine could not be looked at; what was known goes on', { error: errorText(error) }),
    );
  };
  const beatQuietly = (): void => {
    beat().catch((error: unknown) => log.debug('the recovery mark could not be moved', { error: errorText(error) }));
  };

  // A database that takes no writes (full disk) is still judged: what cannot be written is not sent either.
  await beat().catch(async (error: unknown) => {
    log.warn('the recovery mark could not be moved', { error: errorText(error) });
    const row = await selectRecovery(db);
    const verdict = judge(row, await selectPlace(db), await file.read(), undefined);
    follow(row);
    if (verdict !== undefined && verdict !== 'lost') unwritten = { since: new Date(clock.now()), reason: verdict };
  });
  await db.listen(CHANGED_CHANNEL, reread);
  db.onListenState((healthy) => {
    if (healthy) reread();
  });

  return {
    isQuarantined: () => quarantine !== undefined || unwritten !== undefined,
    get quarantine() {
      return quarantine ?? unwritten;
    },
    beat,
    start() {
      const stop = clock.every(BEAT_MS, beatQuietly);
      return async () => {
        stop();
        await running?.catch(() => undefined); // logged by who began it
      };
    },
  };
}
