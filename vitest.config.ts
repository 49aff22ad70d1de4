import { defineConfig } from 'vitest/config';

/** One vitest for the whole house: packages are read from their sources, so no build is needed to test. */
export default defineConfig({
  resolve: { conditions: ['espalier-source'] },
  ssr: { resolve: { conditions: ['espalier-source'], externalConditions: ['espalier-source'] } },
  test: {
    include: [
      'packages/*/test/**/*.test.ts',
      'apps/*/test/**/*.test.ts',
      'tools/*/test/**/*.test.ts',
      'test/**/*.test.ts',
    ],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    execArgv: ['--conditions=espalier-source'],
  },
});
