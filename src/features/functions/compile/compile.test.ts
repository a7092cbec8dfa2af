import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { compileFunction } from 'node:vm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bundleFile, bundleSource } from './bundle.ts';
import { compileFunctions } from './compile.ts';
import type { FunctionFile } from './definition.ts';
import { problemText } from './problem.ts';
import { plainSandbox } from './sandbox.test-support.ts';

let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'hawser-compile-'));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

function put(path: string, text: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
}

async function compileOne(source: string, more: Partial<FunctionFile> = {}) {
  const kind = more.kind ?? 'sync';
  const file = { integration: 'crm', kind, name: 'people', file: `crm/${kind}s/people.ts`, source, ...more };
  put(file.file, source);
  return compileFunctions(plainSandbox, 1, [file], (one) => bundleFile(root, one.file));
}

const SYNC = `import { createSync } from 'nango';
import * as z from 'zod';
import { address } from '../shared.js';
const sync = createSync({
  description: 'People of the CRM',
  version: '1.2.0',
  frequency: 'every hour',
  autoStart: true,
  endpoints: [{ method: 'GET', path: '/people', group: 'People' }],
  scopes: ['people.read'],
  metadata: z.object({ team: z.string() }),
  checkpoint: z.object({ page: z.number() }),
  models: { Person: z.object({ id: z.string(), name: z.string().optional(), at: z.date(), address }) },
  exec: async (nango) => { await nango.batchSave([], 'Person'); },
});
export default sync;
`;

