import { beforeEach, describe, expect, it } from 'vitest'
import type { Command, Instruction } from '../machine/command.js'
import { decodeMachine, encodeMachine } from '../machine/machine.js'
import type { Outcome } from '../machine/outcome.js'
import { findSessionOfPeer } from '../machine/session/view.js'
import { lock, release } from '../machine/test-script.js'
import type { Failure } from '../shared/failure.js'
import { OwnSession } from './own-session.js'
import { TestContext } from './test-context.js'

let context: TestContext
let session: OwnSession
let events: string[]
let results: (Outcome | Failure)[]
let pendingMax: number

const set = (key: string): Command => ({
  type: 'store.set',
  key,
  value: Uint8Array.of(1),
  fence: null,
  ephemeral: false,
})
const large = (key: string): Command => ({
  type: 'store.set',
  key,
  value: new Uint8Array(64 * 1024),
  fence: null,
  ephemeral: false,
})
const settle = (result: Outcome | Failure) => void results.push(result)
const numbers = (instructions: readonly Instruction[]) =>
  instructions.map((instruction) => (instruction.type === 'numbered' ? instruction.number : instruction.type))
const commit = () => context.commit((applied) => session.applied(applied))
const kinds = () => results.map((result) => ('type' in result ? result.type : result.code))

beforeEach(() => {
  context = new TestContext()
  events = []
  results = []
  pendingMax = 1_000
  session = new OwnSession(context, {
    pendingMax: () => pendingMax,
    state: null,
    tokenFloor: 0,
    opened: (id) => events.push(`opened ${id}`),
    ended: (id) => events.push(`ended ${id}`),
  })
})

/** Open and quiet. */
function opened(): number {
  session.open()
  commit()
  if (session.id === null) throw new Error('no session')
  return session.id
}

describe('[S-1] opening', () => {
  it('nothing is sent before a session is wanted', () => {
    session.submit(set('a'), { settle })
    session.leaderChanged()
    context.wait(10_000)
    session.tick()
    expect(context.taken()).toEqual([])
    expect(session.pending).toBe(1)
  })

  it('names its incarnation and attempt, and begins with what waits', () => {
    session.submit(set('a'), { settle })
    session.open()
    const [open, ...more] = context.taken()
    expect(open).toMatchObject({
      type: 'open',
      peerId: 'me',
      incarnation: { counter: 1, nonce: 'nonce 1' },
      attempt: 1,
    })
    expect(more).toEqual([])
    if (open) session.applied(context.script.apply(open))
    expect(events).toEqual([`opened ${session.id}`])
    expect(numbers(context.taken())).toEqual([1])
  })

  it('is asked for again until it is there: not too often, and at once from a new leader', () => {
    session.open()
    expect(context.taken()).toHaveLength(1)
    context.wait(400)
    session.tick()
    expect(context.taken()).toEqual([])
    context.wait(100)
    session.tick()
    expect(context.taken()).toHaveLength(1)
    session.leaderChanged()
    expect(context.taken()).toHaveLength(1)
  })

  it('a repeated open gives the same session, once', () => {
    session.open()
    session.leaderChanged()
    const opens = context.taken()
    for (const open of opens) session.applied(context.script.apply(open))
    expect(events).toHaveLength(1)
  })

  it('nobody takes it: it is sent as soon as somebody does', () => {
    context.accepts = false
    session.open()
    context.accepts = true
    session.tick()
    expect(context.taken()).toHaveLength(1)
  })

  it('the open of another peer is not its own', () => {
    session.open()
    session.applied(
      context.script.apply({
        type: 'open',
        peerId: 'bob',
        incarnation: { counter: 1, nonce: 'n' },
        attempt: 1,
        browserId: 'b',
        state: null,
        tokenFloor: 0,
      }),
    )
    expect(session.id).toBeNull()
  })
})

