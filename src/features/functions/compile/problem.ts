/** A mistake in a function, and where. */
export interface CompileProblem {
  /** Path from the project's root. */
  file: string;
  /** From 1. */
  line: number;
  /** From 1. */
  column: number;
  message: string;
}

/** `github/syncs/issues.ts:3:14 …`, as editors and terminals link it. */
export function problemText({ file, line, column, message }: CompileProblem): string {
  return `${file}:${line}:${column} ${message}`;
}

/** The place of the first match in a source; its begin when there is none. */
export function placeOf(source: string, pattern: RegExp): { line: number; column: number } {
  const at = pattern.exec(source)?.index;
  if (at === undefined) return { line: 1, column: 1 };
  const before = source.slice(0, at).split('\n');
  return { line: before.length, column: (before.at(-1) as string).length + 1 };
}
