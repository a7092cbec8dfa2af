/** What statements cost, counted by the database: no clock, so that it is the same on any machine. */
import type { Database, Sql } from '../../src/platform/postgres/index.ts';

/**
 * Rows read and index searches of `work` in these tables. What it changes is taken back.
 *
 * Index searches count because an index whose first columns are not asked for can be skipped through, value by value,
 * with few rows read and much work done (PostgreSQL 18).
 */
export async function costOf(
  db: Database,
  tables: readonly string[],
  work: (tx: Sql) => Promise<unknown>,
): Promise<number> {
  const undo = new Error('undo');
  let cost = 0;
  const measured = db.transaction(async (tx) => {
    const count = async (): Promise<number> => {
      const [row] = await tx.query<{ count: number }>(
        `SELECT sum(seq_tup_read + coalesce(idx_scan + idx_tup_fetch, 0))::int AS count
         FROM pg_stat_xact_user_tables WHERE relname = ANY ($1::text[])`,
        [tables],
      );
      return row?.count ?? 0;
    };
    const before = await count();
    await work(tx);
    cost = (await count()) - before;
    throw undo;
  });
  await measured.catch((error: unknown) => {
    if (error !== undo) throw error;
  });
  return cost;
}

/** When the database last looked at the tables: its plans hang on that, and what a claim costs must not. */
export const KNOWLEDGE = ['never looked at', 'looked at when short', 'looked at since'] as const;

/** Cost of `work` with a short queue and with a long one, each far past the point where plans are kept. */
export async function costsOf(
  db: Database,
  known: (typeof KNOWLEDGE)[number],
  tables: readonly string[],
  fill: { short: () => Promise<unknown>; long: () => Promise<unknown> },
  work: (tx: Sql) => Promise<unknown>,
): Promise<{ short: number; long: number }> {
  // It looks when we say so, and not also in the middle, when what it sees is the rows that were taken back.
  for (const table of tables) await db.query(`ALTER TABLE ${table} SET (autovacuum_enabled = off)`);
  const analyze = async (): Promise<void> => {
    for (const table of tables) await db.query(`ANALYZE ${table}`);
  };
  const often = async (): Promise<number> => {
    let cost = 0;
    for (let time = 0; time < PLAN_KEPT_AFTER; time += 1) cost = await costOf(db, tables, work);
    return cost;
  };
  await fill.short();
  if (known !== 'never looked at') await analyze();
  const short = await often();
  await fill.long();
  if (known === 'looked at since') await analyze();
  return { short, long: await often() };
}

/** Uses of a statement prepared by name after which PostgreSQL may keep one plan for all values. */
const PLAN_KEPT_AFTER = 7;
