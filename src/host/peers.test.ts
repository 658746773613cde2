import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { machineVersion } from '../machine/version.js'
import type { DownReason, Lane, Link, LinkKind } from '../network/link.js'
import { emptyConfiguration } from '../raft/entry.js'
import { readByte, writeByte } from '../shared/bytes.js'
import type { Lineage } from '../storage/storage.js'
import { type Abilities, productAbilities } from './abilities.js'
import { type Dialect, type Protocol, protocol, rangeOf } from './dialect.js'
import { decodeFrame, encodeFrame, type Frame, type Item, noHead, protocolVersion } from './frame.js'
import { greetingVersion, type HelloItem } from './greeting.js'
import { Peers, type PeersListener, type Self } from './peers.js'

const lineage: Lineage = { roomId: 'room', epoch: 0, forkId: '' }
const life = (counter: number, nonce = `nonce ${counter}`) => ({ counter, nonce })
const self = (peerId: string, counter = 1): Self => ({
  peerId,
  incarnation: life(counter),
  browserId: `browser of ${peerId}`,
  resident: false,
})

/** One end of a link; what is sent on it waits to be carried over. */
class TestLink implements Link {
  readonly sent: { readonly lane: Lane; readonly data: Uint8Array }[] = []
  readonly peerId: string
  readonly kind: LinkKind
  readonly id: string
  closed: string | null = null
  onclose: () => void = () => {}

  constructor(peerId: string, kind: LinkKind = 'memory', id = peerId) {
    this.peerId = peerId
    this.kind = kind
    this.id = id
  }

  send(lane: Lane, data: Uint8Array): void {
    if (this.closed === null) this.sent.push({ lane, data })
  }

  buffered(): number {
    return 0
  }

  close(reason: string): void {
    if (this.closed !== null) return
    this.closed = reason
    this.onclose()
  }

  frames(): Frame[] {
    return this.sent.splice(0).flatMap(({ data }) => {
      const decoded = decodeFrame(data)
      return decoded.ok ? [decoded.frame] : []
    })
  }
}

function setUp(own: Self, room: Lineage | null = lineage, abilities: Partial<Abilities> = {}) {
  const heard: string[] = []
  const counts: string[] = []
  const clock = { now: 0 }
  const listener: PeersListener = {
    met: ({ peerId, incarnation, founded }) => heard.push(`met ${peerId} ${incarnation.counter} ${founded}`),
    strangerMet: ({ peerId, lineage }) => heard.push(`stranger ${peerId} of ${lineage.roomId} ${lineage.epoch}`),
    claimed: ({ peerId }, claim) => heard.push(`claim of ${peerId} ${claim.hasQuorum}`),
    unreachable: ({ peerId }, reason) => heard.push(`unreachable ${peerId} ${reason}`),
    roomFound: ({ roomId }) => heard.push(`found ${roomId}`),
    refused: ({ peerId, reason }) => heard.push(`refused ${peerId} ${reason}`),
    dropped: (reason) => counts.push(reason),
  }
  const peers = new Peers(own, room, () => clock.now, listener, { ...productAbilities, ...abilities })
  const up = (link: TestLink) => {
    link.onclose = () => peers.down(link, 'local')
    peers.up(link)
    return link
  }
  return { peers, heard, counts, up, clock }
}

const hello: HelloItem = {
  type: 'hello',
  speaks: rangeOf(protocol),
  browserId: 'browser',
  founded: true,
  joined: true,
  resident: false,
  canApply: 1,
  roomVersion: 1,
}
const ping: Item = { type: 'ping', time: 1 }

/** From bob in his first life to ann in hers. */
function frameOfBob(changes: Partial<Frame> = {}): Frame {
  return {
    version: changes.items?.[0]?.type === 'hello' ? greetingVersion : protocolVersion,
    lineage,
    from: 'bob',
    fromIncarnation: life(1),
    to: 'ann',
    toIncarnation: life(1),
    items: [ping],
    ...changes,
  }
}

/** Ann, who has met bob. */
function acquainted(kind: LinkKind = 'memory') {
  const ann = setUp(self('ann'))
  const link = ann.up(new TestLink('bob', kind))
  ann.peers.receive(link, encodeFrame(frameOfBob({ items: [hello] })))
  ann.heard.length = 0
  link.sent.length = 0
  return { ...ann, link }
}

