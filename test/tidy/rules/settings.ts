import { SETTINGS } from '../../../src/config.ts';
import { isTest } from '../project.ts';
import { violation, type Rule, type Violation } from '../rule.ts';

export const settingRules: Rule[] = [
  {
    name: 'a setting that is named exists',
    reason: 'an error that sends the operator to a setting nobody reads is worse than no hint',
    check: (project) =>
      [...project.texts].flatMap(([path, text]): Violation[] =>
        isTest(path)
          ? []
          : [...text.matchAll(/\bHAWSER_[A-Z0-9]+(?:_[A-Z0-9]+)*\b(?!\*|_)/g)]
              .filter(([name]) => !(name in SETTINGS))
              .map((match) => violation({ path, text }, match.index, `${match[0]} is not in src/config.ts`)),
      ),
    catches: [{ 'src/features/proxy/errors.ts': "message: 'Set HAWSER_NO_SUCH_THING.'" }],
    passes: [{ 'docs/guide/a.md': 'Set `HAWSER_PORT`, or any other HAWSER_* variable.' }],
  },
];
