import { beforeEach, describe, expect, it } from 'vitest'
import { put } from '../machine/test-script.js'
import { noEntry } from '../raft/entry.js'
import type { Lineage } from '../storage/storage.js'
import type { Claim } from './histories.js'
import { kickRound } from './leases.js'
import { Meetings } from './meetings.js'
import type { Stranger } from './peers.js'
import { TestContext } from './test-context.js'

const mine: Lineage = { roomId: 'room', epoch: 0, forkId: '' }
/** It left the room after the third entry, and has agreed on something since. */
const fork: Lineage = {
  ...{ roomId: 'room', epoch: 1, forkId: 'f' },
  foundation: { term: 4, index: 4, previousTerm: 1, members: 2 },
}

let context: TestContext
let meetings: Meetings
let left: { readonly lineage: Lineage; readonly partsAt: number }[]

beforeEach(() => {
  context = new TestContext()
  left = []
  meetings = new Meetings(context, () => mine, {
    leaveFor: (lineage, partsAt) => left.push({ lineage, partsAt }),
    logged: () => context.machine,
  })
  context.strangers.push(stranger(fork))
})

function stranger(lineage: Lineage): Stranger {
  const incarnation = { counter: 1, nonce: 'n' }
  const peer = { peerId: 'eve', incarnation, browserId: 'e', founded: true, joined: true, resident: false, canApply: 1 }
  return { ...peer, lineage }
}

/** With as much from before as the third entry, the session's first command. */
function claimOf({ forkId, foundation }: Lineage, others: Partial<Claim> = {}): Claim {
  const lastCommand = { term: 1, index: 3 }
  const branches = [{ forkId, members: foundation?.members ?? 1, lastCommand }]
  return {
    hasQuorum: true,
    foundedAt: context.machine.foundedAt,
    lastCommand: { term: 4, index: 9 },
    branches,
    ...others,
  }
}

function lead(): void {
  Object.assign(context.core, { role: 'leader', leader: 'me', hasQuorum: true })
}

function write(): void {
  context.script.send(context.script.open('bob'), put('k'))
  context.core.commitIndex = context.machine.appliedIndex
}

describe('[N3] a leader speaks for its history', () => {
  beforeEach(lead)

  it('only when a quorum has answered a round that it began to know that', () => {
    Object.assign(context.core, { currentRound: 3, confirmedRound: 3 })
    meetings.tick()
    meetings.answered()
    expect([context.core.reads, context.claims]).toEqual([[kickRound], []])
    Object.assign(context.core, { currentRound: 4 })
    meetings.answered()
    expect(context.claims).toEqual([])
    Object.assign(context.core, { confirmedRound: 4 })
    meetings.answered()
    meetings.answered()
    expect(context.claims).toMatchObject([{ to: 'eve', claim: { hasQuorum: true, lastCommand: noEntry } }])
  })

  it('with all that is agreed on, and not before it has applied that', () => {
    meetings.tick()
    Object.assign(context.core, { currentRound: 1, confirmedRound: 1, commitIndex: 3 })
    meetings.answered()
    expect(context.claims).toEqual([])
    write()
    meetings.answered()
    expect(context.claims).toMatchObject([{ claim: { lastCommand: { term: 1, index: 3 } } }])
  })

  it('not when it leads anew: its rounds are other ones', () => {
    meetings.tick()
    meetings.ledAnew()
    Object.assign(context.core, { currentRound: 1, confirmedRound: 1 })
    meetings.answered()
    expect(context.claims).toEqual([])
  })

  it('again after a second, and at once to somebody new', () => {
    meetings.tick()
    context.wait(999)
    meetings.tick()
    expect(context.core.reads).toHaveLength(1)
    context.wait(1)
    meetings.tick()
    meetings.met()
    meetings.tick()
    expect(context.core.reads).toHaveLength(3)
  })
})

describe('[N3] a leader that hears of a history that goes on', () => {
  beforeEach(lead)

  it.each([
    [2, { partsAt: 4 }],
    [1, {}],
  ])('ends its own by an entry, which says where they part if all understand that: version %i', (version, parting) => {
    write()
    if (version > 1) context.script.raise(version)
    meetings.heard(stranger(fork), claimOf(fork))
    const { roomId, epoch, forkId, foundation } = fork
    const to = { roomId, epoch, forkId, foundation, ...parting }
    expect(context.taken()).toEqual([{ type: 'yield', to, lastCommand: 3 }])
  })

  it('does not without the word of a quorum there, nor for a history that has less', () => {
    write()
    meetings.heard(stranger(fork), claimOf(fork, { hasQuorum: false }))
    meetings.heard(stranger(mine), claimOf(mine, { branches: [], lastCommand: noEntry }))
    expect(context.taken()).toEqual([])
  })

  it('tells nobody to come to it from then on, until the entry has turned out to be void', () => {
    write()
    context.core.lastIndex = 4
    meetings.heard(stranger(fork), claimOf(fork))
    meetings.tick()
    expect(context.core.reads).toEqual([])
    context.script.raise(2)
    context.wait(1_000)
    meetings.tick()
    expect(context.core.reads).toEqual([kickRound])
  })
})

describe('[N3] who has no quorum', () => {
  it('says so after two seconds, and goes alone to a history that has one', () => {
    write()
    meetings.tick()
    meetings.heard(stranger(fork), claimOf(fork))
    expect([context.claims, left]).toEqual([[], []])
    context.wait(2_000)
    meetings.tick()
    expect(context.claims).toMatchObject([{ claim: { hasQuorum: false, lastCommand: { index: 3 } } }])
    meetings.heard(stranger(fork), claimOf(fork, { hasQuorum: false }))
    expect(left).toEqual([])
    meetings.heard(stranger(fork), claimOf(fork))
    expect(left).toEqual([{ lineage: fork, partsAt: 4 }])
  })
})