describe('meeting', () => {
  /** Carries over what was sent until nothing is left. */
  function converse(a: ReturnType<typeof setUp>, ab: TestLink, b: ReturnType<typeof setUp>, ba: TestLink): number {
    let carried = 0
    while (ab.sent.length + ba.sent.length > 0) {
      for (const { data } of ab.sent.splice(0)) if (ba.closed === null) b.peers.receive(ba, data)
      for (const { data } of ba.sent.splice(0)) if (ab.closed === null) a.peers.receive(ab, data)
      carried += 1
      if (carried > 20) throw new Error('they never stop greeting')
    }
    return carried
  }

  function meet(a: ReturnType<typeof setUp>, b: ReturnType<typeof setUp>) {
    const [ab, ba] = [a.up(new TestLink('bob')), b.up(new TestLink('ann'))]
    converse(a, ab, b, ba)
    return { ab, ba }
  }

  it('two members of a room introduce themselves, and can address each other', () => {
    const [ann, bob] = [setUp(self('ann')), setUp(self('bob', 4))]
    const { ab, ba } = meet(ann, bob)
    expect(ann.peers.peer('bob')).toEqual({ ...self('bob', 4), founded: true, joined: false, canApply: machineVersion })
    expect(bob.peers.peer('ann')).toEqual({ ...self('ann'), founded: true, joined: false, canApply: machineVersion })
    ann.peers.send('bob', ping)
    ann.peers.flush()
    const [sent] = ab.sent
    expect(sent && bob.peers.receive(ba, sent.data)?.items).toEqual([ping])
  })

  it('[N1] a peer without a room hears of the one that the other is in, and says hello again once it belongs', () => {
    const [ann, bob] = [setUp(self('ann')), setUp(self('bob'), null)]
    const { ab, ba } = meet(ann, bob)
    expect(new Set(ann.heard)).toEqual(new Set(['met bob 1 false']))
    expect(bob.heard.indexOf('found room')).toBeLessThan(bob.heard.indexOf('met ann 1 true'))
    bob.peers.setLineage(lineage)
    converse(ann, ab, bob, ba)
    expect(ann.peers.peer('bob')?.founded).toBe(true)
    expect(ann.heard.at(-1)).toBe('met bob 1 true')
  })

  it('two peers without a room meet and find none', () => {
    const [ann, bob] = [setUp(self('ann'), null), setUp(self('bob'), null)]
    meet(ann, bob)
    expect(new Set([...ann.heard, ...bob.heard])).toEqual(new Set(['met bob 1 false', 'met ann 1 false']))
  })

  it('[F1] another founding is met as a stranger on both sides, and nothing that it says counts', () => {
    const [ann, bob] = [setUp(self('ann')), setUp(self('bob'), { ...lineage, roomId: 'other' })]
    const { ab, ba } = meet(ann, bob)
    expect(new Set(ann.heard)).toEqual(new Set(['stranger bob of other 0']))
    expect(new Set(bob.heard)).toEqual(new Set(['stranger ann of room 0']))
    expect([ab.closed, ba.closed]).toEqual([null, null])
    expect(ann.peers.all()).toEqual([])
    const other = { ...lineage, roomId: 'other' }
    expect(ann.peers.receive(ab, encodeFrame(frameOfBob({ lineage: other, items: [ping] })))).toBeNull()
  })

  it('[N3] a peer that goes over to another history is a stranger to those who stay, and back among its own with those who follow', () => {
    const [ann, bob] = [setUp(self('ann')), setUp(self('bob'))]
    const { ab, ba } = meet(ann, bob)
    const carry = () => converse(ann, ab, bob, ba)
    const fork = {
      ...lineage,
      epoch: 1,
      forkId: 'fork',
      foundation: { term: 3, index: 7, previousTerm: 2, members: 2 },
    }
    bob.peers.setLineage(fork)
    carry()
    expect(ann.heard).toContain('unreachable bob lost')
    expect(ann.heard.at(-1)).toBe('stranger bob of room 1')
    expect([ann.peers.all(), bob.peers.all()]).toEqual([[], []])
    ann.peers.setLineage(fork)
    carry()
    expect(ann.peers.all().map(({ peerId }) => peerId)).toEqual(['bob'])
    expect(bob.peers.all().map(({ peerId }) => peerId)).toEqual(['ann'])
  })

  it.each([
    ['another epoch', { ...lineage, epoch: 1 }],
    ['another fork', { ...lineage, forkId: 'fork' }],
  ])('[F1] %s is another history', (_title, other) => {
    const ann = setUp(self('ann'))
    const link = ann.up(new TestLink('bob'))
    ann.peers.receive(link, encodeFrame(frameOfBob({ lineage: other, items: [hello] })))
    expect([ann.heard, link.closed]).toEqual([[`stranger bob of room ${other.epoch}`], null])
  })

  it('a hello to nobody in particular is answered by one that names the life', () => {
    const ann = setUp(self('ann'))
    const link = ann.up(new TestLink('bob'))
    link.sent.length = 0
    ann.peers.receive(link, encodeFrame(frameOfBob({ toIncarnation: null, items: [hello] })))
    expect(link.frames().map(({ toIncarnation, items }) => [toIncarnation, items[0]?.type])).toEqual([
      [life(1), 'hello'],
    ])
  })
})

