import { bytesToHex } from '@noble/hashes/utils.js'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { describeLinkContract } from '../../test/contract/link-contract.js'
import { bodyBytesMax, type Carrier, windowBytes } from './carried.js'
import type { DownReason, Lane, Link, LinkListener, Network } from './link.js'
import { laneBytesMax } from './outbox.js'
import { openWithinMs, PeerRelayNetwork, patienceMs, supersededAfterMs, unheardMs } from './peer-relay.js'
import { readRelayMessage, readSealed } from './peer-relay-message.js'
import { type Party, RelayIdentity } from './peer-relay-seal.js'

interface Body {
  readonly via: string
  readonly from: string
  readonly to: string
  readonly lane: Lane
  readonly body: Uint8Array
}

const secretOf = (text: string) => Uint8Array.from({ length: 32 }, (_, i) => text.charCodeAt(i % text.length) + i)

class Heard implements LinkListener {
  readonly log: string[] = []
  link: Link | null = null
  frames: Uint8Array[] = []

  up(link: Link): void {
    this.link = link
    this.log.push('up')
  }

  frame(_link: Link, lane: Lane, frame: Uint8Array): void {
    this.frames.push(frame)
    this.log.push(`${lane} ${frame.byteLength}`)
  }

  down(link: Link, reason: DownReason): void {
    if (this.link === link) this.link = null
    this.log.push(`down ${reason}`)
  }
}

/** Two peers who never connect, and those between them, as the test says. */
class Web {
  now = 1_000
  readonly direct = new Set<string>()
  routes: string[] = ['c']
  wanted = true
  readonly queue: Body[] = []
  readonly heard: Record<string, Heard> = { a: new Heard(), b: new Heard() }
  readonly networks: Record<string, PeerRelayNetwork> = {}
  /** Everything that was ever carried. */
  readonly seen: Body[] = []

  constructor(readonly name = '') {
    for (const peerId of ['a', 'b']) this.join(peerId, 1)
  }

  join(peerId: string, counter: number): void {
    const network = new PeerRelayNetwork({
      peerId,
      incarnation: { counter, nonce: `nonce ${counter}` },
      secret: secretOf(`${peerId}${counter}${this.name}`),
    })
    const other = peerId === 'a' ? 'b' : 'a'
    const web = this
    const heard = new Heard()
    this.heard[peerId] = heard
    this.networks[peerId] = network
    const carrier: Carrier = {
      get now() {
        return web.now
      },
      send: (via, to, lane, body) => {
        expect(body.byteLength).toBeLessThanOrEqual(bodyBytesMax)
        this.queue.push({ via, from: peerId, to, lane, body: body.slice() })
      },
      routesTo: (to) => (to === other ? this.routes : []),
      isLinked: () => heard.link !== null || this.direct.has(peerId),
      isDirect: (to) => this.direct.has(to),
      wanted: () => (this.wanted ? [other] : []),
    }
    network.carry(carrier)
    network.listen(heard)
    for (const relay of ['c', 'd']) this.direct.add(relay)
  }

  deliver(body: Body): void {
    if (!this.routes.includes(body.via)) return
    this.seen.push(body)
    this.networks[body.to]?.receive(body.via, body.from, body.lane, body.body)
  }

  /** Carries everything that is on its way, and what comes of it. */
  carry(): void {
    for (let body = this.queue.shift(); body; body = this.queue.shift()) this.deliver(body)
  }

  /** Steps of 50 ms; what is sent is carried. */
  pass(ms: number): void {
    for (const end = this.now + ms; this.now < end; this.now += 50) {
      for (const network of Object.values(this.networks)) network.tick()
      this.carry()
    }
  }

  end(peerId: string): Heard {
    const heard = this.heard[peerId]
    if (!heard) throw new Error(peerId)
    return heard
  }

  link(peerId: string): Link {
    const { link } = this.end(peerId)
    if (!link) throw new Error(`${peerId} has no link`)
    return link
  }
}

function relayed(name = ''): Web {
  const web = new Web(name)
  web.pass(patienceMs + 300)
  expect([web.end('a').log, web.end('b').log]).toEqual([['up'], ['up']])
  return web
}

