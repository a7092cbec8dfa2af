/** Drills: restore a copy of time T after refresh tokens were rotated, and see what is sent when. */
import { readFile, writeFile } from 'node:fs/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { silentLog } from '../../src/base/log.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { openDatabase } from '../../src/platform/postgres/index.ts';
import { eventually } from '../support/build.ts';
import { startBackupStage, type BackupStage, type Site, type Subject } from './backup-stage.ts';

let stage: BackupStage;
beforeAll(async () => {
  stage = await startBackupStage();
});
afterAll(async () => {
  await stage?.close();
});
afterEach(() => {
  stage.server.habit = 'rotate';
});

const accessOf = (body: { credentials?: { access_token?: string } }): string | undefined =>
  body.credentials?.access_token;

/** What lies behind the public code of a credential that cannot be read. */
const causeOf = (body: { error: { payload?: { cause?: string } } }): string | undefined => body.error.payload?.cause;

/** The installation goes on after the backup: the customer's refresh token is replaced. */
async function rotate(subject: Subject): Promise<string> {
  await stage.site.endsIn(subject, -1_000);
  const { status, body } = await stage.site.read(subject);
  expect(status).toBe(200);
  return accessOf(body) as string;
}

/** Everything that could make a node ask the provider. */
async function provoke(site: Site, subject: Subject): Promise<void> {
  await site.hawser.services.credentials.sweep();
  await site.hawser.services.disconnect.sweep();
  const forced = await site.read(subject, '&force_refresh=true');
  expect(forced.status).toBe(503);
  expect(causeOf(forced.body)).toBe('quarantined');
  expect(forced.body.error.message).toContain('hawser accept-restore');
  await site.call('GET', '/proxy/anything', {
    'provider-config-key': subject.key,
    'connection-id': subject.connection.connectionId,
  });
}

async function accept(site: Site): Promise<string> {
  const { code, stdout } = await site.cli('accept-restore');
  expect(code).toBe(0);
  await eventually(
    () => site.health(),
    (result) => result === 'ok',
  );
  return stdout;
}

const asked = (subject: Subject) =>
  stage.server.requests.filter(({ refreshToken }) => refreshToken === subject.tokens.refresh_token).length;

