import { isTest, type Project } from '../project.ts';
import { inCode, violation, type Rule, type Violation } from '../rule.ts';

/** Every text of the project but the rules themselves, whose examples break them. */
function eachText(project: Project, pattern: RegExp, skip?: RegExp): Violation[] {
  return [...project.texts].flatMap(([path, text]) =>
    path.startsWith('test/tidy/') || skip?.test(path)
      ? []
      : [...text.matchAll(pattern)].map((match) => violation({ path, text }, match.index, match[0])),
  );
}

const markers: Rule = {
  name: 'nothing is left for later',
  reason: 'what is missing is an issue with a reason, not a comment that nobody counts',
  check: (project) => eachText(project, /\b(?:TODO|FIXME|XXX|HACK)\b(?!-)/g),
  catches: [{ 'src/base/a.ts': '// TODO later' }, { 'docs/guide/a.md': 'FIXME' }],
  passes: [{ 'src/base/a.ts': "const masked = 'XXX-XX-1234'; // to do this" }],
};

const focus: Rule = {
  name: 'no test is focused or skipped',
  reason: 'a focused test hides all others; a skipped one proves nothing. `skipIf` with a condition stays',
  check: (project) =>
    [...project.sources.values()].flatMap((source) =>
      inCode(
        source,
        /\b(?:it|test|describe|suite)\s*(?:\.\w+)*\.(?:only|skip|todo|fails)\b|\b(?:fit|fdescribe|xit|xdescribe)\(|\bdebugger\b/g,
        ([use]) => use,
      ),
    ),
  catches: [
    // Texts that the rule reads, not tests: nothing is switched off here.
    { 'src/a.test.ts': "it.only('x', () => {});" },
    { 'src/b.test.ts': "describe.skip('x', () => {});" },
    { 'src/c.test.ts': "it.concurrent.only('x', () => {});" },
    { 'src/base/d.ts': 'debugger;' },
  ],
  passes: [{ 'src/a.test.ts': "it.skipIf(process.getuid?.() !== 0)('x', () => {}); list.only(1);" }],
};

const output: Rule = {
  name: 'no console in the product',
  reason: 'the log has levels and hides secrets; commands write to the stream they are given',
  check: (project) =>
    [...project.sources.values()]
      .filter(({ path }) => /^(src|emulators|catalogue|sdk|web)\//.test(path) && !isTest(path))
      .filter(({ path }) => !/^web\/[^/]+\/build\.ts$/.test(path))
      .flatMap((source) => inCode(source, /\bconsole\.\w+/g, ([use]) => use)),
  catches: [{ 'src/base/a.ts': 'console.log(1);' }],
  passes: [{ 'scripts/a.ts': 'console.log(1);' }, { 'src/base/a.ts': '// console.log(1)' }],
};

const places: Rule = {
  name: 'no path of somebody’s machine',
  reason: 'it works nowhere else and tells about its author',
  check: (project) =>
    eachText(
      project,
      /(?<![\w.$}:/-])\/(?:home|Users|root|work|workspace|mnt)\/[\w.-]+|(?<![\w.$}:/-])\/tmp\/(?!hawser)[\w.-]+|\b[A-Z]:\\\\?Users\b/g,
    ),
  catches: [
    { 'src/base/a.ts': "read('/home/someone/a');" },
    { 'docs/guide/a.md': 'see /root/notes' },
    { 'scripts/a.sh': 'cat /tmp/scratch/a' },
  ],
  passes: [{ 'src/base/a.ts': "get('https://api.example.com/home/feed'); join(base, './mnt/data');" }],
};

const registries: Rule = {
  name: 'no address of a package registry',
  reason: 'an address of a mirror in the tree breaks `npm ci` for everybody else',
  check: (project) => [
    ...eachText(
      project,
      /https?:\/\/[\w.-]*(?:registry|artifactory|nexus|verdaccio|mirror|proxy-npm)[\w.-]*(?=[/:'"\s)]|$)/gi,
    ),
    ...eachText(project, /^\s*(?:@[\w-]+:)?registry\s*=.*|^.*_auth\w*\s*=.*/gm, /(?<!npmrc)$/),
  ],
  catches: [
    { 'docs/guide/a.md': 'npm i --registry https://npm-registry.corp.example/' },
    { '.npmrc': 'registry=https://packages.example.com/' },
    { '.npmrc': '//packages.example.com/:_authToken=abc' },
  ],
  passes: [{ '.npmrc': 'save-exact=true\n', 'docs/a.md': 'npm install hawser' }],
};

export const leftoverRules = [markers, focus, output, places, registries];
