/** Compiles a whole project folder. */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { silentLog } from '../../base/log.ts';
import { bundleFile, compileFunctions, type Compiled } from '../../features/functions/index.ts';
import { systemClock } from '../../platform/clock.ts';
import { createSandbox, type Sandbox } from '../../platform/sandbox/index.ts';
import { listFunctions } from './folder.ts';
import { checkTypes } from './types.ts';

/** The sandbox keeps environments apart; a command line has only one. */
export const CLI_ENVIRONMENT_ID = 0;

export interface CompileOptions {
  /** Default true. */
  types?: boolean;
  /** Default: one that is closed again. */
  sandbox?: Pick<Sandbox, 'run'>;
}

/** Bundles, type-checks and checks every function of a project. Problems point at file, line and column. */
export async function compileProject(root: string, options: CompileOptions = {}): Promise<Compiled> {
  const { files, problems } = listFunctions(root);
  const own = options.sandbox === undefined ? createSandbox({ clock: systemClock, log: silentLog }) : undefined;
  try {
    const [typeProblems, compiled] = await Promise.all([
      options.types === false
        ? []
        : checkTypes(
            root,
            files.map((file) => file.file),
          ),
      compileFunctions((options.sandbox ?? own) as Sandbox, CLI_ENVIRONMENT_ID, files, (file) =>
        bundleFile(root, file.file),
      ),
    ]);
    // What the bundler says is said better by the type check, at the same place.
    const told = new Set(typeProblems.map(({ file, line }) => `${file}:${line}`));
    const all = [
      ...problems,
      ...typeProblems,
      ...compiled.problems.filter(({ file, line }) => !told.has(`${file}:${line}`)),
    ];
    return { functions: all.length > 0 ? [] : compiled.functions, problems: all };
  } finally {
    await own?.close();
  }
}

/** Writes the bundles to `build/`, as other tools expect them. */
export async function writeBuild(root: string, functions: Compiled['functions']): Promise<void> {
  const folder = join(root, 'build');
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  for (const { file, code } of functions) {
    await writeFile(join(folder, `${file.replaceAll('/', '_').replace(/\.ts$/, '')}.cjs`), code.js);
  }
}
