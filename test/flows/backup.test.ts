/** `hawser backup` and `hawser restore` as an operator runs them: whole, nothing, or a clear sentence. */
import { access, appendFile, chown, cp, readdir, readFile, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openDatabase, type Database } from '../../src/platform/postgres/index.ts';
import { generateKey, keyringFrom, type Keyring } from '../../src/platform/keyring/index.ts';
import { silentLog } from '../../src/base/log.ts';
import { readConfig } from '../../src/config.ts';
import type { Credential } from '../../src/features/credentials/index.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { startHawser } from '../../src/shell/node.ts';
import { eventually } from '../support/build.ts';
import { dumpDatabase, encodingsOf, searchFor, type Canary } from '../support/canary.ts';
import { runHere, runProgram, scratchDir, startProgram, untilReady } from '../support/process.ts';
import { resealed, unpacked } from './backup-files.ts';
import { cli, startBackupStage, type BackupStage, type Subject } from './backup-stage.ts';

/** Each process takes a second to start, ten on a busy machine. */
const LONG_MS = 300_000;

let stage: BackupStage;
let subject: Subject;
beforeAll(async () => {
  stage = await startBackupStage();
  subject = await stage.connect('strict');
});
afterAll(async () => {
  await stage?.close();
});

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false, // that is the question
  );

async function tablesOf(db: Database): Promise<string[]> {
  const rows = await db.query<{ name: string }>(
    `SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1`,
  );
  return rows.map(({ name }) => name);
}

/** All rows, in an order that does not depend on where they lie. */
async function contentOf(db: Database): Promise<Record<string, string[]>> {
  const content: Record<string, string[]> = {};
  for (const name of await tablesOf(db)) {
    const rows = await db.query<{ row: string }>(`SELECT to_jsonb(t)::text AS row FROM "${name}" t ORDER BY 1`);
    content[name] = rows.map(({ row }) => row);
  }
  return content;
}

