/** Project folders: what counts, what compiles, and where mistakes are pointed at. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { SCRIPT_COUNT, SCRIPTS } from '../../../test/support/nango-project.ts';
import { silentLog } from '../../base/log.ts';
import { problemText } from '../../features/functions/index.ts';
import { systemClock } from '../../platform/clock.ts';
import { createSandbox, type Sandbox } from '../../platform/sandbox/index.ts';
import { compileProject, writeBuild } from './compile.ts';
import { findProject, listFunctions, projectIn } from './folder.ts';
import { createFunctionFile, initProject } from './scaffold.ts';

let root: string;
let sandbox: Sandbox;
beforeAll(() => {
  sandbox = createSandbox({ clock: systemClock, log: silentLog });
});
afterAll(() => sandbox.close());
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'hawser-project-'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function put(files: Readonly<Record<string, string>>): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
}

const under = (integration: string, files: Readonly<Record<string, string>>) =>
  Object.fromEntries(Object.entries(files).map(([path, text]) => [`${integration}/${path}`, text]));
const mistakes = async () => (await compileProject(root, { sandbox })).problems.map(problemText);

describe('compileProject', () => {
  it('compiles what was written for the nango package, every method typed', async () => {
    put(under('checkr-partner', SCRIPTS));
    const { functions, problems } = await compileProject(root, { sandbox });
    expect(problems.map(problemText)).toEqual([]);
    expect(functions).toHaveLength(SCRIPT_COUNT);
    await writeBuild(root, functions);
    expect(readdirSync(join(root, 'build'))).toContain('checkr-partner_on-events_connected.cjs');
    expect(readdirSync(join(root, 'build'))).toHaveLength(SCRIPT_COUNT);
  });

  it('points at type errors, unknown methods and models by file, line and column', async () => {
    put({
      'crm/syncs/people.ts': `import { createSync } from 'hawser/functions';
import * as z from 'zod';
export default createSync({
  description: 'd',
  frequency: 'every hour',
  models: { Person: z.object({ id: z.string(), name: z.string() }) },
  exec: async (nango) => {
    await nango.batchSave([{ id: 1, name: 'x' }], 'Person');
    await nango.batchSave([], 'Persom');
    await nango.batchSafe([], 'Person');
  },
});
`,
    });
    const told = await mistakes();
    expect(told).toEqual([
      expect.stringMatching(/^crm\/syncs\/people\.ts:8:30 .*number.*string.*\(TS2322\)$/),
      expect.stringMatching(/^crm\/syncs\/people\.ts:9:31 .*Persom.*\(TS2345\)$/),
      expect.stringMatching(/^crm\/syncs\/people\.ts:10:17 .*batchSafe.*\(TS/),
    ]);
  });

  it('points at two syncs that write one model, and at files that differ only in case', async () => {
    const source = SCRIPTS['syncs/save.ts'] as string;
    put({
      'crm/syncs/a.ts': source,
      'crm/syncs/b.ts': source,
      'crm/actions/x.ts': 'export default 1;',
      'crm/actions/X.ts': '',
    });
    const told = await mistakes();
    expect(told).toContainEqual(
      expect.stringMatching(/^crm\/syncs\/b\.ts:\d+:\d+ Model SaveItem is written by crm\/syncs\/a\.ts too/),
    );
    expect(told).toContainEqual(expect.stringContaining('crm/actions/x.ts and crm/actions/X.ts have the same name'));
  });

  it('one bundle that ends the process does not hide what the others say', async () => {
    put({
      'crm/actions/dies.ts': 'process.exit(1); export default 1;',
      'crm/actions/empty.ts': 'export {};',
    });
    const { problems } = await compileProject(root, { sandbox, types: false });
    expect(problems.map(problemText)).toEqual([
      expect.stringContaining('crm/actions/dies.ts:1:1 The code fails when it is loaded'),
      expect.stringContaining('crm/actions/empty.ts:1:1 There is no default export'),
    ]);
  });
});

describe('listFunctions', () => {
  it('takes what index.ts imports, and points at lines of it', () => {
    put({
      'crm/syncs/a.ts': '',
      'crm/syncs/b.ts': '',
      'index.ts':
        "import './crm/syncs/a.js';\nimport './crm/syncs/gone.js';\nimport './crm/other/a.js';\nimport 'zod';\n",
    });
    const { files, problems } = listFunctions(root);
    expect(files.map((file) => file.file)).toEqual(['crm/syncs/a.ts']);
    expect(problems.map(problemText)).toEqual([
      expect.stringContaining('index.ts:4:1 "zod" is no function'),
      expect.stringContaining('index.ts:2:1 There is no file crm/syncs/gone.ts'),
      expect.stringContaining('index.ts:3:1 crm/other/a.ts is no function'),
    ]);
  });

  it('takes every function file when there is no index.ts; tests and other folders do not count', () => {
    put({
      'crm/syncs/a.ts': '',
      'crm/syncs/a.test.ts': '',
      'crm/shared/b.ts': '',
      'build/syncs/c.ts': '',
      'pay/on-events/d.ts': '',
    });
    expect(listFunctions(root).files.map((file) => file.file)).toEqual(['crm/syncs/a.ts', 'pay/on-events/d.ts']);
  });
});

describe('folders', () => {
  it('finds hawser/ and nango-integrations/ below the working folder', () => {
    expect(() => findProject(undefined, root)).toThrow(/no project here/);
    mkdirSync(join(root, 'nango-integrations'));
    expect(findProject(undefined, root)).toBe(join(root, 'nango-integrations'));
    mkdirSync(join(root, 'hawser'));
    expect(findProject(undefined, root)).toBe(join(root, 'hawser'));
    expect(() => findProject(join(root, 'nothing'))).toThrow(/no folder/);
  });

  it('takes no folder for a project because of its own name: a clone of this repository is called hawser', async () => {
    const clone = join(root, 'hawser');
    mkdirSync(clone);
    writeFileSync(
      join(clone, 'package.json'),
      JSON.stringify({ name: 'hawser', devDependencies: { vitest: '1.0.0' } }),
    );
    expect(projectIn(clone)).toBeUndefined();
    rmSync(clone, { recursive: true });
    await initProject(clone);
    expect(projectIn(clone)).toBe(clone);
    writeFileSync(join(clone, 'package.json'), '{');
    expect(projectIn(clone)).toBeUndefined();
    mkdirSync(join(clone, '.nango'));
    expect(projectIn(clone)).toBe(clone);
  });

  it('init and create make what compiles; nothing is overwritten', async () => {
    const folder = join(root, 'hawser');
    expect(await initProject(folder)).toContain('tsconfig.json');
    expect(await initProject(folder)).toEqual([]);
    for (const kind of ['sync', 'action', 'on-event'] as const) {
      await createFunctionFile(folder, { integration: 'crm', kind, name: 'first' });
      await expect(createFunctionFile(folder, { integration: 'crm', kind, name: 'first' })).rejects.toThrow(
        /there already/,
      );
    }
    const { functions, problems } = await compileProject(folder, { sandbox });
    expect(problems.map(problemText)).toEqual([]);
    expect(functions.map((fn) => `${fn.kind} ${fn.name}`)).toEqual(['action first', 'on-event first', 'sync first']);
  });

  it('create lists a new file in an index.ts that is there', async () => {
    put({ 'index.ts': '' });
    await createFunctionFile(root, { integration: 'crm', kind: 'action', name: 'first' });
    expect(existsSync(join(root, 'crm/actions/first.ts'))).toBe(true);
    expect(readFileSync(join(root, 'index.ts'), 'utf8')).toBe("import './crm/actions/first.js';\n");
  });
});
