/** The rules of the house, enforced. Each has its reason and proves on a bad example that it can fail. */
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { projectOf, readProject } from './tidy/project.ts';
import type { Rule } from './tidy/rule.ts';
import { confinementRules } from './tidy/rules/confinement.ts';
import { importRules } from './tidy/rules/imports.ts';
import { leftoverRules } from './tidy/rules/leftovers.ts';
import { settingRules } from './tidy/rules/settings.ts';
import { countProduct, LINES_WARN, longFiles, shapeRules } from './tidy/rules/shape.ts';

const rules: Rule[] = [...importRules, ...confinementRules, ...shapeRules, ...leftoverRules, ...settingRules];
const project = readProject(fileURLToPath(new URL('..', import.meta.url)));

/** Runs a rule over a small project and says what it found. */
function findings(rule: Rule, files: Record<string, string>): string[] {
  return rule.check(projectOf(new Map(Object.entries(files)))).map(({ path, what }) => `${path}: ${what}`);
}

describe.each(rules.map((rule) => [rule.name, rule] as const))('%s', (_name, rule) => {
  it(`holds: ${rule.reason}`, () => {
    expect(rule.check(project).map(({ path, line, what }) => `${path}:${line} ${what}`)).toEqual([]);
  });

  it('catches what breaks it and passes what does not', () => {
    expect(rule.catches.length).toBeGreaterThan(0);
    for (const files of rule.catches) expect(findings(rule, files), JSON.stringify(files)).not.toEqual([]);
    for (const files of rule.passes) expect(findings(rule, files), JSON.stringify(files)).toEqual([]);
  });
});

it('looks at the whole product', () => {
  expect(countProduct(project)).toBeGreaterThan(150);
  expect(project.texts.has('package.json') && project.texts.has('migrations/0001_init.sql')).toBe(true);
  const long = longFiles(project).map((file) => `${file.path} ${file.lines}`);
  // A hint, not a failure: these are the next to be split.
  if (long.length > 0) console.warn(`longer than ${LINES_WARN} lines: ${long.join(', ')}`);
});