/** Its carriage is asynchronous, and its clock the test's. */
async function pairForContract() {
  const networks = new Map<string, PeerRelayNetwork>()
  let offset = 0
  const end = (peerId: string, other: string): Network => {
    const network = new PeerRelayNetwork({
      peerId,
      incarnation: { counter: 1, nonce: 'n' },
      secret: secretOf(peerId),
    })
    networks.set(peerId, network)
    let links = 0
    network.carry({
      get now() {
        return performance.now() + offset
      },
      send: (via, to, lane, body) => {
        const copy = body.slice()
        setImmediate(() => networks.get(to)?.receive(via, peerId, lane, copy))
      },
      routesTo: () => ['peer-c'],
      isLinked: () => links > 0,
      isDirect: (id) => id === 'peer-c',
      wanted: () => (links === 0 && offset > 0 && hasClosed ? [] : [other]),
    })
    let hasClosed = false
    return {
      listen: (listener) =>
        network.listen({
          up: (link) => {
            links += 1
            listener.up(link)
          },
          frame: (link, lane, frame) => listener.frame(link, lane, frame),
          down: (link, reason) => {
            links -= 1
            hasClosed = true
            listener.down(link, reason)
          },
        }),
      close: () => network.close(),
    }
  }
  const [a, b] = [end('peer-a', 'peer-b'), end('peer-b', 'peer-a')]
  const tick = () => {
    for (const network of networks.values()) network.tick()
  }
  tick()
  offset = patienceMs
  const timer = setInterval(tick, 20)
  const garbage = (lane: Lane) =>
    networks.get('peer-b')?.receive('peer-c', 'peer-a', lane, Uint8Array.of(2, 8, ...Array(8).fill(0), 0, 3, 1, 2, 3))
  return { a, b, teardown: () => clearInterval(timer), garbage, onGarbage: 'ignored' as const }
}

describeLinkContract('peer-relay', pairForContract)