describe('compileFunctions', () => {
  it('makes of a sync what a deploy sends', async () => {
    put('crm/shared.ts', "import * as z from 'zod';\nexport const address = z.object({ city: z.string() });");
    const { functions, problems } = await compileOne(SYNC);
    expect(problems).toEqual([]);
    const [fn] = functions;
    expect(fn).toMatchObject({
      integrationKey: 'crm',
      kind: 'sync',
      name: 'people',
      version: '1.2.0',
      definition: {
        description: 'People of the CRM',
        scopes: ['people.read'],
        models: ['Person'],
        runs: 'every hour',
        autoStart: true,
        input: 'SyncMetadata_crm_people',
        trackDeletes: false,
        endpoints: [{ method: 'GET', path: '/people', group: 'People' }],
        features: ['checkpoints'],
      },
    });
    expect(fn?.definition.jsonSchema?.definitions).toEqual({
      Person: {
        type: 'object',
        properties: {
          id: { type: 'string' },
          name: { type: 'string' },
          at: { type: 'string', format: 'date-time' },
          address: {
            type: 'object',
            properties: { city: { type: 'string' } },
            required: ['city'],
            additionalProperties: false,
          },
        },
        required: ['id', 'at', 'address'],
        additionalProperties: false,
      },
      SyncMetadata_crm_people: {
        type: 'object',
        properties: { team: { type: 'string' } },
        required: ['team'],
        additionalProperties: false,
      },
    });
    expect(() => compileFunction(fn?.code.js ?? '', ['module', 'exports', 'require'])).not.toThrow();
    expect(fn?.code.js).toContain('sourceMappingURL=data:application/json;base64,');
    expect(fn?.code.ts).toBe(SYNC);
  });

  it('makes of an action and an event handler what a deploy sends', async () => {
    const action = `import { createAction } from 'hawser/functions';
import * as z from 'zod';
export default createAction({ description: 'd', endpoint: { method: 'POST', path: '/a' }, input: z.object({ a: z.number() }), output: z.void(), exec: async () => {} });`;
    const { functions } = await compileOne(action, { kind: 'action', name: 'add', file: 'crm/actions/add.ts' });
    expect(functions[0]?.definition).toMatchObject({
      models: ['ActionOutput_crm_add'],
      input: 'ActionInput_crm_add',
      endpoints: [{ method: 'POST', path: '/a' }],
      autoStart: false,
    });
    expect(functions[0]?.definition.jsonSchema?.definitions['ActionOutput_crm_add']).toEqual({ type: 'null' });

    const event = `import { createOnEvent } from 'nango';
export default createOnEvent({ description: 'd', event: 'validate-connection', exec: async () => {} });`;
    const compiled = await compileOne(event, { kind: 'on-event', name: 'check', file: 'crm/on-events/check.ts' });
    expect(compiled.functions[0]?.definition).toMatchObject({ event: 'validate-connection', models: [] });
  });

  const body = (more: string) => `import { createSync } from 'nango';
import * as z from 'zod';
export default createSync({
  description: 'd',
  ${more}
  exec: async () => {},
});`;
  const MODELS = 'models: { Person: z.object({ id: z.string() }) },';
  it.each([
    ['no default export', 'export const a = 1;', '1:1 There is no default export'],
    ['another default export', 'export default { exec() {} };', '1:1 The default export is no function of Hawser'],
    ['no models', body("frequency: 'every hour',"), '1:1 models is missing'],
    [
      'a model without id',
      body("frequency: '5m', models: { Person: z.object({ name: z.string() }) },"),
      '5:30 Model Person has no id',
    ],
    [
      'a model with an optional id',
      body("frequency: '5m', models: { Person: z.object({ id: z.string().optional() }) },"),
      '5:30 Model Person has no id',
    ],
    [
      'a model in small letters',
      body("frequency: '5m', models: { person: z.object({ id: z.string() }) },"),
      '5:30 Model person: a capital letter',
    ],
    ['a bad frequency', body(`${MODELS} frequency: 'every 5s',`), '5:53 "every 5s" is shorter than 30 seconds'],
    ['no frequency', body(MODELS), '1:1 frequency is missing'],
    [
      'subscriptions without onWebhook',
      body(`${MODELS} frequency: '5m', webhookSubscriptions: ['*'],`),
      '5:70 webhookSubscriptions needs an onWebhook',
    ],
    [
      'an import that is not there',
      "import a from '../nothing.js';\nexport default a;",
      '1:15 There is no file "../nothing.js"',
    ],
    [
      'an import that is not allowed',
      "\nimport fs from 'node:fs';\nexport default fs;",
      '2:16 "node:fs" cannot be imported',
    ],
    [
      'a package that is not there',
      "import a from 'left-pad-9';\nexport default a;",
      '1:15 Could not resolve "left-pad-9"',
    ],
    [
      'the experimental helper',
      "import { createFunction } from 'nango/experimental';\nexport default createFunction;",
      '1:32 "nango/experimental" cannot be imported: createFunction is not supported',
    ],
    ['a syntax error', 'export default {\n  a: ;\n};', '2:6 Unexpected ";"'],
    [
      'code that throws when it is loaded',
      "throw new Error('too early');",
      '1:1 The code fails when it is loaded: too early',
    ],
    [
      'another helper than the folder’s',
      "import { createAction } from 'nango';\nexport default createAction({});",
      '1:10 This folder holds files of createSync',
    ],
    [
      'no exec',
      "import { createSync } from 'nango';\nexport default createSync({});",
      '1:10 There is no exec function.',
    ],
  ])('points at %s', async (_name, source, expected) => {
    const { problems, functions } = await compileOne(source);
    expect(functions).toEqual([]);
    expect(problems.map(problemText)).toEqual(
      expect.arrayContaining([expect.stringContaining(`crm/syncs/people.ts:${expected}`)]),
    );
  });
});

describe('code that is sent alone', () => {
  it.each([
    "import secret from '/etc/hostname';\nexport default secret;",
    "import secret from './package.json';\nexport default secret;",
    "import { readFileSync } from 'fs';\nexport default readFileSync;",
    "export default require('child_process');",
    "export default () => import('/etc/hostname');",
  ])('reaches no file of this machine %#', async (code) => {
    const result = await bundleSource(code);
    expect(result.ok).toBe(false);
  });

  it('reads no source map that it names', async () => {
    put('secret.map', JSON.stringify({ version: 3, sources: ['the-secret'], mappings: 'AAAA' }));
    const result = await bundleSource(`export default 1;\n//# sourceMappingURL=${join(root, 'secret.map')}`);
    const map = /base64,(.+)\s*$/.exec(result.ok ? result.js : '')?.[1] ?? '';
    expect(Buffer.from(map, 'base64').toString()).toContain('function.ts');
    expect(Buffer.from(map, 'base64').toString()).not.toContain('the-secret');
  });
});
