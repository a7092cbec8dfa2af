import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../../../test/support/database.ts';
import { StartupError } from '../../base/errors.ts';
import { silentLog } from '../../base/log.ts';
import { systemClock } from '../clock.ts';
import { migrate } from './index.ts';

let test: TestDatabase;
let directory: string;

beforeEach(async () => {
  test = await createTestDatabase({ migrated: false });
  directory = await mkdtemp(join(tmpdir(), 'hawser-migrations-'));
});

afterEach(async () => {
  await test.drop();
  await rm(directory, { recursive: true });
});

async function write(files: Record<string, string>): Promise<void> {
  for (const [name, sql] of Object.entries(files)) await writeFile(join(directory, name), sql);
}

function run(): Promise<{ applied: string[] }> {
  return migrate({ url: test.url, directory, log: silentLog, clock: systemClock });
}

async function failure(): Promise<StartupError> {
  const error = await run().catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(StartupError);
  return error as StartupError;
}

async function applied(): Promise<string[]> {
  const rows = await test.db.query<{ name: string }>('SELECT name FROM hawser_migration ORDER BY name');
  return rows.map((row) => row.name);
}

async function tables(): Promise<string[]> {
  const rows = await test.db.query<{ name: string }>(
    "SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'hawser_migration' ORDER BY 1",
  );
  return rows.map((row) => row.name);
}

const FIRST = { '0001_first.sql': 'CREATE TABLE first (id int);\nINSERT INTO first VALUES (1);' };

describe('a database that takes no tables', () => {
  it('read-only: one sentence', async () => {
    const url = new URL(test.url);
    url.searchParams.set('options', '-c default_transaction_read_only=on');
    const error = await migrate({ url: url.href, directory, log: silentLog, clock: systemClock }).catch((e) => e);
    expect(error).toBeInstanceOf(StartupError);
    expect(error.message).toContain('takes no changes');
  });

  it('a user without rights: one sentence that names the user', async () => {
    const role = `poor_${new URL(test.url).pathname.slice(1)}`;
    await test.db.query(`CREATE ROLE ${role} LOGIN PASSWORD 'poor'`);
    try {
      const url = new URL(test.url);
      url.username = role;
      url.password = 'poor';
      const error = await migrate({ url: url.href, directory, log: silentLog, clock: systemClock }).catch((e) => e);
      expect(error).toBeInstanceOf(StartupError);
      expect(error.message).toContain(role);
    } finally {
      await test.db.query(`DROP ROLE ${role}`);
    }
  });
});

