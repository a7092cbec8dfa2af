/** Rows in bulk, in the form that the program gives them, for the growth benchmark. */
import type { Sql } from '../../src/platform/postgres/index.ts';

/** Size of a sealed OAuth2 credential with a token of some hundred characters. */
const SEALED_BYTES = 600;
const BATCH = 50_000;

/**
 * Adds connections until there are as many as asked for, each with a credential that looks sealed and falls due for the
 * sweep in the next days. Resolves to the row ids of `samples` of them, chosen anew and spread evenly.
 */
export async function growTo(
  db: Sql,
  wanted: { environmentId: number; integrationId: number; connections: number; samples: number },
): Promise<number[]> {
  const { environmentId, integrationId } = wanted;
  const [counted] = await db.query<{ count: number }>(
    'SELECT count(*)::integer AS count FROM connection WHERE environment_id = $1',
    [environmentId],
  );
  const before = counted?.count ?? 0;
  for (let have = before; have < wanted.connections; have += BATCH) {
    const size = Math.min(BATCH, wanted.connections - have);
    await db.query(
      `WITH added AS (
         INSERT INTO connection (environment_id, integration_id, connection_id, state, metadata, tags, created_at)
         SELECT $1, $2, 'new-' || gen_random_uuid(), 'active', '{"plan":"team"}', jsonb_build_object('n', (n % 1000)::text),
           now() - n * interval '1 second'
         FROM generate_series(1, $3) AS n RETURNING id),
       named AS (
         INSERT INTO credential (environment_id, connection_id, sealed, refresh_sealed, access_hash, expires_at, sweep_at)
         SELECT $1, id, bytes, bytes, sha256(id::text::bytea), now() + interval '30 days',
           now() + interval '1 day' + (id % 864000) * interval '0.1 second'
         FROM added, LATERAL (SELECT decode(repeat(md5(id::text), $4), 'hex') AS bytes) AS sealed
         RETURNING connection_id)
       SELECT count(*) FROM named`,
      [environmentId, integrationId, size, Math.ceil(SEALED_BYTES / 16)],
    );
  }
  if (before < wanted.connections) await settle(db);
  await db.query(
    `UPDATE connection SET connection_id = 'new-' || gen_random_uuid()
     WHERE environment_id = $1 AND connection_id LIKE 'grown-%'`,
    [environmentId],
  );
  await db.query(
    `UPDATE connection SET connection_id = 'grown-' || id
     WHERE environment_id = $1 AND id IN (SELECT id FROM connection WHERE environment_id = $1 AND connection_id LIKE 'new-%'
       ORDER BY md5(id::text) LIMIT $2)`,
    [environmentId, wanted.samples],
  );
  const rows = await db.query<{ id: number }>(
    `SELECT id FROM connection WHERE environment_id = $1 AND connection_id LIKE 'grown-%' ORDER BY md5(id::text)`,
    [environmentId],
  );
  return rows.map(({ id }) => id);
}

/** What autovacuum and the checkpointer do within minutes, at once: their work is not what is measured. */
async function settle(db: Sql): Promise<void> {
  await db.query('VACUUM ANALYZE connection');
  await db.query('VACUUM ANALYZE credential');
  await db.query('CHECKPOINT');
}
