/** What comes in while the database is away or full up, events that cannot be handled, and functions that are told. */
import { createHmac } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { silentLog } from '../../src/base/log.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { openDatabase, type Database } from '../../src/platform/postgres/index.ts';
import type { Hawser } from '../../src/shell/node.ts';
import { startTestApp, type TestApp } from '../support/app.ts';
import { startRelay, type Relay } from '../support/relay.ts';

const SECRET = 'the client secret';
/** Other work may have the machine. */
const PATIENT = { timeout: 10_000 };
let app: TestApp;
let relay: Relay;
let throughRelay: Database;
let node: Hawser;
let environmentUuid: string;
let serial = 0;

beforeAll(async () => {
  app = await startTestApp();
  environmentUuid = (await app.services.environments.byName('dev'))?.uuid as string;
  const url = new URL(app.databaseUrl);
  relay = await startRelay({ host: url.hostname, port: Number(url.port) });
  url.hostname = '127.0.0.1';
  url.port = String(relay.port);
  throughRelay = await openDatabase({ url: url.href, poolSize: 2, log: silentLog, clock: systemClock });
  node = await app.startNode({ db: throughRelay, settings: { HAWSER_AUTH_FAILURES_PER_MINUTE: '3' } });
  await app.api('POST', '/integrations', { provider: 'checkr-partner', unique_key: 'checks', credentials: { type: 'OAUTH2', client_id: 'id', client_secret: SECRET } }); // prettier-ignore
  await app.api('POST', '/connections', { provider_config_key: 'checks', connection_id: 'c1', credentials: { type: 'OAUTH2', access_token: 'token' }, connection_config: { checkr_account_id: 'acct' } }); // prettier-ignore
});
afterAll(async () => {
  relay?.restore();
  await app?.close();
  await throughRelay?.close();
  await relay?.close();
});

const newEvent = (more: Record<string, unknown> = {}) =>
  JSON.stringify({
    id: `event-${(serial += 1)}`,
    object: 'event',
    type: 'report.completed',
    account_id: 'acct',
    ...more,
  });

async function send(url: string, body: string) {
  const response = await fetch(`${url}/webhook/${environmentUuid}/checks`, {
    method: 'POST',
    headers: { 'x-checkr-signature': createHmac('sha256', SECRET).update(body).digest('hex') },
    body,
  });
  return { status: response.status, retryAfter: response.headers.get('retry-after'), text: await response.text() };
}

const count = async (): Promise<number> =>
  (await app.db.query<{ count: number }>('SELECT count(*)::integer AS count FROM inbound_event'))[0]?.count as number;
const stateOf = async (type: string) =>
  (await app.db.query<{ state: string; reason: string | null; error: string | null; attempts: number }>('SELECT state, reason, error, attempts FROM inbound_event WHERE type = $1', [type]))[0]; // prettier-ignore

describe('while the database', () => {
  it('fault 19: has no connection left, webhooks are refused, and taken as soon as it has', async () => {
    // The node knows the integration, so that the insert alone waits.
    expect((await send(node.url, newEvent())).status).toBe(200);
    const release = Promise.withResolvers<void>();
    const holding = [1, 2].map(() =>
      throughRelay.transaction(async (tx) => {
        await tx.query('SELECT 1');
        await release.promise;
      }),
    );
    await expect.poll(() => throughRelay.listening, PATIENT).toBe(true);
    const before = await count();
    const bodies = Array.from({ length: 50 }, () => newEvent());
    const answers = await Promise.all(bodies.map((body) => send(node.url, body)));
    expect(new Set(answers.map(({ status, retryAfter }) => `${status} ${retryAfter}`))).toEqual(new Set(['503 1']));
    expect(answers[0]?.text).toContain('database_busy');
    expect(await count()).toBe(before);
    release.resolve();
    await Promise.all(holding);
    const again = await Promise.all(bodies.map((body) => send(node.url, body)));
    expect(new Set(again.map(({ status }) => status))).toEqual(new Set([200]));
    expect(await count()).toBe(before + 50);
  });

  it('fault 18: has no room on its disk, webhooks are refused, and taken as soon as it has', async () => {
    await app.db.query(`CREATE OR REPLACE FUNCTION disk_full() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = 'disk_full'; END $$`);
    const trigger = 'disk_full BEFORE INSERT ON inbound_event FOR EACH ROW EXECUTE FUNCTION disk_full()';
    await app.db.query(`CREATE TRIGGER ${trigger}`);
    const before = await count();
    const bodies = Array.from({ length: 10 }, () => newEvent());
    const refused = await Promise.all(bodies.map((body) => send(node.url, body)));
    expect(new Set(refused.map(({ status, retryAfter }) => `${status} ${retryAfter}`))).toEqual(new Set(['503 1']));
    expect(await count()).toBe(before);
    await app.db.query('DROP TRIGGER disk_full ON inbound_event');
    const again = await Promise.all(bodies.map((body) => send(node.url, body)));
    expect(new Set(again.map(({ status }) => status))).toEqual(new Set([200]));
    expect(await count()).toBe(before + 10);
  });

  it('is gone, webhooks are refused; what it has stored without a word is not stored twice', async () => {
    const body = newEvent();
    const before = await count();
    relay.cut();
    const refused = await send(node.url, body);
    expect([refused.status, refused.retryAfter]).toEqual([503, '1']);
    relay.restore();
    await expect.poll(async () => (await send(node.url, newEvent())).status, PATIENT).toBe(200);
    const known = await count();
    // The statement arrives, its answer does not.
    relay.onRequest = (bytes) => (bytes.includes('inbound-insert') ? 'cut after' : 'pass');
    const unheard = await send(node.url, body);
    relay.onRequest = undefined;
    expect(unheard.status).toBe(503);
    await expect.poll(count, PATIENT).toBe(known + 1);
    await expect.poll(async () => (await send(node.url, body)).status, PATIENT).toBe(200);
    expect(await count()).toBe(known + 1);
    expect(known).toBeGreaterThan(before);
  });
});

