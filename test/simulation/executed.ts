/**
 * Lines that V8 has never executed, by its own precise coverage: the view beside the table of names, which holds only what
 * somebody thought of.
 */
import { readFileSync } from 'node:fs'
import { Session } from 'node:inspector/promises'
import { findSourceMap, type SourceMapping } from 'node:module'
import { fileURLToPath } from 'node:url'

interface Block {
  readonly startOffset: number
  readonly endOffset: number
  readonly count: number
}

/** By file and line of the source: whether it was executed. Only lines that there is code of. */
export type Lines = Record<string, Record<string, boolean>>

/** Watches from now on. `within`: files whose path matches. The answer takes stock, and ends it. */
export async function watchExecution(within: RegExp): Promise<() => Promise<Lines>> {
  const session = new Session()
  session.connect()
  await session.post('Profiler.enable')
  await session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true })
  return async () => {
    const { result } = await session.post('Profiler.takePreciseCoverage')
    session.disconnect()
    const lines: Lines = {}
    for (const { url, functions } of result) {
      if (!url.startsWith('file:')) continue
      const blocks = functions.flatMap(({ ranges }): readonly Block[] => ranges)
      mark(fileURLToPath(url), blocks, within, lines)
    }
    return lines
  }
}

/** Of several processes: executed is what any of them has executed. */
export function mergeLines(all: readonly Lines[]): Lines {
  const merged: Lines = {}
  for (const [file, lines] of all.flatMap((one) => Object.entries(one))) {
    const known = merged[file] ?? {}
    merged[file] = known
    for (const [line, isExecuted] of Object.entries(lines)) known[line] = isExecuted || known[line] === true
  }
  return merged
}

/** `src/raft/vote.ts: 12-14, 31`, and how many of how many lines of each folder were never executed. */
export function listUnexecuted(all: Lines): string[] {
  return Object.entries(all)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([file, lines]) => {
      const known = Object.keys(lines).map(Number)
      const missing = known.filter((line) => lines[line] === false).sort((a, b) => a - b)
      return missing.length === 0
        ? []
        : [`${file}: ${rangesOf(missing).join(', ')} (${missing.length} of ${known.length})`]
    })
}

function mark(path: string, blocks: readonly Block[], within: RegExp, lines: Lines): void {
  const map = findSourceMap(path)
  if (!map) return
  const source = readFileSync(path, 'utf8')
  const counts = new Int32Array(source.length).fill(1)
  // A block inside another one knows better.
  const outerFirst = [...blocks].sort((a, b) => a.startOffset - b.startOffset || b.endOffset - a.endOffset)
  for (const { startOffset, endOffset, count } of outerFirst) counts.fill(count, startOffset, endOffset)
  let offset = 0
  for (const [at, text] of source.split('\n').entries()) {
    const column = text.search(/[^\s})\];]/)
    const entry = column < 0 ? null : map.findEntry(at, column)
    // No entry is an empty object; the types know only the full one.
    const { originalSource = '', originalLine = 0 } = (entry ?? {}) as Partial<SourceMapping>
    const file = within.exec(originalSource)?.[0]
    if (file !== undefined) {
      const known = lines[file] ?? {}
      lines[file] = known
      const line = originalLine + 1
      known[line] = known[line] === true || (counts[offset + column] ?? 0) > 0
    }
    offset += text.length + 1
  }
}

function rangesOf(lines: readonly number[]): string[] {
  const ranges: [number, number][] = []
  for (const line of lines) {
    const last = ranges.at(-1)
    if (last && line === last[1] + 1) last[1] = line
    else ranges.push([line, line])
  }
  return ranges.map(([from, to]) => (from === to ? String(from) : `${from}-${to}`))
}
