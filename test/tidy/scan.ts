/**
 * A small TypeScript scanner: tells code from comments and strings, and finds imports. It is no parser; `codeIsSane`
 * notices when a file leads it astray.
 */

/** A string or template literal; holes of a template read `${}`. */
export interface Literal {
  offset: number;
  text: string;
}

export interface Import {
  offset: number;
  /** As written. */
  from: string;
  /** Names of the other module; `*` for all, `default` for the default. Empty: only for its effect. */
  names: string[];
  /** True when nothing of it is left at run time. */
  typeOnly: boolean;
  kind: 'import' | 'export' | 'dynamic' | 'url';
}

export interface Source {
  path: string;
  text: string;
  /** The text with comments and the insides of literals blanked: same length, same lines. */
  code: string;
  comments: Literal[];
  literals: Literal[];
  imports: Import[];
}

// A slash after one of these begins a regular expression, not a division.
const BEFORE_REGEX =
  /(?:^|[(,=:[!&|?{;+\-*%~^<>]|=>|\b(?:return|typeof|case|in|of|else|do|void|delete|throw|await|yield))$/;

/** Reads one source file. */
export function scan(path: string, text: string): Source {
  const blank = text.split('');
  const comments: Literal[] = [];
  const literals: Literal[] = [];
  const isJsx = /\.[jt]sx$/.test(path);
  const hide = (from: number, to: number): void => {
    for (let at = from; at < to; at += 1) if (blank[at] !== '\n') blank[at] = ' ';
  };
  /** Reads code until its end, or until the brace that closes a template's hole; resolves to the offset behind it. */
  const readCode = (start: number, inHole: boolean): number => {
    let at = start;
    let depth = 0;
    let before = '';
    while (at < text.length) {
      const char = text[at] as string;
      const two = text.slice(at, at + 2);
      if (two === '//' || two === '/*') {
        const close = two === '//' ? text.indexOf('\n', at) : text.indexOf('*/', at + 2);
        const end = close === -1 ? text.length : two === '//' ? close : close + 2;
        comments.push({ offset: at, text: text.slice(at, end) });
        hide(at, end);
        at = end;
      } else if (char === "'" || char === '"') {
        const end = endOfString(text, at, char);
        if (end === undefined) {
          at += 1; // an apostrophe in the text of a JSX element
        } else {
          literals.push({ offset: at, text: text.slice(at + 1, end - 1) });
          hide(at + 1, end - 1);
          at = end;
        }
        before = '"';
      } else if (char === '`') {
        at = readTemplate(at);
        before = '"';
      } else if (char === '/' && BEFORE_REGEX.test(before) && !(isJsx && before.endsWith('<'))) {
        const end = endOfRegex(text, at);
        hide(at + 1, end - 1);
        at = end;
        before = '"';
      } else {
        if (char === '{') depth += 1;
        if (char === '}') {
          if (inHole && depth === 0) return at + 1;
          depth -= 1;
        }
        if (!/\s/.test(char)) before = (/\s/.test(text[at - 1] ?? '') ? ' ' : before.slice(-12)) + char;
        at += 1;
      }
    }
    return at;
  };
  const readTemplate = (start: number): number => {
    let value = '';
    let at = start + 1;
    let from = at;
    const flush = (): void => {
      value += text.slice(from, at);
      hide(from, at);
    };
    while (at < text.length) {
      if (text[at] === '\\') {
        at += 2;
      } else if (text[at] === '`') {
        flush();
        at += 1;
        break;
      } else if (text[at] === '$' && text[at + 1] === '{') {
        flush();
        value += '${}';
        at = readCode(at + 2, true);
        from = at;
      } else {
        at += 1;
      }
    }
    literals.push({ offset: start, text: value });
    return at;
  };
  readCode(0, false);
  const code = blank.join('');
  return { path, text, code, comments, literals, imports: findImports(text, code) };
}

function endOfString(text: string, start: number, quote: string): number | undefined {
  for (let at = start + 1; at < text.length; at += 1) {
    if (text[at] === '\\') at += 1;
    else if (text[at] === quote) return at + 1;
    else if (text[at] === '\n') return undefined;
  }
  return undefined;
}

function endOfRegex(text: string, start: number): number {
  let inClass = false;
  for (let at = start + 1; at < text.length; at += 1) {
    const char = text[at];
    if (char === '\\') at += 1;
    else if (char === '[') inClass = true;
    else if (char === ']') inClass = false;
    else if (char === '/' && !inClass) return at + 1;
    else if (char === '\n') return at;
  }
  return text.length;
}

const STATIC = /\b(import|export)\s+(type\s+)?([\w$*{][^'";=()]*?)\sfrom\s*['"]([^'"\n]+)['"]/g;
const BARE = /\bimport\s*['"]([^'"\n]+)['"]/g;
const DYNAMIC = /\bimport\s*\(\s*['"]([^'"\n]+)['"]/g;
const FILE_URL = /\bnew\s+URL\(\s*['"](?!\w+:)([^'"\n]+)['"]\s*,\s*import\.meta\.url/g;

function findImports(text: string, code: string): Import[] {
  const found: Import[] = [];
  // A match that begins inside a comment or a literal is text, not an import.
  const matches = (pattern: RegExp): RegExpMatchArray[] =>
    [...text.matchAll(pattern)].filter((match) => /[a-z]/.test(code[match.index as number] as string));
  for (const match of matches(STATIC)) {
    const [, kind, type, clause, from] = match as unknown as [string, 'import' | 'export', string, string, string];
    const { names, typeOnly } = readClause(clause);
    found.push({ offset: match.index as number, from, names, typeOnly: Boolean(type) || typeOnly, kind });
  }
  for (const [pattern, kind] of [
    [BARE, 'import'],
    [DYNAMIC, 'dynamic'],
    [FILE_URL, 'url'],
  ] as const) {
    for (const match of matches(pattern)) {
      const names = kind === 'dynamic' ? ['*'] : [];
      // `new URL('x.ts', import.meta.url)` is a neighbour too.
      const from = (match[1] as string).replace(/^(?=[^.])/, kind === 'url' ? './' : '');
      found.push({ offset: match.index as number, from, names, typeOnly: false, kind });
    }
  }
  return found.toSorted((a, b) => a.offset - b.offset);
}

function readClause(clause: string): { names: string[]; typeOnly: boolean } {
  const names: string[] = [];
  let values = 0;
  const inBraces = /\{([^}]*)\}/.exec(clause)?.[1];
  for (const item of (inBraces ?? '').split(',').map((part) => part.trim())) {
    if (item === '') continue;
    if (!item.startsWith('type ')) values += 1;
    names.push((item.replace(/^type\s+/, '').split(/\s+as\s+/)[0] as string).trim());
  }
  const outside = clause
    .replace(/\{[^}]*\}/, '')
    .replaceAll(',', ' ')
    .trim();
  if (outside.includes('*')) names.push('*');
  else if (outside !== '') names.push('default');
  if (outside !== '') values += 1;
  return { names, typeOnly: values === 0 && inBraces !== undefined && names.length > 0 };
}

/** 1-based line of an offset. */
export function lineAt(text: string, offset: number): number {
  let line = 1;
  for (let at = text.indexOf('\n'); at !== -1 && at < offset; at = text.indexOf('\n', at + 1)) line += 1;
  return line;
}

/** True when brackets pair up: the scanner did not lose its way. */
export function codeIsSane(source: Source): boolean {
  const open: string[] = [];
  const closes: Record<string, string> = { ')': '(', ']': '[', '}': '{' };
  for (const char of source.code) {
    if ('([{'.includes(char)) open.push(char);
    else if (char in closes && open.pop() !== closes[char]) return false;
  }
  return open.length === 0;
}
