import { defineConfig } from 'vitest/config'
import { comityWorkerSource } from './scripts/worker-bundle.js'

export default defineConfig({
  plugins: [comityWorkerSource()],
  test: {
    // Vitest leaves a core to itself; it needs little of it, and simulations are long.
    maxWorkers: '100%',
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['{src,demo,bench,examples}/**/*.test.ts', 'test/**/*.test.ts'],
          exclude: ['test/{package,browser}/**'],
          testTimeout: 20_000,
        },
      },
      {
        // What users get: the packed tarball in their bundlers, in a real browser.
        extends: true,
        test: { name: 'package', include: ['test/package/**/*.test.ts'], testTimeout: 60_000, hookTimeout: 180_000 },
      },
    ],
  },
})
