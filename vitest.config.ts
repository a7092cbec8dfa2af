import { configDefaults, defineConfig } from 'vitest/config';
import { LongestFirst } from './test/support/longest-first.ts';

/** Tests that set what a whole process has in common, such as the certificates it trusts: a worker for each. */
const OWN_PROCESS = [
  'src/platform/upstream/connector.test.ts',
  'src/platform/upstream/identity.test.ts',
  'test/flows/client-credentials.test.ts',
];

const common = {
  pool: 'forks' as const,
  // Most of what a test makes is garbage at its end: the larger the nursery, the less of it is looked at twice.
  execArgv: ['--max-semi-space-size=64'],
  testTimeout: 60_000,
  hookTimeout: 120_000,
  teardownTimeout: 10_000,
};

export default defineConfig({
  test: {
    // One database server for all of them: the projects see what this one provides.
    globalSetup: ['test/support/global-setup.ts'],
    maxWorkers: 4,
    sequence: { sequencer: LongestFirst },
    // On a shared machine a process may get no turn for seconds: there a test has a second try, and is named.
    retry: process.env['TEST_RETRY'] === '1' ? 1 : 0,
    projects: [
      {
        test: {
          ...common,
          name: 'shared',
          // Most of the time of a small test file would go into loading the program again.
          isolate: false,
          include: ['{src,catalogue,emulators,sdk,test}/**/*.test.ts'],
          exclude: [...configDefaults.exclude, ...OWN_PROCESS],
        },
      },
      { test: { ...common, name: 'own process', include: OWN_PROCESS } },
    ],
  },
});
