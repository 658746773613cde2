/** Times, as a histogram of log-scaled buckets: whatever the range, few numbers, and a quantile within a fifth of the true one. */
export interface Histogram {
  readonly count: number
  /** ms, as all that follows. */
  readonly sum: number
  /** 0 while there is none. */
  readonly min: number
  readonly max: number
  /** Quantiles: the upper bound of the bucket that they fall into. */
  readonly p50: number
  readonly p90: number
  readonly p99: number
  /** Those that are not empty, the shortest first: how many took longer than the bound before and at most `le`. */
  readonly buckets: readonly { readonly le: number; readonly count: number }[]
}

/** Bounds grow by the fourth root of two. */
const bucketsPerOctave = 4
/** The first bucket ends here, ms: below it no platform clock tells times apart. */
const shortest = 0.125
/** The last bucket takes all that is longer than about a day. */
const bucketMax = 120

export class HistogramBuilder {
  readonly #buckets = new Map<number, number>()
  #count = 0
  #sum = 0
  #min = Number.POSITIVE_INFINITY
  #max = 0

  add(ms: number): void {
    const time = Math.max(0, ms)
    const scale = Math.ceil(Math.log2(time / shortest) * bucketsPerOctave)
    const bucket = Math.min(bucketMax, Math.max(0, scale))
    this.#buckets.set(bucket, (this.#buckets.get(bucket) ?? 0) + 1)
    this.#count += 1
    this.#sum += time
    this.#min = Math.min(this.#min, time)
    this.#max = Math.max(this.#max, time)
  }

  snapshot(): Histogram {
    const sorted = [...this.#buckets].sort(([a], [b]) => a - b)
    const [p50, p90, p99] = [0.5, 0.9, 0.99].map((share) => this.#quantile(sorted, share))
    return {
      count: this.#count,
      sum: this.#sum,
      min: this.#count === 0 ? 0 : this.#min,
      max: this.#max,
      p50: p50 ?? 0,
      p90: p90 ?? 0,
      p99: p99 ?? 0,
      buckets: sorted.map(([bucket, count]) => ({ le: this.#bound(bucket), count })),
    }
  }

  #quantile(sorted: readonly (readonly [number, number])[], share: number): number {
    let left = Math.ceil(this.#count * share)
    for (const [bucket, count] of sorted) {
      left -= count
      if (left <= 0) return Math.min(this.#max, Math.max(this.#min, this.#bound(bucket)))
    }
    return 0
  }

  /** The last bucket has no bound of its own: nothing in it is longer than the longest. */
  #bound(bucket: number): number {
    return bucket === bucketMax ? Math.max(this.#max, longest) : boundOf(bucket)
  }
}

function boundOf(bucket: number): number {
  return shortest * 2 ** (bucket / bucketsPerOctave)
}

const longest = boundOf(bucketMax)
