import { afterEach, describe, expect, it } from 'vitest'
import { frameOf, type LinkPair, linked, settle, Witness } from '../../test/contract/link-cases.js'
import { describeLinkContract } from '../../test/contract/link-contract.js'
import { BroadcastNetwork } from './broadcast-channel.js'
import { type PairMessage, pairChannelName, postGoodbye, sharedChannelName } from './broadcast-message.js'
import type { LinkListener, Network } from './link.js'

let rooms = 0
const open: Network[] = []
const channels: BroadcastChannel[] = []

function newRoom(): string {
  rooms += 1
  return `room-${rooms}`
}

function networkOf(room: string, peerId: string, life = `${peerId}/1`): BroadcastNetwork {
  const network = new BroadcastNetwork({ room, peerId, life })
  open.push(network)
  return network
}

function channelOf(name: string): BroadcastChannel {
  const channel = new BroadcastChannel(name)
  channels.push(channel)
  return channel
}

afterEach(() => {
  for (const network of open.splice(0)) network.close()
  for (const channel of channels.splice(0)) channel.close()
})

const garbageMessages: unknown[] = [
  null,
  42,
  'text',
  {},
  { v: 1, type: 'control' },
  {
    v: 1,
    type: 'control',
    from: 'peer-a',
    life: 'other',
    to: 'peer-b',
    toLife: 'peer-b/1',
    sequence: 0,
    bytes: new Uint8Array(1),
  },
  {
    v: 1,
    type: 'control',
    from: 'peer-a',
    life: 'peer-a/1',
    to: 'peer-b',
    toLife: 'peer-b/1',
    sequence: -1,
    bytes: [1],
  },
  { v: 2, type: 'bye', from: 'peer-a', life: 'peer-a/1', to: 'peer-b', toLife: 'peer-b/1' },
  new Map([['v', 1]]),
]

function pair(): LinkPair & { a: BroadcastNetwork; b: BroadcastNetwork; room: string } {
  const room = newRoom()
  const a = networkOf(room, 'peer-a')
  const b = networkOf(room, 'peer-b')
  const garbage = () => {
    const noise = [channelOf(sharedChannelName(room)), channelOf(pairChannelName(room, 'peer-a', 'peer-b'))]
    for (const channel of noise) for (const message of garbageMessages) channel.postMessage(message)
  }
  return { a, b, garbage, onGarbage: 'ignored', teardown: () => {}, room }
}

describeLinkContract('broadcast channel', async () => pair())