describe('[S-2] numbering', () => {
  it('commands are numbered from 1 without a gap, in the order of the calls, and tell their numbers', () => {
    opened()
    const told: number[] = []
    for (const key of ['a', 'b', 'c']) session.submit(set(key), { settle, numbered: (number) => told.push(number) })
    expect(numbers(context.taken())).toEqual([1, 2, 3])
    expect([told, session.lastNumber]).toEqual([[1, 2, 3], 3])
  })

  it('answers come in order, and the next command says that they came', () => {
    opened()
    session.submit(set('a'), { settle })
    session.submit(set('b'), { settle })
    commit()
    expect(kinds()).toEqual(['store.set', 'store.set'])
    session.submit(set('c'), { settle })
    expect(context.taken()).toMatchObject([{ number: 3, answered: 2 }])
  })

  it('at most 128 are sent and unanswered; the next goes when one is answered', () => {
    opened()
    for (let i = 0; i < 130; i += 1) session.submit(set(`${i}`), { settle })
    const sent = context.taken()
    expect(numbers(sent)).toEqual(Array.from({ length: 128 }, (_, i) => i + 1))
    expect([session.pending, session.lastNumber]).toEqual([130, 128])
    const [first] = sent
    if (first) session.applied(context.script.apply(first))
    expect(numbers(context.taken())).toEqual([129])
    for (const instruction of sent.slice(1)) session.applied(context.script.apply(instruction))
    expect(numbers(context.taken())).toEqual([130])
  })

  it('of large ones fewer are: what is sent again in one frame has room beside heartbeats, and in a log that takes 4 MiB', () => {
    opened()
    const count = 128
    for (let i = 0; i < count; i += 1) session.submit(large(`${i}`), { settle })
    const first = context.taken()
    expect(numbers(first)).toEqual([1, 2, 3, 4])
    session.leaderChanged()
    expect(numbers(context.taken())).toEqual([1, 2, 3, 4])
    for (const instruction of first) session.applied(context.script.apply(instruction))
    while (session.pending > 0) commit()
    expect(kinds()).toEqual(Array(count).fill('store.set'))
  })

  it('the largest transaction goes alone', () => {
    context.script.raise(2)
    opened()
    const set = { type: 'set', value: new Uint8Array(64 * 1024 - 1), fence: null, ephemeral: false } as const
    const success = Array.from({ length: 4 }, (_, i) => ({ ...set, key: `${i}` }))
    for (let i = 0; i < 2; i += 1)
      session.submit({ type: 'store.transact', compare: [], success, failure: [], fence: null }, { settle })
    expect(numbers(context.taken())).toEqual([1])
    session.leaderChanged()
    commit()
    expect(numbers(context.taken())).toEqual([2])
  })

  it('over the limit a command is refused and changes nothing; what frees something is not counted', () => {
    opened()
    pendingMax = 2
    session.submit(set('a'), { settle })
    session.submit(release(1), { settle, exempt: true })
    session.submit(set('b'), { settle })
    session.submit(set('c'), { settle })
    session.submit(release(2), { settle, exempt: true })
    expect(results).toMatchObject([{ code: 'limit-exceeded', details: { limit: 'pendingProposals', value: 2 } }])
    commit()
    expect(kinds()).toHaveLength(5)
    session.submit(set('d'), { settle })
    commit()
    expect(kinds().at(-1)).toBe('store.set')
  })

  it('what was never sent can be taken back', () => {
    session.submit(set('a'), { settle })
    expect(session.withdraw(settle)).toBe(true)
    expect(session.withdraw(settle)).toBe(false)
    opened()
    expect(session.pending).toBe(0)
    session.submit(set('b'), { settle })
    expect(session.withdraw(settle)).toBe(false)
  })
})

