/**
 * A program of its own, because the bundler stays in memory once it is loaded: writes the child's program and zod, each
 * as one text without imports, as JSON to standard output.
 */
import { fileURLToPath } from 'node:url';
import { buildSync, type BuildOptions } from 'esbuild';

// From the sources the file ends in .ts, from the build in .js.
const source = new URL('./child/main.ts', import.meta.url);
const entry = fileURLToPath(import.meta.url.endsWith('.ts') ? source : source.href.replace(/\.ts$/, '.js'));
const options: BuildOptions = {
  bundle: true,
  write: false,
  platform: 'node',
  format: 'cjs',
  target: 'node22',
  legalComments: 'none',
  logLevel: 'silent',
};

function textOf(more: BuildOptions): string {
  return buildSync({ ...options, ...more }).outputFiles?.[0]?.text ?? '';
}

const main = textOf({ entryPoints: [entry] });
const here = fileURLToPath(new URL('.', import.meta.url));
// Spaces only: names of classes stay readable in errors.
const zod = textOf({
  stdin: { contents: "module.exports = require('zod')", resolveDir: here },
  minifyWhitespace: true,
});
process.stdout.write(JSON.stringify({ main, zod }));
