/**
 * Counts how much work a regular expression makes: a small backtracking matcher of the same semantics as V8's, and attack
 * strings made from the expression itself. No clock: what is compared is the number of steps at two lengths.
 */

type Node =
  | { kind: 'char'; matches(character: string): boolean; sample: string }
  | { kind: 'sequence'; parts: Node[] }
  | { kind: 'choice'; options: Node[] }
  | { kind: 'repeat'; body: Node; min: number; max: number; lazy: boolean }
  | { kind: 'group'; body: Node; index: number | undefined }
  | { kind: 'look'; body: Node; behind: boolean; negative: boolean }
  | { kind: 'assert'; holds(text: string, at: number): boolean }
  | { kind: 'back'; index: number };

/** Tried in this order to find a character that an atom takes. */
const ALPHABET = [...'aA0_-.:/=,;%+ @~*|"\'(){}[]<>!?#$&^`\\\t\n\r\0\x01\x7féŁ−😀'];

export function parseRegex(source: string, flags: string): Node {
  const shared = flags.replaceAll(/[gyd]/g, '');
  let at = 0;
  let groups = 0;

  function atom(pattern: string): Node {
    const single = new RegExp(`^(?:${pattern})$`, shared);
    const sample = ALPHABET.find((character) => single.test(character));
    return { kind: 'char', matches: (character) => single.test(character), sample: sample ?? '' };
  }

  function choice(): Node {
    const options = [sequence()];
    while (source[at] === '|') {
      at += 1;
      options.push(sequence());
    }
    return options.length === 1 ? (options[0] as Node) : { kind: 'choice', options };
  }

  function sequence(): Node {
    const parts: Node[] = [];
    while (at < source.length && source[at] !== '|' && source[at] !== ')') parts.push(quantified(term()));
    return { kind: 'sequence', parts };
  }

  function quantified(body: Node): Node {
    const found = /^(?:([*+?])|\{(\d+)(,(\d*))?\})(\??)/.exec(source.slice(at));
    if (found === null) return body;
    at += found[0].length;
    const [, sign, low, comma, high, lazy] = found;
    const min = sign === '+' ? 1 : sign === undefined ? Number(low) : 0;
    const max =
      sign === '?' ? 1 : sign !== undefined || high === '' ? Infinity : comma === undefined ? min : Number(high);
    return { kind: 'repeat', body, min, max, lazy: lazy === '?' };
  }

  function term(): Node {
    const character = source[at] as string;
    if (character === '(') return group();
    if (character === '[') return atom(classAt());
    if (character === '^')
      return anchor((text, offset) => offset === 0 || (flags.includes('m') && text[offset - 1] === '\n'));
    if (character === '$') {
      return anchor((text, offset) => offset === text.length || (flags.includes('m') && text[offset] === '\n'));
    }
    if (character === '\\') return escaped();
    at += 1;
    return atom(character === '.' ? '.' : character.replace(/[/{}\]]/, String.raw`\$&`));
  }

  function anchor(holds: (text: string, offset: number) => boolean): Node {
    at += 1;
    return { kind: 'assert', holds };
  }

  function escaped(): Node {
    const found = /^\\(?:u\{[0-9a-f]+\}|u[0-9a-f]{4}|x[0-9a-f]{2}|[pP]\{[^}]+\}|c[a-z]|k<\w+>|[1-9]\d*|[\s\S])/i.exec(source.slice(at))?.[0] as string; // prettier-ignore
    at += found.length;
    const word = (text: string, offset: number): boolean =>
      /\w/.test(text[offset] ?? ' ') !== /\w/.test(text[offset - 1] ?? ' ');
    if (found === '\\b') return { kind: 'assert', holds: word };
    if (found === '\\B') return { kind: 'assert', holds: (text, offset) => !word(text, offset) };
    if (/^\\[1-9]/.test(found)) return { kind: 'back', index: Number(found.slice(1)) };
    if (found.startsWith('\\k')) throw new Error('named references are not read here');
    return atom(found);
  }

  function classAt(): string {
    const start = at;
    at += 1;
    if (source[at] === '^') at += 1;
    for (; source[at] !== ']'; at += 1) {
      if (source[at] === '\\') at += 1;
      if (at >= source.length) throw new Error('a class without an end');
    }
    at += 1;
    return source.slice(start, at);
  }

  function group(): Node {
    const opening = /^\((?:\?(?::|=|!|<=|<!|<\w+>))?/.exec(source.slice(at))?.[0] as string;
    at += opening.length;
    const captures = opening === '(' || /^\(\?<\w/.test(opening);
    const index = captures ? (groups += 1) : undefined;
    const body = choice();
    if (source[at] !== ')') throw new Error(`a group without an end in ${source}`);
    at += 1;
    if (captures || opening === '(?:') return { kind: 'group', body, index };
    return { kind: 'look', body, behind: opening.includes('<'), negative: opening.endsWith('!') };
  }

  const root = choice();
  if (at !== source.length) throw new Error(`not read to its end: ${source}`);
  return root;
}

export class TooManySteps extends Error {}

/** Steps until the expression matches, or is known not to. Throws {@link TooManySteps} above `max`. */
export function countSteps(root: Node, text: string, max: number, sticky = false): number {
  let steps = 0;
  const captured: (string | undefined)[] = [];

  function run(node: Node, at: number, next: (at: number) => boolean): boolean {
    steps += 1;
    if (steps > max) throw new TooManySteps();
    switch (node.kind) {
      case 'char': {
        const character = String.fromCodePoint(text.codePointAt(at) ?? 0);
        return at < text.length && node.matches(character) && next(at + character.length);
      }
      case 'assert':
        return node.holds(text, at) && next(at);
      case 'sequence':
        return inOrder(node.parts, 0, at, next);
      case 'choice':
        return node.options.some((option) => run(option, at, next));
      case 'group':
        return run(node.body, at, (end) => {
          if (node.index !== undefined) captured[node.index] = text.slice(at, end);
          return next(end);
        });
      case 'back': {
        const value = captured[node.index] ?? '';
        return text.startsWith(value, at) && next(at + value.length);
      }
      case 'look': {
        const found = node.behind
          ? Array.from({ length: at + 1 }, (_, back) => at - back).some((from) =>
              run(node.body, from, (end) => end === at),
            )
          : run(node.body, at, () => true);
        return found !== node.negative && next(at);
      }
      case 'repeat':
        return repeat(node, 0, at, next);
    }
  }

  function inOrder(parts: Node[], index: number, at: number, next: (at: number) => boolean): boolean {
    const part = parts[index];
    return part === undefined ? next(at) : run(part, at, (end) => inOrder(parts, index + 1, end, next));
  }

  function repeat(
    node: Extract<Node, { kind: 'repeat' }>,
    count: number,
    at: number,
    next: (at: number) => boolean,
  ): boolean {
    const more = (): boolean =>
      count < node.max &&
      run(node.body, at, (end) => (end > at || count < node.min) && repeat(node, count + 1, end, next));
    const enough = (): boolean => count >= node.min && next(at);
    return node.lazy ? enough() || more() : more() || enough();
  }

  for (let start = 0; start <= text.length; start += 1) if (run(root, start, () => true) || sticky) break;
  return steps;
}

/** The shortest text that a node takes, as far as its first choice goes. */
function sampleOf(node: Node): string {
  switch (node.kind) {
    case 'char':
      return node.sample;
    case 'sequence':
      return node.parts.map(sampleOf).join('');
    case 'choice':
      return sampleOf(node.options[0] as Node);
    case 'group':
      return sampleOf(node.body);
    case 'repeat':
      return sampleOf(node.body).repeat(node.min);
    default:
      return '';
  }
}

/** A repetition, and what stands before it. */
interface Pump {
  before: string;
  bodies: string[];
}

function pumpsOf(node: Node, before: string): Pump[] {
  switch (node.kind) {
    case 'sequence': {
      let so = before;
      return node.parts.flatMap((part) => {
        const found = pumpsOf(part, so);
        so += sampleOf(part);
        return found;
      });
    }
    case 'choice':
      return node.options.flatMap((option) => pumpsOf(option, before));
    case 'group':
    case 'look':
      return pumpsOf(node.body, before);
    case 'repeat': {
      const inner = pumpsOf(node.body, before);
      const own = node.max < 10 ? [] : [{ before, bodies: bodiesOf(node.body) }];
      return [...own, ...inner];
    }
    default:
      return [];
  }
}

function bodiesOf(node: Node): string[] {
  if (node.kind === 'choice') return node.options.flatMap(bodiesOf);
  if (node.kind === 'group') return bodiesOf(node.body);
  if (node.kind === 'char') return ALPHABET.filter((character) => node.matches(character));
  const sample = sampleOf(node);
  const inner = pumpsOf(node, '').flatMap(({ bodies }) => bodies.slice(0, 4));
  return [...new Set([sample, ...inner])].filter((body) => body !== '');
}

/** Texts of about this length that make the expression try again and again, and fail at the end. */
export function attacksOn(root: Node, length: number): string[] {
  const bodies = new Set<string>();
  const befores = new Set(['']);
  for (const pump of pumpsOf(root, '')) {
    befores.add(pump.before);
    for (const body of pump.bodies) bodies.add(body);
  }
  const ends = ['', '\u0001', '!', ' ', '\n', '@'];
  return [...befores].flatMap((before) =>
    [...bodies].flatMap((body) => {
      const pumped = before + body.repeat(Math.max(1, Math.ceil((length - before.length) / body.length)));
      return ends.map((end) => pumped + end);
    }),
  );
}
