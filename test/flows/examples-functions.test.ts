/** The functions of `examples/functions`, run in the sandbox against the emulators. */
import { readdirSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { compileProject } from '../../src/shell/project/compile.ts';
import { seedExampleFunctions } from '../../src/shell/dev/example-functions.ts';
import { seedDev } from '../../src/shell/dev/seed.ts';
import { packageVersion } from '../../src/shell/start/run.ts';
import type { EmulatorName } from '../../emulators/index.ts';
import { startTestApp, type TestApp } from '../support/app.ts';
import { connectAccount } from '../support/connect.ts';

const ROOT = fileURLToPath(new URL('../../examples/functions/', import.meta.url));
/** Long enough for a loaded machine; nothing waits that long where it works. */
const WAIT = { timeout: 50_000, interval: 50 };

interface Row {
  id: string;
  [field: string]: unknown;
}

let app: TestApp;
const connected: Record<string, string> = {};

beforeAll(async () => {
  app = await startTestApp();
  await seedExampleFunctions(app.services);
  for (const key of ['checkr-partner', 'xref', 'checkbook']) {
    connected[key] = (await connectAccount(app, key)).connectionId;
  }
});
afterEach(() => {
  for (const name of ['checkr', 'xref', 'checkbook'] as const) app.emulators.get(name).clearFaults();
});
afterAll(() => app?.close());

const headersOf = (key: string) => ({ 'connection-id': connected[key] as string, 'provider-config-key': key });

async function statusOf(key: string, name: string) {
  const query = new URLSearchParams({ syncs: name, provider_config_key: key, connection_id: connected[key] as string });
  return (await app.api('GET', `/sync/status?${query}`)).body.syncs[0];
}

/** Waits until a sync has nothing to do; resolves to how its last run ended. */
async function settled(key: string, name: string): Promise<string> {
  await vi.waitFor(async () => {
    const { status, latestExecutionStatus } = await statusOf(key, name);
    expect(latestExecutionStatus).not.toBeNull();
    expect(status).not.toBe('RUNNING');
  }, WAIT);
  return (await statusOf(key, name)).latestExecutionStatus;
}

async function runSync(key: string, name: string): Promise<string> {
  await settled(key, name);
  const before = (await statusOf(key, name)).finishedAt;
  const body = { syncs: [name], provider_config_key: key, connection_id: connected[key] };
  expect((await app.api('POST', '/sync/trigger', body)).body).toEqual({ success: true });
  await vi.waitFor(async () => expect((await statusOf(key, name)).finishedAt).not.toBe(before), WAIT);
  return settled(key, name);
}

/** Living records of a model, and which ids were deleted. */
async function records(key: string, model: string): Promise<{ alive: Row[]; deleted: string[] }> {
  const { body } = await app.api('GET', `/records?model=${model}&limit=1000`, undefined, headersOf(key));
  const rows = body.records as (Row & { _nango_metadata: { last_action: string } })[];
  const isDeleted = (row: (typeof rows)[number]): boolean => row._nango_metadata.last_action === 'DELETED';
  return {
    alive: rows.filter((row) => !isDeleted(row)).map(({ _nango_metadata, ...row }) => row),
    deleted: rows.filter(isDeleted).map(({ id }) => id),
  };
}

/** What the emulator holds of the account that was connected: the first one. */
const held = (name: EmulatorName, collection: string): Row[] =>
  (app.emulators.get(name).accounts()[0]?.data[collection] ?? []) as unknown as Row[];

const act = (key: string, name: string, input?: unknown) =>
  app.api('POST', '/action/trigger', { action_name: name, input }, headersOf(key));

const proxy = (key: string, method: string, path: string, body?: unknown) =>
  app.api(method, `/proxy${path}`, body, headersOf(key));

const ids = (rows: readonly Row[]): string[] => rows.map(({ id }) => id).toSorted();

describe('the folder', () => {
  it('compiles, types and all, and lists every file', async () => {
    const { functions, problems } = await compileProject(ROOT);
    expect(problems).toEqual([]);
    const files = ['checkr-partner', 'xref', 'checkbook'].flatMap((key) =>
      ['syncs', 'actions'].flatMap((kind) =>
        readdirSync(`${ROOT}${key}/${kind}`).map((name) => `${key}/${kind}/${name}`),
      ),
    );
    expect(functions.map(({ file }) => file).toSorted()).toEqual(files.toSorted());
    for (const { definition } of functions) expect(definition.description).toMatch(/\.$/);
    const manifest = JSON.parse(readFileSync(`${ROOT}package.json`, 'utf8'));
    expect(manifest.devDependencies.hawser).toBe(packageVersion());
  });
});

describe('the syncs hold what the provider holds', () => {
  it.each([
    ['checkr-partner', 'packages', 'Package', 'checkr', 'packages'],
    ['checkr-partner', 'candidates', 'Candidate', 'checkr', 'candidates'],
    ['checkr-partner', 'invitations', 'Invitation', 'checkr', 'invitations'],
    ['checkr-partner', 'invitations', 'Report', 'checkr', 'reports'],
    ['xref', 'requests', 'ReferenceRequest', 'xref', 'requests'],
    ['checkbook', 'checks', 'Check', 'checkbook', 'checks'],
  ] as const)('%s %s: %s', async (key, sync, model, emulator, collection) => {
    expect(await settled(key, sync)).toBe('SUCCESS');
    const { alive } = await records(key, model);
    const there = held(emulator, collection);
    expect(alive.length).toBeGreaterThan(0);
    expect(ids(alive)).toEqual(ids(there));
    // Every field that both have is the same; nothing secret came along.
    for (const row of alive) {
      const own = there.find(({ id }) => id === row.id) as Row;
      for (const name of ['status', 'name', 'amount', 'slug', 'email', 'result', 'created_at', 'completed_at']) {
        if (name in row && name in own) expect([name, row[name]]).toEqual([name, own[name]]);
      }
      expect(Object.keys(row).filter((name) => /ssn|licen[cs]e|dob|hidden/.test(name))).toEqual([]);
    }
    expect((await statusOf(key, sync)).checkpoint).toBeNull();
  });

  it('checkr-partner account', async () => {
    expect(await settled('checkr-partner', 'account')).toBe('SUCCESS');
    const [account] = app.emulators.get('checkr').accounts();
    expect((await records('checkr-partner', 'Account')).alive).toMatchObject([
      { id: account?.id, name: account?.name, authorized: true },
    ]);
  });
});

describe('the syncs see what changes', () => {
  it('a cancelled invitation is deleted, an archived request and a void check are updated', async () => {
    const invitation = held('checkr', 'invitations').find(({ status }) => status === 'pending') as Row;
    await proxy('checkr-partner', 'DELETE', `/v1/invitations/${invitation.id}`);
    expect(await runSync('checkr-partner', 'invitations')).toBe('SUCCESS');
    expect((await records('checkr-partner', 'Invitation')).deleted).toEqual([invitation.id]);
    expect((await records('checkr-partner', 'Report')).deleted).toEqual([]);

    const request = held('xref', 'requests').find(({ status }) => status === 'created') as Row;
    await proxy('xref', 'POST', `/requests/${request.id}/archive`);
    expect(await runSync('xref', 'requests')).toBe('SUCCESS');
    const requests = (await records('xref', 'ReferenceRequest')).alive;
    expect(requests.find(({ id }) => id === request.id)).toMatchObject({ status: 'archived' });

    const check = held('checkbook', 'checks').find(({ status }) => status === 'UNPAID') as Row;
    await proxy('checkbook', 'DELETE', `/v3/check/${check.id}`);
    expect(await runSync('checkbook', 'checks')).toBe('SUCCESS');
    const { alive, deleted } = await records('checkbook', 'Check');
    expect(alive.find(({ id }) => id === check.id)).toMatchObject({ status: 'VOID' });
    expect(deleted).toEqual([]);
  });

  it('an error page with status 200 is no empty list: nothing is deleted', async () => {
    const before = ids((await records('checkr-partner', 'Candidate')).alive);
    for (const name of ['html', 'ok-with-error', 'empty'] as const) {
      app.emulators.get('checkr').setFault({ name, on: 'api', path: '/v1/candidates', times: 1 });
      expect([name, await runSync('checkr-partner', 'candidates')]).toEqual([name, 'ERROR']);
    }
    expect(ids((await records('checkr-partner', 'Candidate')).alive)).toEqual(before);
    expect(await runSync('checkr-partner', 'candidates')).toBe('SUCCESS');
    expect((await records('checkr-partner', 'Candidate')).deleted).toEqual([]);
  });
});

describe('a sync that is interrupted', () => {
  /** Enough for a second page. */
  const INVITATIONS = 110;

  beforeAll(async () => {
    await settled('checkr-partner', 'invitations');
    const [candidate] = held('checkr', 'candidates');
    for (let have = held('checkr', 'invitations').length; have < INVITATIONS; have += 1) {
      const order = { candidate_id: candidate?.id, package: 'tasker_standard' };
      expect((await proxy('checkr-partner', 'POST', '/v1/invitations', order)).status).toBe(201);
    }
  });

  const emulator = () => app.emulators.get('checkr');
  const calls = (): number =>
    emulator()
      .requests()
      .filter(({ path }) => path.endsWith('/v1/invitations')).length;
  const open = (): Row[] =>
    held('checkr', 'invitations').filter((row) => row['status'] === 'pending' && row['deleted_at'] === null);

  /** Starts a run and does something while its first page is on the way. */
  async function during(firstPage: () => unknown): Promise<string> {
    await settled('checkr-partner', 'invitations');
    const { finishedAt } = await statusOf('checkr-partner', 'invitations');
    emulator().setFault({ name: 'slow', on: 'api', path: '/v1/invitations', delayMs: 400 });
    const body = {
      syncs: ['invitations'],
      provider_config_key: 'checkr-partner',
      connection_id: connected['checkr-partner'],
    };
    await app.api('POST', '/sync/trigger', body);
    // Taken by the call for the first page, whose answer is made and waits.
    await vi.waitFor(() => expect(emulator().faults()).toEqual([]), WAIT);
    await firstPage();
    await vi.waitFor(
      async () => expect((await statusOf('checkr-partner', 'invitations')).finishedAt).not.toBe(finishedAt),
      WAIT,
    );
    return settled('checkr-partner', 'invitations');
  }

  it('goes on at the page it was at, and deletes nothing before the end', async () => {
    const gone = open()[0] as Row;
    await proxy('checkr-partner', 'DELETE', `/v1/invitations/${gone.id}`);
    const page = () => emulator().setFault({ name: 'html', on: 'api', path: '/v1/invitations' });
    expect(await during(page)).toBe('ERROR');
    expect((await statusOf('checkr-partner', 'invitations')).checkpoint).toMatchObject({ page: 2 });
    expect((await records('checkr-partner', 'Invitation')).deleted).not.toContain(gone.id);
    const before = calls();
    expect(await runSync('checkr-partner', 'invitations')).toBe('SUCCESS');
    expect(calls() - before).toBe(1);
    await equalsProvider();
    expect((await records('checkr-partner', 'Invitation')).deleted).toContain(gone.id);
  });

  it('reads again from its start when rows vanish behind it', async () => {
    const before = calls();
    // The newest one is on the first page: everything after it moves up by one.
    const newest = open().at(-1) as Row;
    const page = () => proxy('checkr-partner', 'DELETE', `/v1/invitations/${newest.id}`);
    expect(await during(page)).toBe('SUCCESS');
    // First page, a shorter second one, and both again.
    expect(calls() - before).toBe(4);
    const { alive, deleted } = await records('checkr-partner', 'Invitation');
    expect(ids(alive).filter((id) => id !== newest.id)).toEqual(
      ids(held('checkr', 'invitations').filter((row) => row['deleted_at'] === null)),
    );
    // It was there when it was read: the next run finds it gone.
    expect(deleted).not.toContain(newest.id);
    expect(await runSync('checkr-partner', 'invitations')).toBe('SUCCESS');
    await equalsProvider();
  });

  it('loses nothing when its process is killed', async () => {
    const newest = open().at(-1) as Row;
    await proxy('checkr-partner', 'DELETE', `/v1/invitations/${newest.id}`);
    let killed = 0;
    await during(() => {
      for (const pid of sandboxProcesses()) {
        process.kill(pid, 'SIGKILL');
        killed += 1;
      }
    });
    expect(killed).toBeGreaterThan(0);
    await runSync('checkr-partner', 'invitations');
    await equalsProvider();
  });

  async function equalsProvider(): Promise<void> {
    const there = held('checkr', 'invitations').filter((row) => row['deleted_at'] === null);
    expect(ids((await records('checkr-partner', 'Invitation')).alive)).toEqual(ids(there));
    expect(ids((await records('checkr-partner', 'Report')).alive)).toEqual(ids(held('checkr', 'reports')));
  }
});

/** Children of this process that run functions. */
function sandboxProcesses(): number[] {
  const children = readdirSync('/proc/self/task').flatMap((task) =>
    readFileSync(`/proc/self/task/${task}/children`, 'utf8').split(' ').filter(Boolean),
  );
  return children.map(Number).filter((pid) => readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('--permission'));
}

describe('the actions', () => {
  it('create a candidate and order a background check, once per key', async () => {
    const person = { email: 'mia.oak@example.com', first_name: 'Mia', last_name: 'Oak', zipcode: '94105' };
    const made = await act('checkr-partner', 'create-candidate', { ...person, idempotency_key: 'mia-1' });
    expect([made.status, made.body]).toEqual([200, expect.objectContaining({ email: person.email })]);
    expect(held('checkr', 'candidates').at(-1)).toMatchObject({ id: made.body.id, no_middle_name: true });

    const order = { candidate_id: made.body.id, package: 'tasker_pro', idempotency_key: 'mia-check-1' };
    const before = held('checkr', 'invitations').length;
    app.emulators.get('checkr').setFault({ name: 'truncated', on: 'api', path: '/v1/invitations' });
    const first = await act('checkr-partner', 'order-background-check', order);
    const again = await act('checkr-partner', 'order-background-check', order);
    expect([first.status, again.body]).toEqual([200, first.body]);
    expect(first.body).toMatchObject({ status: 'pending', invitation_url: expect.stringMatching(/^http/) });
    expect(held('checkr', 'invitations').length).toBe(before + 1);

    const { idempotency_key: _, ...without } = order;
    expect((await act('checkr-partner', 'order-background-check', without)).status).toBe(400);
    const refused = await act('checkr-partner', 'create-candidate', { email: 'no address' });
    expect(refused.status).toBe(400);
  });

  it('list packages, and what an order needs with and without a hierarchy', async () => {
    const { body } = await act('checkr-partner', 'list-packages', {});
    const slugs = held('checkr', 'packages').map((row) => row['slug']);
    expect(body.packages.map((one: { slug: string }) => one.slug).toSorted()).toEqual(slugs.toSorted());
    const flat = (await act('checkr-partner', 'list-background-check-parameters', {})).body;
    expect(flat.nodes).toBeUndefined();
    app.emulators.get('checkr').setKnob('hierarchyEnabled', true);
    const deep = (await act('checkr-partner', 'list-background-check-parameters', {})).body;
    app.emulators.get('checkr').setKnob('hierarchyEnabled', false);
    expect(deep.nodes.length).toBe(held('checkr', 'nodes').length);
    expect(deep.parameters).toContainEqual(expect.objectContaining({ name: 'node', required: true }));
  });

  it('ask for references, with one try only', async () => {
    const [template] = held('xref', 'templates');
    const input = {
      candidate: { first_name: 'Mia', last_name: 'Oak', email: 'mia.oak@example.com' },
      template_id: template?.id,
      referees: [{ name: 'Rae Yew', email: 'rae@example.com', relationship: 'manager' }],
    };
    const made = await act('xref', 'create-request', input);
    expect([made.status, made.body]).toEqual([200, expect.objectContaining({ status: 'created' })]);
    const before = held('xref', 'requests').length;
    app.emulators.get('xref').setFault({ name: 'lost-reply', on: 'api', path: '/requests' });
    expect((await act('xref', 'create-request', input)).status).toBeGreaterThanOrEqual(400);
    expect(held('xref', 'requests').length).toBe(before + 1);
  });

  it('send a check that is paid once when the answer is lost and the app asks again', async () => {
    const check = { recipient: 'kites@example.com', name: 'Kite Club', amount: 12.3, description: 'kites' };
    const count = () => held('checkbook', 'checks').length;
    const before = count();
    app.emulators.get('checkbook').setFault({ name: 'lost-reply', on: 'api', path: '/v3/check/digital' });
    const sent = await act('checkbook', 'send-digital-check', { ...check, idempotency_key: 'invoice-77' });
    app.emulators.get('checkbook').clearFaults();
    // Whether it came through or gave up: the app asks again, twice at the same moment.
    const again = await Promise.all(
      [1, 2].map(() => act('checkbook', 'send-digital-check', { ...check, idempotency_key: 'invoice-77' })),
    );
    expect(again.some(({ status }) => status === 200)).toBe(true);
    expect(count()).toBe(before + 1);
    const made = held('checkbook', 'checks').at(-1);
    for (const { status, body } of [sent, ...again]) if (status === 200) expect(body.id).toBe(made?.id);
    expect(made).toMatchObject({ amount: 12.3, recipient: 'kites@example.com' });

    expect((await act('checkbook', 'send-digital-check', check)).status).toBe(400);
    const odd = await act('checkbook', 'send-digital-check', { ...check, amount: 1.005, idempotency_key: 'odd' });
    expect([odd.status, odd.body.error.payload]).toEqual([500, expect.objectContaining({ type: 'invalid_amount' })]);
    expect(count()).toBe(before + 1);
  });
});

/** As it stands on the provider's page, whatever the script object is called. */
const SNIPPET = `
        const connection = await terapi.getConnection();
        let access_token: string;
        if ('access_token' in connection.credentials) {
            access_token = connection.credentials.access_token;
        } else {
            throw new terapi.ActionError({
                message: \`access_token is missing\`
            });
        }
        const config = {
            endpoint: '/v1/account',
            headers: {
                Authorization: 'Basic ' + Buffer.from(access_token + ':').toString('base64')
            }
        }

        const response = await terapi.get(config);
`;

describe('webhooks', () => {
  // Until here the emulators told nobody of what happened.
  beforeAll(() => seedDev(app.services, app.emulators, `${app.url}/oauth/callback`));

  it.each([
    ['checkbook', 'checks', 'Check', 'pay-check', 'PAID'],
    ['xref', 'requests', 'ReferenceRequest', 'complete-request', 'complete'],
  ] as const)('of %s change a record of %s before the schedule comes', async (key, sync, model, play, end) => {
    await runSync(key, sync);
    const emulator = app.emulators.get(key);
    const { accountId } = emulator.grants()[0] as { accountId: string };
    const next = emulator.plays(accountId).find(({ name }) => name === play) as { id: string; name: string };
    const status = async () => (await records(key, model)).alive.find(({ id }) => id === next.id)?.['status'];
    expect([await status(), (await status()) === end]).toEqual([expect.any(String), false]);
    await emulator.play(accountId, next);
    await vi.waitFor(async () => expect(await status()).toBe(end), WAIT);
  });
});

it('a script from elsewhere works as it stands', async () => {
  const root = await mkdtemp(join(tmpdir(), 'hawser-snippet-'));
  try {
    await mkdir(join(root, 'checkr-partner/actions'), { recursive: true });
    await writeFile(
      join(root, 'checkr-partner/actions/account-of.ts'),
      `import { createAction } from 'nango';
import * as z from 'zod';
export default createAction({
  description: 'Account',
  input: z.void(),
  output: z.object({ id: z.string() }),
  exec: async (terapi) => {${SNIPPET}
    return { id: response.data.id };
  },
});`,
    );
    const { functions, problems } = await compileProject(root);
    expect(problems).toEqual([]);
    const environment = await app.services.environments.byName('dev');
    await app.services.functions.deploy(environment?.id as number, {
      functions,
      scope: { mode: 'none' },
      source: 'repo',
    });
    const { body } = await act('checkr-partner', 'account-of');
    expect(body).toEqual({ id: app.emulators.get('checkr').accounts()[0]?.id });
  } finally {
    await rm(root, { recursive: true });
  }
});

describe('what `hawser dev` deploys by itself', () => {
  it('is compiled once, and left alone where a developer changed something', async () => {
    const { services } = app;
    const environmentId = (await services.environments.byName('dev'))?.id as number;
    const cacheFile = join(app.dataDir, 'example-functions.json');
    const names = async () => (await services.functions.list(environmentId)).map(({ name }) => name).toSorted();
    const before = await names();
    const gone = (await services.functions.list(environmentId)).find(({ name }) => name === 'list-packages');
    await services.functions.remove(gone as NonNullable<typeof gone>);
    await seedExampleFunctions(services, { cacheFile });
    expect(await names()).toEqual(before.filter((name) => name !== 'list-packages'));
    // From the cache: nothing that compiles is asked for.
    const unused = { run: () => Promise.reject(new Error('compiled again')) };
    await seedExampleFunctions({ ...services, sandbox: { ...services.sandbox, ...unused } }, { cacheFile });
    await writeFile(cacheFile, '{"hash":');
    await expect(
      seedExampleFunctions({ ...services, sandbox: { ...services.sandbox, ...unused } }, { cacheFile }),
    ).rejects.toThrow('compiled again');
  });
});