describe('peer-relay', () => {
  it('only who has waited is relayed, by the first route', () => {
    const web = new Web()
    web.pass(patienceMs - 100)
    expect(web.seen).toEqual([])
    web.pass(200)
    web.link('a').send('control', Uint8Array.of(1, 2, 3))
    web.link('b').send('bulk', new Uint8Array(100_000))
    web.carry()
    expect(web.end('b').log).toEqual(['up', 'control 3'])
    expect(web.end('a').log).toEqual(['up', 'bulk 100000'])
    expect([web.link('a').kind, web.link('a').peerId]).toEqual(['peer-relay', 'b'])
  })

  it('both open at once: one link, and the smaller id has opened it', () => {
    const web = relayed()
    const types = web.seen.map(({ from, body }) => `${from} ${readRelayMessage(body)?.type}`)
    expect(types).toEqual(['a open', 'b open', 'b accept', 'a sealed'])
  })

  it('[F4] the relay reads nothing: no body holds what was sent', () => {
    const web = relayed()
    const secret = new TextEncoder().encode('what only the two may know')
    web.link('a').send('control', secret)
    web.carry()
    expect(web.end('b').frames).toEqual([secret])
    for (const { body } of web.seen) expect(bytesToHex(body)).not.toContain(bytesToHex(secret))
  })

  it('[F4] what comes again is dropped, whenever it comes', () => {
    const web = relayed()
    web.link('a').send('control', Uint8Array.of(1))
    web.link('a').send('control', Uint8Array.of(2))
    web.carry()
    for (const body of [...web.seen]) {
      web.deliver(body)
      web.carry()
    }
    web.link('a').send('control', Uint8Array.of(3))
    web.carry()
    expect(web.end('b').frames.map((frame) => frame[0])).toEqual([1, 2, 3])
    expect(web.end('b').log).toEqual(['up', 'control 1', 'control 1', 'control 1'])
  })

  it.each(['left out', 'overtaken'])('[F4] a message that is %s ends the link as lost, on both sides', (fault) => {
    const web = relayed()
    web.link('a').send('control', Uint8Array.of(1))
    web.link('a').send('control', Uint8Array.of(2))
    const first = web.queue.shift()
    if (fault === 'overtaken' && first) web.queue.push(first)
    web.carry()
    expect(web.end('b').log).toEqual(['up', 'down lost'])
    expect(web.end('a').log).toEqual(['up', 'down lost'])
    // At once by another link: who was relayed needs no proof that it has to be.
    web.pass(200)
    expect(web.end('a').log).toEqual(['up', 'down lost', 'up'])
  })

  it('[F4] what a relay changes, makes up or brings from another link is nothing', () => {
    const web = relayed()
    const other = relayed('another pair')
    other.link('a').send('control', Uint8Array.of(9))
    const foreign = other.queue.shift()
    web.link('a').send('control', Uint8Array.of(1))
    const genuine = web.queue.shift()
    if (!genuine || !foreign) throw new Error('nothing was sent')
    for (let at = 0; at < genuine.body.byteLength; at += 1) {
      const body = genuine.body.slice()
      body[at] = (body[at] ?? 0) ^ 1
      web.deliver({ ...genuine, body })
    }
    web.deliver({ ...genuine, lane: 'bulk' })
    web.deliver(foreign)
    web.deliver({ ...genuine, via: 'd' })
    expect(web.end('b').log).toEqual(['up'])
    web.deliver(genuine)
    expect(web.end('b').log).toEqual(['up', 'control 1'])
  })

  it('[F4] whatever comes, nothing throws, and nothing of it is heard', () => {
    const web = relayed()
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 200 }),
        fc.constantFrom('control' as const, 'bulk' as const),
        (body, lane) => {
          web.deliver({ via: 'c', from: 'a', to: 'b', lane, body })
          readSealed(body)
          web.queue.length = 0
        },
      ),
    )
    expect(web.end('b').log).toEqual(['up'])
  })

  it('[F4] an `open` that is repeated ends nothing: only who has the keys does', () => {
    const web = relayed()
    const open = web.seen.find(({ from, body }) => from === 'a' && readRelayMessage(body)?.type === 'open')
    if (!open) throw new Error('no open')
    web.now += 1_000
    web.deliver(open)
    web.pass(openWithinMs)
    web.link('a').send('control', Uint8Array.of(1))
    web.carry()
    expect(web.end('b').log).toEqual(['up', 'control 1'])
  })

  it('[F4] sealed for one life, it does not open in the next', () => {
    const web = relayed()
    web.link('a').send('control', Uint8Array.of(1))
    const late = web.queue.splice(0)
    web.join('b', 2)
    for (const body of late) web.deliver(body)
    expect(web.end('b').log).toEqual([])
    // The one side does not know of the new life until it opens a link.
    web.pass(patienceMs + 100)
    expect(web.end('b').log).toEqual(['up'])
    expect(web.end('a').log).toEqual(['up', 'up', 'down lost'])
  })

  it('[F4][M1] the relay goes: the link is lost, never closed by the other, and moves to the next relay', () => {
    const web = relayed()
    web.routes = ['d']
    web.direct.delete('c')
    web.pass(200)
    expect(web.end('a').log).toEqual(['up', 'down lost', 'up'])
    expect(web.end('b').log).toEqual(['up', 'down lost', 'up'])
    web.link('a').send('control', Uint8Array.of(1))
    web.carry()
    expect(web.seen.at(-1)?.via).toBe('d')
    expect(web.end('b').frames).toHaveLength(1)
  })

  it('[F4] without any relay left there is no link, and no end of the wish for one', () => {
    const web = relayed()
    web.routes = []
    web.pass(30_000)
    expect(web.end('a').log).toEqual(['up', 'down lost'])
    web.routes = ['c']
    web.pass(200)
    expect(web.end('a').log).toEqual(['up', 'down lost', 'up'])
  })

  it('a relay that answers nothing is left for the next one', () => {
    const web = new Web()
    web.routes = ['c', 'd']
    const through: string[] = []
    for (let i = 0; i < 100 && web.end('a').link === null; i += 1) {
      for (const network of Object.values(web.networks)) network.tick()
      for (let body = web.queue.shift(); body; body = web.queue.shift()) {
        through.push(body.via)
        if (body.via === 'd') web.deliver(body)
      }
      web.now += 50
    }
    expect(web.end('a').log).toEqual(['up'])
    expect(web.now).toBeLessThanOrEqual(1_000 + patienceMs + openWithinMs + 200)
    expect(new Set(through)).toEqual(new Set(['c', 'd']))
  })

  it('a direct link takes over: when it has lasted the relayed one ends, which nobody takes for a goodbye', () => {
    const web = relayed()
    web.direct.add('a').add('b')
    web.pass(supersededAfterMs - 200)
    expect(web.end('a').log).toEqual(['up'])
    web.pass(500)
    expect([web.end('a').log, web.end('b').log]).toEqual([
      ['up', 'down lost'],
      ['up', 'down lost'],
    ])
    web.pass(10_000)
    expect(web.end('a').log).toHaveLength(2)
  })

  it('a route that carries nothing any more is found out', () => {
    const web = relayed()
    for (let now = 0; now < unheardMs + 100; now += 50) {
      for (const network of Object.values(web.networks)) network.tick()
      web.queue.length = 0
      web.now += 50
    }
    expect(web.end('a').log).toEqual(['up', 'down lost'])
  })

  it('[F4] no more than a window of a lane is on its way, whatever is sent; the rest waits at its sender, within bounds', () => {
    const web = relayed()
    for (let i = 0; i < 20; i += 1) web.link('a').send('bulk', new Uint8Array(1_000_000))
    const onTheWay = web.queue.reduce((sum, { body }) => sum + body.byteLength, 0)
    expect(onTheWay).toBeGreaterThan(windowBytes / 2)
    expect(onTheWay).toBeLessThan(windowBytes * 1.2)
    // A heartbeat does not wait for it.
    web.link('a').send('control', Uint8Array.of(1))
    expect(web.queue.at(-1)?.lane).toBe('control')
    const link = web.link('a')
    for (let i = 0; i * 1_000_000 < laneBytesMax; i += 1) link.send('bulk', new Uint8Array(1_000_000))
    expect(web.end('a').log, 'never inside the call').toEqual(['up'])
    expect(link.buffered('bulk')).toBeLessThanOrEqual(laneBytesMax)
    for (const network of Object.values(web.networks)) network.tick()
    expect(web.end('a').log).toEqual(['up', 'down lost'])
    expect(link.buffered('bulk')).toBe(0)
  })
})

