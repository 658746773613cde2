/** How often something happened, by its name: what no run ever does, no run has tested. */
export class Coverage {
  readonly #counts = new Map<string, number>()

  hit(name: string, times = 1): void {
    if (times > 0) this.#counts.set(name, (this.#counts.get(name) ?? 0) + times)
  }

  get counts(): ReadonlyMap<string, number> {
    return this.#counts
  }
}

/** What many runs hit. */
export class CoverageTable {
  readonly #rows = new Map<string, { hits: number; runs: number }>()

  add(counts: Iterable<readonly [string, number]>): void {
    for (const [name, hits] of counts) {
      const row = this.#rows.get(name) ?? { hits: 0, runs: 0 }
      this.#rows.set(name, { hits: row.hits + hits, runs: row.runs + 1 })
    }
  }

  /** Of these names the ones that no run has hit. */
  missing(names: readonly string[]): string[] {
    return names.filter((name) => !this.#rows.has(name))
  }

  /** One line each, by name: hits, and in how many runs. */
  toString(): string {
    const rows = [...this.#rows].sort(([a], [b]) => (a < b ? -1 : 1))
    const width = Math.max(0, ...rows.map(([name]) => name.length))
    return rows
      .map(([name, { hits, runs }]) => `${name.padEnd(width)} ${String(hits).padStart(9)} ${String(runs).padStart(6)}`)
      .join('\n')
  }
}