describe('fault 29: hawser backup, hawser restore', () => {
  it('fault 29: a rotated token: nothing is sent before the acceptance; then lost_rotation, told once', async () => {
    const subject = await stage.connect('strict');
    const file = await stage.backup('strict');
    await rotate(subject);
    const before = stage.server.requests.length;
    const site = await stage.restored(file);
    expect(await site.health()).toBe('quarantined');
    await provoke(site, subject);
    // A token that is still valid is served, by the API and by the proxy.
    expect(accessOf((await site.read(subject)).body)).toBe(subject.tokens.access_token);
    const proxied = await site.call('GET', '/proxy/anything', {
      'provider-config-key': subject.key,
      'connection-id': subject.connection.connectionId,
    });
    expect(proxied.status).toBe(200);
    // One that has ended is not, and its refresh token stays unused.
    await site.endsIn(subject, -1_000);
    expect(causeOf((await site.read(subject)).body)).toBe('quarantined');
    await provoke(site, subject);
    expect(stage.server.requests).toHaveLength(before);
    expect(await site.states(subject)).toEqual([]);

    await site.db.query(`UPDATE credential SET refreshed_at = refreshed_at - interval '1 hour'`);
    expect(await accept(site)).toMatch(/1 refresh tokens may have been replaced/);
    await site.hawser.services.credentials.sweep();
    await site.hawser.services.credentials.sweep();
    expect(asked(subject)).toBe(2);
    expect(await site.states(subject)).toMatchObject([{ state: 'needs_reauth', reason: 'lost_rotation' }]);
    const { status } = await site.read(subject);
    expect(status).toBe(424);
    expect(asked(subject)).toBe(2);
  });

  it('fault 29: a token that was not rotated goes on with one request', async () => {
    const subject = await stage.connect('strict');
    const site = await stage.restored(await stage.backup('unrotated'));
    await site.endsIn(subject, -1_000);
    await provoke(site, subject);
    expect(asked(subject)).toBe(0);
    await accept(site);
    const { status, body } = await site.read(subject);
    expect(status).toBe(200);
    expect(stage.server.isAlive(accessOf(body) as string)).toBe(true);
    expect(asked(subject)).toBe(1);
    expect(await site.states(subject)).toEqual([]);
  });

  it('fault 29: strict: a valid access token is served to its end before the doubtful one is tried', async () => {
    const subject = await stage.connect('strict');
    const site = await stage.restored(await stage.backup('valid'));
    await accept(site);
    await site.hawser.services.credentials.sweep();
    expect(asked(subject)).toBe(0);
    expect(accessOf((await site.read(subject)).body)).toBe(subject.tokens.access_token);
    expect(asked(subject)).toBe(0);
  });

  it('fault 29: within the grace of the provider nothing is lost', async () => {
    stage.server.habit = 'grace';
    const subject = await stage.connect('overlap');
    const file = await stage.backup('grace');
    await rotate(subject);
    const site = await stage.restored(file);
    await provoke(site, subject);
    expect(asked(subject)).toBe(1);
    await accept(site);
    await site.hawser.services.credentials.sweep();
    const { status, body } = await site.read(subject);
    expect(status).toBe(200);
    expect(accessOf(body)).not.toBe(subject.tokens.access_token);
    expect(await site.states(subject)).toEqual([]);
  });

  it('fault 29: a provider that never rotates: nothing is lost', async () => {
    stage.server.habit = 'same';
    const subject = await stage.connect('none');
    const file = await stage.backup('same');
    await rotate(subject);
    const site = await stage.restored(file);
    await provoke(site, subject);
    expect(asked(subject)).toBe(1);
    await accept(site);
    await site.hawser.services.credentials.sweep();
    expect((await site.read(subject)).status).toBe(200);
    expect(await site.states(subject)).toEqual([]);
  });

  it('fault 29: a newer answer that the journal has is adopted; nobody is asked', async () => {
    const subject = await stage.connect('strict');
    // A node that dies between journal and commit, and the backup of that moment.
    const dying = await stage.open(stage.site.databaseUrl, {
      refresh: {
        killPoints: {
          reach(name) {
            if (name === 'K8') throw new Error('killed');
          },
        },
      },
    });
    await stage.site.endsIn(subject, -1_000);
    await dying.read(subject);
    expect(asked(subject)).toBe(1);
    const file = await stage.backup('journal');
    await dying.stop();
    const site = await stage.restored(file);
    await provoke(site, subject);
    await accept(site);
    const { status, body } = await site.read(subject);
    expect(status).toBe(200);
    expect(accessOf(body)).not.toBe(subject.tokens.access_token);
    expect(stage.server.isAlive(accessOf(body) as string)).toBe(true);
    expect(asked(subject)).toBe(1);
    expect(await site.states(subject)).toEqual([]);
  });

  it('fault 29: what a customer connects after the restore is certain', async () => {
    const site = await stage.restored(await stage.backup('certain'));
    await site.db.query(`UPDATE credential SET refreshed_at = clock_timestamp()`);
    expect(await accept(site)).toMatch(/^Accepted[\s\S]*\n0 refresh tokens may/);
  });

  it('fault 29: a deleted connection is let go of at the provider after the acceptance, not before', async () => {
    const subject = await stage.connect('strict');
    const site = await stage.restored(await stage.backup('delete'));
    const path = `/connections/${subject.connection.connectionId}?provider_config_key=${subject.key}`;
    const { status, body } = await site.call('DELETE', path);
    expect({ status, body }).toMatchObject({ status: 200, body: { success: true, outcome: 'pending' } });
    const revoked = () => stage.server.revocations.some(({ token }) => token === subject.tokens.refresh_token);
    await site.hawser.services.disconnect.sweep();
    expect(revoked()).toBe(false);
    await accept(site);
    await site.hawser.services.disconnect.sweep();
    expect(revoked()).toBe(true);
  });
});