describe('the seal', () => {
  const party = (peerId: string, identity: RelayIdentity): Party => ({
    peerId,
    incarnation: { counter: 1, nonce: 'n' },
    publicKey: identity.publicKey,
    nonce: identity.newNonce(),
  })

  it('is the same for both ends, for one place in one lane, and for nobody else', () => {
    const [ann, bob, eve] = [secretOf('ann'), secretOf('bob'), secretOf('eve')].map((s) => new RelayIdentity(s))
    if (!ann || !bob || !eve) throw new Error('three')
    const [a, b] = [party('a', ann), party('b', bob)]
    const atA = ann.seal(a, b)
    const atB = bob.seal(b, a)
    if (!atA || !atB) throw new Error('no seal')
    const plain = Uint8Array.of(1, 2, 3)
    const sealed = atA.close('control', 7, plain)
    expect(atB.open('control', 7, sealed)).toEqual(plain)
    expect(atB.open('control', 8, sealed)).toBeNull()
    expect(atB.open('bulk', 7, sealed)).toBeNull()
    expect(atA.open('control', 7, sealed), 'not back to its sender').toBeNull()
    expect(eve.seal(b, a)?.open('control', 7, sealed)).toBeNull()
    const laterLife = { ...b, incarnation: { counter: 2, nonce: 'n' } }
    expect(bob.seal(laterLife, a)?.open('control', 7, sealed)).toBeNull()
    const otherLink = { ...b, nonce: bob.newNonce() }
    expect(bob.seal(otherLink, a)?.open('control', 7, sealed)).toBeNull()
  })

  it('refuses a key that is none', () => {
    const ann = new RelayIdentity(secretOf('ann'))
    const zero = { ...party('b', ann), publicKey: new Uint8Array(32) }
    expect(ann.seal(party('a', ann), zero)).toBeNull()
  })
})
