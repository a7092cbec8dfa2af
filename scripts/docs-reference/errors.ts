import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { join, relative, sep } from 'node:path';
import type { ErrorRow } from '../../src/base/errors.ts';

const SRC = fileURLToPath(new URL('../../src', import.meta.url));

interface Row extends ErrorRow {
  code: string;
  part: string;
}

/** Every row of every table that `defineErrors` made, with the part of the program that answers it. */
export async function errorRows(): Promise<Row[]> {
  const rows: Row[] = [];
  const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter(
    // The page of `hawser dev` is a demonstration, no part of the API.
    (file) => /(?<!\.test)\.ts$/.test(file) && file !== join('base', 'errors.ts') && !/^shell.dev./.test(file),
  );
  for (const file of files.toSorted()) {
    const path = join(SRC, file);
    const tables = [...readFileSync(path, 'utf8').matchAll(/^(export )?const \w+ = defineErrors\(/gm)];
    if (tables.length === 0) continue;
    const module = (await import(pathToFileURL(path).href)) as Record<string, unknown>;
    const found = Object.values(module).filter(isTable);
    if (found.length !== tables.length) throw new Error(`${file}: a table of errors is not exported`);
    const part = relative(SRC, path)
      .split(sep)
      .slice(0, -1)
      .join('/')
      .replace(/^(features|platform|shell)\//, '');
    for (const table of found) {
      for (const [code, row] of Object.entries(table.rows)) rows.push({ code, part, ...row });
    }
  }
  return rows;
}

function isTable(value: unknown): value is { rows: Record<string, ErrorRow> } {
  return typeof value === 'object' && value !== null && 'rows' in value && 'fail' in value;
}

/** `docs/reference/errors.md`. */
export async function errorsPage(): Promise<string> {
  const rows = (await errorRows()).toSorted((a, b) => compare(a.code, b.code) || compare(a.part, b.part));
  const lines = rows.map(
    ({ code, status, part, retryable, message }) =>
      `| \`${code}\` | ${status} | ${part} | ${retryable === true ? 'yes' : ''} | ${message.replaceAll('|', '\\|')} |`,
  );
  return `# Errors

Written by \`npm run docs\` from the tables in the sources.

Every error of the API has the same envelope. Switch on \`code\`; the sentence may change.

\`\`\`json
{ "error": { "code": "unknown_connection", "message": "…", "errors": [], "payload": {} } }
\`\`\`

\`errors\` lists what is wrong with a request, one entry per issue, with \`path\`. \`payload\` holds machine-readable
additions. Both may be missing. Every answer has an \`X-Request-Id\`; the log has the same id. "Retry" means that the
same call may work later without any change. A few codes answer with another status on single routes, as published
clients expect it.

A proxied call that reached the provider has the provider's own status and body. One that got no answer is a 500 with
\`{ "message", "code", "status", "method" }\`, where \`code\` is the transport's, such as \`ECONNREFUSED\`.

| Code | Status | From | Retry | Sentence |
|---|---|---|---|---|
${lines.join('\n')}
`;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