/** Differ by what they are: who runs, when files were applied, where the database lies. */
function comparable({ recovery, node_keyring, refresh_pace, hawser_migration, ...rest }: Record<string, string[]>) {
  expect([recovery, node_keyring, refresh_pace, hawser_migration]).not.toContain(undefined);
  return { ...rest, history: hawser_migration?.map((row) => row.replace(/"applied_at": "[^"]+"/, '')) };
}

describe('backup and restore', () => {
  it('brings back every row of every table, and sequences go on', async () => {
    await stage.site.db.query(
      `INSERT INTO event (environment_id, type, is_handled, payload)
       SELECT 1, 'test', true, jsonb_build_object('text', repeat(E'tab\\t line\\n back\\\\ null\\u0001 ü 🚢 ', 40), 'n', n)
       FROM generate_series(1, 3000) n`,
    );
    const file = join(stage.directory, 'whole.hawser');
    const made = await stage.site.cli('backup', file);
    expect(made).toMatchObject({ code: 0, stderr: '' });
    expect(made.stdout).toMatch(/^\d+ rows of 20\S+ in .*whole\.hawser \(\d+ bytes\)\.\nSealed with kek_\w+: /);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect((await stage.site.cli('backup', file)).stderr).toMatch(/exists already/);
    await stage.site.hawser.services.activity.close();

    const target = await stage.emptyDatabase();
    const done = await cli({ DATABASE_URL: target.url, HAWSER_ENCRYPTION_KEY: stage.key }, 'restore', file);
    expect(done).toMatchObject({ code: 0, stderr: '' });
    expect(done.stdout).toMatch(
      /rows of 20\S+ restored into DATABASE_URL\.\nIt starts in quarantine[\s\S]*accept-restore/,
    );
    const [theirs, ours] = [comparable(await contentOf(target.db)), comparable(await contentOf(stage.site.db))];
    expect(Object.keys(theirs)).toEqual(Object.keys(ours));
    for (const [table, rows] of Object.entries(ours)) {
      const found = new Set(theirs[table as keyof typeof theirs]);
      expect(
        rows?.filter((row) => !found.has(row)),
        table,
      ).toEqual([]);
      expect(found.size, table).toBe(rows?.length);
    }
    for (const { db } of [stage.site, target]) {
      const [row] = await db.query<{ id: number }>(
        `INSERT INTO event (environment_id, type, payload) VALUES (1, 'next', '{}') RETURNING id`,
      );
      expect(row?.id).toBeGreaterThan(3000);
    }
    const json = JSON.parse((await stage.site.cli('backup', `${file}.2`, '--json')).stdout) as { rows: number };
    expect(json.rows).toBeGreaterThan(3000);
  });

  it('is of one moment while rows are written', async () => {
    const stop = new AbortController();
    const writer = (async () => {
      for (let n = 0; !stop.signal.aborted; n += 1) {
        await stage.site.db.transaction(async (tx) => {
          await tx.query(
            `INSERT INTO activity (environment_id, at, kind, ok, summary) VALUES (1, now(), 'pair', true, $1)`,
            [`${n}`],
          );
          await tx.query(`INSERT INTO event (environment_id, type, payload) VALUES (1, 'pair', $1)`, [{ n }]);
        });
      }
    })();
    const file = await stage.backup('moving');
    stop.abort();
    await writer;
    const target = await stage.emptyDatabase();
    expect((await cli({ DATABASE_URL: target.url }, 'restore', file)).code).toBe(0);
    const [counts] = await target.db.query<{ activities: number; events: number }>(
      `SELECT (SELECT count(*)::int FROM activity WHERE kind = 'pair') AS activities,
         (SELECT count(*)::int FROM event WHERE type = 'pair') AS events`,
    );
    expect(counts?.activities).toBe(counts?.events);
  });

  it('refuses what is not empty, not whole or not a backup, and writes nothing', async () => {
    const file = await stage.backup('refuse');
    const restore = async (url: string, path: string) => cli({ DATABASE_URL: url }, 'restore', path);
    const full = await restore(stage.site.databaseUrl, file);
    expect(full.code).toBe(1);
    expect(full.stderr).toMatch(/^The database is not empty \(it has activity/);

    const nowhere = join(stage.directory, 'nowhere');
    const lost = await cli({ DATABASE_URL: stage.site.databaseUrl }, 'backup', join(nowhere, 'backup'));
    expect(lost).toMatchObject({
      code: 1,
      stderr: expect.stringContaining(`No file can be made in ${nowhere} (ENOENT).`),
    });

    const target = await stage.emptyDatabase();
    await target.db.query('CREATE TABLE of_somebody_else (id int)');
    expect((await restore(target.url, file)).stderr).toMatch(/not empty \(it has of_somebody_else\)/);
    await target.db.query('DROP TABLE of_somebody_else');

    const { size } = await stat(file);
    const whole = await readFile(file);
    const damaged = join(stage.directory, 'damaged.hawser');
    const cases: [string, () => Promise<void>, RegExp][] = [
      ['cut', () => truncate(damaged, size - 1_000), /checksum is wrong/],
      ['cut to its header', () => truncate(damaged, 60), /damaged|does not begin|too short/],
      ['longer', () => appendFile(damaged, 'x'), /checksum is wrong/],
      ['empty', () => truncate(damaged, 0), /too short/],
      ['one bit', () => writeFile(damaged, flip(whole, Math.floor(size / 2))), /checksum is wrong/],
      ['its checksum', () => writeFile(damaged, flip(whole, size - 1)), /checksum is wrong/],
      ['another file', () => writeFile(damaged, 'x'.repeat(500)), /does not begin like one/],
    ];
    for (const [what, damage, sentence] of cases) {
      await writeFile(damaged, whole);
      await damage();
      const { code, stderr } = await restore(target.url, damaged);
      expect(code, what).toBe(1);
      expect(stderr, what).toMatch(sentence);
      expect(stderr, what).toMatch(/Nothing was written/);
      expect(await tablesOf(target.db), what).toEqual([]);
    }
    expect((await restore(target.url, join(stage.directory, 'none'))).stderr).toMatch(/There is no file/);
    expect((await restore(target.url, file)).code).toBe(0);
  });

  it('refuses a newer schema, and brings an older one forward', async () => {
    const file = await stage.backup('schema');
    const text = await readFile(file);
    const line = text.subarray(0, text.indexOf(0x0a)).toString('utf8');
    const header = JSON.parse(line.slice('HAWSER-BACKUP '.length)) as { migrations: { name: string }[] };
    const target = await stage.emptyDatabase();
    const newer = join(stage.directory, 'newer.hawser');
    await writeFile(
      newer,
      resealed(text, { ...header, migrations: [...header.migrations, { name: '9999_future.sql', checksum: 'x' }] }),
    );
    const refused = await cli({ DATABASE_URL: target.url }, 'restore', newer);
    expect(refused.stderr).toMatch(/made by version .* does not know. Restore it with that version/);
    expect(await tablesOf(target.db)).toEqual([]);
    // As made before the table of this slice was there.
    const at = header.migrations.findIndex(({ name }) => name.startsWith('0011'));
    const older = join(stage.directory, 'older.hawser');
    await writeFile(
      older,
      resealed(text, { ...header, migrations: header.migrations.slice(0, at) }, ['environment', 'data_key']),
    );
    const done = await cli({ DATABASE_URL: target.url }, 'restore', older);
    expect(done).toMatchObject({ code: 0, stderr: '' });
    expect(done.stdout).toMatch(/Brought up to date: 0011_restore\.sql/);
    const [row] = await target.db.query<{ reason: string }>('SELECT quarantine_reason AS reason FROM recovery');
    expect(row?.reason).toBe('restored');
  });
});

function flip(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[at] = (copy[at] as number) ^ 1;
  return copy;
}

describe('a kill', () => {
  it(
    'in the middle of a backup leaves no file under its name; in the middle of a restore, an empty database',
    async () => {
      const file = join(stage.directory, 'killed.hawser');
      const source = { DATABASE_URL: stage.site.databaseUrl, HAWSER_DATA_DIR: join(stage.directory, 'none') };
      const killed = await runProgram(['backup', file], { ...source, HAWSER_KILL_AT: 'B1' });
      expect(killed.signal).toBe('SIGKILL');
      expect(await exists(file)).toBe(false);
      expect((await stage.site.cli('backup', file)).code).toBe(0);
      const target = await stage.emptyDatabase();
      for (const place of ['B2', 'B3']) {
        const settings = { DATABASE_URL: target.url, HAWSER_KILL_AT: place };
        expect((await runProgram(['restore', file], settings)).signal, place).toBe('SIGKILL');
        expect(await tablesOf(target.db), place).toEqual([]);
      }
      expect((await cli({ DATABASE_URL: target.url }, 'restore', file)).code).toBe(0);
    },
    LONG_MS,
  );
});

describe('abuse 40: a stolen backup', () => {
  const secretOf = (name: string): Canary => ({ name, secret: `canary/"${name}"+${generateKey()}=end` });

  it('abuse 40: neither the file nor a dump holds one of 12 planted secrets in any form', async () => {
    const { services } = stage.site.hawser;
    const { environmentId } = subject.connection;
    const canaries = [
      'access token',
      'refresh token',
      'client secret',
      'webhook secret',
      'api key of a provider',
      'password',
      'oauth1 token',
      'oauth1 token secret',
      'raw answer',
      'own client secret',
      'private key of a form',
      'key of the api',
    ].map(secretOf);
    const of = (name: string): string => canaries.find((canary) => canary.name === name)?.secret as string;
    expect(canaries).toHaveLength(12);
    expect(new Set(encodingsOf(of('password')).map(({ encoding }) => encoding)).size).toBeGreaterThanOrEqual(6);
    await services.environments.createKey({ environmentId, displayName: 'planted', secret: randomUUID() });
    const integration = await services.integrations.create(environmentId, {
      provider: 'oauth2-generic',
      uniqueKey: 'planted',
      client: {
        type: 'OAUTH2',
        clientId: 'client',
        clientSecret: of('client secret'),
        scopes: [],
        webhookSecret: of('webhook secret'),
      },
      integrationConfig: {
        authorization_url: 'https://auth.example.com/authorize',
        token_url: 'https://auth.example.com/token',
        api_base_url: 'https://api.example.com',
      },
    });
    const credentials: Credential[] = [
      {
        type: 'OAUTH2',
        access_token: of('access token'),
        refresh_token: of('refresh token'),
        raw: { extra: of('raw answer') },
        config_override: { client_id: 'own', client_secret: of('own client secret') },
      },
      { type: 'API_KEY', apiKey: of('api key of a provider') },
      { type: 'BASIC', username: 'somebody', password: of('password') },
      { type: 'OAUTH1', oauth_token: of('oauth1 token'), oauth_token_secret: of('oauth1 token secret'), raw: {} },
      { type: 'JWT', token: of('key of the api'), raw: {}, fields: { privateKey: of('private key of a form') } },
    ];
    for (const [at, credential] of credentials.entries()) {
      await stage.site.db.transaction(async (tx) => {
        const { connection } = await services.connections.upsert(tx, {
          environmentId,
          integrationId: integration.id,
          connectionId: `planted-${at}`,
          connectionConfig: {},
        });
        await services.credentials.write(tx, {
          connection,
          credential,
          facts: { scope: undefined, expiresAt: undefined },
        });
      });
    }
    const file = await readFile(await stage.backup('canaries'));
    const content = unpacked(file);
    expect(content.toString('latin1')).toContain('planted-4');
    const places: [string, string][] = [
      ['file', file.toString('latin1')],
      ['content', content.toString('latin1')],
      ['dump', (await dumpDatabase(stage.site.db)).text],
    ];
    const keyBytes = Buffer.from(stage.key, 'base64');
    for (const [where, text] of places) {
      expect(searchFor([...canaries, { name: 'encryption key', secret: stage.key }], text, where)).toEqual([]);
      for (const form of [keyBytes.toString('latin1'), keyBytes.toString('hex')]) expect(text).not.toContain(form);
    }
    // The search can find: what is sealed is there, and what is no secret is there in the clear.
    expect(
      searchFor([{ name: 'url', secret: 'https://auth.example.com/token' }], content.toString('latin1'), 'x'),
    ).not.toEqual([]);
  });

  it('abuse 40: without the key it is of no use: the start is refused, and nothing is overwritten', async () => {
    const target = await stage.emptyDatabase();
    const file = await stage.backup('sealed');
    const done = await cli({ DATABASE_URL: target.url, HAWSER_ENCRYPTION_KEY: generateKey() }, 'restore', file);
    expect(done.code).toBe(0);
    expect(done.stdout).toMatch(/Before the start, give it encryption key kek_\w+: it is not at hand here/);
    const before = await contentOf(target.db);
    const db = await openDatabase({ url: target.url, poolSize: 4, log: silentLog, clock: systemClock });
    const config = readConfig('start', { HAWSER_PORT: '0', HAWSER_DATA_DIR: join(stage.directory, 'thief') });
    const start = startHawser({
      config,
      db,
      keyring: keyringFrom(generateKey()) as Keyring,
      log: silentLog,
      version: '0.0.0-test',
    });
    await expect(start).rejects.toThrow(/sealed with encryption key kek_/);
    await db.close();
    expect(await contentOf(target.db)).toEqual(before);
  });
});

describe('the embedded database', () => {
  it(
    'fault 29: into a new data folder, and a copied folder, start in quarantine; accept-restore ends it',
    async () => {
      const folder = await scratchDir();
      try {
        const file = await stage.backup('embedded');
        const dataDir = join(folder.path, 'data');
        const settings = { HAWSER_DATA_DIR: dataDir, HAWSER_ENCRYPTION_KEY: stage.key, HAWSER_PORT: '0' };
        const restored = await runProgram(['restore', file], settings);
        expect(restored).toMatchObject({ code: 0, stderr: '' });
        expect(restored.stdout).toContain(`restored into ${dataDir}`);

        const health = async (dir: string, meanwhile?: () => Promise<void>): Promise<string[]> => {
          const own = { ...settings, HAWSER_DATA_DIR: dir };
          const program = startProgram(['start'], own);
          try {
            const { url } = await untilReady(program, dir);
            const ask = async () => ((await (await fetch(`${url}/health`)).json()) as { result: string }).result;
            const seen = [await ask()];
            await meanwhile?.();
            // A node that runs hears of it from the database.
            if (meanwhile !== undefined) seen.push(await eventually(ask, (result) => result !== 'quarantined'));
            if (seen[0] === 'quarantined') expect(program.stdout()).toContain('QUARANTINE');
            return seen;
          } finally {
            program.child.kill('SIGTERM');
            await program.exited;
          }
        };
        const accept = async (): Promise<void> => {
          expect((await runHere(['accept-restore'], settings)).stdout).toMatch(/^Accepted/);
        };
        expect(await health(dataDir, accept)).toEqual(['quarantined', 'ok']);
        expect(await health(dataDir)).toEqual(['ok']);

        const copy = join(folder.path, 'copy');
        await cp(dataDir, copy, { recursive: true, preserveTimestamps: true });
        const { cluster } = JSON.parse(await readFile(join(copy, 'postgres.json'), 'utf8')) as { cluster: string };
        // As root the files belong to another user; the copy must too.
        if (process.getuid?.() === 0 && cluster === 'pg') {
          const { uid, gid } = await stat(join(dataDir, 'pg'));
          await ownedBy(join(copy, 'pg'), uid, gid);
        }
        expect(await health(copy)).toEqual(['quarantined']);
      } finally {
        await folder.remove();
      }
    },
    LONG_MS,
  );
});

async function ownedBy(path: string, uid: number, gid: number): Promise<void> {
  await chown(path, uid, gid);
  for (const entry of await readdir(path, { recursive: true, withFileTypes: true })) {
    await chown(join(entry.parentPath, entry.name), uid, gid);
  }
}
