import * as fc from 'fast-check'
import { beforeEach, describe, expect, it } from 'vitest'
import { decodeMachine, encodeMachine } from '../machine/machine.js'
import { transaction } from '../machine/test-script.js'
import type { ChangesRecord, WatchPosition } from './page.js'
import { StoreWatches } from './store-watches.js'
import { TestContext } from './test-context.js'

let context: TestContext
let watches: StoreWatches
/** What waits for a round to the quorum. */
let reads: (() => void)[]
let ann: number

const bytes = (...of: number[]) => Uint8Array.from(of)
const set = (key: string, value = bytes(1)) => ({ type: 'set', key, value, fence: null, ephemeral: false }) as const
const erase = (key: string) => ({ type: 'delete', key, fence: null }) as const

function startHost(bounds?: { changes: number; bytes: number }): void {
  watches = new StoreWatches(context, (run) => reads.push(run), bounds)
}

beforeEach(() => {
  context = new TestContext()
  context.script.raise()
  ann = context.script.open('ann')
  reads = []
  startHost()
})

/** One entry; resolves with its index. */
function does(...operations: (ReturnType<typeof set> | ReturnType<typeof erase>)[]): number {
  const { events } = context.script.send(ann, transaction({ success: operations }))
  watches.happened(context.script.index, events)
  return context.script.index
}

/** The machine as another peer's snapshot has it. */
function install(...operations: (ReturnType<typeof set> | ReturnType<typeof erase>)[]): void {
  const { script } = context
  const before = script.state
  script.state = decodeMachine(encodeMachine(script.state))
  if (operations.length > 0) script.send(ann, transaction({ success: operations }))
  expect(script.state).not.toBe(before)
  watches.reconcile()
}

function told(): ChangesRecord[] {
  watches.flush()
  return context.emitted.splice(0).flatMap((event) => {
    if (event.type !== 'watched' || event.value.type !== 'changes') return []
    watches.taken(event.id)
    return [event.value]
  })
}

const shown = (records: readonly ChangesRecord[]) =>
  records.flatMap(({ changes, resync }) =>
    changes.map(({ key, now, revision, last }) =>
      [resync && 'resync', now ? 'set' : 'delete', key, revision, last && 'last'].filter(Boolean).join(' '),
    ),
  )
const watch = (prefix: string, from: WatchPosition | number | null = null, id = 1) =>
  watches.watch(id, { prefix, from: typeof from === 'number' ? { revision: from, place: 0 } : from })

describe('a watch of changes', () => {
  it('is told where it stands, and then every change of its prefix, in order', () => {
    does(set('a1'))
    watch('a')
    expect(told()).toEqual([
      { type: 'changes', resync: false, changes: [], until: { revision: context.script.index, place: 0 } },
    ])
    const first = does(set('a2', bytes(7)))
    does(set('b'))
    const second = does(erase('a2'))
    expect(told()).toEqual([
      {
        type: 'changes',
        resync: false,
        changes: [
          {
            key: 'a2',
            revision: first,
            now: { key: 'a2', value: bytes(7), revision: first, ephemeral: false },
            previous: null,
            position: { revision: first, place: 0 },
            last: true,
          },
          {
            key: 'a2',
            revision: second,
            now: null,
            previous: { value: bytes(7), revision: first },
            position: { revision: second, place: 0 },
            last: true,
          },
        ],
        until: { revision: second, place: 0 },
      },
    ])
    expect(told()).toEqual([])
  })

  it('goes on after any revision that is still known, and after any change of a transaction', () => {
    const before = context.script.index
    const one = does(set('a1'))
    const two = does(set('b1'), set('a2'), set('b2'), set('a3'), erase('a1'))
    watch('a', before)
    const all = told()
    expect(shown(all)).toEqual([`set a1 ${one} last`, `set a2 ${two}`, `set a3 ${two}`, `delete a1 ${two} last`])
    const changes = all.flatMap(({ changes }) => changes)
    for (const [i, { position }] of changes.entries()) {
      watch('a', position)
      expect(shown(told())).toEqual(shown(all).slice(i + 1))
    }
  })

  it('a part of a transaction that comes later is told from its place on', () => {
    watch('', { revision: context.script.index, place: 1 })
    expect(shown(told())).toEqual([])
    const revision = does(set('a'), set('b'))
    expect(shown(told())).toEqual([`set b ${revision} last`])
    expect(shown(told())).toEqual([])
  })

  it('one message at a time: the next only when the page has used up the one before, and entries stay whole', () => {
    watch('')
    told()
    for (let i = 0; i < 300; i += 1) does(set(`${i}`), set(`more ${i}`))
    watches.flush()
    watches.flush()
    const messages = context.emitted.splice(0)
    expect(messages).toHaveLength(1)
    watches.taken(1)
    const [first] = messages
    const changes = first?.type === 'watched' && first.value.type === 'changes' ? first.value.changes : []
    expect(changes).toHaveLength(256)
    expect(changes.at(-1)?.last).toBe(true)
    expect(told().flatMap(({ changes }) => changes)).toHaveLength(256)
    expect(told().flatMap(({ changes }) => changes)).toHaveLength(88)
    expect(told()).toEqual([])
  })

  it('is told nothing after it has ended', () => {
    watch('')
    told()
    watches.unwatch(1)
    does(set('a'))
    expect(told()).toEqual([])
  })
})

