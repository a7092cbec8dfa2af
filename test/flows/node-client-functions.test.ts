/** Syncs and actions of the examples by the unmodified published client, and by the command line. */
import { Nango } from '@nangohq/node';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { seedExampleFunctions } from '../../src/shell/dev/example-functions.ts';
import { startTestApp, type TestApp } from '../support/app.ts';
import { connectAccount } from '../support/connect.ts';
import { runHere } from '../support/process.ts';

const KEY = 'checkr-partner';
/** Long enough for a loaded machine; nothing waits that long where it works. */
const WAIT = { timeout: 40_000, interval: 50 };

let app: TestApp;
let nango: Nango;
let connectionId: string;

beforeAll(async () => {
  app = await startTestApp();
  nango = new Nango({ host: app.url, secretKey: app.apiKey });
  await seedExampleFunctions(app.services);
  ({ connectionId } = await connectAccount(app, KEY));
  await ended('packages');
  await ended('candidates');
});
afterAll(() => app?.close());

async function status(name: string, variant = 'base') {
  const { syncs } = await nango.syncStatus(KEY, [{ name, variant }], connectionId);
  return syncs[0] as NonNullable<(typeof syncs)[0]>;
}

/** Waits until a run after `before` has ended well. */
async function ended(name: string, before: string | null | undefined = undefined, variant = 'base') {
  await vi.waitFor(async () => {
    const now = await status(name, variant);
    expect(now).toMatchObject({ latestExecutionStatus: 'SUCCESS', finishedAt: expect.any(String) });
    expect(now.finishedAt).not.toBe(before);
  }, WAIT);
  return status(name, variant);
}

const finishedAt = async (name: string) => (await status(name)).finishedAt;

describe('syncs', () => {
  it('tell their state: one, several, all', async () => {
    const one = await nango.syncStatus(KEY, ['packages'], connectionId);
    expect(one.syncs).toMatchObject([
      { name: 'packages', variant: 'base', status: 'SUCCESS', frequency: '1h', recordCount: { Package: 4 } },
    ]);
    const all = await nango.syncStatus(KEY, '*', connectionId);
    expect(all.syncs.map(({ name }) => name).toSorted()).toEqual(['account', 'candidates', 'invitations', 'packages']);
    expect((await nango.syncStatus(KEY, '*')).syncs).toHaveLength(4);
  });

  it.each([
    ['nothing', undefined, 0],
    ['incremental', 'incremental', 0],
    ['full_refresh', 'full_refresh', 0],
    ['full_refresh_and_clear_cache', 'full_refresh_and_clear_cache', 4],
    ['opts: nothing', {}, 0],
    ['opts: reset', { reset: true }, 0],
    ['opts: reset and empty', { reset: true, emptyCache: true }, 4],
  ] as const)('run when they are triggered: %s', async (_name, mode, added) => {
    const before = await finishedAt('packages');
    await nango.triggerSync(KEY, ['packages'], connectionId, mode as never);
    const { latestResult } = await ended('packages', before);
    expect((latestResult as Record<string, { added: number }> | null)?.['Package']?.added ?? 0).toBe(added);
    const { records } = await nango.listRecords({ providerConfigKey: KEY, connectionId, model: 'Package' });
    expect(records).toHaveLength(4);
  });

  it('run for every connection when none is named', async () => {
    const before = await finishedAt('packages');
    await nango.triggerSync(KEY, ['packages']);
    await ended('packages', before);
    await expect(nango.triggerSync(KEY, ['nobody'], connectionId)).rejects.toMatchObject({
      response: { status: 400, data: { error: { code: 'no_syncs_found' } } },
    });
  });

  it('pause, start, and change their pace', async () => {
    await nango.pauseSync(KEY, ['packages'], connectionId);
    expect(await status('packages')).toMatchObject({ status: 'PAUSED', nextScheduledSyncAt: null });
    await nango.startSync(KEY, ['packages'], connectionId);
    expect(await status('packages')).toMatchObject({ nextScheduledSyncAt: expect.any(String) });
    const faster = await nango.updateSyncConnectionFrequency(KEY, 'packages', connectionId, 'every 5 minutes');
    expect(faster).toEqual({ frequency: 'every 5 minutes' });
    expect(await status('packages')).toMatchObject({ frequency: '5m' });
    expect(await nango.updateSyncConnectionFrequency(KEY, 'packages', connectionId, null)).toEqual({
      frequency: '1h',
    });
    expect(await status('packages')).toMatchObject({ frequency: '1h' });
  });

  it('have variants with records of their own', async () => {
    const variant = { provider_config_key: KEY, connection_id: connectionId, name: 'candidates', variant: 'west' };
    expect(await nango.createSyncVariant(variant)).toMatchObject({ name: 'candidates', variant: 'west' });
    await nango.startSync(KEY, [{ name: 'candidates', variant: 'west' }], connectionId);
    await ended('candidates', null, 'west');
    const query = { providerConfigKey: KEY, connectionId, model: 'Candidate', variant: 'west', limit: 100 };
    expect((await nango.listRecords(query)).records).toHaveLength(30);
    await nango.deleteSyncVariant(variant);
    expect((await nango.listRecords(query)).records).toEqual([]);
    expect((await nango.listRecords({ ...query, variant: undefined as never })).records).toHaveLength(30);
  });
});