describe('retries', () => {
  it('an unanswered row is sent again, all of it in order, after a while and at once to a new leader', () => {
    opened()
    for (const key of ['a', 'b', 'c']) session.submit(set(key), { settle })
    context.taken()
    context.wait(499)
    session.tick()
    expect(context.taken()).toEqual([])
    context.wait(1)
    session.tick()
    expect(numbers(context.taken())).toEqual([1, 2, 3])
    session.leaderChanged()
    expect(numbers(context.taken())).toEqual([1, 2, 3])
  })

  it('[M5] over slow links it is waited for as long as they need', () => {
    opened()
    session.submit(set('a'), { settle })
    context.taken()
    context.patience = 2_000
    context.wait(1_999)
    session.tick()
    expect(context.taken()).toEqual([])
    context.wait(1)
    session.tick()
    expect(numbers(context.taken())).toEqual([1])
  })

  it('what still waits on the link is not sent again, but as long after it has gone as anything else', () => {
    opened()
    session.submit(large('a'), { settle })
    context.taken()
    context.buffered = 200 * 1024
    context.wait(1_000)
    session.tick()
    context.buffered = 0
    context.wait(499)
    session.tick()
    expect(context.taken()).toEqual([])
    context.wait(1)
    session.tick()
    expect(numbers(context.taken())).toEqual([1])
  })

  it('a new leader is sent it at once, whatever waits on the link', () => {
    opened()
    session.submit(large('a'), { settle })
    context.taken()
    context.buffered = 200 * 1024
    session.leaderChanged()
    expect(numbers(context.taken())).toEqual([1])
  })

  it('nothing is sent again when nothing is open', () => {
    opened()
    session.submit(set('a'), { settle })
    commit()
    context.wait(60_000)
    session.tick()
    session.leaderChanged()
    expect(context.taken()).toEqual([])
  })

  it('what no leader took is sent when one does', () => {
    opened()
    context.accepts = false
    session.submit(set('a'), { settle })
    session.submit(set('b'), { settle })
    context.accepts = true
    session.submit(set('c'), { settle })
    expect(numbers(context.taken())).toEqual([1, 2, 3])
  })

  it('[S36] a command that was applied twice is answered once', () => {
    opened()
    session.submit(set('a'), { settle })
    session.leaderChanged()
    const twice = context.taken()
    expect(numbers(twice)).toEqual([1, 1])
    for (const instruction of twice) session.applied(context.script.apply(instruction))
    expect(kinds()).toEqual(['store.set'])
  })

  it('a gap means that something was lost: the row goes again without waiting', () => {
    opened()
    session.submit(set('a'), { settle })
    session.submit(set('b'), { settle })
    const [, second] = context.taken()
    if (second) session.applied(context.script.apply(second))
    session.tick()
    expect(numbers(context.taken())).toEqual([1, 2])
  })
})

describe('the end of the session while the peer lives', () => {
  const expire = (silence = 1e9) => {
    const id = session.id ?? 0
    session.applied(context.script.expire(id, silence))
  }

  it('a new one is opened under the next attempt', () => {
    const id = opened()
    expire()
    expect(events).toEqual([`opened ${id}`, `ended ${id}`])
    expect(session.id).toBeNull()
    expect(context.submitted.flat()).toMatchObject([{ type: 'open', attempt: 2 }])
    commit()
    expect(session.id).toBeGreaterThan(id)
  })

  it('[S-2] what was sent and unanswered is uncertain, and never sent again', () => {
    opened()
    session.submit(set('a'), { settle })
    context.taken()
    expire()
    expect(results).toMatchObject([{ code: 'outcome-unknown', details: { retryable: false } }])
    commit()
    expect(context.taken()).toEqual([])
    expect(session.pending).toBe(0)
  })

  it('what was not sent yet goes on in the new session, numbered anew', () => {
    opened()
    for (let i = 0; i < 130; i += 1) session.submit(set(`${i}`), { settle })
    context.taken()
    expire()
    expect(kinds()).toEqual(Array(128).fill('outcome-unknown'))
    commit()
    expect(numbers(context.taken())).toEqual([1, 2])
  })

  it('a lock request is made again, with its new number; before those that were not sent', () => {
    opened()
    const told: [string, number][] = []
    const request = (name: string) =>
      session.submit(lock(name), { settle, numbered: (number) => told.push([name, number]) })
    session.submit(set('z'), { settle })
    request('a')
    context.taken()
    context.accepts = false
    expire()
    request('b')
    context.accepts = true
    session.leaderChanged()
    commit()
    commit()
    expect(told).toEqual([
      ['a', 2],
      ['a', 1],
      ['b', 2],
    ])
    expect(kinds()).toEqual(['outcome-unknown', 'lock.granted', 'lock.granted'])
  })

  it('a lock request that its page has let go of is not made again', () => {
    opened()
    session.submit(lock('a'), { settle, wanted: () => false })
    context.taken()
    expire()
    commit()
    expect([context.taken(), kinds()]).toEqual([[], ['lock.unavailable']])
  })

  it('a release has nothing left to release: it is done, sent or not', () => {
    opened()
    session.submit(release(1), { settle, exempt: true })
    for (let i = 0; i < 127; i += 1) session.submit(set(`${i}`), { settle })
    session.submit(release(2), { settle, exempt: true })
    context.taken()
    expire()
    expect(kinds().filter((kind) => kind === 'lock.released')).toHaveLength(2)
    commit()
    expect(context.taken()).toEqual([])
  })

  it('the answer to a command of the session before is nobody\u2019s', () => {
    opened()
    session.submit(set('a'), { settle })
    const late = context.taken()
    expire()
    commit()
    session.submit(set('b'), { settle })
    for (const instruction of late) session.applied(context.script.apply(instruction))
    expect(kinds()).toEqual(['outcome-unknown'])
  })

  it('after a goodbye no further session is opened', () => {
    opened()
    session.close()
    session.applied(context.script.close('me'))
    context.wait(10_000)
    session.tick()
    session.leaderChanged()
    expect(context.taken()).toEqual([])
  })

  it('a refused open is tried under a higher attempt', () => {
    const { script } = context
    script.open('me', 1, 5)
    session.open()
    for (let i = 0; i < 10 && session.id === null; i += 1) {
      commit()
      session.leaderChanged()
    }
    expect(session.id).not.toBeNull()
  })
})

