/** A project folder by our own command line: make, compile, deploy, dry-run, replay; and redeployed on save. */
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/platform/clock.ts';
import { watchProject } from '../../src/shell/project/watch.ts';
import { startTestApp, type TestApp } from '../support/app.ts';
import { connectAccount } from '../support/connect.ts';
import { runHere, scratchDir } from '../support/process.ts';

let app: TestApp;
let folder: Awaited<ReturnType<typeof scratchDir>>;
let root: string;
let connectionId: string;

beforeAll(async () => {
  app = await startTestApp();
  folder = await scratchDir();
  root = join(folder.path, 'hawser');
  ({ connectionId } = await connectAccount(app, 'checkr-partner'));
});
afterAll(async () => {
  await folder?.remove();
  await app?.close();
});

const hawser = (...args: string[]) => runHere([...args, '--dir', root], { HAWSER_DATA_DIR: folder.path });
function put(path: string, text: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
}
/** As many editors save: another file takes the name. */
function saveAs(path: string, text: string): void {
  put('draft.txt', text);
  renameSync(join(root, 'draft.txt'), join(root, path));
}

const ACTION = `import { createAction } from 'hawser/functions';
import * as z from 'zod';
export default createAction({
  description: 'Reads the account.',
  input: z.object({ note: z.string() }),
  output: z.object({ object: z.string(), note: z.string() }),
  exec: async (nango, input) => {
    const { data } = await nango.get<{ object: string }>({ endpoint: '/v1/account', params: { a: 1 } });
    await nango.log('read', { object: data.object });
    await nango.updateMetadata({ seen: true });
    return { object: data.object, note: input.note };
  },
});
`;
const SYNC = `import { createSync } from 'nango';
import * as z from 'zod';
export default createSync({
  description: 'Keeps accounts.',
  frequency: 'every hour',
  models: { Account: z.object({ id: z.string(), object: z.string() }) },
  exec: async (nango) => {
    const pages = nango.paginate({ endpoint: '/v1/candidates', params: { per_page: 20 } });
    for await (const page of pages) {
      await nango.batchSave(page.map(({ id, object }) => ({ id, object })), 'Account');
    }
  },
});
`;

describe('a project folder', { timeout: 240_000 }, () => {
  it('init, create, deploy by the .env of the folder; deletions are refused until they are allowed', async () => {
    const made = await runHere(['init', root]);
    expect(made.stdout).toContain('tsconfig.json');
    writeFileSync(join(root, '.env'), `NANGO_HOSTPORT=${app.url}/\nNANGO_SECRET_KEY_DEV=${app.apiKey}\n`);
    put('checkr-partner/actions/read-account.ts', ACTION);
    put('checkr-partner/syncs/account.ts', SYNC);

    const deployed = await hawser('deploy', 'dev', '--auto-confirm');
    expect(deployed.stderr).toBe('');
    expect(deployed.stdout).toContain('+ sync checkr-partner/account\n');
    expect(deployed.stdout).toContain('+ action checkr-partner/read-account\n');
    expect(deployed.code).toBe(0);
    const names = (await app.services.functions.list(1)).map((fn) => fn.name);
    expect(names.toSorted()).toEqual(['account', 'read-account']);

    rmSync(join(root, 'checkr-partner/syncs/account.ts'));
    const refused = await hawser('deploy', 'dev', '--auto-confirm');
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('--allow-destructive')]);
    expect(refused.stdout).toContain('- sync checkr-partner/account\n  - the records of Account\n');
    put('checkr-partner/syncs/account.ts', SYNC);
  });

  it('compile points at mistakes and ends with 1', async () => {
    put('checkr-partner/actions/wrong.ts', ACTION.replace('nango.log(', 'nango.lok('));
    const compiled = await hawser('compile');
    expect(compiled.code).toBe(1);
    expect(compiled.stderr).toMatch(/^checkr-partner\/actions\/wrong\.ts:9:17 .*lok.*\n1 mistake\.\n$/);
    rmSync(join(root, 'checkr-partner/actions/wrong.ts'));
  });

  it('dryrun calls the provider, stores nothing, and saves what test replays', async () => {
    const before = await app.api('GET', `/connections/${connectionId}?provider_config_key=checkr-partner`);
    const ran = await hawser('dryrun', 'read-account', connectionId, '-i', '{"note":"x"}', '--save');
    expect(ran.stderr).toContain('would merge into the metadata {"seen":true}');
    expect(ran.stdout).toContain('"object": "account"');
    expect(ran.code).toBe(0);
    const after = await app.api('GET', `/connections/${connectionId}?provider_config_key=checkr-partner`);
    expect(after.body.metadata).toEqual(before.body.metadata);

    const path = join(root, 'checkr-partner/tests/read-account.test.json');
    const recording = JSON.parse(readFileSync(path, 'utf8'));
    expect(recording).toMatchObject({
      input: { note: 'x' },
      output: { object: 'account', note: 'x' },
      api: { GET: { '/v1/account': [{ response: { object: 'account' }, params: { a: '1' } }] } },
    });
    expect(readFileSync(path, 'utf8')).not.toContain(after.body.credentials.access_token);

    const sync = await hawser('dryrun', 'account', connectionId, '--save', '--json');
    // The second page is at the provider's own address.
    expect(JSON.parse(sync.stdout).written.batchSave.Account).toHaveLength(30);

    const tested = await hawser('test');
    expect(tested.stdout).toBe('ok   checkr-partner/read-account\nok   checkr-partner/account\n');
    put('checkr-partner/actions/read-account.ts', ACTION.replace('note: input.note', "note: 'other'"));
    const failed = await hawser('test', 'read-account');
    expect(failed.stdout).toMatch(/^FAIL checkr-partner\/read-account\n {5}output is .*other/);
    expect(failed.code).toBe(1);
    put('checkr-partner/actions/read-account.ts', ACTION);

    const nobody = await hawser('dryrun', 'read-account', 'nobody', '-i', '{}');
    expect(nobody.code).toBe(4);
  });

  it('watchProject deploys at once, on every save, and keeps what is deployed while there is a mistake', async () => {
    const { functions, sandbox } = app.services;
    const told: string[] = [];
    const stop = watchProject(root, {
      functions,
      sandbox,
      clock: systemClock,
      environmentId: 1,
      tell: (line) => told.push(line),
    });
    const versions = async () => (await functions.list(1)).map((fn) => `${fn.name}@${fn.version}`);
    try {
      put('checkr-partner/actions/second.ts', ACTION);
      await expect.poll(versions, { timeout: 60_000 }).toContain('second@1');
      saveAs('checkr-partner/actions/second.ts', 'export default 1;');
      await expect
        .poll(() => told, { timeout: 60_000 })
        .toContainEqual(expect.stringContaining('checkr-partner/actions/second.ts:1:1'));
      expect(await versions()).toContain('second@1');
      saveAs('checkr-partner/actions/second.ts', ACTION.replace('Reads', 'Shows'));
      await expect.poll(versions, { timeout: 60_000 }).toContain('second@2');
      rmSync(join(root, 'checkr-partner/actions/second.ts'));
      await expect.poll(versions, { timeout: 60_000 }).not.toContain('second@2');
    } finally {
      await stop();
    }
  });
});
