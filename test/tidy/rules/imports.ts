import { isTest, productSources, targetOf, type Project } from '../project.ts';
import { violation, type Rule, type Violation } from '../rule.ts';
import type { Import, Source } from '../scan.ts';

/** Slices in dependency order: each may import those before it. */
export const SLICES = [
  'environments',
  'recovery',
  'activity',
  'providers',
  'integrations',
  'connections',
  'credentials',
  'disconnect',
  'accounts',
  'connect',
  'proxy',
  'records',
  'functions',
  'runs',
  'actions',
  'syncs',
  'inbound',
  'outbound',
];

/** What each part of the tree may import, beside itself. `src/shell` is the edge: it puts everything together. */
const MAY_IMPORT: Record<string, string[]> = {
  'src/base': [],
  catalogue: ['src/base'],
  'src/config.ts': ['src/base'],
  'src/protocols': ['src/base', 'catalogue'],
  'src/platform': ['src/base', 'src/protocols', 'catalogue'],
  'src/features': ['src/base', 'src/protocols', 'src/platform', 'catalogue'],
  emulators: ['src/base', 'catalogue'],
  'src/shell': ['src/base', 'src/protocols', 'src/platform', 'src/features', 'src/config.ts', 'catalogue', 'emulators'],
  'src/main.ts': ['src/shell'],
  bin: ['src/main.ts'],
  sdk: ['src/base', 'catalogue', 'emulators'],
  web: [],
};

/** The part of the tree a path lies in. */
function partOf(path: string): string | undefined {
  return Object.keys(MAY_IMPORT).find((part) => path === part || path.startsWith(`${part}/`));
}

function sliceOf(path: string): string | undefined {
  return /^src\/features\/([^/]+)\//.exec(path)?.[1];
}

function eachImport(
  sources: Iterable<Source>,
  check: (source: Source, target: string, one: Import) => string | undefined,
): Violation[] {
  const found: Violation[] = [];
  for (const source of sources) {
    for (const one of source.imports) {
      const target = targetOf(source, one);
      const what = target === undefined ? undefined : check(source, target, one);
      if (what !== undefined) found.push(violation(source, one.offset, what));
    }
  }
  return found;
}

const direction: Rule = {
  name: 'imports run one way',
  reason: 'base ← protocols ← platform ← features ← shell ← main; a reader never has to look upwards',
  check: (project) =>
    eachImport(productSources(project), ({ path }, target) => {
      const from = partOf(path);
      const to = partOf(target);
      if (from === undefined || to === undefined || from === to || MAY_IMPORT[from]?.includes(to)) return undefined;
      return `${from} may not import ${to}`;
    }),
  catches: [
    { 'src/base/a.ts': "import { b } from '../platform/b.ts';" },
    { 'src/platform/a/x.ts': "import type { B } from '../../features/connections/index.ts';" },
    { 'emulators/engine/a.ts': "import { createLog } from '../../src/platform/log/index.ts';" },
    { 'src/features/proxy/a.ts': "import { readConfig } from '../../config.ts';" },
    { 'src/protocols/a.ts': "export { call } from '../platform/upstream/index.ts';" },
  ],
  passes: [
    { 'src/shell/node.ts': "import { x } from '../features/proxy/index.ts';" },
    { 'emulators/engine/a.ts': "import { randomId } from '../../src/base/ids.ts';" },
    { 'src/base/a.test.ts': "import { b } from '../platform/b.ts';" },
  ],
};

const slices: Rule = {
  name: 'a slice imports only the doors of earlier slices',
  reason: 'what stands in no index.ts may change freely, and the order keeps slices from growing into each other',
  check: (project) =>
    eachImport(project.sources.values(), ({ path }, target) => {
      const to = sliceOf(target);
      const from = sliceOf(path);
      if (to === undefined || from === to || isTest(path)) return undefined;
      if (!SLICES.includes(to)) return `${to} is not in the order of slices in test/tidy/rules/imports.ts`;
      if (from !== undefined && SLICES.indexOf(from) < SLICES.indexOf(to)) return `${from} comes before ${to}`;
      return target === `src/features/${to}/index.ts` ? undefined : `go through src/features/${to}/index.ts`;
    }),
  catches: [
    { 'src/features/proxy/a.ts': "import { x } from '../credentials/store.ts';" },
    { 'src/features/credentials/a.ts': "import { x } from '../proxy/index.ts';" },
    { 'src/shell/a.ts': "import { x } from '../features/connect/model.ts';" },
    { 'src/features/proxy/a.ts': "import { x } from '../gadgets/index.ts';" },
  ],
  passes: [
    { 'src/features/proxy/a.ts': "import { x } from '../credentials/index.ts';\nimport { y } from './store.ts';" },
  ],
};

