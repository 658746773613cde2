/**
 * Appends under way to one follower, oldest first, in a ring: bounded by count and by bytes, so that a slow link holds
 * a known amount (S30, B27).
 */
export interface Inflight {
  readonly capacity: number
  /** Last index of each append. */
  readonly indices: number[]
  readonly sizes: number[]
  start: number
  count: number
  bytes: number
}

export function createInflight(capacity: number): Inflight {
  return { capacity, indices: [], sizes: [], start: 0, count: 0, bytes: 0 }
}

export function resetInflight(inflight: Inflight): void {
  inflight.start = inflight.count = inflight.bytes = 0
}

export function addInflight(inflight: Inflight, index: number, bytes: number): void {
  const at = (inflight.start + inflight.count) % inflight.capacity
  inflight.indices[at] = index
  inflight.sizes[at] = bytes
  inflight.count++
  inflight.bytes += bytes
}

/** Acknowledgements are cumulative: frees every append that ends at or before `index`. */
export function freeInflight(inflight: Inflight, index: number): void {
  while (inflight.count > 0 && (inflight.indices[inflight.start] ?? 0) <= index) {
    inflight.bytes -= inflight.sizes[inflight.start] ?? 0
    inflight.start = (inflight.start + 1) % inflight.capacity
    inflight.count--
  }
}
