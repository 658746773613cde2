/** What every storage has to keep, as plain cases: they run under vitest in Node and inside a page in a browser. */
import type { Configuration, Entry } from '../../src/raft/entry.js'
import type { Snapshot } from '../../src/raft/message.js'
import type { Lineage, Storage, StoredState, WriteBatch } from '../../src/storage/storage.js'

/** A disk, empty at first, that storages come and go on. */
export interface Disk {
  open(nonce: string): Promise<Storage>
  /** What a write cannot store: it makes that write fail halfway. Absent where every value can be stored. */
  readonly unstorable?: unknown
}

export interface StorageCase {
  readonly title: string
  run(disk: Disk): Promise<void>
  readonly needsFault?: true
}

const lineage: Lineage = { roomId: 'room', epoch: 0, forkId: '' }
const configuration: Configuration = {
  voters: ['ann', 'bob'],
  outgoing: [],
  learners: ['cid'],
  learnersNext: [],
  incarnations: { ann: { counter: 3, nonce: 'n' } },
}
const command = (index: number, term = 1, bytes = [index & 0xff, 0, 255]): Entry => ({
  ...{ term, index, time: index * 10.5 },
  type: 'command',
  data: Uint8Array.from(bytes),
})
const commands = (from: number, to: number, term = 1) =>
  Array.from({ length: to - from + 1 }, (_, i) => command(from + i, term))
const snapshot = (index: number, size = 10): Snapshot => ({
  meta: { term: 1, index, configuration, time: index * 10.5 },
  data: Uint8Array.from({ length: size }, (_, i) => (i * 31 + index) & 0xff),
})
const hardState = (term: number, votedFor: string | null = null, commitIndex = 0) => ({
  term,
  votedFor,
  promisedTo: null,
  commitIndex,
})
const append = (entries: readonly Entry[], group = 0): WriteBatch => ({ groups: [{ group, entries }] })

/** Closes the storage and opens the disk again. */
async function reopen(disk: Disk, storage: Storage, nonce = 'next'): Promise<Storage> {
  storage.close()
  return disk.open(nonce)
}

async function stateAfter(disk: Disk, ...batches: readonly WriteBatch[]): Promise<StoredState> {
  const storage = await disk.open('first')
  for (const batch of batches) await storage.write(batch)
  const { stored } = await reopen(disk, storage)
  return stored
}

