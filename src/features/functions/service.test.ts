import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { silentLog } from '../../base/log.ts';
import { createTestDatabase, type TestDatabase } from '../../../test/support/database.ts';
import type { Integration } from '../integrations/index.ts';
import { createFunctions, NO_DEFINITION, type FunctionChange, type FunctionInput, type Functions } from './index.ts';

let database: TestDatabase;
let count = 0;
let environmentId: number;
let functions: Functions;
let integrations: Record<string, Integration>;

beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database?.drop());

beforeEach(async () => {
  count += 1;
  const rows = await database.db.query<{ id: number }>('INSERT INTO environment (name) VALUES ($1) RETURNING id', [
    `e${count}`,
  ]);
  environmentId = rows[0]?.id as number;
  integrations = {};
  for (const key of ['crm', 'pay']) {
    const made = await database.db.query<{ id: number }>(
      "INSERT INTO integration (environment_id, unique_key, provider) VALUES ($1, $2, 'p') RETURNING id",
      [environmentId, key],
    );
    integrations[key] = { environmentId, id: made[0]?.id as number, uniqueKey: key } as Integration;
  }
  functions = await open();
});

function open(): Promise<Functions> {
  return createFunctions({
    db: database.db,
    log: silentLog,
    integrations: { byKey: (_environment, key) => Promise.resolve(integrations[key]) },
  });
}

function aFunction(more: Partial<Omit<FunctionInput, 'definition'>> & { definition?: object } = {}): FunctionInput {
  const { definition, ...rest } = more;
  return {
    integrationKey: 'crm',
    kind: 'sync',
    name: 'people',
    code: { js: 'exports.default = { exec() {} }', ts: '// people' },
    ...rest,
    definition: {
      ...NO_DEFINITION,
      models: ['Person'],
      runs: 'every hour',
      autoStart: true,
      jsonSchema: { definitions: {} },
      ...definition,
    },
  };
}

const all = { mode: 'all' } as const;
const deploy = (list: FunctionInput[], scope: Parameters<Functions['deploy']>[1]['scope'] = all) =>
  functions.deploy(environmentId, { functions: list, scope, source: 'repo' });
const names = (change: FunctionChange) => ({
  created: change.created.map((fn) => fn.name),
  updated: change.updated.map(({ after }) => `${after.name}@${after.version}`),
  deleted: change.deleted.map((fn) => fn.name),
});

