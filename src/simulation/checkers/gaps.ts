import type { HostRecord } from '../worker.js'

/** From where on a host has applied each entry itself: what came before was in a snapshot, and what it changed nobody told it. */
interface Row {
  since: number
  last: number
}

export class GapBooks {
  readonly #rows = new Map<HostRecord, Row>()

  started(record: HostRecord): void {
    const { appliedIndex } = record.host.status
    this.#rows.set(record, { since: appliedIndex, last: appliedIndex })
  }

  applied(record: HostRecord, index: number): void {
    const row = this.#rows.get(record)
    if (!row) return
    if (index !== row.last + 1) row.since = index - 1
    row.last = index
  }

  /** Whether a host that this page has had may know no more what changed right after that revision. */
  isPossible(page: string, revision: number): boolean {
    return [...this.#rows].some(([{ thread, host }, { since, last }]) => {
      const { appliedIndex } = host.status
      return thread.name.startsWith(`${page}/`) && (appliedIndex > last ? appliedIndex : since) > revision
    })
  }
}
