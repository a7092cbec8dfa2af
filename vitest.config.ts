import { defineConfig } from 'vitest/config';

/** `CHAOS=1 npm test -- test/chaos` runs the kill campaign, which takes minutes. */
const isChaos = process.env['CHAOS'] === '1';

export default defineConfig({
  test: {
    exclude: ['**/node_modules/**', ...(isChaos ? [] : ['test/chaos/**'])],
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
    testTimeout: 60_000,
    hookTimeout: 120_000,
    teardownTimeout: 10_000,
  },
});