export const storageCases: readonly StorageCase[] = [
  {
    title: 'a new disk is empty',
    async run(disk) {
      const { stored } = await disk.open('first')
      equal(stored.lineage, null)
      equal(stored.groups.size, 0)
    },
  },
  {
    title: '[F2] every opening is a new incarnation, durable before anything is written',
    async run(disk) {
      const first = await disk.open('a')
      equal(first.incarnation, { counter: 1, nonce: 'a' })
      const second = await reopen(disk, first, 'b')
      equal(second.incarnation, { counter: 2, nonce: 'b' })
      const third = await disk.open('c')
      equal(third.incarnation, { counter: 3, nonce: 'c' })
      equal(first.incarnation, { counter: 1, nonce: 'a' })
    },
  },
  {
    title: '[F3] a write of an older life is refused and changes nothing',
    async run(disk) {
      const old = await disk.open('a')
      await old.write(append(commands(1, 2)))
      const young = await disk.open('b')
      await rejects(old.write(append(commands(1, 3, 2))))
      await rejects(old.write({ lineage, groups: [{ group: 0, hardState: hardState(9), entries: [] }] }))
      await young.write(append([command(3)]))
      const { stored } = await reopen(disk, young)
      equal(stored.lineage, null)
      equal(stored.groups.get(0)?.entries, commands(1, 3))
    },
  },
  {
    title: '[F3] whoever was refused once is refused for ever',
    async run(disk) {
      const old = await disk.open('a')
      await disk.open('b')
      await rejects(old.write(append([command(1)])))
      await rejects(old.write(append([command(1)])))
    },
  },
  {
    title: 'a group that has only been voted in is there again',
    async run(disk) {
      const { groups } = await stateAfter(disk, {
        groups: [{ group: 0, hardState: hardState(7, 'bob', 3), entries: [] }],
      })
      equal(groups.get(0), { hardState: hardState(7, 'bob', 3), snapshot: null, entries: [] })
    },
  },
  {
    title: 'every kind of entry comes back as it was',
    async run(disk) {
      const entries: Entry[] = [
        command(1, 1, []),
        { term: 1, index: 2, time: 0.25, type: 'noop' },
        { term: 2, index: 3, time: 99, type: 'configuration', configuration },
        command(4, 2, [0, 1, 2, 253, 254, 255]),
      ]
      const { groups } = await stateAfter(disk, { lineage, groups: [{ group: 0, hardState: hardState(2), entries }] })
      equal(groups.get(0)?.entries, entries)
    },
  },
  {
    title: 'a lineage is there again, and replaced by a later one',
    async run(disk) {
      equal((await stateAfter(disk, { lineage, groups: [] })).lineage, lineage)
      const fork = { ...lineage, epoch: 1, forkId: 'fork' }
      equal((await stateAfter(disk, { lineage: fork, groups: [] })).lineage, fork)
    },
  },
  {
    title: 'writes take effect in the order of the calls, also those that are not awaited',
    async run(disk) {
      const storage = await disk.open('first')
      const writes = [1, 2, 3, 4, 5].map((term) =>
        storage.write({ groups: [{ group: 0, hardState: hardState(term), entries: [command(term, term)] }] }),
      )
      await Promise.all(writes)
      const { stored } = await reopen(disk, storage)
      equal(stored.groups.get(0)?.hardState, hardState(5))
      equal(
        stored.groups.get(0)?.entries,
        [1, 2, 3, 4, 5].map((term) => command(term, term)),
      )
    },
  },
  {
    title: 'a write that has been answered is there, however the storage ends',
    async run(disk) {
      const storage = await disk.open('first')
      await storage.write(append(commands(1, 3)))
      const { stored } = await disk.open('second')
      equal(stored.groups.get(0)?.entries, commands(1, 3))
    },
  },
  {
    title: 'entries replace everything from the first one on',
    async run(disk) {
      const { groups } = await stateAfter(disk, append(commands(1, 9)), append(commands(4, 5, 2)))
      equal(groups.get(0)?.entries, [...commands(1, 3), ...commands(4, 5, 2)])
    },
  },
  {
    title: 'a write without entries leaves the log alone',
    async run(disk) {
      const vote = { groups: [{ group: 0, hardState: hardState(2), entries: [] }] }
      const { groups } = await stateAfter(disk, append(commands(1, 3)), vote)
      equal(groups.get(0)?.entries, commands(1, 3))
    },
  },
  {
    title: 'a write without a hard state leaves it alone',
    async run(disk) {
      const vote = { groups: [{ group: 0, hardState: hardState(2, 'ann'), entries: [] }] }
      const { groups } = await stateAfter(disk, vote, append([command(1)]))
      equal(groups.get(0)?.hardState, hardState(2, 'ann'))
    },
  },
  {
    title: 'an installed snapshot takes the place of the whole log, and entries of the same write follow it',
    async run(disk) {
      const installed = { groups: [{ group: 0, installed: snapshot(20), entries: commands(21, 22) }] }
      const { groups } = await stateAfter(disk, append(commands(1, 30)), installed)
      equal(groups.get(0)?.snapshot, snapshot(20))
      equal(groups.get(0)?.entries, commands(21, 22))
    },
  },
  {
    title: 'an installed snapshot takes the place of an earlier one, whichever is larger',
    async run(disk) {
      const install = (index: number, size: number) => ({
        groups: [{ group: 0, installed: snapshot(index, size), entries: [] }],
      })
      const { groups } = await stateAfter(disk, install(5, 900_000), install(9, 10))
      equal(groups.get(0)?.snapshot, snapshot(9, 10))
    },
  },
  {
    title: 'compacting keeps the tail',
    async run(disk) {
      const compact = { groups: [{ group: 0, entries: [], compacted: { snapshot: snapshot(8), keepFrom: 5 } }] }
      const { groups } = await stateAfter(disk, append(commands(1, 10)), compact)
      equal(groups.get(0)?.snapshot, snapshot(8))
      equal(groups.get(0)?.entries, commands(5, 10))
    },
  },
  {
    title: 'compacting in the write that appends',
    async run(disk) {
      const both = {
        groups: [{ group: 0, entries: commands(8, 12, 2), compacted: { snapshot: snapshot(9), keepFrom: 7 } }],
      }
      const { groups } = await stateAfter(disk, append(commands(1, 10)), both)
      equal(groups.get(0)?.entries, [command(7), ...commands(8, 12, 2)])
    },
  },
  {
    title: 'compacting everything leaves no entry',
    async run(disk) {
      const compact = { groups: [{ group: 0, entries: [], compacted: { snapshot: snapshot(3), keepFrom: 4 } }] }
      const { groups } = await stateAfter(disk, append(commands(1, 3)), compact)
      equal(groups.get(0)?.entries, [])
    },
  },
  {
    title: 'groups are apart',
    async run(disk) {
      const { groups } = await stateAfter(
        disk,
        { groups: [0, 1, 2].map((group) => ({ group, hardState: hardState(group), entries: commands(1, 5) })) },
        append(commands(2, 2, 9), 1),
        { groups: [{ group: 2, installed: snapshot(7), entries: [] }] },
      )
      equal([...groups.keys()].sort(), [0, 1, 2])
      equal(groups.get(0)?.entries, commands(1, 5))
      equal(groups.get(1)?.entries, [command(1), command(2, 9)])
      equal(groups.get(2)?.entries, [])
      equal(groups.get(1)?.hardState, hardState(1))
    },
  },
  {
    title: 'large indexes keep their order',
    async run(disk) {
      const from = 2 ** 40
      const { groups } = await stateAfter(disk, append(commands(from, from + 300)))
      equal(
        groups.get(0)?.entries.map(({ index }) => index),
        Array.from({ length: 301 }, (_, i) => from + i),
      )
    },
  },
  {
    title: 'snapshots of every size come back byte by byte',
    async run(disk) {
      const piece = 256 * 1024
      let storage = await disk.open('first')
      for (const size of [0, 1, piece - 1, piece, piece + 1, 3 * piece, 3 * piece + 7]) {
        await storage.write({ groups: [{ group: 0, installed: snapshot(1, size), entries: [] }] })
        storage = await reopen(disk, storage)
        const data = storage.stored.groups.get(0)?.snapshot?.data
        equal(data?.byteLength, size)
        equal(data instanceof Uint8Array, true)
        equal(hash(data), hash(snapshot(1, size).data))
      }
    },
  },
  {
    title: 'a view into a larger buffer is stored as that view alone',
    async run(disk) {
      const large = new Uint8Array(1000).fill(7)
      const view = large.subarray(10, 13)
      const { groups } = await stateAfter(
        disk,
        append([{ ...{ term: 1, index: 1, time: 0 }, type: 'command', data: view }]),
        { groups: [{ group: 0, entries: [], compacted: { snapshot: { ...snapshot(1), data: view }, keepFrom: 1 } }] },
      )
      const [entry] = groups.get(0)?.entries ?? []
      equal(entry?.type === 'command' && [...entry.data], [7, 7, 7])
      equal([...(groups.get(0)?.snapshot?.data ?? [])], [7, 7, 7])
    },
  },
  {
    title: '[N1] a reset forgets lineage and groups, and not the incarnation',
    async run(disk) {
      const storage = await disk.open('first')
      const full = { group: 0, hardState: hardState(3), installed: snapshot(5), entries: commands(6, 7) }
      await storage.write({ lineage, groups: [full, { ...full, group: 1 }] })
      await storage.write({ reset: true, groups: [] })
      await storage.write({ groups: [] })
      const next = await reopen(disk, storage)
      equal(next.stored.lineage, null)
      equal(next.stored.groups.size, 0)
      equal(next.incarnation.counter, 2)
    },
  },
  {
    title: '[N1] a reset and what comes with it are one write: the new room is there, nothing of the old',
    async run(disk) {
      const other = { ...lineage, roomId: 'other' }
      const { lineage: found, groups } = await stateAfter(
        disk,
        { lineage, groups: [{ group: 0, hardState: hardState(3, 'ann'), entries: commands(1, 9) }] },
        { reset: true, lineage: other, groups: [{ group: 0, hardState: hardState(1), entries: [command(1, 1, [5])] }] },
      )
      equal(found, other)
      equal(groups.get(0), { hardState: hardState(1), snapshot: null, entries: [command(1, 1, [5])] })
    },
  },
  {
    title: 'an empty write is a write',
    async run(disk) {
      const storage = await disk.open('first')
      await storage.write({ groups: [] })
      await disk.open('second')
      await rejects(storage.write({ groups: [] }))
    },
  },
  {
    title: 'a relaxed storage keeps the same contract',
    async run(disk) {
      const storage = await disk.open('first')
      storage.setDurability('relaxed')
      await storage.write(append(commands(1, 3)))
      storage.setDurability('strict')
      await storage.write(append([command(4)]))
      const { stored } = await reopen(disk, storage)
      equal(stored.groups.get(0)?.entries, commands(1, 4))
    },
  },
  {
    title: 'a closed storage writes no more',
    async run(disk) {
      const storage = await disk.open('first')
      storage.close()
      storage.close()
      await rejects(storage.write(append([command(1)])))
      equal((await disk.open('second')).stored.groups.size, 0)
    },
  },
  {
    title: 'what was read at the opening stays as it was',
    async run(disk) {
      const storage = await disk.open('first')
      await storage.write({ lineage, groups: [{ group: 0, hardState: hardState(1), entries: commands(1, 3) }] })
      const next = await reopen(disk, storage)
      await next.write({ groups: [{ group: 0, hardState: hardState(2), entries: commands(2, 2, 2) }] })
      equal(next.stored.groups.get(0)?.hardState, hardState(1))
      equal(next.stored.groups.get(0)?.entries, commands(1, 3))
    },
  },
  {
    title: '[S40] a write that fails halfway leaves nothing behind: all or nothing',
    needsFault: true,
    async run(disk) {
      const storage = await disk.open('first')
      await storage.write({ lineage, groups: [{ group: 0, hardState: hardState(1), entries: commands(1, 3) }] })
      const broken = { ...command(3, 2), data: disk.unstorable as Uint8Array }
      const write = {
        ...{ reset: true as const, lineage: { ...lineage, epoch: 1 } },
        groups: [
          { group: 0, hardState: hardState(5, 'eve'), entries: [command(1, 2), command(2, 2), broken] },
          { group: 1, entries: [command(1)] },
        ],
      }
      await rejects(storage.write(write))
      const { stored } = await reopen(disk, storage)
      equal(stored.lineage, lineage)
      equal(stored.groups.size, 1)
      equal(stored.groups.get(0), { hardState: hardState(1), snapshot: null, entries: commands(1, 3) })
    },
  },
  {
    title: '[S42] after a write that failed none succeeds, nor one that was on its way behind it',
    needsFault: true,
    async run(disk) {
      const storage = await disk.open('first')
      const broken = storage.write({ lineage: disk.unstorable as Lineage, groups: [] })
      const behind = storage.write(append([command(1)]))
      await rejects(broken)
      await rejects(behind)
      await rejects(storage.write(append([command(1)])))
      equal((await disk.open('second')).stored.groups.size, 0)
    },
  },
]

async function rejects(promise: Promise<unknown>): Promise<void> {
  const resolved = await promise.then(
    () => true,
    () => false,
  )
  if (resolved) throw new Error('a write was expected to be refused, and was not')
}

function equal(actual: unknown, expected: unknown): void {
  const [is, should] = [text(actual), text(expected)]
  if (is !== should) throw new Error(`expected ${should.slice(0, 2_000)}, got ${is.slice(0, 2_000)}`)
}

/** One text for one structure, whatever the order of its keys. */
function text(value: unknown): string {
  return JSON.stringify(value, (_key, one: unknown) => {
    if (one instanceof Uint8Array) return { bytes: [...one] }
    if (typeof one !== 'object' || one === null || Array.isArray(one)) return one === undefined ? 'undefined' : one
    return Object.fromEntries(Object.entries(one).sort(([a], [b]) => (a < b ? -1 : 1)))
  })
}

function hash(data: Uint8Array | undefined): number {
  let sum = 17
  for (const byte of data ?? []) sum = (Math.imul(sum, 31) + byte) | 0
  return sum
}
