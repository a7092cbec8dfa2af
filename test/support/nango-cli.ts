/** The published `nango` command, unmodified, where `npm run nango-cli` has installed it. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { appendFile, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';

const FOLDER = resolve(import.meta.dirname, '../nango-cli/node_modules');
const BINARY = join(FOLDER, '.bin/nango');

/** Why its tests cannot run here; undefined when they can. For `describe.skipIf`. */
export const noNangoCli: string | undefined = existsSync(BINARY)
  ? undefined
  : 'the nango command is not installed; npm run nango-cli';
if (noNangoCli !== undefined) console.warn(`Tests of the nango command are skipped: ${noNangoCli}.`);

export interface NangoProject {
  root: string;
  /** Runs the command in the project. */
  run(...args: string[]): Promise<{ code: number; output: string }>;
  /** Adds functions of an integration, by path below it, and lists them in index.ts. */
  add(integration: string, files: Readonly<Record<string, string>>): Promise<void>;
  remove(): Promise<void>;
}

/** What `nango init` makes, with its packages beside it. */
export async function initNangoProject(url: string, apiKey: string): Promise<NangoProject> {
  const folder = await mkdtemp(join(tmpdir(), 'hawser-nango-'));
  await symlink(FOLDER, join(folder, 'node_modules'));
  const root = join(folder, 'nango-integrations');
  const runIn = (cwd: string, args: string[]): Promise<{ code: number; output: string }> =>
    new Promise((done) => {
      const env = {
        PATH: process.env['PATH'],
        HOME: folder,
        CI: 'true',
        NANGO_HOSTPORT: url,
        NANGO_SECRET_KEY_DEV: apiKey,
      };
      const flags = ['--no-interactive', '--no-dependency-update', '--no-telemetry'];
      execFile(process.execPath, [BINARY, ...args, ...flags], { cwd, env }, (error, stdout, stderr) =>
        done({ code: typeof error?.code === 'number' ? error.code : error === null ? 0 : 1, output: stdout + stderr }),
      );
    });
  const made = await runIn(folder, ['init', '--copy', 'nango-integrations']);
  if (!existsSync(join(root, 'index.ts'))) throw new Error(`nango init made nothing: ${made.output}`);
  return {
    root,
    run: (...args) => runIn(root, args),
    async add(integration, files) {
      for (const [path, source] of Object.entries(files)) {
        await mkdir(dirname(join(root, integration, path)), { recursive: true });
        await writeFile(join(root, integration, path), source);
        if (path.startsWith('shared/')) continue;
        await appendFile(join(root, 'index.ts'), `import './${integration}/${path.replace(/\.ts$/, '.js')}';\n`);
      }
    },
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}
