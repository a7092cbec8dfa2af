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
    maxWorkers: 2,
    // On a shared machine a process may get no turn for seconds: there a test has a second try, and is named.
    retry: process.env['TEST_RETRY'] === '1' ? 1 : 0,
    testTimeout: 60_000,
    hookTimeout: 120_000,
    teardownTimeout: 10_000,
  },
});
