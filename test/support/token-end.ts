import type { TestApp } from './app.ts';

let marks = 0;

/** Moves the end of a stored token; resolves when the node has been told. */
export async function endToken(app: Pick<TestApp, 'db'>, connectionId: unknown, inMs: number): Promise<void> {
  marks += 1;
  const mark = `mark-${marks}:0`;
  const { promise: told, resolve } = Promise.withResolvers<void>();
  const stop = await app.db.listen('hawser_changed', (payload) => {
    if (payload === mark) resolve();
  });
  await app.db.query(
    `UPDATE credential c SET expires_at = clock_timestamp() + $2::float8 * interval '1 millisecond',
       refreshed_at = clock_timestamp() - interval '1 hour', sealed = c.sealed
     FROM connection n WHERE n.environment_id = c.environment_id AND n.id = c.connection_id AND n.connection_id = $1`,
    [connectionId, inMs],
  );
  // Notifications come in the order of their commits: after the mark, the change before it is known.
  await app.db.query(`SELECT pg_notify('hawser_changed', $1)`, [mark]);
  await told;
  await stop();
}
