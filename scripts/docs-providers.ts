/**
 * Writes what is derived from the catalogue: one page per provider, their index, and the JSON Schema of a provider
 * file. `--check` writes nothing and fails when a file is missing, stale or left over.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';
import { providerJsonSchema } from '../catalogue/_spec/schema.ts';
import { catalogue } from '../catalogue/index.ts';
import { providerIndex, providerPage } from './docs-providers/page.ts';

const ROOT = new URL('..', import.meta.url);
const PAGES = 'docs/reference/providers/';

const files = new Map<string, string>([
  ['catalogue/_spec/provider.schema.json', await schemaText()],
  ['docs/reference/providers.md', providerIndex([...catalogue.values()])],
]);
for (const spec of catalogue.values()) files.set(`${PAGES}${spec.name}.md`, providerPage(spec));

const leftOver = readFolder(PAGES).filter((name) => !files.has(`${PAGES}${name}`));

if (process.argv.includes('--check')) {
  const stale = [...files].filter(([path, text]) => readText(path) !== text).map(([path]) => path);
  const wrong = [...stale, ...leftOver.map((name) => `${PAGES}${name} (left over)`)];
  if (wrong.length > 0) {
    console.error(`Out of date: ${wrong.join(', ')}. Run \`node scripts/docs-providers.ts\`.`);
    process.exitCode = 1;
  }
} else {
  mkdirSync(new URL(PAGES, ROOT), { recursive: true });
  for (const [path, text] of files) writeFileSync(new URL(path, ROOT), text);
  for (const name of leftOver) rmSync(new URL(`${PAGES}${name}`, ROOT));
  console.log(`${files.size} files written below ${fileURLToPath(ROOT)}`);
}

async function schemaText(): Promise<string> {
  const options = await resolveConfig(fileURLToPath(new URL('package.json', ROOT)));
  return format(JSON.stringify(providerJsonSchema()), { ...options, parser: 'json' });
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(new URL(path, ROOT), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined; // not yet written
    throw error;
  }
}

function readFolder(path: string): string[] {
  try {
    return readdirSync(new URL(path, ROOT));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []; // not yet made
    throw error;
  }
}