describe('[S-10] where it is not known what came in between', () => {
  it('a snapshot: everything as it is, once, after what is known to be gone, and then it goes on', () => {
    does(set('a1'), set('a2'), set('b'))
    watch('a')
    told()
    const missed = does(set('a3'))
    install(erase('a1'), erase('b'), set('a2', bytes(9)))
    const { index } = context.script
    const [all, ...more] = told()
    expect(more).toEqual([])
    expect(all && shown([all])).toEqual([
      `resync delete a1 ${index}`,
      `resync set a2 ${index}`,
      `resync set a3 ${missed} last`,
    ])
    expect(all).toMatchObject({ until: { revision: index, place: 0 } })
    // Whoever has a part of it alone can go on from nothing that it has.
    expect(all?.changes.map(({ position }) => position.revision)).toEqual([0, 0, index])
    const later = does(erase('a3'))
    expect(shown(told())).toEqual([`delete a3 ${later} last`])
  })

  it('a snapshot of what is known already changes nothing', () => {
    does(set('a'))
    watch('')
    told()
    install()
    expect(told()).toEqual([])
    const revision = does(set('b'))
    expect(shown(told())).toEqual([`set b ${revision} last`])
  })

  it('nothing is left: that is told too', () => {
    does(set('a'))
    startHost()
    watch('', context.script.index - 1)
    does(erase('a'))
    const [all] = told()
    expect(all).toMatchObject({ resync: true, changes: [], until: { revision: context.script.index } })
  })

  it('a page that is slower than the room: it is told how things are, not what it missed', () => {
    startHost({ changes: 4, bytes: 1e6 })
    watch('')
    told()
    does(set('first'))
    watches.flush()
    expect(context.emitted.splice(0)).toHaveLength(1)
    for (let i = 0; i < 6; i += 1) does(set('k', bytes(i)))
    watches.flush()
    expect(context.emitted).toEqual([])
    watches.taken(1)
    expect(shown(told())).toEqual([
      expect.stringMatching(/^resync set first \d+$/),
      `resync set k ${context.script.index} last`,
    ])
  })

  it('what is kept is bounded in bytes too, but the newest entry is always whole', () => {
    startHost({ changes: 100, bytes: 10 })
    watch('', context.script.index)
    const revision = does(set('a', new Uint8Array(50)), set('b', new Uint8Array(50)))
    expect(shown(told())).toEqual([`set a ${revision}`, `set b ${revision} last`])
    does(set('c'))
    watch('', revision - 1)
    expect(told()).toMatchObject([{ resync: true }])
    watch('', revision)
    expect(told()).toMatchObject([{ resync: false, changes: [{ key: 'c' }] }])
  })
})

