import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { catalogue } from '../../catalogue/index.ts';

/** Pages in reading order; each is listed with its title and its first sentence. */
const PAGES: [title: string, paths: string[]][] = [
  ['Start', ['README.md', 'docs/guide/first-minute.md']],
  ['Guide', ['connect', 'proxy', 'disconnect', 'emulators', 'operate'].map((name) => `docs/guide/${name}.md`)],
  [
    'Reference',
    ['settings', 'errors', 'start-errors', 'function-limits', 'cli', 'providers'].map(
      (name) => `docs/reference/${name}.md`,
    ),
  ],
  ['Work on it', ['ARCHITECTURE.md', 'CONTRIBUTING.md', 'CHANGELOG.md']],
];

/** `llms.txt`: a map of the project for language models. `read` gives the text of a page by its path. */
export function llmsPage(root: string, read: (path: string) => string): string {
  const decisions = readdirSync(join(root, 'docs/adr')).filter((name) => name.endsWith('.md'));
  const listed = PAGES.flatMap(([, paths]) => paths);
  const further = readdirSync(join(root, 'docs/guide')).map((name) => `docs/guide/${name}`);
  const rest = further.filter((path) => path.endsWith('.md') && !listed.includes(path)).toSorted();
  const sections: [string, string[]][] = [
    ...PAGES.map(([title, paths]): [string, string[]] => [title, title === 'Guide' ? [...paths, ...rest] : paths]),
    ['Decisions', decisions.toSorted().map((name) => `docs/adr/${name}`)],
    ['Examples', readdirSync(join(root, 'examples')).filter((name) => name.endsWith('.ts')).toSorted().map((name) => `examples/${name}`)],
  ]; // prettier-ignore
  const lines = sections.flatMap(([title, paths]) => [
    `## ${title}`,
    '',
    ...paths.map((path) => {
      const { heading, sentence } = path.endsWith('.md') ? readMarkdown(read(path)) : readSource(path, read(path));
      return `- [${heading}](${path})${sentence === '' ? '' : `: ${sentence}`}`;
    }),
    '',
  ]);
  const providers = [...catalogue.values()].map(
    (spec) => `- [${spec.displayName}](docs/reference/providers/${spec.name}.md): \`${spec.name}\`, ${spec.authMode}`,
  );
  return `# Hawser

> ${/^Hawser is [^]*?\.(?=\s)/m.exec(read('README.md'))?.[0].replaceAll('\n', ' ')}

The tree: \`catalogue/\` one data file per provider; \`emulators/\` fake providers; \`src/\` the program, imports run
\`base\` ← \`protocols\` ← \`platform\` ← \`features\` ← \`shell\`; \`sdk/\` what users import; \`web/\` browser pages;
\`test/\` what spans slices.

${lines.join('\n')}
## Providers

${providers.join('\n')}
`;
}

function readMarkdown(text: string): { heading: string; sentence: string } {
  const heading = /^# (.+)$/m.exec(text)?.[1] ?? '';
  const paragraphs = text
    .slice(text.indexOf(`# ${heading}`) + heading.length + 2)
    .replaceAll(/^ *```[\s\S]*?^ *```/gm, '')
    .split(/\n{2,}/)
    .map((part) => part.replaceAll(/\s+/g, ' ').trim())
    .filter((part) => part !== '' && !/^(Date:|Written by|[#|!>-])/.test(part));
  return { heading, sentence: firstSentence(paragraphs[0] ?? '') };
}

function readSource(path: string, text: string): { heading: string; sentence: string } {
  const comment = /^\/\*\*([\s\S]*?)\*\//.exec(text)?.[1] ?? '';
  return { heading: path, sentence: firstSentence(comment.replaceAll(/\s*\n \*\s?/g, ' ').trim()) };
}

function firstSentence(paragraph: string): string {
  const plain = paragraph.replaceAll('**', '').replace(/^(Context\.|`[^`]*`:)\s*/, '');
  return /^.*?[.!?](?=\s|$)/.exec(plain)?.[0] ?? plain;
}
