/** The table that people read. */
import type { Aim, Limit, Machine, Part, Row } from './result.js'
import { median, percentile } from './samples.js'

type Cells = readonly string[]

const head: Cells = ['ms', 'n', 'p50', 'p95', 'limit, by p50 of this run', 'p50 / limit', 'aim', '']

export function printMachine({ cpus, cpu, node, chromium, disk, load }: Machine): void {
  console.log(`${cpus} x ${cpu}; Node ${node}; ${chromium ?? 'no browser'}; profiles on ${disk}; load ${load.begin}`)
}

export function printPart({ title, rows, tables = [], notes, problems }: Part): void {
  console.log(`\n${title}`)
  if (rows.length > 0) printTable([head, ...rows.map(cellsOf)])
  for (const table of tables) printTable([table.head, ...table.rows])
  for (const note of notes) console.log(`  ${note}`)
  for (const problem of problems) console.log(`  problem: ${problem}`)
}

function cellsOf({ label, samples, limit, aim }: Row): Cells {
  const p50 = median(samples)
  return [
    label,
    String(samples.length),
    ms(p50),
    ms(percentile(samples, 0.95)),
    limit ? `${limit.formula} = ${ms(limit.ms)}` : '',
    limit ? (p50 / limit.ms).toFixed(1) : '',
    aim ? textOf(aim) : '',
    aim ? verdict(p50, aim, limit) : '',
  ]
}

function textOf(aim: Aim): string {
  return 'belowMs' in aim ? `p50 < ${aim.belowMs} ms` : `<= ${aim.timesLimit} x limit`
}

export function isMet(p50: number, aim: Aim, limit: Limit | undefined): boolean {
  if ('belowMs' in aim) return p50 < aim.belowMs
  return limit !== undefined && p50 <= aim.timesLimit * limit.ms
}

function verdict(p50: number, aim: Aim, limit: Limit | undefined): string {
  if (Number.isNaN(p50)) return 'no sample'
  return isMet(p50, aim, limit) ? 'ok' : 'MISS'
}

function ms(value: number): string {
  if (Number.isNaN(value)) return '-'
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2)
}

/** Numbers to the right, words to the left. */
function printTable(table: readonly Cells[]): void {
  const widths = (table[0] ?? []).map((_cell, column) => Math.max(...table.map((cells) => cells[column]?.length ?? 0)))
  const isNumber = (column: number) => (column > 0 && column < 4) || column === 5
  for (const cells of table) {
    const line = cells.map((cell, column) => {
      const width = widths[column] ?? 0
      return isNumber(column) ? cell.padStart(width) : cell.padEnd(width)
    })
    console.log(`  ${line.join('  ')}`.trimEnd())
  }
}
