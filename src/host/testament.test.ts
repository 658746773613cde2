import { expect, it } from 'vitest'
import { decode } from '../shared/codec.js'
import type { Item } from './frame.js'
import type { HostEvent } from './page.js'
import { TestContext } from './test-context.js'
import { Testament } from './testament.js'

class Page {
  readonly context = new TestContext()
  readonly session = { session: 3, lastNumber: 7 }
  readonly testament = new Testament(this.context, () => this.session)

  constructor() {
    this.context.linked.set('ann', { counter: 1, nonce: 'x' })
    this.context.linked.set('bob', { counter: 1, nonce: 'y' })
    this.testament.flush()
    this.received()
  }

  promise(term: number): void {
    this.context.core.promisedVote = { to: 'bob', term }
    this.testament.flush()
  }

  /** What the page got since the last call. */
  received(): Extract<HostEvent, { type: 'testament' }>[] {
    return this.context.emitted.splice(0).filter((event) => event.type === 'testament')
  }

  /** The votes in the newest testament, by peer. */
  votes(): Record<string, number | null> {
    const [event] = this.received().slice(-1)
    const words = event?.goodbyes.map(({ frame }) => decode(frame) as [string, [Extract<Item, { type: 'goodbye' }>]])
    return Object.fromEntries(words?.map(([peerId, [{ vote }]]) => [peerId, vote]) ?? [])
  }
}

it('[M1] a testament is shown again when somebody came, when commands were sent, and not otherwise', () => {
  const page = new Page()
  page.testament.changed()
  page.testament.flush()
  expect(page.received()).toEqual([])
  page.session.lastNumber = 8
  page.testament.changed()
  page.testament.flush()
  expect(page.received()).toMatchObject([{ confirm: false, goodbyes: [{ peerId: 'ann' }, { peerId: 'bob' }] }])
  page.context.linked.set('bob', { counter: 2, nonce: 'y' })
  page.testament.changed()
  page.testament.flush()
  expect(page.received()).toHaveLength(1)
})

it('[M2] the vote goes to the page as soon as it is durable, and to that peer alone', () => {
  const page = new Page()
  page.promise(5)
  expect(page.votes()).toEqual({ ann: null, bob: 5 })
  expect(page.testament.goodbye('bob')).toEqual({ type: 'goodbye', session: 3, lastNumber: 7, vote: 5 })
})

it('[M1] the last word of a leader names who shall lead next, and it is shown again when that is another one', () => {
  const context = new TestContext()
  let heir: string | null = 'bob'
  const testament = new Testament(
    context,
    () => ({ session: 3, lastNumber: 7 }),
    () => heir,
  )
  testament.flush()
  expect(testament.goodbye('ann')).toMatchObject({ heir: 'bob' })
  context.emitted.length = 0
  heir = null
  testament.changed()
  testament.flush()
  expect(context.emitted).toMatchObject([{ type: 'testament' }])
  expect(testament.goodbye('ann')).not.toHaveProperty('heir')
})

it('[M1] who shall lead next is found out once for each showing: all who could are looked at for it', () => {
  const context = new TestContext()
  for (const peerId of ['ann', 'bob', 'cem']) context.linked.set(peerId, { counter: 1, nonce: peerId })
  let looks = 0
  const testament = new Testament(
    context,
    () => ({ session: 3, lastNumber: 7 }),
    () => {
      looks += 1
      return 'bob'
    },
  )
  testament.flush()
  const [event] = context.emitted.filter((event) => event.type === 'testament')
  const words = event?.goodbyes.map(({ frame }) => decode(frame) as [string, [Extract<Item, { type: 'goodbye' }>]])
  expect(words?.map(([, [{ heir }]]) => heir)).toEqual(['bob', 'bob', 'bob'])
  expect(looks).toBe(1)
})

it('[M2] what no page has is withdrawn at once', () => {
  const page = new Page()
  page.context.core.promisedVote = { to: 'bob', term: 5 }
  expect(page.testament.withdrawVote()).toBe(true)
  expect(page.context.core.promisedVote).toBeNull()
})

it('[M2] what the page has is withdrawn once it confirms, by number', () => {
  const page = new Page()
  page.promise(5)
  page.received()
  expect(page.testament.withdrawVote()).toBe(false)
  const [event] = page.received()
  expect(event?.confirm).toBe(true)
  expect(page.testament.goodbye('bob').vote).toBeNull()
  expect(page.testament.withdrawVote()).toBe(false)
  expect(page.received()).toEqual([])
  expect(page.context.core.promisedVote).not.toBeNull()
  page.testament.confirmed((event?.number ?? 0) - 1)
  expect(page.context.core.promisedVote).not.toBeNull()
  page.testament.confirmed(event?.number ?? 0)
  expect(page.context.core.promisedVote).toBeNull()
  expect(page.testament.withdrawVote()).toBe(true)
})

it('[M2] no vote is shown while one is withdrawn, and a late confirmation ends no later withdrawal', () => {
  const page = new Page()
  page.promise(5)
  page.testament.withdrawVote()
  const first = page.received().at(-1)?.number ?? 0
  page.promise(9)
  expect(page.votes()).not.toMatchObject({ bob: 9 })
  page.testament.confirmed(first)
  page.promise(9)
  expect(page.votes()).toMatchObject({ bob: 9 })
  expect(page.testament.withdrawVote()).toBe(false)
  page.testament.confirmed(first)
  expect(page.context.core.promisedVote).toEqual({ to: 'bob', term: 9 })
})