describe('[R1] a position that this peer has not come to', () => {
  it('may be one that it was behind of: nothing before it is told', () => {
    const from = context.script.index + 2
    watch('', from)
    does(set('a'))
    expect(told()).toEqual([])
    does(set('b'))
    reads.shift()?.()
    expect(shown(told())).toEqual([])
    const revision = does(set('c'))
    expect(shown(told())).toEqual([`set c ${revision} last`])
  })

  it('or of another history: the room itself has not come to it', () => {
    const revision = does(set('a'))
    watch('', revision + 1_000)
    expect(told()).toEqual([])
    reads.shift()?.()
    expect(shown(told())).toEqual([`resync set a ${revision} last`])
    const next = does(set('b'))
    expect(shown(told())).toEqual([`set b ${next} last`])
  })

  it('0 is everything as it is, and as the room has it', () => {
    watch('', 0)
    expect(told()).toEqual([])
    const revision = does(set('a'))
    expect(told()).toEqual([])
    reads.shift()?.()
    expect(shown(told())).toEqual([`resync set a ${revision} last`])
  })
})

// A page that keeps a copy of a part of the store by what it is told, over restarts of itself and of its host, and snapshots.

type Step =
  | { readonly do: 'write'; readonly keys: readonly string[]; readonly erases: readonly boolean[] }
  | { readonly do: 'take' | 'page' | 'host' | 'snapshot' }

const key = fc.constantFrom('a', 'ab', 'b', 'aa')
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('write' as const),
      keys: fc.uniqueArray(key, { minLength: 1, maxLength: 3 }),
      erases: fc.array(fc.boolean(), { minLength: 3, maxLength: 3 }),
    }),
  },
  { weight: 4, arbitrary: fc.constantFrom({ do: 'take' as const }, { do: 'page' as const }) },
  {
    weight: 1,
    arbitrary: fc.constantFrom({ do: 'host' as const }, { do: 'snapshot' as const }),
  },
)

it('[S-10] whoever is told keeps a true copy: nothing skipped, nothing twice, whoever restarts and wherever it stopped', () => {
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 40, size: 'max' }),
      fc.array(fc.nat(3), { minLength: 40, maxLength: 40 }),
      (steps, takes) => {
        context = new TestContext()
        context.script.raise()
        ann = context.script.open('ann')
        reads = []
        const bounds = { changes: 4, bytes: 1e6 }
        startHost(bounds)
        const copy = new Map<string, number>()
        const seen = new Set<string>()
        let position: WatchPosition = { revision: context.script.index, place: 0 }
        let id = 1
        watch('a', position, id)
        const take = (most: number) => {
          watches.flush()
          for (const run of reads.splice(0)) run()
          watches.flush()
          for (const event of context.emitted.splice(0)) {
            if (event.type !== 'watched' || event.id !== id || event.value.type !== 'changes') continue
            const { changes, resync, until } = event.value
            if (resync) {
              copy.clear()
              seen.clear()
              position = changes.length === 0 ? until : { revision: 0, place: 0 }
            }
            for (const change of changes.slice(0, most)) {
              const name = `${change.revision} ${change.key}`
              expect(seen.has(name)).toBe(false)
              seen.add(name)
              if (!resync) expect(copy.get(change.key)).toBe(change.previous?.revision)
              if (change.now) copy.set(change.key, change.now.revision)
              else copy.delete(change.key)
              position = change.position
            }
            if (changes.length > most) return false
            position = until
            watches.taken(id)
          }
          return true
        }
        const again = () => {
          id += 1
          watch('a', position, id)
        }
        for (const [i, one] of steps.entries()) {
          if (one.do === 'write') does(...one.keys.map((key, j) => (one.erases[j] ? erase(key) : set(key))))
          else if (one.do === 'host' || one.do === 'snapshot') {
            if (one.do === 'snapshot') install(set('a'), erase('ab'))
            else {
              startHost(bounds)
              again()
            }
          } else if (one.do === 'take') {
            if (!take(1e6)) again()
          } else if (one.do === 'page') {
            // It stops somewhere within what it is told, and begins again from there.
            take(takes[i] ?? 0)
            watches.unwatch(id)
            again()
          }
        }
        for (let i = 0; i < 20; i += 1) take(1e6)
        const items = [...context.script.state.store.items].filter(([key]) => key.startsWith('a'))
        expect(new Map([...copy].sort())).toEqual(
          new Map(items.map(([key, { revision }]) => [key, revision] as const).sort()),
        )
      },
    ),
    { numRuns: 300 },
  )
})
