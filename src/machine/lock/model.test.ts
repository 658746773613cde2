import * as fc from 'fast-check'
import { expect, it } from 'vitest'
import { lock, release, Script } from '../test-script.js'
import { observeLock, queryLocks } from './view.js'

// The W3C algorithm once more, slowly and from the text of the specification alone: one list per name in the order of
// arrival, from which "held" and "queued" are read off. It shares no code and no data structure with the machine.

interface Request {
  readonly id: string
  readonly peer: string
  readonly mode: 'exclusive' | 'shared'
  held: boolean
  /** The order of grants, over all names. */
  order: number
}

class Model {
  readonly lists = new Map<string, Request[]>()
  #grants = 0

  request(
    id: string,
    peer: string,
    name: string,
    mode: Request['mode'],
    kind: 'wait' | 'ifAvailable' | 'steal',
  ): string {
    const list = this.lists.get(name) ?? []
    this.lists.set(name, list)
    const mine: Request = { id, peer, mode, held: false, order: 0 }
    if (kind === 'steal') {
      this.lists.set(name, [mine, ...list.filter((other) => !other.held)])
      this.#grant(mine)
      this.process(name)
      return 'lock.granted'
    }
    list.push(mine)
    if (kind === 'ifAvailable' && !this.#grantable(name, mine)) {
      list.pop()
      return 'lock.unavailable'
    }
    this.process(name)
    return mine.held ? 'lock.granted' : 'lock.queued'
  }

  remove(which: (request: Request) => boolean): void {
    for (const [name, list] of this.lists) {
      this.lists.set(
        name,
        list.filter((one) => !which(one)),
      )
    }
    for (const name of [...this.lists.keys()].sort()) this.process(name)
  }

  process(name: string): void {
    for (;;) {
      const next = this.lists.get(name)?.find((one) => !one.held && this.#grantable(name, one))
      if (!next) return
      this.#grant(next)
    }
  }

  #grant(request: Request): void {
    request.held = true
    this.#grants += 1
    request.order = this.#grants
  }

  #grantable(name: string, request: Request): boolean {
    const list = this.lists.get(name) ?? []
    const waitingBefore = list.slice(0, list.indexOf(request)).some((other) => !other.held)
    const held = list.filter((other) => other.held)
    if (waitingBefore) return false
    return request.mode === 'exclusive' ? held.length === 0 : held.every((other) => other.mode === 'shared')
  }

  held(name: string): string[] {
    return (this.lists.get(name) ?? [])
      .filter((one) => one.held)
      .sort((a, b) => a.order - b.order)
      .map((one) => one.id)
  }

  waiting(name: string): string[] {
    return (this.lists.get(name) ?? []).filter((one) => !one.held).map((one) => one.id)
  }
}

const names = ['a', 'b', 'c']
const peers = ['ann', 'bob', 'cid']
const operation = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      type: fc.constant('request' as const),
      peer: fc.constantFrom(...peers),
      name: fc.constantFrom(...names),
      mode: fc.constantFrom('exclusive' as const, 'shared' as const),
      kind: fc.constantFrom('wait', 'wait', 'wait', 'wait', 'ifAvailable', 'steal') as fc.Arbitrary<
        'wait' | 'ifAvailable' | 'steal'
      >,
    }),
  },
  { weight: 5, arbitrary: fc.record({ type: fc.constant('release' as const), pick: fc.nat(1000) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('leave' as const), peer: fc.constantFrom(...peers) }) },
)

function idsOf(views: readonly { session: number; request: number }[]): string[] {
  return views.map(({ session, request }) => `${session}/${request}`)
}

it('queues exactly as W3C Web Locks does, whatever is asked, released, stolen and left', () => {
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 60, size: 'max' }), (operations) => {
      const script = new Script()
      const model = new Model()
      const sessions = new Map(peers.map((peer) => [peer, script.open(peer)]))
      const asked: { session: number; number: number }[] = []
      let life = 1
      for (const one of operations) {
        if (one.type === 'request') {
          const { peer, name, mode, kind } = one
          const session = sessions.get(peer) ?? 0
          const options = { mode, ifAvailable: kind === 'ifAvailable', steal: kind === 'steal' }
          const { outcome, number } = script.send(session, lock(name, options))
          asked.push({ session, number })
          expect(outcome?.type).toBe(model.request(`${session}/${number}`, peer, name, mode, kind))
        } else if (one.type === 'release') {
          const target = asked[one.pick % Math.max(1, asked.length)]
          if (!target || ![...sessions.values()].includes(target.session)) continue
          script.send(target.session, release(target.number))
          model.remove((request) => request.id === `${target.session}/${target.number}`)
        } else {
          life += 1
          sessions.set(one.peer, script.open(one.peer, life))
          model.remove((request) => request.peer === one.peer)
        }
        for (const name of names) {
          const { holders, waiters } = observeLock(script.state, name)
          expect(idsOf(holders)).toEqual(model.held(name))
          expect(idsOf(waiters)).toEqual(model.waiting(name))
        }
        const all = names.flatMap((name) => model.lists.get(name) ?? []).filter((request) => request.held)
        expect(idsOf(queryLocks(script.state).held)).toEqual(all.sort((a, b) => a.order - b.order).map(({ id }) => id))
      }
    }),
    { numRuns: 400 },
  )
})

it('[T1] tokens of exclusive grants of a name only grow, and one entry makes at most one', () => {
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 60, size: 'max' }), (operations) => {
      const script = new Script()
      const sessions = new Map(peers.map((peer) => [peer, script.open(peer)]))
      const newest = new Map<string, number>()
      let life = 1
      for (const one of operations) {
        const before = new Set(idsOf(queryLocks(script.state).held))
        if (one.type === 'request') {
          const { name, mode, kind } = one
          script.send(sessions.get(one.peer) ?? 0, lock(name, { mode, steal: kind === 'steal' }))
        } else if (one.type === 'release') {
          const { held } = queryLocks(script.state)
          const target = held[one.pick % Math.max(1, held.length)]
          if (target) script.send(target.session, release(target.request))
        } else {
          life += 1
          sessions.set(one.peer, script.open(one.peer, life))
        }
        for (const view of queryLocks(script.state).held) {
          if (before.has(`${view.session}/${view.request}`) || view.mode === 'shared') continue
          expect(view.token).toBeGreaterThan(newest.get(view.name) ?? 0)
          newest.set(view.name, view.token)
        }
      }
    }),
    { numRuns: 200 },
  )
})