describe('fault 29: restored by others', () => {
  /** As any other program would copy a database. */
  async function copyOf(site: Site): Promise<string> {
    await site.stop();
    const copy = await stage.emptyDatabase();
    const name = new URL(copy.url).pathname.slice(1);
    const source = new URL(site.databaseUrl).pathname.slice(1);
    const admin = new URL(copy.url);
    admin.pathname = '/postgres';
    await copy.db.close();
    const db = await openDatabase({ url: admin.href, poolSize: 1, log: silentLog, clock: systemClock });
    await db.query(`DROP DATABASE ${name} WITH (FORCE)`);
    await db.query(`CREATE DATABASE ${name} TEMPLATE ${source}`);
    await db.close();
    return copy.url;
  }

  it('fault 29: a dump in another database is noticed by a node that never saw the old one', async () => {
    const subject = await stage.connect('strict');
    const source = await stage.restored(await stage.backup('foreign'));
    await accept(source);
    const site = await stage.open(await copyOf(source));
    expect(await site.health()).toBe('quarantined');
    expect(site.hawser.services.recovery.quarantine?.reason).toBe('other_place');
    await provoke(site, subject);
    expect(asked(subject)).toBe(0);
    // The state is in the database: the next start and every other node are in it too.
    const other = await stage.open(site.databaseUrl);
    expect(await other.health()).toBe('quarantined');
    await accept(site);
    await eventually(
      () => other.health(),
      (result) => result === 'ok',
    );
    await site.endsIn(subject, -1_000);
    expect((await site.read(subject)).status).toBe(200);
    expect(asked(subject)).toBe(1);
  });

  it('fault 29: an older state in the same place is noticed by the mark beside the database', async () => {
    const source = await stage.restored(await stage.backup('rollback'));
    await accept(source);
    const row = await source.db.query<Record<string, unknown>>('SELECT mark FROM recovery');
    await source.stop();
    // The next run of the same node moves the mark; then the data of before comes back.
    const next = await stage.open(source.databaseUrl, { dataDir: source.dataDir });
    expect(await next.health()).toBe('ok');
    await next.db.query('UPDATE recovery SET mark = $1', [row[0]?.['mark']]);
    await next.hawser.services.recovery.beat();
    expect(await next.health()).toBe('quarantined');
    expect(next.hawser.services.recovery.quarantine?.reason).toBe('older_state');
    await next.stop();
    const again = await stage.open(source.databaseUrl, { dataDir: source.dataDir });
    expect(await again.health()).toBe('quarantined');
    await accept(again);
    await again.stop();
    const after = await stage.open(source.databaseUrl, { dataDir: source.dataDir });
    expect(await after.health()).toBe('ok');
  });

  it('fault 29: neither restarts nor a promoted standby are a restore', async () => {
    const source = await stage.restored(await stage.backup('restart'));
    await accept(source);
    const mark = async () => (await source.db.query<{ mark: number }>('SELECT mark FROM recovery'))[0]?.mark as number;
    await source.hawser.services.recovery.beat();
    // An asynchronous standby that was a moment behind: a newer timeline, and the last mark is missing.
    await source.db.query('UPDATE recovery SET mark = $1', [(await mark()) - 1]);
    const path = `${source.dataDir}/recovery.json`;
    const file = JSON.parse(await readFile(path, 'utf8')) as { timeline: number };
    await writeFile(path, JSON.stringify({ ...file, timeline: file.timeline - 1 }));
    await source.hawser.services.recovery.beat();
    expect(await source.health()).toBe('ok');
    await source.stop();
    const again = await stage.open(source.databaseUrl, { dataDir: source.dataDir });
    expect(await again.health()).toBe('ok');
    const { stdout } = await again.cli('accept-restore');
    expect(stdout).toBe('The database is not in quarantine. Nothing was changed.\n');
  });
});
