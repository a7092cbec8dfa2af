import { readdirSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { scan, type Import, type Source } from './scan.ts';

/** All files that belong to the project, by path from its root, as text. Sources are scanned on first use. */
export interface Project {
  texts: ReadonlyMap<string, string>;
  sources: ReadonlyMap<string, Source>;
}

const SKIPPED = new Set(['node_modules', 'dist', '.git', '.hawser', 'coverage', 'package-lock.json', 'LICENSE']);
const TEXT =
  /\.(ts|tsx|js|mjs|json|sql|md|txt|yml|css|html|sh)$|(^|\/)\.(ci\/run|gitignore|npmrc|prettier\w+(\.json)?)$/;

/** Reads the working tree below `root`. */
export function readProject(root: string): Project {
  const texts = new Map<string, string>();
  const walk = (folder: string): void => {
    for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
      if (SKIPPED.has(entry.name)) continue;
      const path = posix.join(folder, entry.name);
      if (entry.isDirectory()) walk(path);
      else if (TEXT.test(path)) texts.set(path, readFileSync(join(root, path), 'utf8'));
    }
  };
  walk('');
  return projectOf(texts);
}

/** A project from texts, for a rule's own examples. */
export function projectOf(texts: ReadonlyMap<string, string>): Project {
  const sources = new Map<string, Source>();
  for (const [path, text] of texts) if (/\.(ts|tsx|js|mjs)$/.test(path)) sources.set(path, scan(path, text));
  return { texts, sources };
}

/** The file of the project that an import names; undefined for a package or a builtin. */
export function targetOf(source: Source, one: Pick<Import, 'from'>): string | undefined {
  return one.from.startsWith('.') ? posix.join(posix.dirname(source.path), one.from) : undefined;
}

/** Tests, and what only tests use. */
export function isTest(path: string): boolean {
  return /^test\/|\.test\.tsx?$|\.test-support\.ts$|(^|[-/])testing\.ts$/.test(path);
}

/** Sources that run in production. */
export function productSources(project: Project): Source[] {
  return [...project.sources.values()].filter(
    ({ path }) => /^(src|emulators|catalogue|sdk|web|bin)\//.test(path) && !isTest(path),
  );
}
