import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The repository's root. Run from a bundle or from its own place, this address is right (see run.mjs). */
export const root = fileURLToPath(new URL('..', import.meta.url))

/** Every TypeScript source below `src/` (declarations aside), by its path there with `/`. */
export function readSources(): Map<string, string> {
  const src = join(root, 'src')
  const files = readdirSync(src, { recursive: true, encoding: 'utf8' })
  const sources = files.filter((file) => file.endsWith('.ts') && !file.endsWith('.d.ts')).sort()
  return new Map(sources.map((file) => [file.replaceAll('\\', '/'), readFileSync(join(src, file), 'utf8')]))
}