describe('[F1] before the core, everything is dropped that is not from this life of the sender to this life of mine', () => {
  it('what is meant for me comes through', () => {
    const { peers, link } = acquainted()
    expect(peers.receive(link, encodeFrame(frameOfBob()))?.items).toEqual([ping])
    expect(peers.dropped).toBe(0)
  })

  it.each<[string, Partial<Frame>]>([
    ['to somebody else', { to: 'cid' }],
    ['from somebody else than the link says', { from: 'cid' }],
    ['to an earlier life of mine', { toIncarnation: life(0) }],
    ['to a later life of mine', { toIncarnation: life(2) }],
    ['to a life of mine with another nonce', { toIncarnation: life(1, 'copy') }],
    ['to nobody in particular', { toIncarnation: null }],
    ['from an earlier life', { fromIncarnation: life(0) }],
    ['from a later life that has not said hello', { fromIncarnation: life(2) }],
    ['from a life with another nonce', { fromIncarnation: life(1, 'copy') }],
    ['of another room', { lineage: { ...lineage, roomId: 'other' } }],
    ['of another epoch', { lineage: { ...lineage, epoch: 1 } }],
    ['of another fork', { lineage: { ...lineage, forkId: 'fork' } }],
  ])('%s', (_title, changes) => {
    const { peers, link, heard } = acquainted()
    expect(peers.receive(link, encodeFrame(frameOfBob(changes)))).toBeNull()
    expect(peers.dropped).toBe(1)
    expect([heard, link.closed]).toEqual([[], null])
    expect(peers.receiveLoose('bob', encodeFrame(frameOfBob(changes)))).toBeNull()
  })

  it('a frame of a peer that belongs to no room yet comes through to one that does, and not the other way round', () => {
    const { peers, link } = acquainted()
    expect(peers.receive(link, encodeFrame(frameOfBob({ lineage: null })))?.items).toEqual([ping])
    const young = setUp(self('ann'), null)
    const other = young.up(new TestLink('bob'))
    young.peers.receive(other, encodeFrame(frameOfBob({ items: [hello] })))
    expect(young.peers.receive(other, encodeFrame(frameOfBob()))).toBeNull()
  })

  it('before the hello nothing counts, and what comes after it does', () => {
    const { peers, up } = setUp(self('ann'))
    const link = up(new TestLink('bob'))
    expect(peers.receive(link, encodeFrame(frameOfBob()))).toBeNull()
    expect(peers.receive(link, encodeFrame(frameOfBob({ items: [hello] })))).toBeNull()
    expect(peers.receive(link, encodeFrame(frameOfBob()))?.items).toEqual([ping])
  })

  it('a link that is down, or was never up, delivers nothing', () => {
    const { peers, link } = acquainted()
    peers.down(link, 'lost')
    expect(peers.receive(link, encodeFrame(frameOfBob()))).toBeNull()
    expect(peers.receive(new TestLink('bob'), encodeFrame(frameOfBob({ items: [hello] })))).toBeNull()
  })

  it('[M1] a loose frame is checked in the same way', () => {
    const { peers } = acquainted()
    const goodbye: Item = { type: 'goodbye', session: 1, lastNumber: 2, vote: null }
    expect(peers.receiveLoose('bob', encodeFrame(frameOfBob({ items: [goodbye] })))?.items).toEqual([goodbye])
    expect(peers.receiveLoose('bob', Uint8Array.of(1, 2, 3))).toBeNull()
  })

  it('[M1] a loose frame in the name of another than its page is dropped', () => {
    const { peers, counts } = acquainted()
    expect(peers.receiveLoose('cid', encodeFrame(frameOfBob()))).toBeNull()
    expect(counts).toEqual(['misaddressed'])
  })

  it('[M1] a goodbye may come after the links went down, but not long after', () => {
    const { peers, link, clock } = acquainted()
    const goodbye: Item = { type: 'goodbye', session: 1, lastNumber: 2, vote: null }
    peers.down(link, 'remote')
    clock.now = 4_999
    expect(peers.receiveLoose('bob', encodeFrame(frameOfBob({ items: [goodbye] })))?.items).toEqual([goodbye])
    clock.now = 5_000
    expect(peers.receiveLoose('bob', encodeFrame(frameOfBob({ items: [goodbye] })))).toBeNull()
  })

  it('a frame of a time before greetings is told, and the link closed', () => {
    const { peers, link, heard } = acquainted()
    expect(peers.receive(link, Uint8Array.of(2, 1, 2, 3))).toBeNull()
    expect(heard).toEqual(['refused bob version', 'unreachable bob local'])
    expect(link.closed).toBe('version')
  })

  it('a greeting that comes again takes nothing back', () => {
    const { peers, link, heard } = acquainted()
    peers.receive(
      link,
      encodeFrame(frameOfBob({ lineage: null, items: [{ ...hello, founded: false, joined: false }] })),
    )
    expect([peers.peer('bob')?.founded, peers.peer('bob')?.joined, link.closed]).toEqual([true, true, null])
    heard.length = 0
    peers.receive(link, encodeFrame(frameOfBob({ fromIncarnation: life(0), items: [hello] })))
    expect([peers.peer('bob')?.incarnation, link.closed, heard]).toEqual([life(1), null, []])
  })

  it('whatever the bytes are: never a throw, and the link is closed', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        const { peers, link } = acquainted()
        expect(peers.receive(link, bytes)).toBeNull()
        expect(link.closed).not.toBeNull()
      }),
    )
  })
})

