/**
 * Writes everything under `docs/reference` and `llms.txt` from the code. `--check` writes nothing and fails when a page
 * is missing or stale.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cliPage } from './docs-reference/cli.ts';
import { errorsPage } from './docs-reference/errors.ts';
import { functionLimitsPage } from './docs-reference/function-limits.ts';
import { llmsPage } from './docs-reference/llms.ts';
import { settingsPage } from './docs-reference/settings.ts';
import { startErrorsPage } from './docs-reference/start-errors.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** The generated pages by path. The provider pages have a script of their own. */
async function pages(): Promise<Map<string, string>> {
  const files = new Map([
    ['docs/reference/settings.md', settingsPage()],
    ['docs/reference/errors.md', await errorsPage()],
    ['docs/reference/cli.md', await cliPage()],
    ['docs/reference/start-errors.md', startErrorsPage()],
    ['docs/reference/function-limits.md', functionLimitsPage()],
  ]);
  const read = (path: string): string => files.get(path) ?? readFileSync(join(ROOT, path), 'utf8');
  return files.set('llms.txt', llmsPage(ROOT, read));
}

function isStale([path, text]: [string, string]): boolean {
  try {
    return readFileSync(join(ROOT, path), 'utf8') !== text;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return true; // not yet written
    throw error;
  }
}

// First, because llms.txt reads its index. It looks at `--check` itself and sets the exit code.
await import('./docs-providers.ts');

const files = await pages();
if (process.argv.includes('--check')) {
  const stale = [...files].filter((file) => isStale(file)).map(([path]) => path);
  if (stale.length > 0) {
    console.error(`Out of date: ${stale.join(', ')}. Run \`npm run docs\`.`);
    process.exitCode = 1;
  }
} else {
  for (const [path, text] of files) {
    mkdirSync(dirname(join(ROOT, path)), { recursive: true });
    writeFileSync(join(ROOT, path), text);
  }
  console.log(`${files.size} more`);
}
