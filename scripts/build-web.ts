/**
 * Builds the Connect page into `web/connect/dist`. The result is committed, so that a clone and the published package
 * run without a build; a test builds it again and compares.
 *
 * `node scripts/build-web.ts [folder]`
 */
import { rmSync } from 'node:fs';
import { resolve } from 'node:path';
import { build } from 'esbuild';

const root = resolve(import.meta.dirname, '..');

/** Same sources and same esbuild give the same bytes and names. */
export async function buildWeb(outdir: string): Promise<void> {
  rmSync(outdir, { recursive: true, force: true });
  const source = resolve(root, 'web/connect/src');
  await build({
    absWorkingDir: root,
    entryPoints: [`${source}/app.tsx`, `${source}/callback.ts`, `${source}/app.css`],
    outdir,
    entryNames: '[name]-[hash]',
    bundle: true,
    minify: true,
    format: 'esm',
    target: ['es2022', 'chrome111', 'firefox113', 'safari16.4'],
    jsx: 'automatic',
    jsxImportSource: 'preact',
    charset: 'utf8',
    legalComments: 'none',
    logLevel: 'warning',
  });
}

if (import.meta.main) await buildWeb(resolve(process.argv[2] ?? resolve(root, 'web/connect/dist')));