describe('[F2] incarnations', () => {
  const meet = (ann: ReturnType<typeof setUp>, incarnation = life(1)) => {
    const link = ann.up(new TestLink('bob', 'memory', `${incarnation.counter}`))
    ann.peers.receive(link, encodeFrame(frameOfBob({ fromIncarnation: incarnation, items: [hello] })))
    return link
  }

  it('a higher one takes over, and the links of lower ones close', () => {
    const ann = setUp(self('ann'))
    const [first, second] = [meet(ann, life(1)), meet(ann, life(2))]
    expect([first.closed, second.closed]).toEqual(['a later life came', null])
    expect(ann.peers.peer('bob')?.incarnation).toEqual(life(2))
    expect(ann.heard).toEqual(['met bob 1 true', 'met bob 2 true'])
  })

  it('[S44][B13] a lower one is refused', () => {
    const ann = setUp(self('ann'))
    meet(ann, life(2))
    expect(meet(ann, life(1)).closed).toBe('incarnation')
    expect(ann.heard.at(-1)).toBe('refused bob incarnation')
    expect(ann.peers.peer('bob')?.incarnation).toEqual(life(2))
  })

  it('[S44][B13] the same counter with another nonce is refused: a copied profile', () => {
    const ann = setUp(self('ann'))
    meet(ann, life(2))
    expect(meet(ann, life(2, 'copy')).closed).toBe('incarnation')
  })

  it('the same life by a second link is welcome', () => {
    const ann = setUp(self('ann'))
    expect([meet(ann, life(2)).closed, meet(ann, life(2)).closed]).toEqual([null, null])
    expect(ann.peers.all()).toHaveLength(1)
  })

  it('what the configuration has seen counts as seen', () => {
    const ann = setUp(self('ann'))
    ann.peers.noteIncarnations({ ...emptyConfiguration, incarnations: { bob: life(5) } })
    ann.peers.noteIncarnations({ ...emptyConfiguration, incarnations: { bob: life(3) } })
    expect(meet(ann, life(4)).closed).toBe('incarnation')
    expect(meet(ann, life(5, 'copy')).closed).toBe('incarnation')
    expect(meet(ann, life(5)).closed).toBeNull()
  })

  it('what a stranger shows is not remembered', () => {
    const ann = setUp(self('ann'))
    const link = ann.up(new TestLink('bob'))
    const foreign = { ...lineage, roomId: 'other' }
    ann.peers.receive(link, encodeFrame(frameOfBob({ lineage: foreign, fromIncarnation: life(9), items: [hello] })))
    expect(meet(ann, life(1)).closed).toBeNull()
  })

  it('it is remembered while no link is there', () => {
    const ann = setUp(self('ann'))
    const first = meet(ann, life(2))
    ann.peers.down(first, 'lost')
    expect(meet(ann, life(1)).closed).toBe('incarnation')
  })
})

