import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../../../test/support/database.ts';
import { silentLog } from '../../base/log.ts';
import { systemClock } from '../../platform/clock.ts';
import { generateKey, keyringFrom, type Keyring } from '../../platform/keyring/index.ts';
import type { Database } from '../../platform/postgres/index.ts';
import { createUpstream } from '../../platform/upstream/index.ts';
import { createEnvironments } from '../environments/index.ts';
import { createProviders } from '../providers/index.ts';
import { createIntegrations, type IntegrationService } from './service.ts';

const keyring = keyringFrom(generateKey()) as Keyring;
let database: TestDatabase;
let environmentId: number;
let other: IntegrationService;
beforeAll(async () => {
  database = await createTestDatabase();
  const environments = await createEnvironments({ db: database.db, keyring, clock: systemClock, log: silentLog });
  environmentId = (await environments.create({ name: 'dev', isProduction: false })).id;
  other = await serviceOn(database.db);
});
afterAll(() => database?.drop());

async function serviceOn(db: Database): Promise<IntegrationService> {
  const { vault } = await createEnvironments({ db, keyring, clock: systemClock, log: silentLog });
  const upstream = createUpstream({ policy: () => ({ allow: [] }), clock: systemClock, userAgent: 'hawser-test' });
  const providers = createProviders();
  return createIntegrations({ db, vault, providers, upstream, clock: systemClock, emulatorUrl: () => undefined });
}

/** A node whose listening session and whose answers the test holds in its hands. */
async function heldNode() {
  const handlers: ((payload: string) => void)[] = [];
  const watchers: ((healthy: boolean) => void)[] = [];
  const held = { listening: true, answer: Promise.resolve(), asked: () => {} };
  const db: Database = {
    ...database.db,
    get listening() {
      return held.listening;
    },
    async listen(_channel, handler) {
      handlers.push(handler);
      return async () => {};
    },
    onListenState(watcher) {
      watchers.push(watcher);
      return () => {};
    },
    async query(text, params, name) {
      const rows = await database.db.query(text, params, name);
      if (name !== 'integration-by-key') return rows as never;
      held.asked();
      await held.answer;
      return rows as never;
    },
  };
  return {
    integrations: await serviceOn(db),
    held,
    notify: (payload: string) => handlers.forEach((handler) => handler(payload)),
    setListening(healthy: boolean) {
      held.listening = healthy;
      watchers.forEach((watcher) => watcher(healthy));
    },
  };
}

const create = (uniqueKey: string) =>
  other.create(environmentId, { provider: 'private-api-bearer', uniqueKey, displayName: 'before' });

describe('what a node remembers of an integration', () => {
  it('is not what it read before a change of another node and got after it', async () => {
    await create('raced');
    const { integrations, held, notify } = await heldNode();
    const answer = Promise.withResolvers<void>();
    const asked = Promise.withResolvers<void>();
    Object.assign(held, { answer: answer.promise, asked: asked.resolve });
    const reading = integrations.byKey(environmentId, 'raced');
    await asked.promise;
    await other.update(environmentId, 'raced', { displayName: 'after' });
    notify('integration:raced');
    answer.resolve();
    await reading;
    expect((await integrations.byKey(environmentId, 'raced'))?.displayName).toBe('after');
  });

  it('is nothing that it read while nobody could tell it of changes', async () => {
    await create('unheard');
    const { integrations, setListening } = await heldNode();
    setListening(false);
    expect((await integrations.byKey(environmentId, 'unheard'))?.displayName).toBe('before');
    await other.update(environmentId, 'unheard', { displayName: 'after' });
    setListening(true);
    expect((await integrations.byKey(environmentId, 'unheard'))?.displayName).toBe('after');
  });
});

describe('two changes at once', () => {
  it('both stay', async () => {
    await create('twice');
    await Promise.all([
      other.update(environmentId, 'twice', { displayName: 'after' }),
      other.update(environmentId, 'twice', { forwardWebhooks: false }),
      other.update(environmentId, 'twice', { custom: { colour: 'red', webhookSecret: 'whs-1' } }),
    ]);
    expect(await other.byKey(environmentId, 'twice')).toMatchObject({
      displayName: 'after',
      forwardWebhooks: false,
      custom: { colour: 'red' },
      webhookSecret: 'whs-1',
    });
  });
});

describe('settings of an integration', () => {
  it.each(['unknown', 'constructor', 'toString'])('refuses %s, which the provider does not have', async (name) => {
    const made = other.create(environmentId, {
      provider: 'private-api-bearer',
      uniqueKey: `with-${name}`,
      integrationConfig: { [name]: 'x' },
    });
    await expect(made).rejects.toMatchObject({
      code: 'invalid_body',
      errors: [{ path: ['integration_config', name] }],
    });
  });
});
