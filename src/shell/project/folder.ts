/**
 * A project folder: `<integration>/<syncs|actions|on-events>/<name>.ts`. `index.ts`, where there is one, lists what
 * counts; otherwise every such file does.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, posix, resolve } from 'node:path';
import { z } from 'zod';
import { StartupError } from '../../base/errors.ts';
import { KIND_FOLDERS, type CompileProblem, type FunctionFile } from '../../features/functions/index.ts';

/** Folders a project is looked for in, below the working folder. */
export const PROJECT_FOLDERS = ['hawser', 'nango-integrations'];

const SKIPPED = new Set(['node_modules', 'build', 'dist', 'tests']);

/** The project of a command: the named folder, the working folder, or one of the usual ones in it. */
export function findProject(named: string | undefined, workingDir = '.'): string {
  if (named !== undefined) {
    const root = resolve(named);
    if (!existsSync(root)) throw new StartupError(`There is no folder ${named}.`, 'Make it with: hawser init.');
    return root;
  }
  const root = projectIn(workingDir);
  if (root !== undefined) return root;
  throw new StartupError(
    `There is no project here: no folder ${PROJECT_FOLDERS.join(' or ')}, and no <integration>/syncs/<name>.ts.`,
    'Make one with `hawser init`, or name its folder with --dir.',
  );
}

/** Undefined when there is none. A name counts only below the working folder: a clone of Hawser has it, too. */
export function projectIn(workingDir: string): string | undefined {
  const root = resolve(workingDir);
  if (isProject(root)) return root;
  return PROJECT_FOLDERS.map((name) => join(root, name)).find((folder) => existsSync(folder));
}

function isProject(folder: string): boolean {
  if (!existsSync(folder)) return false;
  return existsSync(join(folder, '.nango')) || pathsOf(folder).length > 0 || isEmptyProject(folder);
}

const manifestSchema = z.object({
  dependencies: z.record(z.string(), z.unknown()).default({}),
  devDependencies: z.record(z.string(), z.unknown()).default({}),
});

/** What `hawser init` makes has no function yet, but uses the package that functions are written with. */
function isEmptyProject(folder: string): boolean {
  const manifest = join(folder, 'package.json');
  if (!existsSync(manifest)) return false;
  try {
    const { dependencies, devDependencies } = manifestSchema.parse(JSON.parse(readFileSync(manifest, 'utf8')));
    return ['hawser', 'nango'].some((name) => name in { ...dependencies, ...devDependencies });
  } catch {
    // npm is the one to complain of a manifest that cannot be read.
    return false;
  }
}

/** Function files of a project, by path; and what is wrong with the list itself. */
export function listFunctions(root: string): { files: FunctionFile[]; problems: CompileProblem[] } {
  const problems: CompileProblem[] = [];
  const index = existsSync(join(root, 'index.ts')) ? readFileSync(join(root, 'index.ts'), 'utf8') : undefined;
  const listed = index === undefined ? undefined : importsOf(index, problems);
  const paths = listed === undefined ? pathsOf(root) : [...listed.keys()];
  const files: FunctionFile[] = [];
  const names = new Map<string, string>();
  for (const path of paths) {
    const [integration = '', folder = '', file = ''] = path.split('/');
    const at = listed?.get(path);
    const complain = (message: string): void => {
      problems.push({ file: at === undefined ? path : 'index.ts', line: at ?? 1, column: 1, message });
    };
    const kind = KIND_FOLDERS[folder];
    if (kind === undefined || path.split('/').length !== 3) {
      complain(`${path} is no function: they are at <integration>/<${Object.keys(KIND_FOLDERS).join('|')}>/<name>.ts.`);
      continue;
    }
    if (!existsSync(join(root, path))) {
      complain(`There is no file ${path}. Make it (hawser create ${integration} …), or take it out of index.ts.`);
      continue;
    }
    const name = file.replace(/\.ts$/, '');
    if (!/^[a-zA-Z0-9_-]{1,255}$/.test(name)) {
      complain(`The file name is the function's name: letters, digits, _ and - only, not "${name}".`);
      continue;
    }
    // Names that differ only in case are one file on some machines.
    const key = `${integration}/${kind}/${name}`.toLowerCase();
    const other = names.get(key);
    if (other !== undefined) {
      complain(`${path} and ${other} have the same name. Rename one of them.`);
      continue;
    }
    names.set(key, path);
    files.push({ integration, kind, name, file: path, source: readFileSync(join(root, path), 'utf8') });
  }
  return { files, problems };
}

const IMPORT =
  /^[ \t]{0,40}import[ \t]{1,40}(?:[\w*{},][\w*{}, \t]{0,1000}from[ \t]{1,40})?['"]([^'"\n]{1,1000})['"]/gm;

/** Paths of the imports of index.ts with their lines. */
function importsOf(index: string, problems: CompileProblem[]): Map<string, number> {
  const paths = new Map<string, number>();
  for (const match of index.matchAll(IMPORT)) {
    const line = index.slice(0, match.index + match[0].lastIndexOf(match[1] as string)).split('\n').length;
    const target = match[1] as string;
    if (!target.startsWith('./')) {
      problems.push({
        file: 'index.ts',
        line,
        column: 1,
        message: `"${target}" is no function: import ./<integration>/syncs/<name>.js`,
      });
      continue;
    }
    paths.set(`${posix.normalize(target).replace(/\.(js|ts)$/, '')}.ts`, line);
  }
  return paths;
}

function pathsOf(root: string): string[] {
  const paths: string[] = [];
  for (const integration of foldersOf(root)) {
    for (const folder of Object.keys(KIND_FOLDERS)) {
      const path = join(root, integration, folder);
      if (!existsSync(path)) continue;
      for (const file of readdirSync(path)) {
        if (file.endsWith('.ts') && !/\.(d|test)\.ts$/.test(file)) paths.push(`${integration}/${folder}/${file}`);
      }
    }
  }
  return paths.toSorted();
}

function foldersOf(root: string): string[] {
  return readdirSync(root, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.') && !SKIPPED.has(entry.name))
    .map((entry) => entry.name);
}