describe('links', () => {
  it.each<DownReason>(['remote', 'lost', 'local'])('the last one that goes down is told (%s)', (reason) => {
    const { peers, link, heard } = acquainted()
    peers.down(link, reason)
    peers.down(link, reason)
    expect(heard).toEqual([`unreachable bob ${reason}`])
    expect(peers.peer('bob')).toBeNull()
  })

  it('one of two that goes down is not told', () => {
    const { peers, link, heard, up } = acquainted()
    const second = up(new TestLink('bob', 'memory', 'second'))
    peers.receive(second, encodeFrame(frameOfBob({ items: [hello] })))
    heard.length = 0
    peers.down(link, 'lost')
    expect(heard).toEqual([])
    expect(peers.link('bob')).toBe(second)
  })

  it('one that never introduced itself is not told', () => {
    const { peers, heard, up } = setUp(self('ann'))
    const link = up(new TestLink('bob'))
    peers.down(link, 'remote')
    expect(heard).toEqual([])
  })

  it.each<[LinkKind, LinkKind, 'first' | 'second']>([
    ['webrtc', 'webrtc', 'second'],
    ['webrtc', 'webrtc-relayed', 'first'],
    ['webrtc-relayed', 'webrtc', 'second'],
    ['broadcast', 'webrtc-relayed', 'first'],
    ['webrtc-relayed', 'webrtc-relayed', 'second'],
    ['webrtc', 'peer-relay', 'first'],
    ['peer-relay', 'webrtc-relayed', 'second'],
    ['peer-relay', 'peer-relay', 'second'],
  ])('of %s and then %s the %s carries', (first, second, wanted) => {
    const { peers, link, up } = acquainted(first)
    const other = up(new TestLink('bob', second, 'second'))
    peers.receive(other, encodeFrame(frameOfBob({ items: [hello] })))
    expect(peers.link('bob')).toBe(wanted === 'first' ? link : other)
  })

  it('[M5] a relay carries while the direct link is silent, which is asked all the same and takes over again', () => {
    const { peers, link, up, heard, clock } = acquainted()
    const carried = up(new TestLink('bob', 'peer-relay', 'carried'))
    peers.receive(carried, encodeFrame(frameOfBob({ items: [hello] })))
    expect([peers.link('bob'), peers.isDirect('bob')]).toEqual([link, true])
    clock.now = 5_000
    peers.receive(carried, encodeFrame(frameOfBob()))
    expect([peers.link('bob'), peers.isDirect('bob'), peers.isReachable('bob')]).toEqual([carried, false, true])
    for (const one of [link, carried]) one.sent.length = 0
    peers.send('bob', ping)
    peers.pingSilent()
    peers.flush()
    expect([link.frames().length, carried.frames().length]).toEqual([1, 1])
    peers.receive(link, encodeFrame(frameOfBob()))
    expect(peers.link('bob')).toBe(link)
    peers.send('bob', ping)
    peers.pingSilent()
    peers.flush()
    expect([link.frames().length, carried.frames().length]).toEqual([1, 0])
    heard.length = 0
    // The leader's own channel is closed while its heartbeats come by a relay: no reason to forget it.
    peers.down(link, 'remote')
    expect(heard).toEqual([])
    peers.down(carried, 'lost')
    expect(heard).toEqual(['unreachable bob lost'])
  })

  it('[F4] what a carried link sends goes out in the same turn, over the links of who carries it', () => {
    const { peers, up } = setUp(self('ann'))
    const toCid = up(new TestLink('cid', 'webrtc', 'to cid'))
    peers.receive(toCid, encodeFrame(frameOfBob({ from: 'cid', items: [hello] })))
    const carried = up(new TestLink('bob', 'peer-relay', 'carried'))
    peers.receive(carried, encodeFrame(frameOfBob({ items: [hello] })))
    toCid.sent.length = 0
    carried.send = (_lane, body) => peers.send('cid', { type: 'relay', from: 'ann', to: 'bob', body: body.slice() })
    peers.send('cid', ping)
    peers.send('bob', ping)
    peers.flush()
    expect(toCid.frames().flatMap(({ items }) => items.map(({ type }) => type))).toEqual(['ping', 'relay'])
  })

  it('everything of a turn leaves as one frame per lane', () => {
    const { peers, link } = acquainted()
    const pong: Item = { type: 'pong', time: 1 }
    peers.send('bob', ping)
    peers.send('bob', pong, 'bulk')
    peers.send('bob', ping)
    peers.send('nobody', ping)
    expect(link.sent).toHaveLength(0)
    peers.flush()
    expect(link.sent.map(({ lane }) => lane)).toEqual(['control', 'bulk'])
    expect(link.frames().map(({ items }) => items)).toEqual([[ping, ping], [pong]])
    peers.flush()
    expect(link.sent).toHaveLength(0)
  })

  it('what waits for a peer whose link goes down does not reach its next one', () => {
    const { peers, link, up } = acquainted()
    peers.send('bob', ping)
    peers.down(link, 'lost')
    const second = up(new TestLink('bob'))
    peers.receive(second, encodeFrame(frameOfBob({ fromIncarnation: life(2), items: [hello] })))
    second.sent.length = 0
    peers.flush()
    expect(second.sent).toEqual([])
  })

  it('a peer is reachable while it has a link and was heard on it lately', () => {
    const { peers, link, clock } = acquainted()
    const at = (now: number) => {
      clock.now = now
      return peers.isReachable('bob')
    }
    expect([at(3_499), at(3_500)]).toEqual([true, false])
    clock.now = 5_000
    peers.receive(link, encodeFrame(frameOfBob()))
    expect([at(8_000), peers.isReachable('cid')]).toEqual([true, false])
    peers.down(link, 'lost')
    expect(at(5_001)).toBe(false)
  })

  it('round trips are smoothed, and forgotten with the link', () => {
    const { peers, link } = acquainted()
    expect(peers.rtt('bob')).toBeNull()
    peers.noteRtt('bob', 80)
    peers.noteRtt('bob', 0)
    expect(peers.rtt('bob')).toBe(70)
    peers.down(link, 'lost')
    expect(peers.rtt('bob')).toBeNull()
  })
})