describe('[S-10] a snapshot in the middle', () => {
  /** What others see happens behind this peer's back. */
  function behind(run: () => void): void {
    run()
    context.script.state = decodeMachine(encodeMachine(context.script.state))
    session.reconcile(findSessionOfPeer(context.machine, 'me'))
  }

  it('the session was opened in it', () => {
    session.open()
    const [open] = context.taken()
    behind(() => open && context.script.apply(open))
    expect(events).toEqual([`opened ${session.id}`])
  })

  it('answers are found in it, in order', () => {
    opened()
    for (const key of ['a', 'b', 'c']) session.submit(set(key), { settle })
    const [a, b, c] = context.taken()
    behind(() => {
      for (const instruction of [a, b]) if (instruction) context.script.apply(instruction)
    })
    expect(kinds()).toEqual(['store.set', 'store.set'])
    if (c) session.applied(context.script.apply(c))
    expect(kinds()).toHaveLength(3)
  })

  it('the session ended in it: writes are uncertain, and a new one is opened', () => {
    const id = opened()
    session.submit(set('a'), { settle })
    context.taken()
    behind(() => context.script.expire(id, 1e9))
    expect(kinds()).toEqual(['outcome-unknown'])
    expect(events.at(-1)).toBe(`ended ${id}`)
    expect(context.taken()).toMatchObject([{ type: 'open', attempt: 2 }])
  })

  it('a session of an earlier life of this peer is not its own', () => {
    session.open()
    context.taken()
    behind(() => context.script.tryOpen('me', 0, 1, 'older'))
    expect(session.id).toBeNull()
  })
})

describe('[F5] a command of a later version than the room has', () => {
  const add: Command = { type: 'counter.add', name: 'a', by: 1 }

  it('is refused here, and the session goes on', () => {
    const needs = context.abilities.versionNeeded
    context.abilities = { ...context.abilities, versionNeeded: (command) => (command === add ? 9 : needs(command)) }
    opened()
    session.submit(add, { settle })
    session.submit(set('a'), { settle })
    expect(kinds()).toEqual(['incompatible-peer'])
    expect(numbers(context.taken())).toEqual([1])
  })

  it('is not judged by a machine that is behind: before there is a session it waits', () => {
    session.open()
    session.submit(add, { settle })
    const [open] = context.taken()
    expect(kinds()).toEqual([])
    // The log says so before the session is opened.
    context.script.raise(2)
    if (open) session.applied(context.script.apply(open))
    commit()
    expect(kinds()).toEqual(['counter.added'])
  })
})

it('when the host fails, everything that waits is told so', () => {
  opened()
  for (let i = 0; i < 130; i += 1) session.submit(set(`${i}`), { settle })
  session.fail({ code: 'storage', message: 'gone' })
  expect(kinds()).toEqual(Array(130).fill('storage'))
  expect(session.pending).toBe(0)
})

it('[R1] a barrier opens once everything submitted before it is answered', () => {
  opened()
  const none = session.barrier()
  session.submit(set('a'), { settle })
  const one = session.barrier()
  session.submit(set('b'), { settle })
  expect([none(), one()]).toEqual([true, false])
  const [a] = context.taken()
  if (a) session.applied(context.script.apply(a))
  expect(one()).toBe(true)
})