describe('broadcast network', () => {
  it('links every two of several tabs once, whoever came first', async () => {
    const room = newRoom()
    const ids = ['w', 'x', 'y', 'z']
    const witnesses = ids.map((id) => {
      const witness = new Witness()
      networkOf(room, id).listen(witness)
      return witness
    })
    for (const witness of witnesses) await witness.until('three links', () => witness.ups.length === 3)
    await settle()
    for (const [i, witness] of witnesses.entries()) {
      expect(witness.ups.map((link) => link.peerId).sort()).toEqual(ids.filter((_, j) => j !== i))
      expect(witness.downs).toEqual([])
    }
  })

  it('keeps rooms apart', async () => {
    const one = pair()
    const { a } = await linked(one)
    const other = new Witness()
    networkOf(newRoom(), 'peer-c').listen(other)
    await settle()
    expect([a.ups.length, other.ups.length]).toEqual([1, 0])
  })

  it('[F1] a new life of a known peer ends the link of the old one and has its own', async () => {
    const { a, b, room } = pair()
    const { b: witness } = await linked({ a, b })
    const again = new Witness()
    networkOf(room, 'peer-a', 'peer-a/2').listen(again)
    await witness.until('the new link', () => witness.ups.length === 2)
    await again.until('the new link', () => again.ups.length === 1)
    expect(witness.downs).toEqual(['lost'])
    again.ups[0]?.send('control', frameOf(3, 1))
    await witness.until('a frame', () => witness.frames.length === 1)
  })

  it('[F1] a frame of the old life that comes late is dropped', async () => {
    const { a, b, room } = pair()
    const { b: witness } = await linked({ a, b })
    const again = new Witness()
    networkOf(room, 'peer-a', 'peer-a/2').listen(again)
    await witness.until('the new link', () => witness.ups.length === 2)
    const late: PairMessage = {
      v: 1,
      type: 'control',
      from: 'peer-a',
      life: 'peer-a/1',
      to: 'peer-b',
      toLife: 'peer-b/1',
      sequence: 0,
      bytes: frameOf(3, 1),
    }
    const channel = channelOf(pairChannelName(room, 'peer-a', 'peer-b'))
    channel.postMessage(late)
    channel.postMessage({ ...late, type: 'welcome', heard: false })
    await settle()
    expect([witness.frames.length, witness.ups.length, witness.downs]).toEqual([0, 2, ['lost']])
  })

  it('a gap in the numbers loses the link on both sides, and they link again', async () => {
    const { a, b, room } = pair()
    const seen = await linked({ a, b })
    const missing: PairMessage = {
      v: 1,
      type: 'control',
      from: 'peer-a',
      life: 'peer-a/1',
      to: 'peer-b',
      toLife: 'peer-b/1',
      sequence: 5,
      bytes: frameOf(3, 1),
    }
    channelOf(pairChannelName(room, 'peer-a', 'peer-b')).postMessage(missing)
    await seen.a.until('a new link', () => seen.a.ups.length === 2)
    await seen.b.until('a new link', () => seen.b.ups.length === 2)
    expect([seen.a.downs, seen.b.downs, seen.b.frames.length]).toEqual([['lost'], ['lost'], 0])
  })

  it('links again after frames had been lost in both directions', async () => {
    const room = newRoom()
    let isDeaf = false
    const createChannel = (name: string) => {
      const channel = channelOf(name)
      const post = channel.postMessage.bind(channel)
      channel.postMessage = (message: unknown) => {
        if (!isDeaf) post(message)
      }
      return channel
    }
    const a = new BroadcastNetwork({ room, peerId: 'peer-a', life: '1', createChannel })
    const b = new BroadcastNetwork({ room, peerId: 'peer-b', life: '2', createChannel })
    open.push(a, b)
    const seen = await linked({ a, b })
    isDeaf = true
    seen.ab.send('control', frameOf(3, 1))
    seen.ba.send('control', frameOf(3, 1))
    isDeaf = false
    seen.ab.send('control', frameOf(3, 2))
    seen.ba.send('bulk', frameOf(3, 2))
    await seen.a.until('a new link', () => seen.a.ups.length >= 2)
    await seen.b.until('a new link', () => seen.b.ups.length >= 2)
    await settle(300)
    seen.a.ups.at(-1)?.send('control', frameOf(3, 3))
    await seen.b.until('a frame', () => seen.b.frames.length === 1)
    expect(seen.a.ups.length - seen.a.downs.length).toBe(1)
    expect(seen.b.ups.length - seen.b.downs.length).toBe(1)
  })

  it('a welcome that is lost leaves no half of a link: the other side asks again', async () => {
    for (const heard of [true, false]) {
      const room = newRoom()
      let lost = 0
      const createChannel = (name: string) => {
        const channel = channelOf(name)
        const post = channel.postMessage.bind(channel)
        channel.postMessage = (message: PairMessage) => {
          if (lost === 0 && message.type === 'welcome' && message.heard === heard) lost += 1
          else post(message)
        }
        return channel
      }
      const a = new BroadcastNetwork({ room, peerId: 'peer-a', life: '1', createChannel })
      const b = new BroadcastNetwork({ room, peerId: 'peer-b', life: '2', createChannel })
      open.push(a, b)
      const seen = await linked({ a, b })
      seen.ab.send('control', frameOf(3, 1))
      seen.ba.send('control', frameOf(3, 1))
      await seen.a.until('a frame', () => seen.a.frames.length === 1)
      await seen.b.until('a frame', () => seen.b.frames.length === 1)
      expect([lost, seen.a.downs, seen.b.downs]).toEqual([1, [], []])
    }
  })

  it('[M1] a goodbye posted by the page brings its last frame, and then the end', async () => {
    const { a, b } = pair()
    const seen = await linked({ a, b })
    const goodbye = a.goodbye(seen.ab, frameOf(20, 9))
    if (!goodbye) throw new Error('no goodbye')
    expect(b.goodbye(seen.ab)).toBeUndefined()
    postGoodbye([structuredClone(goodbye)])
    await seen.b.until('b to be down', () => seen.b.downs.length > 0)
    expect(seen.b.downs).toEqual(['remote'])
    expect(seen.b.frames.map(({ lane, frame }) => [lane, [...frame]])).toEqual([['control', [...frameOf(20, 9)]]])
    // The worker that is still there does not take its page's words for another's, and what it says now is late.
    seen.ab.send('control', frameOf(3, 1))
    await settle()
    expect([seen.a.downs, seen.b.frames.length, seen.b.ups.length]).toEqual([[], 1, 1])
  })

  it('[L2] peerGone loses the link of that life only, and it cannot come back', async () => {
    const { a, b } = pair()
    const seen = await linked({ a, b })
    b.peerGone('peer-a', 'peer-a/7')
    expect(seen.b.downs).toEqual([])
    b.peerGone('peer-a', 'peer-a/1')
    expect(seen.b.downs).toEqual(['lost'])
    a.hello()
    await settle()
    expect(seen.b.ups.length).toBe(1)
  })

  it('[F1] a tab of another version is told, and tells: neither waits in silence, and nothing goes round', async () => {
    const room = newRoom()
    const witness = new Witness()
    networkOf(room, 'peer-a').listen(witness)
    const shared = channelOf(sharedChannelName(room))
    const heard: unknown[] = []
    shared.onmessage = ({ data }) => heard.push(data)
    const hello = { v: 2, type: 'hello', from: 'peer-b', life: 'peer-b/1', more: 'of its own' }
    shared.postMessage(hello)
    shared.postMessage(hello)
    await witness.until('word of it', () => witness.foreigners.length > 0)
    await settle()
    expect(witness.foreigners).toEqual([['peer-b', 2]])
    expect(heard).toEqual([{ v: 1, type: 'hello', from: 'peer-a', life: 'peer-a/1' }])
    expect(witness.ups).toEqual([])
  })

  it('links again after a close when one of them says hello', async () => {
    const { a, b } = pair()
    const seen = await linked({ a, b })
    seen.ab.close('for now')
    await seen.b.until('b to be down', () => seen.b.downs.length > 0)
    await settle()
    expect([seen.a.ups.length, seen.b.ups.length]).toEqual([1, 1])
    a.hello()
    await seen.a.until('a new link', () => seen.a.ups.length === 2)
    await seen.b.until('a new link', () => seen.b.ups.length === 2)
  })

  it('bounds what garbage hellos open', async () => {
    const room = newRoom()
    let count = 0
    const createChannel = (name: string) => {
      count += 1
      return channelOf(name)
    }
    const network = new BroadcastNetwork({ room, peerId: 'peer-a', life: '1', createChannel })
    open.push(network)
    const listener: LinkListener = { up: () => {}, frame: () => {}, down: () => {} }
    network.listen(listener)
    const noise = channelOf(sharedChannelName(room))
    for (let i = 0; i < 200; i += 1) noise.postMessage({ v: 1, type: 'hello', from: `fake-${i}`, life: `${i}` })
    await settle(300)
    expect(count).toBeLessThanOrEqual(65)
  })
})
