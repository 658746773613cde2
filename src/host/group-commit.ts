import type { HardState, Ready, Write } from '../raft/ready.js'
import type { Clock, Timer } from '../shared/instant.js'
import type { GroupId, GroupWrite, Lineage, Storage } from '../storage/storage.js'

/** What goes to the disk besides the cores' own writes. */
export interface ExtraWrite {
  readonly lineage?: Lineage
  readonly compacted?: GroupWrite['compacted'] & { readonly group: GroupId }
}

/** No more entries than this wait for others to be written with. */
const lingerEntries = 32
/** How far the stored commit index may stay behind. */
const commitStride = 64

export interface GroupCommitListener {
  /** For so long may entries, which nobody waits for, wait for others to be written with, ms. */
  lingerFor(group: GroupId): number
  /** Entries from that index on are durable, by one write. */
  written(group: GroupId, first: number): void
  /** Runs everything that one write made durable as one: what it leads to leaves in one frame. */
  together(run: () => void): void
  /** In the order of `add`: everything that this Ready wrote, and all before it, is durable. */
  durable(group: GroupId, ready: Ready): void
  /** Once. Nothing becomes durable any more. */
  failed(error: unknown): void
}

/**
 * One transaction at a time carries all that came up while the one before was under way (group commit): no timer ever
 * waits for a batch, and the busier the disk is, the larger the batches are.
 */
export class GroupCommit {
  readonly #storage: Storage
  readonly #listener: GroupCommitListener
  readonly #clock: Pick<Clock, 'now' | 'after'>
  #queue: { readonly group: GroupId; readonly ready: Ready }[] = []
  #extras: ExtraWrite[] = []
  /** What was last written of each group's hard state. */
  readonly #kept = new Map<GroupId, HardState>()
  /** A write is under way, or the listener is being told of one. */
  #busy = false
  #stopped = false
  /** What waits is written when it fires, at the latest. */
  #lingering: Timer | null = null
  #writes = 0
  #writeMs: number | null = null

  constructor(storage: Storage, clock: Pick<Clock, 'now' | 'after'>, listener: GroupCommitListener) {
    this.#storage = storage
    this.#clock = clock
    this.#listener = listener
  }

  get writes(): number {
    return this.#writes
  }

  /** Smoothed duration of a durable write in ms, null before the first. */
  get writeMs(): number | null {
    return this.#writeMs
  }

  /** Takes over the disk part of a Ready; one without a write waits for those before it. */
  add(group: GroupId, ready: Ready): void {
    this.#queue.push({ group, ready })
    this.#next()
  }

  addExtra(extra: ExtraWrite): void {
    this.#extras.push(extra)
    this.#next()
  }

  /** Durable together with what is added next, or not at all. */
  addToNext(extra: ExtraWrite): void {
    this.#extras.push(extra)
  }

  stop(): void {
    this.#stopped = true
    this.#lingering?.cancel()
  }

