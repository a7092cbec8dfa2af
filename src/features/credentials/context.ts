/** What the parts of this slice share. */
import type { LiveCache } from './cache.ts';
import type { Journal } from './journal.ts';
import type { CredentialsDeps, RefreshTimes } from './model.ts';
import type { Pace } from './pace.ts';

export interface Context extends CredentialsDeps {
  times: RefreshTimes;
  isQuarantined: () => boolean;
  journal: Journal;
  cache: LiveCache;
  pace: Pace;
  /** Set at shutdown: what waits gives up, what runs ends. */
  stopping: AbortController;
}