/** The test's own future: a version that has a new item and a new field, and one after it. */
const wave = { type: 'wave', height: 3 } as unknown as Item
const four: Dialect = {
  version: 4,
  knows: () => true,
  writeItem: (writer, item) => {
    writeByte(writer, item === wave ? 200 : 201)
    if (item !== wave) protocol[0].writeItem(writer, item)
  },
  readItem: (reader, from, to) => (readByte(reader) === 200 ? wave : protocol[0].readItem(reader, from, to)),
}
const three: Dialect = { ...protocol[0], knows: (item) => item !== wave }
const spoken = (...dialects: Protocol) => ({ protocol: dialects })

describe('[F1] versions', () => {
  function meet(one: Partial<Abilities>, other: Partial<Abilities>) {
    const [ann, bob] = [setUp(self('ann'), lineage, one), setUp(self('bob'), lineage, other)]
    const [ab, ba] = [ann.up(new TestLink('bob')), bob.up(new TestLink('ann'))]
    const carry = () => {
      const came: Item[] = []
      while (ab.sent.length + ba.sent.length > 0) {
        for (const { data } of ab.sent.splice(0)) came.push(...(bob.peers.receive(ba, data)?.items ?? []))
        for (const { data } of ba.sent.splice(0)) came.push(...(ann.peers.receive(ab, data)?.items ?? []))
      }
      return came
    }
    carry()
    return { ann, bob, ab, ba, carry }
  }

  it('both speak the highest that both know, and what the other does not know is not sent to it', () => {
    for (const [theirs, comes] of [
      [spoken(three, four), [ping, wave]],
      [spoken(three), [ping]],
    ] as const) {
      const { ann, bob, ab, carry } = meet(spoken(three, four), theirs)
      ann.peers.send('bob', ping)
      ann.peers.send('bob', wave)
      ann.peers.flush()
      expect(ab.sent[0]?.data[0]).toBe(comes.length === 2 ? 4 : 3)
      expect(carry()).toEqual(comes)
      ann.peers.send('bob', wave)
      ann.peers.flush()
      expect(carry()).toEqual(comes.slice(1))
      expect([bob.peers.dropped, bob.heard.filter((line) => line.startsWith('refused'))]).toEqual([0, []])
    }
  })

  it('without one that both know they refuse each other, and say which they speak', () => {
    const told: string[] = []
    const { ann, bob, ab } = meet(spoken(three), spoken(four))
    expect([ann.heard, bob.heard]).toEqual([['refused bob version'], ['refused ann version']])
    expect([ab.closed, ann.peers.all(), ann.counts]).toEqual([null, [], ['version']])
    const listener = { met() {}, unreachable() {}, roomFound() {}, dropped() {}, strangerMet() {}, claimed() {} }
    const refused: PeersListener['refused'] = ({ message }) => told.push(message)
    const cid = new Peers(self('cid'), null, () => 0, { ...listener, refused })
    const link = new TestLink('bob')
    cid.up(link)
    const speaks = { oldest: 5, newest: 7 }
    cid.receive(link, encodeFrame(frameOfBob({ to: 'cid', toIncarnation: null, items: [{ ...hello, speaks }] })))
    expect(told).toEqual(['it speaks protocol version 5 to 7, and this peer 3'])
  })

  it('a frame in another version than agreed is dropped', () => {
    const { ann, ab } = meet(spoken(three, four), spoken(three, four))
    expect(ann.peers.receive(ab, encodeFrame(frameOfBob({ version: 3 })))).toBeNull()
    expect(ann.counts).toEqual(['stale'])
    const version = 4
    const bytes = encodeFrame(frameOfBob({ version }), noHead(), [three, four])
    expect(ann.peers.receive(ab, bytes)?.items).toEqual([ping])
  })

  it('[M1] last words are in the version of the link', () => {
    for (const [theirs, version] of [[spoken(three, four), 4] as const, [spoken(three), 3] as const]) {
      const { ann } = meet(spoken(three, four), theirs)
      const bob = ann.peers.peer('bob')
      expect(bob && ann.peers.frameFor(bob, [ping])[0]).toBe(version)
    }
  })

  it('[F5] who cannot apply the log of the room is refused, by both, from the moment that it has risen', () => {
    const [ann, bob] = [setUp(self('ann'), lineage, { canApply: 2 }), setUp(self('bob'), lineage, { canApply: 1 })]
    ann.peers.setRoomVersion(2)
    const [ab, ba] = [ann.up(new TestLink('bob')), bob.up(new TestLink('ann'))]
    for (const { data } of ab.sent.splice(0)) bob.peers.receive(ba, data)
    for (const { data } of ba.sent.splice(0)) ann.peers.receive(ab, data)
    expect([ann.heard, bob.heard]).toEqual([['refused bob version'], ['refused ann version']])
    const met = meet({ canApply: 2 }, { canApply: 1 })
    expect(met.ann.peers.peer('bob')?.canApply).toBe(1)
    met.ann.heard.length = 0
    met.ann.peers.setRoomVersion(2)
    expect(met.ann.heard).toEqual(['refused bob version', 'unreachable bob local'])
    met.carry()
    expect(met.bob.heard).toContain('refused ann version')
  })
})
