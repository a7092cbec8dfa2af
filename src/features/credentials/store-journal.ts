/** SQL of table `refresh_journal`: the provider's answers, kept before anybody looks at them. */
import type { Sql } from '../../platform/postgres/index.ts';

/** One sealed answer on its way into the journal. */
export interface JournalEntry {
  environmentId: number;
  connectionId: number;
  epoch: number;
  rtUsedHash: Buffer;
  replySealed: Buffer;
  /** By the database's clock. */
  receivedAtMs: number;
}

export interface JournalRow {
  id: number;
  environment_id: number;
  connection_id: number;
  epoch: number;
  rt_used_hash: Buffer;
  reply_sealed: Buffer;
  received_at: Date;
}

const COLUMNS = 'j.id, j.environment_id, j.connection_id, j.epoch, j.rt_used_hash, j.reply_sealed, j.received_at';

/** Unfenced and repeatable: the same entry twice is one row. */
export async function insertReply(sql: Sql, entry: JournalEntry): Promise<void> {
  await sql.query(
    `INSERT INTO refresh_journal (environment_id, connection_id, epoch, rt_used_hash, reply_sealed, received_at)
     VALUES ($1, $2, $3, $4, $5, to_timestamp($6::float8 / 1000))
     ON CONFLICT (environment_id, connection_id, epoch) DO NOTHING`,
    [entry.environmentId, entry.connectionId, entry.epoch, entry.rtUsedHash, entry.replySealed, entry.receivedAtMs],
    'journal-insert',
  );
}

/** Answers of the present grant that nobody has dealt with, newest first. */
export async function selectOpenReplies(
  sql: Sql,
  query: { environmentId: number; connectionId: number; afterEpoch: number; limit: number },
): Promise<JournalRow[]> {
  return sql.query<JournalRow>(
    `SELECT ${COLUMNS} FROM refresh_journal j
     WHERE j.environment_id = $1 AND j.connection_id = $2 AND j.epoch > $3 AND j.closed_at IS NULL
     ORDER BY j.received_at DESC, j.epoch DESC LIMIT $4`,
    [query.environmentId, query.connectionId, query.afterEpoch, query.limit],
  );
}

/** Marks an answer as dealt with; `adoptedGen` when its tokens became that generation. */
export async function closeReply(
  sql: Sql,
  reply: { environmentId: number; connectionId: number; epoch: number; adoptedGen?: number },
): Promise<void> {
  await sql.query(
    `UPDATE refresh_journal SET closed_at = clock_timestamp(), adopted_gen = $4
     WHERE environment_id = $1 AND connection_id = $2 AND epoch = $3 AND closed_at IS NULL`,
    [reply.environmentId, reply.connectionId, reply.epoch, reply.adoptedGen ?? null],
  );
}

/** The generation that adopted this answer; undefined when none did. */
export async function selectAdopted(
  sql: Sql,
  reply: { environmentId: number; connectionId: number; epoch: number },
): Promise<number | undefined> {
  const rows = await sql.query<{ adopted_gen: number | null }>(
    'SELECT adopted_gen FROM refresh_journal WHERE environment_id = $1 AND connection_id = $2 AND epoch = $3',
    [reply.environmentId, reply.connectionId, reply.epoch],
  );
  return rows[0]?.adopted_gen ?? undefined;
}

/** Answers whose connection is gone: their tokens must be let go of. Oldest first. */
export async function selectLateReplies(sql: Sql, limit: number): Promise<JournalRow[]> {
  return sql.query<JournalRow>(
    `SELECT ${COLUMNS} FROM refresh_journal j
     LEFT JOIN credential c ON c.environment_id = j.environment_id AND c.connection_id = j.connection_id
     WHERE j.closed_at IS NULL AND c.connection_id IS NULL
     ORDER BY j.received_at LIMIT $1`,
    [limit],
  );
}

export async function deleteReply(sql: Sql, environmentId: number, id: number): Promise<void> {
  await sql.query('DELETE FROM refresh_journal WHERE environment_id = $1 AND id = $2', [environmentId, id]);
}

/** Wipes what was dealt with long ago. */
export async function deleteClosedReplies(sql: Sql, olderThanMs: number): Promise<void> {
  await sql.query(
    `DELETE FROM refresh_journal WHERE closed_at < statement_timestamp() - $1::float8 * interval '1 millisecond'`,
    [olderThanMs],
  );
}

/** Wipes the answers of a deleted connection that hold nothing to revoke. */
export async function deleteClosedOf(sql: Sql, environmentId: number, connectionId: number): Promise<void> {
  await sql.query(
    `DELETE FROM refresh_journal WHERE environment_id = $1 AND connection_id = $2 AND closed_at IS NOT NULL`,
    [environmentId, connectionId],
  );
}

/** Closes answers that lost their race and whose connection has gone on without them ever since. */
export async function closeStaleReplies(sql: Sql, olderThanMs: number): Promise<void> {
  await sql.query(
    `UPDATE refresh_journal j SET closed_at = clock_timestamp() FROM credential c
     WHERE c.environment_id = j.environment_id AND c.connection_id = j.connection_id AND j.closed_at IS NULL
       AND j.received_at < statement_timestamp() - $1::float8 * interval '1 millisecond'
       AND c.refreshed_at > j.received_at AND c.intent_at IS NULL`,
    [olderThanMs],
  );
}
