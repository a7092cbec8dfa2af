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
export function placeOf(source: string, pattern: RegExp | FieldName): { line: number; column: number } {
  const at = pattern instanceof RegExp ? (pattern.exec(source)?.index ?? -1) : indexOfField(source, pattern.field);
  if (at === -1) return { line: 1, column: 1 };
  const before = source.slice(0, at).split('\n');
  return { line: before.length, column: (before.at(-1) as string).length + 1 };
}

/** A property of an object literal, by its name. */
export interface FieldName {
  field: string;
}

const NAME_END = /^['"]?\s{0,20}[:,}]/;

/** Where `name` stands as the name of a property (`name:`, `'name':`, or short for both), not as part of a word. */
function indexOfField(source: string, name: string): number {
  for (let at = source.indexOf(name); at !== -1; at = source.indexOf(name, at + 1)) {
    const end = at + name.length;
    if (/[\w.]/.test(source.charAt(at - 1)) || !NAME_END.test(source.slice(end, end + 30))) continue;
    return at;
  }
  return -1;
}
