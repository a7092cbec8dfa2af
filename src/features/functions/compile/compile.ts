import type { Sandbox } from '../../../platform/sandbox/index.ts';
import type { FunctionInput } from '../model.ts';
import type { Bundled } from './bundle.ts';
import { defineFunction, type FunctionFile } from './definition.ts';
import { describeBundles } from './describe.ts';
import { placeOf, type CompileProblem } from './problem.ts';

export interface Compiled {
  /** Ready to deploy, in the order of the files; empty when there are problems. */
  functions: (FunctionInput & { file: string })[];
  problems: CompileProblem[];
}

/** Bundles at once: each keeps its sources in memory. */
const BUNDLES_AT_ONCE = 16;

/**
 * Bundles files, loads the bundles in the sandbox and checks what they define. Errors: `sandbox_unavailable`.
 */
export async function compileFunctions(
  sandbox: Pick<Sandbox, 'run'>,
  environmentId: number,
  files: readonly FunctionFile[],
  bundle: (file: FunctionFile) => Promise<Bundled>,
): Promise<Compiled> {
  const problems: CompileProblem[] = [];
  const bundled: { file: FunctionFile; js: string }[] = [];
  for (let at = 0; at < files.length; at += BUNDLES_AT_ONCE) {
    const some = files.slice(at, at + BUNDLES_AT_ONCE);
    const results = await Promise.all(some.map(bundle));
    for (const [index, result] of results.entries()) {
      if (result.ok) bundled.push({ file: some[index] as FunctionFile, js: result.js });
      else problems.push(...result.problems);
    }
  }
  const described = await describeBundles(
    sandbox,
    environmentId,
    bundled.map(({ file, js }) => ({ name: file.file, js })),
  );
  const functions: Compiled['functions'] = [];
  for (const [index, result] of described.entries()) {
    const { file, js } = bundled[index] as (typeof bundled)[number];
    if (!result.ok) {
      problems.push({ file: file.file, line: 1, column: 1, message: result.message });
      continue;
    }
    const defined = defineFunction(file, result.definition);
    if (!defined.ok) {
      problems.push(...defined.problems);
      continue;
    }
    functions.push({
      file: file.file,
      integrationKey: file.integration,
      kind: file.kind,
      name: file.name,
      version: defined.version,
      definition: defined.definition,
      code: { js, ts: file.source },
    });
  }
  problems.push(...modelClashes(functions));
  return { functions: problems.length > 0 ? [] : functions, problems };
}

/** Records lie under integration, connection and model: two syncs that write one model would delete each other's. */
function modelClashes(functions: Compiled['functions']): CompileProblem[] {
  const writers = new Map<string, string>();
  const problems: CompileProblem[] = [];
  for (const fn of functions) {
    if (fn.kind !== 'sync') continue;
    for (const model of fn.definition.models) {
      const other = writers.get(`${fn.integrationKey}\n${model}`);
      writers.set(`${fn.integrationKey}\n${model}`, other ?? fn.file);
      if (other === undefined) continue;
      const place = placeOf(fn.code.ts, { field: model });
      const message = `Model ${model} is written by ${other} too. Models are unique per integration: rename one.`;
      problems.push({ file: fn.file, ...place, message });
    }
  }
  return problems;
}
