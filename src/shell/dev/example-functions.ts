/** What `hawser dev` deploys by itself: the functions of `examples/functions`. */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { z } from 'zod';
import { randomId } from '../../base/ids.ts';
import type { FunctionInput } from '../../features/functions/index.ts';
import { compileProject } from '../project/compile.ts';
import { listFunctions } from '../project/folder.ts';
import { packageDir } from '../start/platform.ts';
import type { Services } from '../node.ts';
import { SEEDED } from './seed.ts';

/** Bundles of the last start, by what they were made from. Only this program writes the file. */
const cacheSchema = z.object({ hash: z.string(), functions: z.custom<FunctionInput[]>(Array.isArray) });

/**
 * Deploys the examples into `dev`, for its emulated integrations. Safe to repeat: only an environment without any
 * function gets them; later they are only brought up to date, and what a developer deleted or replaced stays so.
 * They have the source `catalog`, so that no deploy of a developer's own project deletes them.
 */
export async function seedExampleFunctions(
  services: Pick<Services, 'environments' | 'integrations' | 'functions' | 'sandbox'>,
  options: { cacheFile?: string; root?: string } = {},
): Promise<void> {
  const root = options.root ?? `${packageDir()}/examples/functions`;
  if (!existsSync(root)) return;
  const environment = await services.environments.byName('dev');
  if (environment === undefined) return;
  const deployed = await services.functions.list(environment.id);
  const emulated = new Map<string, number>();
  for (const { key, provider } of SEEDED) {
    const integration = await services.integrations.byKey(environment.id, key);
    // A real provider is not called by functions that nobody deployed.
    if (integration?.emulated === true && integration.provider.name === provider) emulated.set(key, integration.id);
  }
  const isWanted = (fn: FunctionInput): boolean => {
    const integrationId = emulated.get(fn.integrationKey);
    if (integrationId === undefined) return false;
    const before = deployed.find(
      (one) => one.integrationId === integrationId && one.kind === fn.kind && one.name === fn.name,
    );
    return deployed.length === 0 || before?.source === 'catalog';
  };
  if (deployed.length > 0 && !deployed.some((one) => one.source === 'catalog')) return;
  const functions = (await compileExamples(services, root, options.cacheFile)).filter(isWanted);
  if (functions.length === 0) return;
  await services.functions.deploy(environment.id, { functions, scope: { mode: 'none' }, source: 'catalog' });
}

/** Compiled once per version of the sources. */
async function compileExamples(
  services: Pick<Services, 'sandbox'>,
  root: string,
  cacheFile: string | undefined,
): Promise<FunctionInput[]> {
  const hash = hashOf(root);
  const known = cacheFile === undefined ? undefined : await readCache(cacheFile);
  if (known?.hash === hash) return known.functions;
  const { functions, problems } = await compileProject(root, { types: false, sandbox: services.sandbox });
  if (problems.length > 0) throw new Error(`the example functions do not compile: ${problems[0]?.message ?? ''}`);
  if (cacheFile !== undefined) await writeCache(cacheFile, JSON.stringify({ hash, functions }));
  return functions;
}

/** Several starts may write at the same moment: whole files take the place of whole files. */
async function writeCache(file: string, text: string): Promise<void> {
  const draft = `${file}.${randomId()}`;
  try {
    await mkdir(dirname(file), { recursive: true });
    await writeFile(draft, text, { mode: 0o600 });
    await rename(draft, file);
  } catch {
    // A folder that cannot be written only means that the next start compiles again.
    await rm(draft, { force: true });
  }
}

async function readCache(file: string): Promise<z.infer<typeof cacheSchema> | undefined> {
  if (!existsSync(file)) return undefined;
  try {
    return cacheSchema.parse(JSON.parse(await readFile(file, 'utf8')));
  } catch {
    return undefined; // damaged: made anew
  }
}

/** Of everything that goes into a bundle, and of the one who makes it. */
function hashOf(root: string): string {
  const hash = createHash('sha256').update(readFileSync(`${packageDir()}/package.json`));
  for (const { file, source } of listFunctions(root).files) hash.update(`\n${file}\n${source}`);
  for (const name of readdirSync(`${root}/lib`).toSorted())
    hash.update(`\n${name}\n${readFileSync(`${root}/lib/${name}`)}`);
  return hash.digest('hex');
}