const noTests: Rule = {
  name: 'the product imports no test file',
  reason: 'test helpers may cut corners that the product must not',
  check: (project) =>
    eachImport(productSources(project), (_source, target) => (isTest(target) ? `${target} is for tests` : undefined)),
  catches: [{ 'src/base/a.ts': "import { x } from './a.test-support.ts';" }],
  passes: [{ 'src/base/a.test.ts': "import { x } from './a.test-support.ts';" }],
};

const exists: Rule = {
  name: 'an import names its file',
  reason: 'type stripping resolves nothing: the path and its .ts ending must be exact',
  check: (project) =>
    eachImport(project.sources.values(), (_source, target, one) => {
      if (one.kind === 'url' || project.texts.has(target) || /(^|\/)dist\//.test(target)) return undefined;
      return `${one.from} is no file`;
    }),
  catches: [{ 'src/base/a.ts': "import { b } from './b';", 'src/base/b.ts': '' }],
  passes: [{ 'src/base/a.ts': "import { b } from './b.ts';", 'src/base/b.ts': '' }],
};

const cycles: Rule = {
  name: 'no value cycles',
  reason: 'modules that need each other at run time are one module in pieces; types may point back',
  check(project) {
    return valueCycles(project).map((cycle) => {
      const source = project.sources.get(cycle[0] as string) as Source;
      return violation(source, 0, `cycle: ${[...cycle, cycle[0]].join(' → ')}`);
    });
  },
  catches: [
    {
      'src/base/a.ts': "import { b } from './b.ts';",
      'src/base/b.ts': "export * from './c.ts';",
      'src/base/c.ts': "import { a, type A } from './a.ts';",
    },
  ],
  passes: [
    { 'src/base/a.ts': "import { b } from './b.ts';", 'src/base/b.ts': "import type { A } from './a.ts';" },
    { 'src/base/a.ts': "import { b } from './b.ts';", 'src/base/b.ts': "import { type A } from './a.ts';" },
  ],
};

/** One cycle for every group of files that need each other (Tarjan). */
function valueCycles(project: Project): string[][] {
  const next = new Map<string, string[]>();
  for (const source of project.sources.values()) {
    const values = source.imports.filter((one) => !one.typeOnly && one.kind !== 'url' && one.kind !== 'dynamic');
    next.set(
      source.path,
      values
        .map((one) => targetOf(source, one))
        .filter((path) => path !== undefined && project.sources.has(path)) as string[],
    );
  }
  const index = new Map<string, number>();
  const low = new Map<string, number>();
  const stack: string[] = [];
  const found: string[][] = [];
  const visit = (path: string): void => {
    index.set(path, index.size);
    low.set(path, index.get(path) as number);
    stack.push(path);
    for (const target of next.get(path) ?? []) {
      if (!index.has(target)) visit(target);
      if (stack.includes(target)) low.set(path, Math.min(low.get(path) as number, low.get(target) as number));
    }
    if (low.get(path) !== index.get(path)) return;
    const group = stack.splice(stack.indexOf(path));
    if (group.length > 1 || next.get(path)?.includes(path)) found.push(group);
  };
  for (const path of next.keys()) if (!index.has(path)) visit(path);
  return found;
}

const shipped: Rule = {
  name: 'the product imports only packages it ships with',
  reason: 'a development dependency is missing where the published package runs',
  check(project) {
    const manifest = JSON.parse(project.texts.get('package.json') ?? '{}') as { dependencies?: Record<string, string> };
    return productSources(project)
      .filter(({ path }) => !path.startsWith('web/')) // bundled
      .flatMap((source) =>
        source.imports
          .filter((one) => !/^(\.|node:)/.test(one.from))
          .filter((one) => !((/^(@[^/]+\/)?[^/]+/.exec(one.from)?.[0] as string) in (manifest.dependencies ?? {})))
          .map((one) => violation(source, one.offset, `${one.from} is not in dependencies`)),
      );
  },
  catches: [
    { 'src/base/a.ts': "import fc from 'fast-check';", 'package.json': '{"dependencies":{"pg":"8.0.0"}}' },
    { 'src/base/a.ts': "import { readFile } from 'fs/promises';" },
  ],
  passes: [
    {
      'src/base/a.ts': "import { x } from '@a/b/c'; import 'node:fs'; import './b.ts';",
      'src/base/b.ts': '',
      'package.json': '{"dependencies":{"@a/b":"1.0.0"}}',
    },
  ],
};

export const importRules = [shipped, direction, slices, noTests, exists, cycles];
