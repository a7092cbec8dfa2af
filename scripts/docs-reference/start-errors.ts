import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { scan, type Source } from '../../test/tidy/scan.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

interface StartError {
  message: string;
  hint: string;
}

/** Every sentence that may stop the start, with what to do, in the order of the files. */
export function startErrors(): StartError[] {
  const files = ['src', 'emulators'].flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
      .filter((file) => /(?<!\.test|testing|\.test-support)\.ts$/.test(file))
      .map((file) => join(folder, file))
      .toSorted(),
  );
  return files.flatMap((file) => {
    const source = scan(file, readFileSync(join(ROOT, file), 'utf8'));
    return [...source.code.matchAll(/new StartupError\(/g)].flatMap((match) => {
      const [message, hint] = argumentsAt(source, (match.index as number) + match[0].length);
      // A sentence passed on from elsewhere is listed where it is written.
      if (message === undefined || hint === undefined) return [];
      return [{ message, hint }];
    });
  });
}

/** The first two arguments of a call as text; undefined where one is no literal. */
function argumentsAt(source: Source, start: number): (string | undefined)[] {
  const bounds: number[] = [start];
  let depth = 0;
  let at = start;
  for (; depth >= 0; at += 1) {
    const char = source.code[at] as string;
    if ('([{'.includes(char)) depth += 1;
    if (')]}'.includes(char)) depth -= 1;
    if (char === ',' && depth === 0) bounds.push(at + 1);
  }
  bounds.push(at);
  return [0, 1].map((index) => {
    const [from, to] = [bounds[index], bounds[index + 1]];
    if (from === undefined || to === undefined) return undefined;
    return textOf(source, from, to) ?? textOfName(source, source.code.slice(from, to), start);
  });
}

/** Literals of an argument; two of them are the branches of a choice. */
function textOf(source: Source, from: number, to: number): string | undefined {
  const literals = source.literals.filter(({ offset }) => {
    if (offset < from || offset >= to) return false;
    const before = source.code.slice(from, offset);
    // A literal in a hole of another one, or compared with, is no text.
    return before.split('{').length === before.split('}').length && !/===\s*$/.test(before);
  });
  if (literals.length === 0) return undefined;
  return literals.map(({ text }) => text.replaceAll('${}', '…').replaceAll(/\s+/g, ' ').trim()).join(' / ');
}

/** The text behind a constant or a function of the same file; of several constants the one above `at`. */
function textOfName(source: Source, code: string, at: number): string | undefined {
  const name = /^\s*(\w+)/.exec(code)?.[1];
  if (name === undefined) return undefined;
  const places = [
    ...source.code.matchAll(
      new RegExp(`\\b(?:const ${name}\\b[^=]*=|function ${name}\\([^)]*\\)[^{]*{\\s*return)`, 'g'),
    ),
  ].map((match) => match.index + match[0].length);
  const from = places.findLast((place) => place < at) ?? places[0];
  return from === undefined ? undefined : textOf(source, from, source.code.indexOf(';', from));
}

/** `docs/reference/start-errors.md`. */
export function startErrorsPage(): string {
  const seen = new Set<string>();
  const rows = startErrors().flatMap(({ message, hint }) => {
    const row = `| ${cell(message)} | ${cell(hint)} |`;
    return seen.has(row) ? [] : [...seen.add(row)].slice(-1);
  });
  return `# Start errors

Written by \`npm run docs\` from the sources.

What stops a start is one sentence and what to do, on standard error, with exit code 1. Nothing is half started: what
was up is taken down again. \`…\` stands for a value.

| It says | What to do |
|---|---|
${rows.join('\n')}
`;
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('<', '&lt;');
}
