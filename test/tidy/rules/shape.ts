import { isTest, productSources, targetOf, type Project } from '../project.ts';
import { violation, type Rule, type Violation } from '../rule.ts';
import { codeIsSane, lineAt, type Source } from '../scan.ts';

/** A file that does not fit on a few screens is two files. */
export const LINES_WARN = 300;
export const LINES_MAX = 600;

const lines = (text: string): number => text.split('\n').length - (text.endsWith('\n') ? 1 : 0);

/** Files that are longer than they should be, longest first. */
export function longFiles(project: Project): { path: string; lines: number }[] {
  return [...project.sources.values()]
    .map(({ path, text }) => ({ path, lines: lines(text) }))
    .filter((file) => file.lines > LINES_WARN)
    .toSorted((a, b) => b.lines - a.lines);
}

const size: Rule = {
  name: `no file is longer than ${LINES_MAX} lines`,
  reason: 'one file, one subject',
  check: (project) =>
    longFiles(project)
      .filter((file) => file.lines > LINES_MAX)
      .map((file) => ({ path: file.path, line: LINES_MAX, what: `${file.lines} lines` })),
  catches: [{ 'src/base/a.ts': 'a;\n'.repeat(LINES_MAX + 1) }],
  passes: [{ 'src/base/a.ts': 'a;\n'.repeat(LINES_MAX) }],
};

const GRAB_BAG = /(^|-)(utils?|helpers?|common|misc|shared|lib|stuff|manager)(-|$)/;
const VERBS = new Set(
  'get list create update delete set patch put import merge start finish read post send revoke disconnect connect renew refresh check end cancel replay show open serve introspect confirm submit complete record save prune trigger'.split(' '), // prettier-ignore
);

const names: Rule = {
  name: 'files are named the same way everywhere',
  reason: 'a stranger finds the endpoint, the SQL and the errors of a slice without searching',
  check(project) {
    const found: Violation[] = [];
    const report = (path: string, what: string): void => void found.push({ path, line: 1, what });
    for (const path of project.sources.keys()) {
      const base = path
        .split('/')
        .at(-1)
        ?.replace(/(\.config|\.test|\.test-support|\.d)?\.[mc]?[jt]sx?$/, '') as string;
      if (!/^[a-z0-9]+(-[a-z0-9]+)*$/.test(base)) report(path, 'names are lower case with hyphens');
      if (GRAB_BAG.test(base) && !isTest(path)) report(path, `"${base}" says nothing about what is inside`);
      const route = /^src\/features\/[^/]+\/routes\/(.+)$/.exec(path)?.[1];
      if (route !== undefined && base !== 'index' && !isTest(path)) {
        const [verb, ...nouns] = base.split('-');
        if (route.includes('/') || !VERBS.has(verb as string) || nouns.length === 0) {
          report(path, 'a route file is <verb>-<noun>.ts, one endpoint each');
        }
      }
      if (/^src\/features\/[^/]+$/.test(path)) report(path, 'a slice is a folder');
    }
    return found;
  },
  catches: [
    { 'src/base/utils.ts': '' },
    { 'src/base/string-helpers.ts': '' },
    { 'src/base/camelCase.ts': '' },
    { 'src/features/proxy/routes/connection.ts': '' },
    { 'src/features/proxy/routes/v1/get-thing.ts': '' },
    { 'src/features/proxy.ts': '' },
  ],
  passes: [{ 'src/features/connections/routes/list-connections.ts': '', 'src/base/ids.test.ts': '' }],
};

const doors: Rule = {
  name: 'every slice has a door that says what it is',
  reason: 'index.ts is read first: what the slice does, the tables it owns, its invariants',
  check(project) {
    const slices = new Set(
      [...project.sources.keys()]
        .map((path) => /^src\/features\/([^/]+)\//.exec(path)?.[1])
        .filter((name) => name !== undefined),
    );
    return [...slices].flatMap((slice): Violation[] => {
      const path = `src/features/${slice}/index.ts`;
      const door = project.sources.get(path);
      if (door === undefined) return [{ path, line: 1, what: 'is missing' }];
      const header = door.comments[0];
      const says = header?.offset === 0 && header.text.includes(`@module features/${slice}`);
      return says ? [] : [{ path, line: 1, what: `begins with no comment "@module features/${slice}"` }];
    });
  },
  catches: [{ 'src/features/proxy/send.ts': '' }, { 'src/features/proxy/index.ts': "export * from './send.ts';" }],
  passes: [{ 'src/features/proxy/index.ts': '/**\n * @module features/proxy\n *\n * Calls.\n */' }],
};

/** A `catch` without a word in it. */
const EMPTY = /\bcatch\s*(?:\([^)]*\))?\s*\{\s*\}/g;
/** A rejection that nobody hears. */
const UNHEARD = /\.catch\(\s*(?:async\s*)?\(\w*\)\s*=>\s*(?:\{\s*\}|undefined|null)\s*,?\s*\)/g;

/** Places without a comment inside, at the end of the line, or alone above it; one comment may stand above several. */
function uncommented(source: Source, pattern: RegExp): Violation[] {
  const silent = [...source.code.matchAll(pattern)].map((match) => ({
    offset: match.index,
    first: lineAt(source.text, match.index),
    last: lineAt(source.text, match.index + match[0].length),
    text: match[0].replaceAll(/\s+/g, ' '),
  }));
  const explained = new Set(
    source.comments.flatMap(({ offset, text }) => [
      ...linesFrom(lineAt(source.text, offset), lineAt(source.text, offset + text.length)),
    ]),
  );
  return silent
    .filter(({ first, last }) => {
      const isExplained = [...linesFrom(first - 1, last)].some((line) => explained.has(line));
      if (isExplained) explained.add(last);
      return !isExplained;
    })
    .map(({ offset, text }) => violation(source, offset, text));
}

