/** The part of the lint that is ours: the layer table and the purity of the core. Biome does the rest. */
import { checkLayers } from './layers.js'
import { checkPurity } from './purity.js'
import { readSources } from './tree.js'

const sources = readSources()
const violations = [...checkLayers(sources), ...checkPurity(sources)]
for (const { file, line, sentence } of violations) console.error(`src/${file}:${line}: ${sentence}`)
console.log(`layers and purity: ${sources.size} files, ${violations.length} violations`)
process.exitCode = violations.length === 0 ? 0 : 1
