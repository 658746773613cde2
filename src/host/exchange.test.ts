import { describe, expect, it } from 'vitest'
import type { CarriedNetwork, Carrier } from '../network/carried.js'
import { signalTextMax } from '../network/limits.js'
import type { Lane } from '../network/link.js'
import type { PeerId } from '../raft/entry.js'
import { Exchange, relayHoldMax } from './exchange.js'
import type { Item } from './frame.js'
import type { Peer, Peers } from './peers.js'
import { TestContext } from './test-context.js'

/** Dead tabs' nodes are those whose name says so. */
const peerOf = (peerId: PeerId): Peer => ({
  peerId,
  incarnation: { counter: 1, nonce: 'n' },
  browserId: 'b',
  founded: true,
  joined: true,
  resident: peerId.startsWith('dead'),
  canApply: 1,
})

/** A host with links to those named; nothing of the rest of it. */
function setUp(...direct: PeerId[]) {
  const context = new TestContext()
  const sent: { to: PeerId; lane: Lane; item: Item }[] = []
  const linked = new Set(direct)
  const buffered = { bytes: 0 }
  const peers = {
    all: () => [...linked].map(peerOf),
    isDirect: (peerId: PeerId) => linked.has(peerId),
    isReachable: (peerId: PeerId) => linked.has(peerId),
    rtt: (peerId: PeerId) => (peerId === 'near' ? 1 : 50),
    buffered: () => buffered.bytes,
    send: (to: PeerId, item: Item, lane: Lane = 'control') => sent.push({ to, lane, item }),
  } as unknown as Peers
  Object.assign(context, { peers })
  const received: string[] = []
  let changes = 0
  const network: CarriedNetwork = {
    carry(carrier: Carrier) {
      expect(carrier).toBeInstanceOf(Exchange)
    },
    listen() {},
    close() {},
    tick() {},
    routesChanged() {
      changes += 1
    },
    receive: (via, from, lane, body) => received.push(`${via} ${from} ${lane} ${body.byteLength}`),
  }
  const exchange = new Exchange(context, network)
  const hear = (from: PeerId, item: Item, lane: Lane = 'control', carried = false) =>
    exchange.receive(peerOf(from), item, lane, carried)
  return { context, exchange, hear, sent, received, linked, buffered, changes: () => changes }
}

const signal = (from: PeerId, to: PeerId, text = 'offer'): Item => ({ type: 'signal', from, to, text })
const relay = (from: PeerId, to: PeerId, bytes = 10): Item => ({ type: 'relay', from, to, body: new Uint8Array(bytes) })
const links = (...peerIds: PeerId[]): Item => ({ type: 'links', peerIds })

describe('signals through the mesh', () => {
  it('go straight to whom there is a link, else to the nearest who has one, else nowhere', () => {
    const { exchange, hear, sent } = setUp('ann', 'far', 'near')
    exchange.signal('ann', 'offer')
    exchange.signal('bob', 'lost')
    hear('far', links('bob'))
    hear('near', links('bob', 'me'))
    exchange.signal('bob', 'offer')
    exchange.signal('bob', 'x'.repeat(signalTextMax + 1))
    expect(sent.map(({ to, item }) => [to, item])).toEqual([
      ['ann', signal('me', 'ann')],
      ['near', signal('me', 'bob')],
    ])
  })

  it('are told to the page they are for, and passed on once, under the name of who sent them only', () => {
    const { context, hear, sent } = setUp('ann', 'bob')
    hear('ann', signal('ann', 'me', 'mine'))
    hear('bob', signal('eve', 'me', 'passed on'))
    hear('ann', signal('ann', 'bob', 'on'))
    hear('ann', signal('eve', 'bob', 'a second hop, or a lie'))
    hear('ann', signal('ann', 'eve', 'to nobody'))
    hear('ann', signal('ann', 'bob', 'over a relay'), 'control', true)
    expect(context.emitted).toEqual([
      { type: 'signal', from: 'ann', text: 'mine' },
      { type: 'signal', from: 'eve', text: 'passed on' },
    ])
    expect(sent).toEqual([{ to: 'bob', lane: 'control', item: signal('ann', 'bob', 'on') }])
  })

  it('are bounded for each who sends them, whoever they are for', () => {
    const { context, hear, sent } = setUp('ann', 'bob')
    const large = 'x'.repeat(signalTextMax)
    for (let i = 0; i < 200; i += 1) hear('ann', signal('ann', i % 2 === 0 ? 'me' : 'bob', large))
    const taken = context.emitted.length + sent.length
    expect(taken).toBeGreaterThan(5)
    expect(taken).toBeLessThan(20)
    hear('bob', signal('bob', 'me'))
    expect(context.emitted.at(-1)).toEqual({ type: 'signal', from: 'bob', text: 'offer' })
    context.wait(2_000)
    hear('ann', signal('ann', 'me', 'later'))
    expect(context.emitted.at(-1)).toEqual({ type: 'signal', from: 'ann', text: 'later' })
  })
})

