/**
 * PostgreSQL: the only door to the database. Queries, transactions, advisory-lock sessions, notifications, migrations,
 * and the PostgreSQL that Hawser brings along.
 *
 * Tables: `hawser_migration`. Invariants: the password of a URL reaches no log and no error; a lost connection fails the
 * call that used it and never the process; a transaction that did not commit is never reported as done.
 */
export type { Database, Session, Sql } from './model.ts';
export { errors as databaseErrors, isForeignKeyViolation, isUniqueViolation } from './errors.ts';
export { afterCommit } from './after-commit.ts';
export { packBytes } from './pack-bytes.ts';
export { createStatistics } from './statistics.ts';
export { openDatabase, type OpenOptions } from './open.ts';
export { openCopyClient, type CopyClient } from './copy.ts';
export { ensureHistory, LOCK_KEY, migrate, readMigrations, type MigrateOptions, type Migration } from './migrate.ts';
export { findRunningPostgres } from './embedded/running.ts';
export { startEmbeddedPostgres, type EmbeddedOptions, type EmbeddedPostgres } from './embedded/start.ts';
