import { describe, expect, it } from 'vitest'
import type { Configuration } from '../raft/entry.js'
import { identityLockName, lifeLockName } from '../shared/life.js'
import type { Lineage } from '../storage/storage.js'
import { ManualClock, TestLocks } from './test-locks.js'
import { type Attic, type Remains, Tidying } from './tidying.js'

const day = 24 * 3_600_000
const history: Lineage = { roomId: 'room', epoch: 0, forkId: '' }
const life = { counter: 1, nonce: 'n' }
const plain: Remains = { incarnation: life, lineage: history, lastIndex: 5 }

function configuration(voters: readonly string[], learners: readonly string[] = []): Configuration {
  return { voters, outgoing: [], learners, learnersNext: [], incarnations: {} }
}

interface Given {
  /** Ages by identity, ms. */
  readonly ages: Readonly<Record<string, number>>
  readonly remains?: Partial<Remains>
  readonly members?: Configuration
  readonly status?: object
  readonly lineage?: Lineage | null
  readonly held?: readonly string[]
}

/** Those that are forgotten when the room has been well for 10 minutes. */
async function forgotten({ ages, remains, members, status, lineage = history, held = [] }: Given): Promise<string[]> {
  const clock = new ManualClock()
  const locks = new TestLocks()
  for (const name of held) await locks.hold(name)
  const removed: string[] = []
  const attic: Attic = {
    list: async () => Object.entries(ages).map(([peerId, age]) => ({ peerId, lastUsed: clock.now().wall - age })),
    remains: async () => ({ ...plain, ...remains }),
    remove: async (peerId) => {
      expect(locks.isHeld(identityLockName('r', peerId)), 'L1').toBe(true)
      removed.push(peerId)
    },
  }
  const tidying = new Tidying({ room: 'r', self: 'me', locks, attic, clock })
  const agreed = {
    leader: 'me',
    configuration: members ?? configuration(['me']),
    configurationIndex: 7,
    commitIndex: 9,
  }
  const node = { lineage, status: { ...agreed, ...status } }
  expect(await tidying.look(node), 'not at once').toEqual([])
  clock.time += 600_000
  expect(await tidying.look(node)).toEqual(removed)
  expect(await tidying.look(node), 'seldom').toEqual([])
  for (const peerId of Object.keys(ages))
    expect(locks.isHeld(lifeLockName(peerId, life))).toBe(held.includes(lifeLockName(peerId, life)))
  return removed
}

const old = { me: 40 * day, other: 40 * day }

describe('[L1][L2][L4][N3] an identity is forgotten', () => {
  it('when nobody has used it for long', async () => {
    expect(await forgotten({ ages: { ...old, newer: 20 * day } })).toEqual(['other'])
  })

  it('when there are many, the oldest first, but none that may be wanted back', async () => {
    const ages = Object.fromEntries(Array.from({ length: 12 }, (_, i) => [`p${i}`, (i + 1) * 60_000]))
    expect(await forgotten({ ages: { me: 0, ...ages } }), 'the newest eight are kept').toEqual(['p10', 'p11'])
  })

  it('when it never was in the room', async () => {
    expect(await forgotten({ ages: old, remains: { incarnation: null, lineage: null, lastIndex: 0 } })).toEqual([
      'other',
    ])
  })

  it.each<[string, Omit<Given, 'ages'>]>([
    ['who votes', { members: configuration(['me', 'other']) }],
    ['who is a member', { members: configuration(['me'], ['other']) }],
    ['whose worker lives', { held: [identityLockName('r', 'other')] }],
    ['whose page lives', { held: [lifeLockName('other', life)] }],
    [
      'whose room is another one: the only copy of what was founded there',
      { remains: { lineage: { ...history, roomId: 'x' } } },
    ],
    [
      'whose history is another one: it may have the quorum (N3)',
      { remains: { lineage: { ...history, epoch: 1, forkId: 'f' } } },
    ],
    ['whose log goes further: this peer may not know who votes by now', { remains: { lastIndex: 10 } }],
  ])('never one %s', async (_who, given) => {
    expect(await forgotten({ ages: old, ...given })).toEqual([])
  })

  it.each<[string, Omit<Given, 'ages'>]>([
    ['while the room has no leader', { status: { leader: null } }],
    ['while the members change', { status: { configurationIndex: 10 } }],
    ['while two sets of voters decide', { members: { ...configuration(['me']), outgoing: ['you'] } }],
    ['by one that is no member', { members: configuration(['you']) }],
    ['by one that is in no room', { lineage: null }],
  ])('not %s', async (_when, given) => {
    expect(await forgotten({ ages: old, ...given })).toEqual([])
  })
})
