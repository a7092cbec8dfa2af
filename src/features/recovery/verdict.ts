/** Is this the database that the nodes left? Pure. */
import { isOtherFolder, type Mark } from './mark-file.ts';
import type { QuarantineReason } from './model.ts';
import type { Place, RecoveryRow } from './store.ts';

/** What a failover to an asynchronous standby may lose without being taken for a restore: marks of 15 s each. */
const FAILOVER_MARKS_MAX = 3;

/**
 * Undefined: it is. `lost`: a promoted standby lacks the last moments; nothing a quarantine could save.
 */
export function judge(
  row: RecoveryRow,
  place: Place,
  known: Mark | undefined,
  folder: string | undefined,
): QuarantineReason | 'lost' | undefined {
  if (row.server !== null && !isSamePlace(row.server, place.server)) return 'other_place';
  // Another installation on the same data folder, or a state that a person has accepted since.
  if (known === undefined || known.installation !== row.installation) return undefined;
  if (known.acceptedAtMs < row.accepted_at_ms) return undefined;
  if (known.acceptedAtMs > row.accepted_at_ms) return 'older_state';
  if (known.mark > row.mark) {
    const promoted = known.timeline !== undefined && place.timeline !== undefined && place.timeline > known.timeline;
    return promoted && known.mark - row.mark <= FAILOVER_MARKS_MAX ? 'lost' : 'older_state';
  }
  return isOtherFolder(known.folder, folder) ? 'copied_folder' : undefined;
}

/** A server that does not tell its identifier is compared by the rest. */
function isSamePlace(known: string, now: string): boolean {
  const [knownSystem, ...knownIds] = known.split('/');
  const [system, ...ids] = now.split('/');
  if (knownIds.join() !== ids.join()) return false;
  return knownSystem === '' || system === '' || knownSystem === system;
}