describe('actions', () => {
  const person = { email: 'mia.oak@example.com', first_name: 'Mia', last_name: 'Oak' };

  it('answer at once', async () => {
    const made = await nango.triggerAction<typeof person, { id: string; email: string }>(
      KEY,
      connectionId,
      'create-candidate',
      person,
    );
    expect(made).toMatchObject({ id: expect.stringMatching(/^[0-9a-f]{24}$/), email: person.email });
    await expect(nango.triggerAction(KEY, connectionId, 'create-candidate', { email: 1 })).rejects.toMatchObject({
      response: { status: 400 },
    });
    const refused = nango.triggerAction(KEY, connectionId, 'order-background-check', {
      candidate_id: made.id,
      package: 'no-such-package',
      idempotency_key: 'order-0',
    });
    await expect(refused).rejects.toMatchObject({
      response: { data: { error: { code: 'script_http_error', upstream: { status: 404 } } } },
    });
  });

  it('or later, with a result that can be asked for', async () => {
    const { id, statusUrl } = await nango.triggerActionAsync(KEY, connectionId, 'list-packages', {});
    expect(statusUrl).toBe(`/action/${id}`);
    const result = await vi.waitFor(async () => {
      const answer = await nango.getAsyncActionResult<{ packages: { slug: string }[] }>({ id });
      if ('retryable' in answer) throw new Error('not yet');
      return answer as { packages: { slug: string }[] };
    }, WAIT);
    expect(result.packages.map(({ slug }) => slug).toSorted()).toEqual([
      'driver_pro',
      'driver_standard',
      'tasker_pro',
      'tasker_standard',
    ]);
  });
});

describe('the command line', () => {
  const hawser = (...args: string[]) => runHere(args, { HAWSER_URL: app.url, HAWSER_API_KEY: app.apiKey });

  it('shows syncs', async () => {
    const all = await hawser('syncs');
    expect([all.code, all.stdout.split('\n')[0]]).toEqual([
      0,
      expect.stringMatching(/^SYNC +CONNECTION +STATE +LAST RUN +NEXT +EVERY +RECORDS$/),
    ]);
    expect(all.stdout).toMatch(
      new RegExp(`^packages +checkr-partner/${connectionId} +SUCCESS +20\\S+Z +20\\S+Z +1h +4 Package$`, 'm'),
    );
    const json = await hawser('syncs', connectionId, '--json');
    expect(JSON.parse(json.stdout)).toHaveLength(4);
    expect((await hawser('syncs', 'nobody')).code).toBe(4);
  });

  it('shows records, page by page', async () => {
    const first = await hawser('records', connectionId, 'Candidate', '-n', '25');
    expect([first.code, first.stdout.trim().split('\n').length]).toEqual([0, 26]);
    const cursor = /--cursor (\S+)/.exec(first.stderr)?.[1] ?? '';
    const rest = await hawser('records', connectionId, 'Candidate', '--cursor', cursor, '--filter', 'added', '--json');
    const page = JSON.parse(rest.stdout) as { records: { id: string }[]; next_cursor: null };
    expect([page.records.length, page.next_cursor]).toEqual([5, null]);
    const none = await hawser('records', connectionId, 'Candidate', '--modified-after', '2999-01-01T00:00:00Z');
    expect(none.stdout).toBe('No records.\n');
    expect((await hawser('records', connectionId, 'Candidate', '--filter', 'odd')).code).toBe(4);
  });
});