  #next(): void {
    if (this.#busy || this.#stopped) return
    while (
      this.#queue.length > 0 &&
      this.#queue.every(({ ready }) => ready.write === null) &&
      this.#extras.length === 0
    ) {
      const items = this.#queue
      this.#queue = []
      this.#tell(items)
    }
    if (this.#stopped || (this.#queue.length === 0 && this.#extras.length === 0)) return
    const linger = this.#lingerFor()
    if (linger > 0) this.#lingering ??= this.#clock.after(linger, () => this.#write())
    else this.#write()
  }

  /** Only what it appends, and only for its own good; 0: it is written at once. */
  #lingerFor(): number {
    if (this.#extras.length > 0) return 0
    const groups = new Set(this.#queue.map(({ group }) => group))
    const linger = Math.min(...[...groups].map((group) => this.#listener.lingerFor(group)))
    if (linger === 0) return 0
    let entries = 0
    for (const { group, ready } of this.#queue) {
      const { write, messagesAfterWrite } = ready
      const { hardState } = write ?? {}
      if (write?.snapshot || (hardState && this.#isVote(group, hardState))) return 0
      if (messagesAfterWrite.some((message) => message.type !== 'appendReply' || message.rejected)) return 0
      entries += write?.entries.length ?? 0
    }
    return entries < lingerEntries ? linger : 0
  }

  /** What the listener adds meanwhile waits its turn: the order is that of `add`. */
  #tell(items: readonly { readonly group: GroupId; readonly ready: Ready }[]): void {
    this.#busy = true
    this.#listener.together(() => {
      for (const { group, ready } of items) if (!this.#stopped) this.#listener.durable(group, ready)
    })
    this.#busy = false
  }

  #write(): void {
    this.#lingering?.cancel()
    this.#lingering = null
    const items = this.#queue
    const extras = this.#extras
    this.#queue = []
    this.#extras = []
    const lineage = extras.filter((extra) => extra.lineage !== undefined).at(-1)?.lineage
    const groups = new Map<GroupId, GroupWrite>()
    for (const { group, ready } of items)
      if (ready.write) groups.set(group, merge(groups.get(group), group, ready.write))
    for (const { compacted } of extras) {
      if (!compacted) continue
      const { group, snapshot, keepFrom } = compacted
      const installed = groups.get(group)?.installed
      // A snapshot from the leader came after it: the older one would take its place.
      if (installed && installed.meta.index >= snapshot.meta.index) continue
      groups.set(group, { ...(groups.get(group) ?? { group, entries: [] }), compacted: { snapshot, keepFrom } })
    }
    this.#busy = true
    const begun = this.#clock.now().monotonic
    const writes = [...groups.values()].map((write) => this.#sparing(write))
    this.#storage.write({ ...(lineage && { lineage }), groups: writes }).then(
      () => {
        this.#measure(this.#clock.now().monotonic - begun)
        for (const { group, entries } of writes) if (entries[0]) this.#listener.written(group, entries[0].index)
        this.#tell(items)
        this.#next()
      },
      (error: unknown) => {
        if (this.#stopped) return
        this.#stopped = true
        this.#listener.failed(error)
      },
    )
  }

  /** A commit index alone is worth no request of its own until it has moved far: a restarted peer learns it anew. */
  #sparing(write: GroupWrite): GroupWrite {
    const { hardState, ...rest } = write
    const kept = this.#kept.get(write.group)
    if (!hardState) return write
    if (
      kept &&
      !this.#isVote(write.group, hardState) &&
      !write.installed &&
      hardState.commitIndex - kept.commitIndex < commitStride
    )
      return rest
    this.#kept.set(write.group, hardState)
    return write
  }

  /** Its term or vote is news. */
  #isVote(group: GroupId, { term, votedFor, promisedTo }: HardState): boolean {
    const kept = this.#kept.get(group)
    return kept?.term !== term || kept.votedFor !== votedFor || kept.promisedTo !== promisedTo
  }

  #measure(ms: number): void {
    this.#writes += 1
    this.#writeMs = this.#writeMs === null ? ms : this.#writeMs * 0.9 + ms * 0.1
  }
}

/** Two writes of one group as one: the later truncates what the earlier appended, as it would have on the disk. */
function merge(before: GroupWrite | undefined, group: GroupId, write: Write): GroupWrite {
  const first = write.entries[0]
  const kept = write.snapshot ? [] : (before?.entries ?? [])
  const entries = first ? [...kept.filter((entry) => entry.index < first.index), ...write.entries] : kept
  const installed = write.snapshot ?? before?.installed
  const hardState = write.hardState ?? before?.hardState
  const compacted = write.snapshot ? undefined : before?.compacted
  return {
    group,
    entries,
    ...(hardState && { hardState }),
    ...(installed && { installed }),
    ...(compacted && { compacted }),
  }
}
