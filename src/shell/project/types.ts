/** Type check by the TypeScript compiler, in a process of its own. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { CompileProblem } from '../../features/functions/index.ts';

const TYPECHECK_TIMEOUT_MS = 120_000;
const OUTPUT_BYTES_MAX = 16 * 1024 * 1024;

/** Errors in the project's own files. Those of packages and of Hawser's types are not the author's. */
export async function checkTypes(root: string, files: readonly string[]): Promise<CompileProblem[]> {
  if (files.length === 0) return [];
  const folder = await mkdtemp(join(tmpdir(), 'hawser-types-'));
  try {
    await writeFile(join(folder, 'tsconfig.json'), JSON.stringify(configOf(root, files)));
    return readErrors(root, await runCompiler(root, join(folder, 'tsconfig.json')));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function configOf(root: string, files: readonly string[]): object {
  const require = createRequire(import.meta.url);
  const helpers = helperTypes();
  const zod = dirname(require.resolve('zod/package.json'));
  const nodeTypes = nodeTypesFor(root, require);
  return {
    compilerOptions: {
      target: 'es2024',
      lib: ['es2024', 'dom', 'dom.iterable', 'dom.asynciterable'],
      module: 'preserve',
      moduleResolution: 'bundler',
      strict: true,
      noUncheckedIndexedAccess: true,
      esModuleInterop: true,
      skipLibCheck: true,
      resolveJsonModule: true,
      allowImportingTsExtensions: true,
      noEmit: true,
      types: nodeTypes === undefined ? [] : ['node'],
      ...(nodeTypes !== undefined && { typeRoots: [dirname(nodeTypes)] }),
      // The helpers and the zod that functions meet when they run.
      paths: { nango: [helpers], 'hawser/functions': [helpers], zod: [zod], 'zod/*': [`${zod}/*`] },
    },
    files: files.map((file) => join(root, file)),
  };
}

/** Types of `hawser/functions`: sources in a clone, declarations in the published package. */
function helperTypes(): string {
  // A path for the compiler, no import of ours.
  const source = join(dirname(fileURLToPath(import.meta.url)), '../../../sdk/functions/index.ts');
  return existsSync(source) ? source : source.replace(/\.ts$/, '.d.ts');
}

/** Types of `Buffer` and `crypto`, from the project or from Hawser's own folder. */
function nodeTypesFor(root: string, require: NodeJS.Require): string | undefined {
  try {
    return dirname(
      require.resolve('@types/node/package.json', { paths: [root, dirname(fileURLToPath(import.meta.url))] }),
    );
  } catch {
    return undefined; // scripts that use Buffer are told that it is not known
  }
}

function runCompiler(root: string, config: string): Promise<string> {
  const compiler = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin', 'tsc');
  return new Promise((resolve, reject) => {
    execFile(
      process.execPath,
      [compiler, '-p', config, '--pretty', 'false'],
      { cwd: root, timeout: TYPECHECK_TIMEOUT_MS, killSignal: 'SIGKILL', maxBuffer: OUTPUT_BYTES_MAX },
      (error, stdout, stderr) => {
        // It ends with 1 or 2 when there are type errors.
        if (error === null || (typeof error.code === 'number' && stdout !== '')) resolve(stdout);
        else reject(new Error(`The TypeScript compiler failed: ${stderr || error.message}`, { cause: error }));
      },
    );
  });
}

const ERROR = /^(.+?)\((\d+),(\d+)\): error (TS\d+): (.*)$/;

function readErrors(root: string, output: string): CompileProblem[] {
  const problems: CompileProblem[] = [];
  for (const line of output.split('\n')) {
    const match = ERROR.exec(line);
    if (match === null) continue;
    const [, path = '', row, column, code, text] = match;
    const file = relative(root, join(root, path)).startsWith('..') ? relative(root, path) : path;
    if (file.startsWith('..') || file.startsWith('/') || file.includes('node_modules/')) continue;
    problems.push({ file, line: Number(row), column: Number(column), message: `${text} (${code})` });
  }
  return problems;
}