describe('[F4] bodies of relayed links', () => {
  it('are passed on in their lane, from whom they name to whom there is a link, and never twice', () => {
    const { hear, sent, received } = setUp('ann', 'bob')
    hear('ann', relay('ann', 'bob'), 'bulk')
    hear('ann', relay('eve', 'bob'))
    hear('ann', relay('ann', 'eve'))
    hear('ann', relay('ann', 'bob'), 'control', true)
    expect(sent).toEqual([{ to: 'bob', lane: 'bulk', item: relay('ann', 'bob') }])
    hear('bob', relay('eve', 'me', 7), 'bulk')
    hear('bob', relay('eve', 'me', 7), 'bulk', true)
    expect(received).toEqual(['bob eve bulk 7'])
  })

  it('[L4] go on by one hop more from and to the node of a dead tab, and never by a third', () => {
    const { hear, sent } = setUp('dead', 'ann', 'bob')
    hear('dead', relay('dead', 'eve'))
    expect(sent, 'nobody leads there').toEqual([])
    hear('ann', links('eve', 'me'))
    hear('dead', relay('dead', 'eve'))
    hear('bob', relay('bob', 'eve'))
    hear('dead', relay('cid', 'eve'))
    expect(sent.map(({ to, item }) => [to, item])).toEqual([['ann', relay('dead', 'eve')]])
    hear('ann', relay('eve', 'dead'))
    hear('bob', relay('eve', 'dead'))
    hear('ann', relay('eve', 'fay'))
    expect(sent.slice(1).map(({ to, item }) => [to, item])).toEqual([['dead', relay('eve', 'dead')]])
  })

  it('wait here within bounds, for each pair and lane: a target that takes nothing fills nobody else', () => {
    const { hear, sent, buffered } = setUp('ann', 'bob', 'cid')
    buffered.bytes = 10 * relayHoldMax
    for (let i = 0; i < 1_000; i += 1) hear('ann', relay('ann', 'bob', 10_000), 'bulk')
    const held = sent.length * 10_000
    expect(held).toBeGreaterThan(relayHoldMax / 2)
    expect(held).toBeLessThanOrEqual(relayHoldMax)
    hear('ann', relay('ann', 'bob', 10_000), 'control')
    hear('cid', relay('cid', 'bob', 10_000), 'bulk')
    expect(sent.slice(-2).map(({ lane, item }) => [lane, item.type === 'relay' && item.from])).toEqual([
      ['control', 'ann'],
      ['bulk', 'cid'],
    ])
    buffered.bytes = 0
    hear('ann', relay('ann', 'bob', 10_000), 'bulk')
    expect(sent.at(-1)?.item).toMatchObject({ from: 'ann' })
  })
})

describe('who is linked with whom', () => {
  it('is told to each neighbour, when it is new and when it changes', () => {
    const { exchange, sent, linked } = setUp('bob', 'ann')
    exchange.tick()
    exchange.tick()
    expect(sent.map(({ to, item }) => [to, item])).toEqual([
      ['ann', links('ann', 'bob')],
      ['bob', links('ann', 'bob')],
    ])
    linked.delete('bob')
    exchange.unreachable('bob')
    exchange.tick()
    expect(sent.slice(2).map(({ to, item }) => [to, item])).toEqual([['ann', links('ann')]])
    exchange.met('ann')
    exchange.tick()
    expect(sent, 'a new life has heard nothing').toHaveLength(4)
  })

  it('[L4] is told to the node of a dead tab with whoever is behind them', () => {
    const { exchange, hear, sent } = setUp('dead', 'ann')
    hear('ann', links('eve', 'dead', 'me'))
    exchange.tick()
    expect(sent.map(({ to, item }) => [to, item])).toEqual([
      ['ann', links('ann', 'dead')],
      ['dead', links('ann', 'dead', 'eve')],
    ])
  })

  it('is forgotten with the link to whoever said it, and the relayed links hear of every change', () => {
    const { exchange, hear, linked, changes } = setUp('ann', 'bob')
    hear('ann', links('eve'))
    hear('bob', links('eve'))
    expect(exchange.routesTo('eve')).toEqual(['ann', 'bob'])
    linked.delete('ann')
    exchange.unreachable('ann')
    expect(exchange.routesTo('eve')).toEqual(['bob'])
    hear('bob', links())
    expect(exchange.routesTo('eve')).toEqual([])
    expect(changes()).toBe(4)
  })

  it('decides whom a host looks for: a voter all members, a learner the voters, a stranger everyone', () => {
    const { context, exchange, hear } = setUp('ann')
    hear('ann', links('bob', 'eve', 'me'))
    expect(exchange.wanted()).toEqual(['bob', 'eve'])
    const configure = (voters: PeerId[], learners: PeerId[]) =>
      Object.assign(context.core, {
        configuration: { ...context.core.configuration, voters, learners },
      })
    configure(['me', 'ann'], ['bob', 'cid'])
    expect([...exchange.wanted()].sort()).toEqual(['ann', 'bob', 'cid'])
    configure(['ann', 'bob'], ['me', 'cid'])
    expect([...exchange.wanted()].sort()).toEqual(['ann', 'bob'])
  })

  it('who hears no leader looks for everyone: it may have been removed, and the next leader have been nobody when it was a member', () => {
    const { context, exchange, hear } = setUp('ann')
    hear('ann', links('bob', 'eve', 'me'))
    Object.assign(context.core, {
      configuration: { ...context.core.configuration, voters: ['ann'], learners: ['me', 'eve'] },
    })
    context.core.leader = 'ann'
    expect([...exchange.wanted()]).toEqual(['ann'])
    context.core.leader = null
    expect([...exchange.wanted()].sort()).toEqual(['ann', 'bob', 'eve'])
  })
})
