/** Regular expressions against hostile text (threats 2.6, case 37): none is made from input, none makes much work. */
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startMatrix, type Matrix } from '../support/matrix.ts';
import { productSources, readProject } from '../tidy/project.ts';
import { lineAt } from '../tidy/scan.ts';
import { attacksOn, countSteps, parseRegex, TooManySteps } from './regex-steps.ts';

const project = readProject(fileURLToPath(new URL('../..', import.meta.url)));
const sources = productSources(project).filter(({ path }) => /^(src|catalogue|sdk)\//.test(path));

interface Constant {
  where: string;
  source: string;
  flags: string;
}

/** Every regular expression that is written in the program. */
const constants: Constant[] = sources.flatMap(({ path, code, text }) =>
  // The scanner blanks what stands between the slashes, and nothing else looks like that.
  [...code.matchAll(/\/( +)\/([a-z]*)/g)].map(({ index, 1: inside = '', 2: flags = '' }) => ({
    where: `${path}:${lineAt(text, index)}`,
    source: text.slice(index + 1, index + 1 + inside.length),
    flags,
  })),
);

/** Expressions whose work grows with the square of the text, and why no hostile text is long enough to matter. */
const SHORT_TEXTS: Record<string, string> = {
  '\\/+$': 'settings of the operator',
  '=+$': 'the base64 of our own secret',
  '[.:/-]+$': 'text of a provider, cut to 4,096 characters before',
  '\\((?:.*\\/)?(src\\/.*?)\\)': 'a stack, cut to 4,000 characters before',
};

/** Texts of these lengths; what is linear makes twice the steps, what is quadratic four times. */
const [SHORT, LONG] = [100, 200];
const RATIO_MAX = 2.9;
const STEPS_MAX = 2_000_000;

/** Stops at the first text that is worse than allowed. */
function worstRatio({ source, flags }: Pick<Constant, 'source' | 'flags'>): { ratio: number; text: string } {
  const root = parseRegex(source, flags);
  const sticky = flags.includes('y');
  const short = attacksOn(root, SHORT);
  let worst = { ratio: 0, text: '' };
  for (const [index, text] of attacksOn(root, LONG).entries()) {
    let ratio: number;
    try {
      const before = countSteps(root, short[index] as string, STEPS_MAX, sticky);
      ratio = countSteps(root, text, STEPS_MAX, sticky) / Math.max(before, SHORT);
    } catch (error) {
      if (!(error instanceof TooManySteps)) throw error;
      ratio = Infinity;
    }
    if (ratio > worst.ratio) worst = { ratio, text };
    if (ratio > RATIO_MAX) break;
  }
  return worst;
}

describe('abuse 37: the matcher that counts', () => {
  it('abuse 37: matches as V8 does', () => {
    const patterns = ['^a+b', '(a|ab)(c|bcd)(d*)$', '^(?:[a-z]+,)*x$', '\\bfoo\\B', 'a{2,3}?b', '(?<=x)y', '(?!ab)a.', '(a)\\1', '[^\\]a-c]+$']; // prettier-ignore
    const texts = ['aab', 'abcd', 'a,b,x', 'foobar foo', 'aaab', 'xy', 'ac ab', 'aa', 'xyz', '', 'a]b'];
    for (const pattern of patterns) {
      for (const text of texts) {
        const root = parseRegex(`(?:${pattern})(?=([\\s\\S]*))`, '');
        expect(countSteps(root, text, 100_000)).toBeGreaterThan(0);
        // A text that cannot match is tried from every place; one that does stops early.
        const found = new RegExp(pattern).exec(text);
        const anchored = parseRegex(`^[\\s\\S]{${found?.index ?? 0}}(?:${pattern})`, '');
        const stops =
          countSteps(anchored, text, 100_000) < countSteps(parseRegex(`${pattern}(?!)`, ''), text, 100_000) + 100;
        expect([pattern, text, stops]).toEqual([pattern, text, true]);
      }
    }
  });

  it.each([
    ['^(a+)+$', ''],
    ['^(?:a|a)*$', ''],
    ['^(\\w+\\s?)*$', ''],
    ['^(?:[a-z]+\\.?)+@', 'i'],
    ['\\s+$', ''],
    ['^a*a*b$', ''],
    ['^[^@]+@[^@]+\\.[^@]+$', ''],
    ['(.*)=(.*);', ''],
  ])('abuse 37: catches /%s/%s', (source, flags) => {
    expect(worstRatio({ source, flags }).ratio).toBeGreaterThan(RATIO_MAX);
  });

  it.each([
    ['^[0-9a-f]{64}$', ''],
    ['^(?:[a-z]+,)*[a-z]+$', ''],
    ['^$|^[a-z]+(,[a-z]+)*$', ''],
    ['^Bearer (\\S+)$', 'i'],
    ['[&<>"\']', 'g'],
  ])('abuse 37: lets pass /%s/%s', (source, flags) => {
    expect(worstRatio({ source, flags }).ratio).toBeLessThanOrEqual(RATIO_MAX);
  });
});

describe('abuse 37: the program', () => {
  it('abuse 37: makes no regular expression from a value', () => {
    const made = sources.flatMap(({ path, code, text }) =>
      [...code.matchAll(/\bRegExp\s*\(|\.(?:match|matchAll|search)\((?!\s*(?:\/|[A-Z_]+\b))/g)].map(
        ({ index, 0: found }) => `${path}:${lineAt(text, index)} ${found}`,
      ),
    );
    expect(made).toEqual([]);
  });

  it('abuse 37: every constant makes steps in proportion to the text, or sees short texts only', () => {
    expect(constants.length).toBeGreaterThan(100);
    const bad = constants
      .map((one) => ({ ...one, ...worstRatio(one) }))
      .filter(({ ratio, source }) => ratio > RATIO_MAX && !(source in SHORT_TEXTS))
      .map(
        ({ where, source, flags, ratio, text }) =>
          `${where} /${source}/${flags} ${ratio.toFixed(1)} ${JSON.stringify(text.slice(0, 20))}`,
      );
    expect(bad).toEqual([]);
    const written = new Set(constants.map(({ source }) => source));
    expect(Object.keys(SHORT_TEXTS).filter((source) => !written.has(source))).toEqual([]);
  });
});

describe('abuse 37: the server', () => {
  let matrix: Matrix;
  beforeAll(async () => {
    matrix = await startMatrix();
  });
  afterAll(() => matrix?.close());

  it('abuse 37: a pattern in a search is text', async () => {
    for (const search of ['(a+)+$', 'acct.1', '^acct', '.*', '[a-z]+', 'acct-1|x', '\\w+']) {
      const answer = await matrix.api(matrix.dev, 'GET', `/connections?${new URLSearchParams({ search })}`);
      expect([search, answer.status, answer.body.connections]).toEqual([search, 200, []]);
    }
  });

  // Before any limit of length is looked at, a pattern has seen the whole text: work in its square would take hours.
  it('abuse 37: a megabyte of what a pattern hates, in every checked field', async () => {
    const long = (start: string, body: string): string =>
      start + body.repeat(Math.floor(900_000 / body.length)) + ' \u0001';
    const { integration, connection } = matrix.dev;
    const hated = [
      long('a@', '.'),
      long('a@', 'a.'),
      long('', 'a'),
      long('', 'a,'),
      long('https://', 'a.'),
      long('', '@'),
    ];
    const bodies: [string, string, (text: string) => unknown][] = [
      ['POST', '/connect/sessions', (text) => ({ end_user: { id: 'u', email: text } })],
      ['POST', '/connect/sessions', (text) => ({ tags: { end_user_email: text } })],
      ['POST', '/connect/sessions', (text) => ({ tags: { [text]: 'x' } })],
      ['POST', '/connect/sessions', (text) => ({ tags: { a: 'b' }, allowed_integrations: [text] })],
      ['POST', '/connect/sessions', (text) => ({ tags: { a: 'b' }, webhook_url_override: text })],
      [
        'POST',
        '/connections/metadata',
        (text) => ({ provider_config_key: integration, connection_id: text, metadata: {} }),
      ],
      [
        'POST',
        '/connections/metadata',
        (text) => ({ provider_config_key: text, connection_id: connection, metadata: {} }),
      ],
      ['POST', '/integrations', (text) => ({ provider: 'xref', unique_key: text })],
      ['POST', '/integrations', (text) => ({ provider: 'xref', unique_key: 'x', credentials: { type: 'OAUTH2', client_id: 'a', client_secret: 'b', scopes: text } })], // prettier-ignore
    ];
    for (const [method, path, body] of bodies) {
      for (const text of hated) {
        const answer = await matrix.api(matrix.dev, method, path, body(text));
        expect([method, path, answer.status]).toEqual([method, path, 400]);
      }
    }
  });
});
