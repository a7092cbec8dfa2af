import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    exclude: ['**/node_modules/**'],
    include: [
      'src/**/*.test.ts',
      'catalogue/**/*.test.ts',
      'emulators/**/*.test.ts',
      'sdk/**/*.test.ts',
      'test/**/*.test.ts',
    ],
    globalSetup: ['test/support/global-setup.ts'],
    pool: 'forks',
    // Every file has its own servers, databases and folders; loading the program anew for each would cost a minute.
    isolate: false,
    // Many tests wait for a process or a lease: one more than the usual two cores keeps them busy.
    maxWorkers: 3,
    // On a shared machine a process may get no turn for seconds: there a test has a second try, and is named.
    retry: process.env['TEST_RETRY'] === '1' ? 1 : 0,
    testTimeout: 60_000,
    hookTimeout: 120_000,
    teardownTimeout: 10_000,
  },
});
