import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../../../test/support/database.ts';
import { silentLog } from '../../base/log.ts';
import { systemClock } from '../../platform/clock.ts';
import { createActivity } from './record.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database?.drop());

describe('what is recorded', () => {
  it('is written whatever its text holds: one line holds up no other', async () => {
    const [row] = await database.db.query<{ id: number }>(
      `INSERT INTO environment (name, is_production) VALUES ('dev', false) RETURNING id`,
    );
    const environmentId = row?.id as number;
    const activity = createActivity({ db: database.db, clock: systemClock, log: silentLog });
    const half = '😀'.slice(0, 1);
    activity.record({
      environmentId,
      kind: 'connect',
      ok: false,
      summary: `said a\0b${half}`,
      detail: { code: `c\0${half}` },
    });
    activity.record({ environmentId, kind: 'connect', ok: true, summary: 'the next' });
    await activity.close();
    const listed = await activity.list({ environmentId, limit: 10 });
    expect(listed.map(({ summary, detail }) => [summary, detail])).toEqual([
      ['the next', {}],
      ['said a\ufffdb\ufffd', { code: 'c\ufffd\ufffd' }],
    ]);
  });
});
