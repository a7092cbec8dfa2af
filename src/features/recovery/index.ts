/**
 * @module features/recovery
 *
 * Backup, restore, and the quarantine that follows a restore. Owns table `recovery` and, beside the database, the file
 * `recovery.json` of each data folder; a backup reads every table, a restore writes every table.
 *
 * Quarantine: a copy of the database may hold refresh tokens that were replaced after it was made, and may run beside the
 * original. So a node that finds itself on one refreshes nothing, sends nothing and sweeps nothing until a person has
 * accepted it. Reads, and proxied calls with an access token that is still valid, go on.
 *
 * Invariants: a restore happens wholly or not at all, into an empty database only; a backup never holds the operator's
 * key; no node leaves the quarantine by itself; a mark never goes down.
 */
export type { Quarantine, Recovery } from './model.ts';
export { recoveryErrors } from './errors.ts';
export { createRecovery } from './watch.ts';
export { acceptRestore } from './accept.ts';
export { writeBackup, type BackupResult } from './backup.ts';
export { restoreBackup, type RestoreResult } from './restore.ts';
export type { BackupHeader, OnProgress } from './model.ts';
