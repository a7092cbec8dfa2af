import { existsSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { join } from 'node:path';
import type { BuildFailure, Message, OnResolveArgs, OnResolveResult, Plugin } from 'esbuild';
import type { CompileProblem } from './problem.ts';

/** What a script may import beside its own files; the sandbox gives it these at run time. */
export const RUNTIME_MODULES = new Set(['zod', 'url', 'crypto', 'buffer', 'util', 'querystring', 'stream', 'events']);
/** All names of the helpers: scripts written for the `nango` package run unchanged. */
export const HELPER_MODULES = new Set(['hawser/functions', 'nango']);

const NEVER: Record<string, string> = {
  'nango/experimental': 'createFunction is not supported. Use createSync, createAction or createOnEvent.',
};

/** Builds under way. */
let building = 0;

export type Bundled = { ok: true; js: string } | { ok: false; problems: CompileProblem[] };

/** Bundles one file of a project folder with what it imports from it and its node_modules. */
export function bundleFile(root: string, path: string): Promise<Bundled> {
  return bundle({ entryPoints: [join(root, path)], absWorkingDir: root }, path, resolver(root));
}

/** Bundles one file that came over the wire: it reaches no file of this machine. */
export function bundleSource(code: string, path = 'function.ts'): Promise<Bundled> {
  // A comment of this form would make the bundler read the named file.
  const contents = code.replaceAll('sourceMappingURL', 'sourceMapping_URL');
  return bundle({ stdin: { contents, sourcefile: path, loader: 'ts' } }, path, resolver(undefined));
}

async function bundle(
  input: Record<string, unknown>,
  path: string,
  resolve: (request: OnResolveArgs) => OnResolveResult | undefined,
): Promise<Bundled> {
  // Loaded on first use: most commands and most servers never compile.
  const esbuild = await import('esbuild');
  const plugin: Plugin = {
    name: 'imports',
    setup: (build) => build.onResolve({ filter: /.*/ }, resolve),
  };
  building += 1;
  try {
    const result = await esbuild.build({
      ...input,
      bundle: true,
      write: false,
      format: 'cjs',
      platform: 'node',
      target: 'es2023',
      sourcemap: 'inline',
      sourcesContent: true,
      legalComments: 'none',
      logLevel: 'silent',
      // Nothing of the machine's own settings changes what comes out.
      tsconfigRaw: {},
      plugins: [plugin],
    });
    return { ok: true, js: result.outputFiles?.[0]?.text ?? '' };
  } catch (error) {
    const { errors } = error as Partial<BuildFailure>;
    if (errors === undefined) throw error;
    return { ok: false, problems: errors.map((message) => problemOf(message, path)) };
  } finally {
    building -= 1;
    // It would stay as a process of 20 MB, and outlive this one for a moment.
    if (building === 0) await esbuild.stop();
  }
}

function problemOf(message: Message, path: string): CompileProblem {
  const { location } = message;
  return {
    file: location?.file ?? path,
    line: location?.line ?? 1,
    column: (location?.column ?? 0) + 1,
    message: message.text,
  };
}

/** `root` undefined: nothing is read. */
function resolver(root: string | undefined): (request: OnResolveArgs) => OnResolveResult | undefined {
  return ({ path, kind, importer, resolveDir }) => {
    if (kind === 'entry-point') return undefined;
    const name = path.replace(/^node:/, '');
    if (RUNTIME_MODULES.has(name) || HELPER_MODULES.has(name)) return { path, external: true };
    const never = NEVER[path];
    if (never !== undefined) return refused(`"${path}" cannot be imported: ${never}`);
    if (isBuiltin(path)) {
      return refused(`"${path}" cannot be imported: a function reaches the outside by its script object. ${allowed()}`);
    }
    if (root === undefined) {
      return refused(`"${path}" cannot be imported: code that is sent alone has no other files. ${allowed()}`);
    }
    if (path.startsWith('.'))
      return existsAs(join(resolveDir, path)) ? undefined : refused(`There is no file "${path}" beside ${importer}.`);
    return undefined;
  };
}

/** The endings a relative import may have: `./a.js` names `a.ts`. */
function existsAs(path: string): boolean {
  const bare = path.replace(/\.(js|mjs|cjs)$/, '');
  return [
    path,
    bare,
    ...['.ts', '.tsx', '.js', '.mjs', '.cjs', '.json', '/index.ts', '/index.js'].map((end) => bare + end),
  ].some((one) => existsSync(one));
}

function allowed(): string {
  return `It may import ${[...HELPER_MODULES, ...RUNTIME_MODULES].join(', ')}, and its own files.`;
}

function refused(text: string): OnResolveResult {
  return { errors: [{ text }] };
}
