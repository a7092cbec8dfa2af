/** Compiles and deploys a project whenever a file of it is saved. */
import { readdirSync, watch, type FSWatcher } from 'node:fs';
import { join } from 'node:path';
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
  const close = watchFolders(
    root,
    () => {
      pending = true;
      wake();
    },
    (error) => tell(`The project is not watched any more: ${errorText(error)}`),
  );

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
    close();
    wake();
    await running;
  };
}

/**
 * Calls `changed` when a file or folder of the project changed, until the returned function is called. One watcher for
 * each folder: a recursive one of Node on Linux watches files, and loses those that editors save by renaming.
 */
function watchFolders(root: string, changed: () => void, failed: (error: unknown) => void): () => void {
  const watchers = new Map<string, FSWatcher>();
  const drop = (folder: string): void => {
    for (const [path, watcher] of watchers) {
      if (path !== folder && !path.startsWith(join(folder, '/'))) continue;
      watcher.close();
      watchers.delete(path);
    }
  };
  const add = (folder: string): void => {
    const watcher = watch(folder, (event, file) => {
      const path = join(folder, file ?? '');
      const isFolder = file !== null && watchers.has(path);
      // Gone, or another one by the same name.
      if (isFolder && event === 'rename') drop(path);
      const before = watchers.size;
      addBelow(folder);
      if (isFolder || watchers.size > before || file === null || /\.(ts|js|json)$/.test(file)) changed();
    });
    watcher.on('error', failed);
    watchers.set(folder, watcher);
    addBelow(folder);
  };
  const addBelow = (folder: string): void => {
    try {
      for (const entry of readdirSync(folder, { withFileTypes: true })) {
        const path = join(folder, entry.name);
        if (entry.isDirectory() && !NOISE.test(entry.name) && !watchers.has(path)) add(path);
      }
    } catch (error) {
      // Gone meanwhile: the folder above tells.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') failed(error);
    }
  };
  add(root);
  return () => drop(root);
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