describe('an event that cannot be handled', () => {
  it('fault 23: is tried five times and parked with its reason; its neighbours are not held up', async () => {
    const { connections } = app.services;
    const write = connections.writeEvent.bind(connections);
    const broken = vi
      .spyOn(connections, 'writeEvent')
      .mockImplementation((sql, event) =>
        JSON.stringify(event.payload).includes('poison')
          ? Promise.reject(new Error('it does not like this'))
          : write(sql, event),
      );
    const other = vi.spyOn(node.services.connections, 'writeEvent').mockImplementation(connections.writeEvent);
    await send(app.url, newEvent({ type: 'poison' }));
    await send(app.url, newEvent({ type: 'neighbour' }));
    await expect.poll(async () => (await stateOf('neighbour'))?.state, PATIENT).toBe('routed');
    for (let tries = 1; tries <= 5; tries += 1) {
      await expect.poll(async () => (await stateOf('poison'))?.error, PATIENT).toBe('internal_error');
      await app.db.query(
        "UPDATE inbound_event SET due_at = statement_timestamp() WHERE type = 'poison' AND due_at IS NOT NULL",
      );
      await app.services.inbound.work();
    }
    await expect.poll(() => stateOf('poison'), PATIENT).toMatchObject({ state: 'parked', reason: 'poison', error: 'internal_error', attempts: 5 }); // prettier-ignore
    broken.mockRestore();
    other.mockRestore();
    const [event] = (await app.api('GET', '/inbound-events?state=parked&type=poison')).body.events;
    expect((await app.api('POST', '/inbound-events/replay', { ids: [event.id] })).body.replayed).toBe(1);
    await expect.poll(async () => (await stateOf('poison'))?.state, PATIENT).toBe('routed');
  });
});

describe('syncs that subscribe', () => {
  it('are told of their events alone, save records, and the app hears of it', async () => {
    // What came before is dealt with.
    await expect
      .poll(async () => (await app.db.query("SELECT 1 FROM inbound_event WHERE state = 'received'")).length, PATIENT)
      .toBe(0);
    const js = `exports.default = { type: 'sync', async exec() {}, async onWebhook(nango, payload) {
      const url = await nango.getWebhookURL();
      await nango.batchSave([{ id: payload.data.object.id, url }], 'Report');
    } };`;
    const flow = (name: string, webhookSubscriptions: string[]) => ({
      type: 'sync',
      syncName: name,
      providerConfigKey: 'checks',
      models: ['Report'],
      runs: 'every hour',
      auto_start: false,
      attributes: {},
      metadata: {},
      fileBody: { js, ts: '' },
      track_deletes: false,
      endpoints: [],
      webhookSubscriptions,
      models_json_schema: { definitions: { Report: { type: 'object' } } }, // prettier-ignore
    });
    const deployed = await app.api('POST', '/sync/deploy', {
      flowConfigs: [flow('reports', ['report.completed']), flow('invitations', ['invitation.created'])],
      onEventScriptsByProvider: [],
      reconcile: true,
      debug: false,
      singleDeployMode: false,
    });
    expect(deployed.status, deployed.text).toBe(200);
    await send(app.url, newEvent({ data: { object: { id: 'r-77' } } }));
    const headers = { 'provider-config-key': 'checks', 'connection-id': 'c1' };
    const read = async () => (await app.api('GET', '/records?model=Report', undefined, headers)).body.records;
    await expect.poll(read, PATIENT).toMatchObject([{ id: 'r-77', url: expect.stringMatching(`^http://localhost:\\d+/webhook/${environmentUuid}/checks$`) }]); // prettier-ignore
    const runs = async () => (await app.api('GET', '/runs')).body.runs;
    await expect.poll(runs, PATIENT).toMatchObject([{ kind: 'webhook', trigger: 'webhook', function_name: 'reports', state: 'succeeded' }]); // prettier-ignore
    const told = await app.db.query<{ payload: object }>("SELECT payload FROM event WHERE type = 'sync'");
    expect(told.map(({ payload }) => payload)).toMatchObject([
      { syncName: 'reports', syncType: 'WEBHOOK', responseResults: { added: 1, updated: 0, deleted: 0 } },
    ]);
  });
});

describe('senders that prove nothing', () => {
  it('are told to come back later, and hold up nobody who proves something', async () => {
    // The same address all the while: something of it was proven before.
    const url = `${node.url}/webhook/${environmentUuid}/checks`;
    const guess = async () => {
      const headers = { 'x-checkr-signature': createHmac('sha256', 'a guess').update('{}').digest('hex') };
      const response = await fetch(url, { method: 'POST', headers, body: '{}' });
      return [response.status, response.headers.has('retry-after')];
    };
    expect((await send(node.url, newEvent())).status).toBe(200);
    const guesses: unknown[] = [];
    // A minute may begin in between, and then they are counted anew.
    while (guesses.length < 7 && !guesses.some((one) => String(one) === '429,true')) guesses.push(await guess());
    expect([guesses[0], guesses.at(-1)]).toEqual([[401, false], [429, true]]); // prettier-ignore
    expect((await send(node.url, newEvent())).status).toBe(200);
    expect((await send(node.url, newEvent({ note: 'long '.repeat(20_000) }))).status).toBe(200);
  });
});
