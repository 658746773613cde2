/** What a part of the benchmark gives: rows of samples, each beside its limit and its aim. */

/** What the machine itself makes of such an operation: what was measured in this very run, put together. */
export interface Limit {
  /** As in `2 trips + 2 writes`. */
  readonly formula: string
  readonly ms: number
}

/** On the p50: at most that many times the limit, or below so many ms. */
export type Aim = { readonly timesLimit: number } | { readonly belowMs: number }

export interface Row {
  readonly id: string
  readonly label: string
  readonly samples: readonly number[]
  readonly limit?: Limit
  readonly aim?: Aim
}

/** Ready to be printed, for what is no time in ms. */
export interface Table {
  readonly head: readonly string[]
  readonly rows: readonly (readonly string[])[]
}

export interface Part {
  readonly id: string
  readonly title: string
  readonly rows: readonly Row[]
  readonly tables?: readonly Table[]
  /** What a reader needs to know of these numbers. */
  readonly notes: readonly string[]
  /** What went wrong: rounds that were lost, steps that did not end. */
  readonly problems: readonly string[]
}

export interface Machine {
  readonly cpus: number
  readonly cpu: string
  readonly platform: string
  readonly node: string
  readonly chromium: string | null
  /** Type of the file system that holds the profiles, as `statfs` says it. */
  readonly disk: string
  /** Of the last minute, when the run began and when it ended. */
  load: { begin: number; end: number }
}