describe('deploy', () => {
  it('creates, keeps what is unchanged at its version, counts up what changed, deletes what is missing', async () => {
    const first = await deploy([aFunction(), aFunction({ kind: 'action', name: 'add' })]);
    expect(names(first)).toEqual({ created: ['people', 'add'], updated: [], deleted: [] });
    expect(first.created.map((fn) => fn.version)).toEqual(['1', '1']);

    const second = await deploy([aFunction({ code: { js: 'exports.default = 2', ts: '' } })]);
    expect(names(second)).toEqual({ created: [], updated: ['people@2'], deleted: ['add'] });

    const third = await deploy([aFunction({ code: { js: 'exports.default = 2', ts: '' } })]);
    expect(names(third)).toEqual({ created: [], updated: [], deleted: [] });
    expect(third.unchanged.map((fn) => fn.version)).toEqual(['2']);

    const fourth = await deploy([aFunction({ definition: { runs: 'every day' }, version: '3.4.5' })]);
    expect(names(fourth).updated).toEqual(['people@3.4.5']);
  });

  it('deletes by scope: one integration, or nothing', async () => {
    await deploy([aFunction(), aFunction({ integrationKey: 'pay', name: 'checks' })]);
    expect(names(await deploy([aFunction({ name: 'other' })], { mode: 'none' })).deleted).toEqual([]);
    const change = await deploy([], { mode: 'integration', integrationKey: 'crm' });
    expect(names(change).deleted).toEqual(['people', 'other']);
    expect((await functions.list(environmentId)).map((fn) => fn.name)).toEqual(['checks']);
  });

  it('tells its followers in its transaction, and an error of theirs undoes all of it', async () => {
    const told: FunctionChange[] = [];
    functions.onChange((_tx, environment, change) => {
      expect(environment).toBe(environmentId);
      told.push(change);
      return change.created.some((fn) => fn.name === 'bad') ? Promise.reject(new Error('no')) : Promise.resolve();
    });
    await deploy([aFunction()]);
    await deploy([aFunction()]);
    expect(told).toHaveLength(1);
    await expect(deploy([aFunction({ name: 'bad' })])).rejects.toThrow('no');
    expect((await functions.list(environmentId)).map((fn) => fn.name)).toEqual(['people']);
  });

  it('lets one in at a time per environment', async () => {
    let inside: () => void = () => undefined;
    let leave: () => void = () => undefined;
    const isInside = new Promise<void>((resolve) => (inside = resolve));
    const mayLeave = new Promise<void>((resolve) => (leave = resolve));
    functions.onChange(async () => {
      inside();
      await mayLeave;
    });
    const slow = deploy([aFunction()]);
    await isInside;
    await expect(deploy([aFunction({ name: 'b' })])).rejects.toMatchObject({ code: 'concurrent_deployment' });
    leave();
    await slow;
  });

  it.each([
    ['unknown_provider_config', { integrationKey: 'nobody' }],
    ['deploy_script_security_rejected', { code: { js: 'export default 1', ts: '' } }],
    ['deploy_script_security_rejected', { code: { js: '}); process.exit(); (function () {', ts: '' } }],
    ['invalid_body', { name: 'a/b' }],
    ['invalid_body', { definition: { runs: 'sometimes' } }],
    ['invalid_body', { definition: { models: [] } }],
    ['invalid_body', { definition: { models: ['person'] } }],
    ['invalid_body', { kind: 'on-event' as const }],
    ['invalid_body', { code: { js: `/*${' '.repeat(11 * 1024 * 1024)}*/`, ts: '' } }],
    ['invalid_body', { code: { js: '"\0"', ts: '' } }],
  ])('refuses with %s %#', async (code, more) => {
    await expect(deploy([aFunction({ name: 'fine' }), aFunction(more)])).rejects.toMatchObject({ code });
    expect(await functions.list(environmentId)).toEqual([]);
  });

  it('previews the same without doing it', async () => {
    await deploy([aFunction()]);
    const change = await functions.preview(environmentId, {
      functions: [aFunction({ name: 'new' })],
      scope: all,
      source: 'repo',
    });
    expect(names(change)).toEqual({ created: ['new'], updated: [], deleted: ['people'] });
    expect((await functions.list(environmentId)).map((fn) => fn.name)).toEqual(['people']);
  });
});

describe('reading', () => {
  it('finds by name and id, and hears what another node has changed', async () => {
    await deploy([aFunction()]);
    const other = await open();
    const crm = (integrations['crm'] as Integration).id;
    const found = await other.byName(environmentId, crm, 'sync', 'people');
    expect(found).toMatchObject({ name: 'people', enabled: true, source: 'repo' });
    expect(await other.byId(environmentId, found?.id as number)).toEqual(found);
    expect(await other.byName(environmentId, crm, 'action', 'people')).toBeUndefined();
    expect(await other.byName(environmentId + 1, crm, 'sync', 'people')).toBeUndefined();

    await functions.setEnabled(found as NonNullable<typeof found>, false);
    await expect.poll(async () => (await other.byName(environmentId, crm, 'sync', 'people'))?.enabled).toBe(false);
    await deploy([aFunction({ code: { js: '3', ts: '' } })]);
    await expect.poll(async () => (await other.byName(environmentId, crm, 'sync', 'people'))?.version).toBe('2');
    expect((await other.byName(environmentId, crm, 'sync', 'people'))?.enabled).toBe(false);
  });

  it('gives code by its hash', async () => {
    const { created } = await deploy([aFunction()]);
    expect(await functions.code(environmentId, created[0]?.codeHash as string)).toEqual(aFunction().code);
    await expect(functions.code(environmentId + 1, created[0]?.codeHash as string)).rejects.toMatchObject({
      code: 'not_found',
    });
  });

  it('forgets the functions of a deleted integration', async () => {
    await deploy([aFunction(), aFunction({ integrationKey: 'pay' })]);
    await database.db.transaction((tx) =>
      functions.removeOfIntegration(tx, environmentId, (integrations['crm'] as Integration).id),
    );
    expect((await functions.list(environmentId)).map((fn) => fn.integrationId)).toEqual([integrations['pay']?.id]);
  });
});