function* linesFrom(first: number, last: number): Generator<number> {
  for (let line = first; line <= last; line += 1) yield line;
}

const emptyCatch: Rule = {
  name: 'no error is swallowed in silence',
  reason: 'whoever drops an error says why in a comment, or logs it',
  check: (project) =>
    [...project.sources.values()].flatMap((source) => [
      ...uncommented(source, EMPTY),
      // A test that drops a rejection looks at what came of it instead.
      ...(isTest(source.path) ? [] : uncommented(source, UNHEARD)),
    ]),
  catches: [
    { 'src/base/a.ts': 'try { run(); } catch {}' },
    { 'src/base/b.ts': 'try { run(); } catch (error) {\n}' },
    { 'src/base/c.ts': 'await run().catch(() => {});' },
    { 'src/base/d.ts': 'await run().catch(() => undefined);' },
    { 'src/base/e.ts': '// Why one.\nawait run().catch(() => undefined);\n\nawait go().catch(() => undefined);' },
    { 'test/a.test.ts': 'try { run(); } catch {}' },
  ],
  passes: [
    { 'src/base/a.ts': 'try { run(); } catch {\n  // it is gone already\n}' },
    { 'src/base/b.ts': 'await run().catch(() => {}); // the file may be missing' },
    { 'src/base/c.ts': '// A second close is harmless.\nawait run().catch(() => undefined);' },
    { 'src/base/d.ts': 'try { run(); } catch (error) { log.warn(error); }' },
    { 'src/base/e.ts': '// Why both.\nrun().catch(() => undefined);\ngo().catch(() => undefined);' },
    { 'test/a.test.ts': 'await run().catch(() => undefined);' },
  ],
};

/** Files that something else than an import reaches: a person, a test runner, package.json, a build. */
function isEntry(project: Project, path: string): boolean {
  if (/^(test|scripts|bench|examples)\/|\.test\.tsx?$|\.config\.[jt]s$|\.d\.ts$/.test(path)) return true;
  // The rules for provider files run in tests only.
  if (path.startsWith('catalogue/_spec/') || path === 'src/main.ts') return true;
  const manifest = project.texts.get('package.json') ?? '';
  // An export names the build, `./dist/sdk/x.js`, of the source `sdk/x.ts`.
  if (manifest.includes(path) || manifest.includes(`./dist/${path.replace(/\.ts$/, '.js')}`)) return true;
  // A build names its entries by folder and file.
  const [folder, file] = [path.replace(/\/[^/]+$/, ''), path.replace(/^.*\//, '/')];
  return [...project.texts].some(
    ([script, text]) => script.startsWith('scripts/') && text.includes(folder) && text.includes(file),
  );
}

const dead: Rule = {
  name: 'no dead files',
  reason: 'a file that nothing reaches is read, kept and believed for nothing',
  check(project) {
    const users = new Map<string, Set<string>>();
    for (const source of project.sources.values()) {
      for (const one of source.imports) {
        const target = targetOf(source, one);
        if (target !== undefined) users.set(target, (users.get(target) ?? new Set()).add(source.path));
      }
    }
    return [...project.sources.keys()].flatMap((path): Violation[] => {
      if (isEntry(project, path)) return [];
      const by = [...(users.get(path) ?? [])].filter((user) => user !== path);
      if (by.length === 0) return [{ path, line: 1, what: 'nothing imports it' }];
      if (!isTest(path) && by.every((user) => isTest(user))) return [{ path, line: 1, what: 'only tests import it' }];
      return [];
    });
  },
  catches: [
    { 'src/base/a.ts': '' },
    { 'src/base/a.ts': '', 'src/base/a.test.ts': "import { a } from './a.ts';" },
    { 'src/base/a.test-support.ts': '' },
  ],
  passes: [
    {
      'src/main.ts': "import './a.ts';",
      'src/a.ts': "const child = new URL('./b.ts', import.meta.url);",
      'src/b.ts': '',
    },
    { 'sdk/x.ts': '', 'package.json': '{"exports":{"./x":"./dist/sdk/x.js"}}' },
  ],
};

const readable: Rule = {
  name: 'the scanner understands every file',
  reason: 'a rule that lost its way in a file would pass it',
  check: (project) =>
    [...project.sources.values()]
      .filter((source) => !codeIsSane(source))
      .map(({ path }) => ({ path, line: 1, what: 'brackets do not pair up: teach test/tidy/scan.ts' })),
  catches: [{ 'src/base/a.ts': 'const a = (1;' }],
  passes: [
    { 'src/base/a.ts': 'const a = /[/(]/.test(`${b(`(${c}`)}(`) ? x / 2 / (y) : "("; // (' },
    { 'src/base/b.ts': "const ends = text.replace(/\\)$/, ''); return /'/g;" },
  ],
};

export const shapeRules = [size, names, doors, emptyCatch, dead, readable];

/** Product files that are not scanned at all would be a hole in every rule. */
export function countProduct(project: Project): number {
  return productSources(project).length;
}
