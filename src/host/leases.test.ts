import { beforeEach, describe, expect, it } from 'vitest'
import { lock } from '../machine/test-script.js'
import { kickRound, Leases } from './leases.js'
import { TestContext } from './test-context.js'

let context: TestContext
let leases: Leases
let bob: number

beforeEach(() => {
  context = new TestContext()
  context.core.role = 'leader'
  context.core.leader = 'me'
  leases = new Leases(context)
  bob = context.script.open('bob')
  settle()
  leases.restart()
})

/** Everything is committed and applied. */
function settle(): void {
  context.core.commitIndex = context.machine.appliedIndex
}

/** A round begins, and a quorum answers it. */
function round(): void {
  context.core.currentRound += 1
  context.core.confirmedRound = context.core.currentRound
}

const alive = (monotonic: number, from = 'bob', session = bob) => leases.alive(from, session, monotonic, monotonic + 7)
const echoes = () => {
  leases.release()
  return context.sent.splice(0).map(({ to, item }) => {
    if (item.type !== 'echo') throw new Error(`an unexpected ${item.type}`)
    return { to, ...item }
  })
}
const expiries = () => {
  leases.tick()
  return context.taken()
}

describe('[S-5] an echo', () => {
  it('leaves only after a quorum has answered a round that began after the message came in', () => {
    context.core.currentRound = 4
    context.core.confirmedRound = 3
    alive(50)
    expect(echoes()).toEqual([])
    context.core.confirmedRound = 4
    expect(echoes()).toEqual([])
    context.core.currentRound = 5
    expect(echoes()).toEqual([])
    context.core.confirmedRound = 5
    context.clusterTime = 77
    expect(echoes()).toEqual([
      {
        to: 'bob',
        type: 'echo',
        session: bob,
        monotonic: 50,
        wall: 57,
        clusterTime: 77,
        commitIndex: context.machine.appliedIndex,
      },
    ])
    expect(echoes()).toEqual([])
  })

  it('is only of the latest message of a session before a round', () => {
    alive(50)
    alive(60)
    round()
    expect(echoes().map(({ monotonic }) => monotonic)).toEqual([60])
  })

  it('comes however often the page speaks while a quorum takes its time', () => {
    const heard: number[] = []
    for (let time = 1; time <= 20; time += 1) {
      alive(time)
      // A round begins with every word, and is answered four words later.
      context.core.currentRound += 1
      context.core.confirmedRound = Math.max(0, context.core.currentRound - 4)
      heard.push(...echoes().map(({ monotonic }) => monotonic))
    }
    expect(heard.length).toBeGreaterThanOrEqual(4)
    expect(heard).toEqual([...heard].sort((a, b) => a - b))
    context.core.confirmedRound = context.core.currentRound
    expect(echoes().at(-1)?.monotonic, 'the last word is echoed too').toBe(20)
    expect(echoes()).toEqual([])
  })

  it('is waited for by two messages of a session at most: the oldest, whose round has begun, and the latest', () => {
    for (let time = 1; time <= 20; time += 1) {
      alive(time)
      context.core.currentRound += 1
    }
    context.core.confirmedRound = context.core.currentRound
    expect(echoes().map(({ monotonic }) => monotonic)).toEqual([1, 20])
  })

  it('does not leave before the leader has committed an entry of its own term', () => {
    context.core.committedInTerm = false
    alive(50)
    round()
    expect(echoes()).toEqual([])
    context.core.committedInTerm = true
    expect(echoes()).toHaveLength(1)
  })

  it('does not leave while something committed is not applied', () => {
    alive(50)
    round()
    context.core.commitIndex += 1
    expect(echoes()).toEqual([])
    settle()
    expect(echoes()).toHaveLength(1)
  })

  it('never leaves once an end of the session stands in the log', () => {
    alive(50)
    round()
    leases.ending(bob, context.machine.appliedIndex + 1)
    expect(echoes()).toEqual([])
    alive(60)
    round()
    expect(echoes()).toEqual([])
  })

  it('leaves again when that end was applied and has not ended it (void in another term)', () => {
    leases.ending(bob, context.machine.appliedIndex + 1)
    context.script.expire(bob, 1e9, 99)
    settle()
    alive(50)
    round()
    expect(echoes()).toHaveLength(1)
  })

  it('of a session that has ended never leaves', () => {
    alive(50)
    context.script.close('bob')
    settle()
    round()
    expect(echoes()).toEqual([])
  })

  it('is not given for another peer\u2019s session, or for one that nobody has', () => {
    alive(50, 'eve')
    alive(50, 'bob', 999)
    round()
    expect(echoes()).toEqual([])
  })

  it('is worth a round of its own the first time in a term, and not later', () => {
    alive(50)
    expect(context.core.reads).toEqual([kickRound])
    round()
    echoes()
    alive(60)
    expect(context.core.reads).toEqual([kickRound])
    leases.restart()
    alive(70)
    expect(context.core.reads).toEqual([kickRound, kickRound])
  })

  it.each([
    ['a restart', () => leases.restart()],
    ['[C3] this host stood still', () => leases.resume(context.now)],
  ])('what was heard before %s is not echoed after it', (_title, happens) => {
    alive(50)
    happens()
    round()
    expect(echoes()).toEqual([])
  })
})

