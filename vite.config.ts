import { defineConfig, type Plugin } from 'vite'
import { comityWorkerSource } from './scripts/worker-bundle.js'

// Set by playwright.config.ts. A page must not reload under its test, nor hold a socket that is not its own.
const underTest = process.env['COMITY_TEST_PORT'] !== undefined

const withoutViteClient: Plugin = {
  name: 'without-vite-client',
  transformIndexHtml: {
    order: 'post',
    handler: (html) => html.replace(/<script type="module" src="\/@vite\/client"><\/script>/, ''),
  },
}

/** Serves the repository's pages from its sources: the demo's and those of the browser tests. */
export default defineConfig({
  appType: 'mpa',
  plugins: [comityWorkerSource(), ...(underTest ? [withoutViteClient] : [])],
  worker: { format: 'es', plugins: () => [comityWorkerSource()] },
  optimizeDeps: {
    // Named, so that none is met late: Vite would reload the page.
    noDiscovery: true,
    include: ['cborg', 'comlink', 'idb', 'simple-peer/simplepeer.min.js', 'valibot'],
  },
  server: underTest
    ? { host: '127.0.0.1', allowedHosts: ['insecure.example'], hmr: false, ws: false, watch: null }
    : {},
  build: { target: 'es2022' },
})
