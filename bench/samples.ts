/** Samples and what is said of them. */

export interface Summary {
  readonly n: number
  readonly min: number
  readonly p5: number
  readonly p50: number
  readonly p95: number
  readonly p99: number
  readonly max: number
  readonly mean: number
}

/** The value below which that fraction of the samples lies (nearest rank); NaN without samples. */
export function percentile(samples: readonly number[], fraction: number): number {
  const sorted = [...samples].sort((a, b) => a - b)
  const rank = Math.max(1, Math.ceil(fraction * sorted.length))
  return sorted[rank - 1] ?? Number.NaN
}

export function median(samples: readonly number[]): number {
  return percentile(samples, 0.5)
}

export function summarize(samples: readonly number[]): Summary {
  const sum = samples.reduce((total, sample) => total + sample, 0)
  return {
    n: samples.length,
    min: percentile(samples, 0),
    p5: percentile(samples, 0.05),
    p50: percentile(samples, 0.5),
    p95: percentile(samples, 0.95),
    p99: percentile(samples, 0.99),
    max: percentile(samples, 1),
    mean: sum / samples.length,
  }
}
