import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { MemoryHub } from '../network/memory.js'
import { Inheritance, type Losses, sharedWith } from './inheritance.js'
import { foundRoom, joinRoom } from './test-room.js'

const there = { roomId: 'room', epoch: 1, forkId: 'fork' }
const elsewhere = { roomId: 'other', epoch: 0, forkId: '' }
const item = (key: string, revision: number) => ({ key, value: new Uint8Array([revision]), revision })
const losses = (store: Losses['store'], deleted: Losses['deleted'] = [], complete = true): Losses => ({
  ...{ store, deleted, counters: [], complete },
})
const counter = (key: string, revision: number) => ({ key, value: 10 * revision, revision })

const old = losses([item('a', 3), item('b', 5), item('c', 9)], [{ key: 'd', revision: 4 }])
const shared = sharedWith(there, 9, old)

describe('[N3] what a history that has ended and the next one have in common', () => {
  it('is what is older than the index at which they part', () => {
    expect(shared).toEqual({
      lineage: there,
      upTo: 8,
      ...losses([item('a', 3), item('b', 5)], [{ key: 'd', revision: 4 }]),
    })
  })

  it('is nothing where nothing is, unless more may have been deleted than is known', () => {
    expect(sharedWith(there, 3, old)).toBeNull()
    expect(sharedWith(there, 3, { ...old, complete: false })).toMatchObject({ store: [], complete: false })
  })

  it('is lost to whoever comes into another history, and told once', () => {
    const inheritance = new Inheritance(shared)
    expect(inheritance.entered(elsewhere)).toEqual(losses([item('a', 3), item('b', 5)], [{ key: 'd', revision: 4 }]))
    expect(inheritance.entered(elsewhere)).toBeNull()
  })

  it('is lost in a fork of the next one, too', () => {
    expect(new Inheritance(shared).entered({ ...there, epoch: 2, forkId: 'later' })).not.toBeNull()
  })

  it('is not lost in that one, while it lasts: then it is told with what this peer had of it', () => {
    const inheritance = new Inheritance(shared)
    expect(inheritance.entered(there)).toBeNull()
    inheritance.applied(7)
    const own = losses([item('a', 3), item('d', 2)], [{ key: 'b', revision: 6 }])
    expect(inheritance.with(own, 1)).toEqual(
      losses(
        [item('a', 3)],
        [
          { key: 'b', revision: 6 },
          { key: 'd', revision: 4 },
        ],
      ),
    )
  })

  it('... but for what the next one after it has, too', () => {
    const own = losses([item('e', 6)])
    expect(new Inheritance(shared).with(own, 5)).toEqual(losses([item('e', 6), item('b', 5)]))
  })

  it('... and of counters the same, which are no keys of the store', () => {
    const counted = { ...losses([item('a', 3)]), counters: [counter('a', 3), counter('b', 5), counter('c', 9)] }
    const shared = sharedWith(there, 9, counted)
    expect(shared?.counters).toEqual([counter('a', 3), counter('b', 5)])
    expect(sharedWith(there, 9, { ...losses([]), counters: [counter('a', 3)] })).not.toBeNull()
    const own = { ...losses([item('a', 8)]), counters: [counter('b', 2), counter('a', 4)] }
    expect(new Inheritance(shared).with(own, 1)).toEqual({ ...own, counters: [counter('a', 4), counter('b', 5)] })
  })

  it("is this peer's own once it has come so far", () => {
    const inheritance = new Inheritance(shared)
    inheritance.applied(8)
    expect(inheritance.with(losses([]), 1)).toEqual(losses([]))
    expect(inheritance.entered(elsewhere)).toBeNull()
  })

  it('is nothing for a page that comes from nowhere', () => {
    const inheritance = new Inheritance(null)
    expect([inheritance.entered(there), inheritance.with(old, 1)]).toEqual([null, old])
  })

  it('is told to the page whose peer comes into another history', async () => {
    const hub = new MemoryHub()
    const here = await foundRoom('a', hub)
    const peer = joinRoom('b', hub, { shared: { lineage: there, upTo: 8, ...old } })
    onTestFinished(() => {
      for (const { host } of [peer, here]) host.leave()
    })
    await vi.waitFor(() => expect(peer.host.lineage).toEqual(here.host.lineage), 5_000)
    expect(peer.events.filter(({ type }) => type === 'reset')).toEqual([
      { type: 'reset', reset: { cause: 'merged', ...old }, successor: null },
    ])
  })
})
