import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Command, SessionId } from './command.js'
import { heldBy, waitingOf } from './lock/books.js'
import { applyEntry, createMachine, decodeMachine, encodeMachine } from './machine.js'
import type { MachineEvent, Outcome } from './outcome.js'
import { readStore } from './store/view.js'
import { acquire, lock, put, release, roomOf, Script, swap, transaction } from './test-script.js'

// Random logs with everything in them that a log may hold, good and bad.

const peers = ['ann', 'bob', 'cid', 'dan'] as const
const peer = fc.constantFrom(...peers)
const name = fc.constantFrom('a', 'b', '\ud800', '\ufeffé', '__proto__')
const lease = fc.constantFrom(50, 3_000, 10_000, 10_000, 30_000, 30_000, 2 ** 40)
const silence = fc.constantFrom(0, 50, 3_000, 10_000, 30_000)
const bytes = fc.uint8Array({ maxLength: 8 })

type Step =
  | { readonly do: 'open'; readonly peer: string; readonly counter: number; readonly attempt: number }
  | { readonly do: 'close'; readonly peer: string; readonly counter: number }
  | { readonly do: 'expire'; readonly peer: string; readonly silence: number; readonly late: boolean }
  | { readonly do: 'command'; readonly peer: string; readonly skip: number; readonly command: Draft }
  | { readonly do: 'garbage'; readonly data: Uint8Array }
  | { readonly do: 'other'; readonly type: 'noop' | 'configuration' | 'tick' | 'term' | 'found' | 'raise' }

/** What depends on the state: which of the session's requests to release, what a key is, and about which token to show. */
type Draft =
  | Command
  | { readonly type: 'releaseOf'; readonly pick: number }
  | {
      readonly type: 'lockOf'
      readonly how: 'upgrade' | 'downgrade' | 'acknowledge' | 'release'
      readonly pick: number
    }
  | { readonly type: 'swap'; readonly key: string; readonly by: 'revision' | 'value'; readonly next: Uint8Array }
  | { readonly type: 'fenced'; readonly key: string; readonly lock: string; readonly guess: number }

const draft: fc.Arbitrary<Draft> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .record({
        mode: fc.constantFrom('exclusive' as const, 'shared' as const),
        ifAvailable: fc.boolean(),
        steal: fc.nat(9).map((n) => n === 0),
        lease,
        attributes: fc.option(bytes),
        name,
      })
      .map(({ name, ...options }) => lock(name, options)),
  },
  { weight: 4, arbitrary: fc.nat(9).map((pick): Draft => ({ type: 'releaseOf', pick })) },
  {
    weight: 4,
    arbitrary: fc
      .record({
        mode: fc.constantFrom('exclusive' as const, 'shared' as const),
        scope: fc.constantFrom('exact' as const, 'tree' as const),
        owner: fc.option(fc.constantFrom('o', 'p')),
        priority: fc.constantFrom(-1, 0, 1, 5_000),
        maxHold: fc.option(fc.constantFrom(20, 100, 0)),
        lockDelay: fc.constantFrom(0, 30),
        names: fc.array(fc.constantFrom('a', 'a/b', 'b', '\ud800'), { maxLength: 3 }),
      })
      .map(({ names, ...options }) => acquire(names, options)),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      type: fc.constant('lockOf' as const),
      // Of what is picked few locks can be upgraded: they are tried more often.
      how: fc.constantFrom(
        ...(['upgrade', 'upgrade', 'upgrade', 'downgrade', 'downgrade', 'acknowledge', 'release'] as const),
      ),
      pick: fc.nat(9),
    }),
  },
  {
    weight: 1,
    arbitrary: name.map((name): Draft => ({ type: 'lock.revoke', name, grace: 40 })),
  },
  {
    weight: 2,
    arbitrary: fc
      .tuple(name, fc.record({ value: bytes, ephemeral: fc.boolean() }))
      .map(([key, rest]) => put(key, rest)),
  },
  { weight: 1, arbitrary: name.map((key): Draft => ({ type: 'store.delete', key, fence: null })) },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constant('swap' as const),
      key: name,
      by: fc.constantFrom('revision', 'value'),
      next: bytes,
    }),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(name, fc.oneof(fc.record({ revision: fc.nat(40) }), fc.record({ value: bytes })))
      .map((drawn) => swap(...drawn)),
  },
  {
    weight: 2,
    arbitrary: fc.record({ key: name, other: name, value: bytes, revision: fc.nat(40) }).map(
      ({ key, other, value, revision }): Draft =>
        transaction({
          compare: [{ key, is: '>', revision }],
          success: [
            { type: 'set', key, value, fence: null, ephemeral: true },
            { type: 'get', key: other },
          ],
          failure: [{ type: 'delete', key: other, fence: null }],
        }),
    ),
  },
  {
    weight: 2,
    arbitrary: fc.record({ type: fc.constant('fenced' as const), key: name, lock: name, guess: fc.nat(2) }),
  },
)

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('open' as const), peer, counter: fc.nat(3), attempt: fc.nat(2) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('close' as const), peer, counter: fc.nat(6) }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('expire' as const), peer, silence, late: fc.boolean() }),
  },
  {
    weight: 20,
    arbitrary: fc.record({
      do: fc.constant('command' as const),
      peer,
      skip: fc.constantFrom(0, 0, 0, 0, 0, -1, 1),
      command: draft,
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('garbage' as const), data: fc.uint8Array({ maxLength: 40 }) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('other' as const),
      type: fc.constantFrom(
        'noop' as const,
        'configuration' as const,
        'tick' as const,
        'term' as const,
        'found' as const,
        'raise' as const,
        'raise' as const,
      ),
    }),
  },
)

