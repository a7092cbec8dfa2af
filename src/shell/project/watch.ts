/** Compiles and deploys a project whenever a file of it is saved. */
import { watch } from 'node:fs';
import { HawserError } from '../../base/errors.ts';
import { errorText } from '../../base/log.ts';
import type { Clock } from '../../base/clock.ts';
import { bundleFile, compileFunctions, problemText, type Functions } from '../../features/functions/index.ts';
import type { Sandbox } from '../../platform/sandbox/index.ts';
import { listFunctions } from './folder.ts';
import { checkTypes } from './types.ts';

export interface WatchDeps {
  functions: Pick<Functions, 'deploy'>;
  sandbox: Pick<Sandbox, 'run'>;
  clock: Clock;
  environmentId: number;
  /** One line for the person, without its end. */
  tell(line: string): void;
}

/** Editors write a file in several steps; they are one change. */
const SETTLE_MS = 150;
/** Folders whose files the project does not consist of. */
const NOISE = /(^|\/)(node_modules|build|dist|\.git|\.nango|tests)(\/|$)/;

/**
 * Deploys the project at once and after every change, until the returned function has resolved. Mistakes are told, and
 * what is deployed stays; functions whose file is gone are deleted.
 */
export function watchProject(root: string, deps: WatchDeps): () => Promise<void> {
  const { clock, tell } = deps;
  const stopped = new AbortController();
  let pending = true;
  let wake: () => void = () => undefined;
  const watcher = watch(root, { recursive: true }, (_event, file) => {
    if (file !== null && (NOISE.test(file) || !/\.(ts|js|json)$/.test(file))) return;
    pending = true;
    wake();
  });
  watcher.on('error', (error) => tell(`The project is not watched any more: ${errorText(error)}`));

  const running = (async () => {
    while (!stopped.signal.aborted) {
      if (!pending) await new Promise<void>((resolve) => (wake = resolve));
      if (stopped.signal.aborted) return;
      await clock.sleep(SETTLE_MS, stopped.signal).catch(() => undefined); // stopped: seen below
      if (stopped.signal.aborted) return;
      pending = false;
      await deployOnce(root, deps).catch((error: unknown) => {
        tell(error instanceof HawserError ? `Not deployed: ${error.message}` : `Not deployed: ${errorText(error)}`);
      });
    }
  })();
  return async () => {
    stopped.abort();
    watcher.close();
    wake();
    await running;
  };
}

async function deployOnce(root: string, { functions, sandbox, environmentId, tell }: WatchDeps): Promise<void> {
  const { files, problems } = listFunctions(root);
  const compiled = await compileFunctions(sandbox, environmentId, files, (file) => bundleFile(root, file.file));
  const mistakes = [...problems, ...compiled.problems];
  if (mistakes.length > 0) {
    for (const problem of mistakes) tell(problemText(problem));
    return;
  }
  const change = await functions.deploy(environmentId, {
    functions: compiled.functions,
    scope: { mode: 'all' },
    source: 'repo',
  });
  const names = (sign: string, list: { name: string }[]): string[] => list.map((fn) => `${sign}${fn.name}`);
  const changes = [
    ...names('+', change.created),
    ...names(
      '~',
      change.updated.map(({ after }) => after),
    ),
    ...names('-', change.deleted),
  ];
  if (changes.length > 0) tell(`Deployed functions: ${changes.join(' ')}`);
  // After the deploy: it takes a second, and a type that does not fit still runs.
  for (const problem of await checkTypes(
    root,
    files.map((file) => file.file),
  ))
    tell(problemText(problem));
}
