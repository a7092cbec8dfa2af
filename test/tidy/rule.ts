import type { Project } from './project.ts';
import { lineAt, type Source } from './scan.ts';

/** One rule of the house. */
export interface Rule {
  name: string;
  /** Why, in a line. */
  reason: string;
  check(project: Project): Violation[];
  /** Each of these small projects breaks the rule: path to text. */
  catches: Record<string, string>[];
  /** Each of these does not. */
  passes: Record<string, string>[];
}

export interface Violation {
  path: string;
  line: number;
  what: string;
}

export function violation(source: Pick<Source, 'path' | 'text'>, offset: number, what: string): Violation {
  return { path: source.path, line: lineAt(source.text, offset), what };
}

/** Every place where the code (no comment, no literal) matches. */
export function inCode(source: Source, pattern: RegExp, what: (match: RegExpMatchArray) => string): Violation[] {
  return [...source.code.matchAll(pattern)].map((match) => violation(source, match.index as number, what(match)));
}