/** Writes one step to the log. `skip` makes a retry (-1) or a gap (1) of a command. */
function perform(script: Script, step: Step): void {
  script.time += 7
  switch (step.do) {
    case 'open':
      script.tryOpen(step.peer, step.counter, step.attempt)
      break
    case 'close':
      script.close(step.peer, step.counter)
      break
    case 'expire':
      script.expire(sessionOf(script, step.peer), step.silence, step.late ? script.term + 1 : script.term)
      break
    case 'command': {
      const session = livingSessionOf(script, step.peer)
      const last = script.state.sessions.get(session)?.lastNumber ?? 0
      const number = Math.max(1, last + 1 + step.skip)
      script.resend(session, number, commandOf(script, session, step.command), Math.max(0, number - 3))
      break
    }
    case 'garbage':
      script.append({ type: 'command', data: step.data })
      break
    case 'other':
      performOther(script, step.type)
  }
}

function performOther(script: Script, type: Extract<Step, { do: 'other' }>['type']): void {
  if (type === 'term') script.term += 1
  else if (type === 'tick') script.apply({ type: 'tick', term: script.term })
  else if (type === 'found') script.found(undefined, `room ${script.index}`)
  else if (type === 'raise') script.raise()
  else if (type === 'noop') script.append({ type: 'noop' })
  else {
    const configuration = { voters: ['ann'], outgoing: [], learners: [], learnersNext: [], incarnations: {} }
    script.append({ type: 'configuration', configuration })
  }
}

function sessionOf({ state }: Script, peer: string): SessionId {
  return state.peers.get(peer)?.session ?? 99_999
}

/** Mostly living: now and then a peer goes on with a session that has ended. */
function livingSessionOf(script: Script, peer: string): SessionId {
  const known = sessionOf(script, peer)
  if (script.state.sessions.has(known) || script.index % 5 === 0) return known
  return script.open(peer, (script.state.peers.get(peer)?.incarnation.counter ?? 0) + 1)
}

function commandOf({ state }: Script, session: SessionId, draft: Draft): Command {
  if (draft.type === 'releaseOf') {
    const held = heldBy(state.locks, session).map(({ held }) => held.request)
    const requests = [...held, ...waitingOf(state.locks, session).map(({ waiting }) => waiting.request)]
    return release(requests[draft.pick % requests.length] ?? draft.pick + 1)
  }
  if (draft.type === 'lockOf') {
    const held = heldBy(state.locks, session)
    const { resource, held: one } = held[draft.pick % Math.max(1, held.length)] ?? {}
    const of = { request: one?.request ?? draft.pick + 1, name: resource?.name ?? 'a' }
    return draft.how === 'acknowledge'
      ? { type: 'lock.acknowledge', ...of, grace: 40 }
      : { type: `lock.${draft.how}`, ...of }
  }
  if (draft.type === 'swap') {
    const { value, revision } = readStore(state, draft.key) ?? { value: new Uint8Array(), revision: 0 }
    return swap(draft.key, draft.by === 'value' ? { value } : { revision }, draft.next)
  }
  if (draft.type !== 'fenced') return draft
  const resource = state.locks.resources.get(draft.lock)
  const token = (resource?.held.at(-1)?.token ?? 0) + Math.max(0, draft.guess - 1)
  return put(draft.key, { fence: { name: draft.lock, token: Math.max(0, token) } })
}

/** The log that these steps write. */
function play(steps: readonly Step[]): Script {
  const script = new Script()
  // Some logs of old rooms, most of new ones.
  if (steps.length % 4 > 0) script.raise()
  for (const one of steps) perform(script, one)
  return script
}

const steps = fc.array(step, { maxLength: 80, size: 'max' })
const everyWord: readonly ((MachineEvent | Outcome)['type'] | `swapped ${boolean}`)[] = [
  'failed',
  'lock.granted',
  'lock.queued',
  'lock.unavailable',
  'lock.released',
  'lock.lost',
  'lock.changed',
  'lock.upgraded',
  'lock.downgraded',
  'lock.acknowledged',
  'lock.revoked',
  'store.set',
  'store.deleted',
  'store.compared',
  'store.transacted',
  'swapped true',
  'swapped false',
  'store.changed',
  'session.opened',
  'session.ended',
]