describe('migrate', () => {
  it('applies new files in order of their number, each once, and nothing else', async () => {
    await write({ ...FIRST, '0010_last.sql': 'DROP TABLE second;', 'schema.sql': 'CREATE TABLE dump (id int);' });
    await write({ '0002_second.sql': 'CREATE TABLE second (id int);' });
    expect(await run()).toEqual({ applied: ['0001_first.sql', '0002_second.sql', '0010_last.sql'] });
    expect(await run()).toEqual({ applied: [] });
    await write({ '0011_more.sql': 'CREATE TABLE more (id int)' });
    expect(await run()).toEqual({ applied: ['0011_more.sql'] });
    expect(await tables()).toEqual(['first', 'more']);
  });

  it('lets any number of nodes start at once', async () => {
    const files = Array.from({ length: 5 }, (_, index) => [
      `000${index + 1}_step.sql`,
      // Slow enough that all runners meet, and failing when run twice.
      `SELECT pg_sleep(0.02); CREATE TABLE step_${index} (id int);`,
    ]);
    await write(Object.fromEntries(files) as Record<string, string>);
    const results = await Promise.all(Array.from({ length: 8 }, run));
    expect(results.flatMap((result) => result.applied).toSorted()).toEqual(files.map(([name]) => name));
    expect(results.filter((result) => result.applied.length > 0)).toHaveLength(1);
  });

  it('keeps nothing of a file that fails, keeps the earlier ones, and goes on once it is corrected', async () => {
    await write({ ...FIRST, '0002_second.sql': 'CREATE TABLE second (id int);\n\nCREATE TABLE third (id nonsense);' });
    const error = await failure();
    expect(error.message).toBe(
      'The migration "0002_second.sql" failed at line 3: type "nonsense" does not exist. Nothing of it was kept.',
    );
    expect(await tables()).toEqual(['first']);
    expect(await applied()).toEqual(['0001_first.sql']);
    await write({ '0002_second.sql': 'CREATE TABLE second (id int);' });
    expect(await run()).toEqual({ applied: ['0002_second.sql'] });
  });

  it('refuses an applied file that has changed, but not one whose line ends have', async () => {
    await write(FIRST);
    await run();
    await write({ '0001_first.sql': FIRST['0001_first.sql'].replaceAll('\n', '\r\n') });
    expect(await run()).toEqual({ applied: [] });
    await write({ '0001_first.sql': 'CREATE TABLE first (id bigint);' });
    expect((await failure()).message).toMatch(/"0001_first.sql" was changed after it had been applied/);
  });

  it('refuses a schema that is newer than the code', async () => {
    await write({ ...FIRST, '0002_second.sql': 'SELECT 1' });
    await run();
    await rm(join(directory, '0002_second.sql'));
    expect((await failure()).message).toMatch(/newer than this version of Hawser.*"0002_second.sql"/);
  });

  it('fault 12: accepts a newer schema that says it is fit for this code, whichever of two nodes starts first', async () => {
    await write({
      ...FIRST,
      '0002_second.sql': 'CREATE TABLE second (id int);',
      '0003_more.sql': '-- Adds a table.\n-- compatible-from: 0001\nCREATE TABLE more (id int);',
      '0004_column.sql': '-- compatible-from: 0002\nALTER TABLE second ADD COLUMN note text;',
    });
    await run();
    await rm(join(directory, '0004_column.sql'));
    expect(await run()).toEqual({ applied: [] });
    await rm(join(directory, '0003_more.sql'));
    expect(await run()).toEqual({ applied: [] });
    await test.db.query('INSERT INTO second VALUES (1)');
    // Two versions back there is a file that does not say so: that code must not run.
    await rm(join(directory, '0002_second.sql'));
    expect((await failure()).message).toMatch(/newer than this version of Hawser.*"0002_second.sql"/);
  });

  it('refuses a newer schema that is fit for later code only, and one with a hole that nobody explains', async () => {
    const later = '-- compatible-from: 0002\nSELECT 1';
    await write({ ...FIRST, '0002_second.sql': '-- compatible-from: 0001\nSELECT 1', '0003_third.sql': later });
    await run();
    await rm(join(directory, '0002_second.sql'));
    expect((await failure()).message).toMatch(/"0002_second.sql", which is not known here/);
    await rm(join(directory, '0003_third.sql'));
    expect((await failure()).message).toMatch(/"0003_third.sql", which is not known here/);
  });

  it('refuses a new file that comes before an applied one', async () => {
    await write({ '0001_first.sql': 'SELECT 1', '0003_third.sql': 'SELECT 1' });
    await run();
    await write({ '0002_second.sql': 'SELECT 1' });
    expect((await failure()).message).toMatch(/"0002_second.sql" comes before "0003_third.sql"/);
    expect(await applied()).toEqual(['0001_first.sql', '0003_third.sql']);
  });

  it('refuses two files with one number, and names it cannot order', async () => {
    await write({ ...FIRST, '0001_other.sql': 'SELECT 1' });
    expect((await failure()).message).toMatch(/Two migrations have the number 0001/);
    await rm(join(directory, '0001_other.sql'));
    await write({ '2_short.sql': 'SELECT 1' });
    expect((await failure()).message).toMatch(/"2_short.sql" is no name for a migration/);
  });

  it('refuses a file that ends its own transaction', async () => {
    await write({ '0001_first.sql': 'CREATE TABLE first (id int); COMMIT; CREATE TABLE second (id int);' });
    expect((await failure()).message).toMatch(/ends its own transaction/);
    expect(await applied()).toEqual([]);
  });

  it('keeps a SET of one file away from the next', async () => {
    await write({
      '0001_first.sql': 'CREATE SCHEMA aside; SET search_path = aside; CREATE TABLE hidden (id int);',
      '0002_second.sql': 'CREATE TABLE seen (id int);',
    });
    await run();
    expect(await tables()).toEqual(['seen']);
  });

  it('leaves no lock behind, also when it failed', async () => {
    await write({ '0001_first.sql': 'nonsense' });
    await failure();
    await write(FIRST);
    expect(await run()).toEqual({ applied: ['0001_first.sql'] });
  });
});