describe('taking away', () => {
  it('after a silence of the whole lease the end is proposed, naming term and silence', () => {
    context.wait(9_999)
    expect(expiries()).toEqual([])
    context.wait(1)
    expect(expiries()).toEqual([{ type: 'expire', session: bob, silence: 10_000, term: context.core.term }])
  })

  it('a word from the page begins the lease anew', () => {
    context.wait(9_000)
    alive(50)
    context.wait(9_000)
    expect(expiries()).toEqual([])
    context.wait(1_000)
    expect(expiries()).toHaveLength(1)
  })

  it('[C2] the smaller of both clocks counts', () => {
    context.wait(60_000, 9_000)
    expect(expiries()).toEqual([])
    context.wait(0, 1_000)
    expect(expiries()).toHaveLength(1)
  })

  it('[C2] a wall clock that jumps takes nothing, in either direction', () => {
    context.wait(0, 1e9)
    expect(expiries()).toEqual([])
    context.wait(20_000, -2e9)
    expect(expiries()).toEqual([])
  })

  it('[S-5] a restart gives everybody a full lease from then', () => {
    context.wait(9_999)
    leases.restart()
    context.wait(9_999)
    expect(expiries()).toEqual([])
    context.wait(1)
    expect(expiries()).toHaveLength(1)
  })

  it('[C3] while this host stood still nobody was silent, and before and after it everybody was', () => {
    context.wait(4_000)
    const stoppedAt = context.now
    context.wait(700)
    leases.resume(stoppedAt)
    context.wait(5_999)
    expect(expiries()).toEqual([])
    context.wait(1)
    expect(expiries()).toEqual([{ type: 'expire', session: bob, silence: 10_000, term: context.core.term }])
  })

  it('a session that was opened since counts from when it is first looked at', () => {
    context.wait(50_000)
    const cid = context.script.open('cid')
    alive(1)
    expect(expiries()).toEqual([])
    context.wait(10_000)
    expect(expiries().map((instruction) => 'session' in instruction && instruction.session)).toEqual([bob, cid])
  })

  it('not before an entry of its own term is committed', () => {
    context.wait(20_000)
    context.core.committedInTerm = false
    expect(expiries()).toEqual([])
  })

  it('once the end stands in the log it is not proposed again', () => {
    context.wait(20_000)
    expect(expiries()).toHaveLength(1)
    leases.ending(bob, context.machine.appliedIndex + 1)
    expect(expiries()).toEqual([])
  })

  it('[S-6] an end that was void is proposed again under the new term', () => {
    context.wait(20_000)
    const [first] = expiries()
    leases.ending(bob, context.machine.appliedIndex + 1)
    context.script.term = 2
    if (first) context.script.apply(first)
    context.core.term = 2
    expect(expiries()).toMatchObject([{ type: 'expire', term: 2 }])
  })

  it('of sessions that have ended nothing is kept, however long this leader stays', () => {
    for (let i = 0; i < 5; i += 1) {
      const session = context.script.open('cid', i + 1)
      alive(50, 'cid', session)
      settle()
      round()
      expect(echoes()).toHaveLength(1)
      leases.ending(session, context.machine.appliedIndex + 1)
      expiries()
      expect(leases.known).toBe(2)
      context.script.close('cid', i + 1)
      expiries()
      expect(leases.known).toBe(1)
    }
  })

  it('[S-3] a shorter lease ends alone, a longer one keeps the session', () => {
    context.script.send(bob, lock('short', { lease: 1_000 }))
    context.script.send(bob, lock('long', { lease: 30_000 }))
    context.wait(999)
    expect(expiries()).toEqual([])
    context.wait(1)
    const [first] = expiries()
    expect(first).toMatchObject({ silence: 1_000 })
    if (first) context.script.apply(first)
    context.wait(20_000)
    expect(expiries()).toEqual([])
    context.wait(9_000)
    expect(expiries()).toHaveLength(1)
  })
})