describe('snapshots', () => {
  it('[S-10] after every entry of a random log the state comes back whole and goes on alike', () => {
    fc.assert(
      fc.property(steps, (steps) => {
        const script = new Script()
        script.raise()
        let follower = createMachine()
        for (const entry of script.entries) applyEntry(follower, entry)
        for (const one of steps) {
          const from = script.entries.length
          perform(script, one)
          for (const entry of script.entries.slice(from)) applyEntry(follower, entry)
          // The follower goes on from a snapshot after every entry.
          const bytes = encodeMachine(script.state)
          expect(isSame(encodeMachine(follower), bytes)).toBe(true)
          follower = decodeMachine(bytes)
        }
        expect(follower).toEqual(script.state)
      }),
      { numRuns: 40 },
    )
  })

  it('[S-10] a follower that goes on from a snapshot says what the others say', () => {
    fc.assert(
      fc.property(steps, fc.nat(79), (steps, cut) => {
        const { entries, state } = play(steps)
        const leader = createMachine()
        const before = entries.slice(0, cut)
        const after = entries.slice(cut)
        for (const entry of before) applyEntry(leader, entry)
        const follower = decodeMachine(encodeMachine(leader))
        for (const entry of after) expect(applyEntry(follower, entry)).toEqual(applyEntry(leader, entry))
        expect(encodeMachine(follower)).toEqual(encodeMachine(state))
      }),
      { numRuns: 150 },
    )
  })

  it('[F5] equal logs give equal bytes', () => {
    const told = new Map<string, number>()
    const tell = (word: string) => told.set(word, (told.get(word) ?? 0) + 1)
    fc.assert(
      fc.property(steps, (steps) => {
        const { entries, state } = play(steps)
        const other = createMachine()
        for (const entry of entries) {
          const { answer, events } = applyEntry(other, entry)
          for (const { type } of [...events, ...(answer?.outcome ? [answer.outcome] : [])]) tell(type)
          if (answer?.outcome?.type === 'store.compared') tell(`swapped ${answer.outcome.swapped}`)
        }
        expect(encodeMachine(other)).toEqual(encodeMachine(state))
      }),
      { numRuns: 300 },
    )
    // The logs are worth their name: everything that can be told was told, and not just once.
    for (const type of everyWord) expect([type, told.get(type) ?? 0]).toEqual([type, expect.toSatisfy((n) => n > 10)])
  })

  it('[F5] equal states give equal bytes, though their maps were filled in another order', () => {
    const { script, sessions } = roomOf('ann', 'bob')
    for (const name of ['b', 'a']) {
      script.send(sessions.ann, put(name))
      script.send(sessions.bob, lock(name))
    }
    const bytes = encodeMachine(script.state)
    turn(script.state.store.items)
    turn(script.state.locks.resources)
    turn(script.state.sessions)
    expect(encodeMachine(script.state)).toEqual(bytes)
  })

  it('what is no snapshot is refused', () => {
    const { script, sessions } = roomOf('ann', 'bob')
    script.send(sessions.ann, lock('a'))
    script.send(sessions.bob, lock('a'))
    script.send(sessions.bob, put('k', { ephemeral: true }))
    const good = encodeMachine(script.state)
    const canonical = (bytes: Uint8Array) => {
      try {
        return encodeMachine(decodeMachine(bytes))
      } catch {
        return null
      }
    }
    fc.assert(
      fc.property(fc.nat(good.length - 1), fc.nat(255), (at, byte) => {
        const damaged = good.slice()
        damaged[at] = byte
        // A flipped byte may make another state; what comes out of it is then exactly what went in.
        const back = canonical(damaged)
        expect(back === null || isSame(back, damaged)).toBe(true)
      }),
      { numRuns: 3_000 },
    )
    expect(canonical(good.subarray(0, good.length - 1))).toBeNull()
    expect(canonical(new Uint8Array())).toBeNull()
  })

  it.each([
    { what: 'a lock of no session', damage: (script: Script, ann: number) => script.state.sessions.delete(ann) },
    { what: 'a session of no known peer', damage: (script: Script) => script.state.peers.delete('ann') },
    {
      what: 'answers missing',
      damage: (script: Script, ann: number) => script.state.sessions.get(ann)?.answers.delete(1),
    },
    { what: 'nobody granted', damage: (script: Script) => script.state.locks.resources.get('a')?.held.pop() },
    { what: 'two holders', damage: (script: Script) => duplicateHolder(script) },
    { what: 'nobody uses', damage: (script: Script) => addEmptyResource(script) },
  ])('a snapshot with $what is refused', ({ what, damage }) => {
    const { script, sessions } = roomOf('ann', 'bob')
    script.send(sessions.ann, lock('a'))
    script.send(sessions.bob, lock('a'))
    damage(script, sessions.ann)
    expect(() => decodeMachine(encodeMachine(script.state))).toThrow(what)
  })
})

function turn<K, V>(map: Map<K, V>): void {
  const entries = [...map].reverse()
  map.clear()
  for (const [key, value] of entries) map.set(key, value)
}

/** A matcher would compare byte by byte, which takes its time. */
function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0
}

function duplicateHolder({ state }: Script): void {
  const held = state.locks.resources.get('a')?.held
  if (held?.[0]) held.push({ ...held[0], place: 1 })
}

function addEmptyResource({ state }: Script): void {
  state.locks.resources.set('b', { name: 'b', share: null, held: [], queue: [] })
}
