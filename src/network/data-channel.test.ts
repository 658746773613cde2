import { describe, expect, it } from 'vitest'
import { FakeDataChannel } from '../../test/contract/fake-data-channel.js'
import { frameOf, linked, settle, Witness } from '../../test/contract/link-cases.js'
import { describeLinkContract, type LinkPair } from '../../test/contract/link-contract.js'
import { DataChannelNetwork } from './data-channel.js'
import type { Lane, LinkListener, Network } from './link.js'
import { handOver } from './webrtc.js'

/** A network that is handed one connection as soon as it listens. */
class Prepared implements Network {
  readonly ended: string[] = []
  readonly network = new DataChannelNetwork({ onEnded: (connectionId) => this.ended.push(connectionId) })
  readonly #add: (network: DataChannelNetwork) => void

  constructor(add: (network: DataChannelNetwork) => void) {
    this.#add = add
  }

  listen(listener: LinkListener): void {
    this.network.listen(listener)
    this.#add(this.network)
  }

  close(): void {
    this.network.close()
  }
}

function channels(): { a: Record<Lane, FakeDataChannel>; b: Record<Lane, FakeDataChannel> } {
  const [controlA, controlB] = FakeDataChannel.pair()
  const [bulkA, bulkB] = FakeDataChannel.pair()
  return { a: { control: controlA, bulk: bulkA }, b: { control: controlB, bulk: bulkB } }
}

function direct(): LinkPair & { a: Prepared; b: Prepared; wires: ReturnType<typeof channels> } {
  const wires = channels()
  const a = new Prepared((network) => network.add('peer-b', 'c1', wires.a.control.rtc, wires.a.bulk.rtc, 'webrtc'))
  const b = new Prepared((network) => network.add('peer-a', 'c1', wires.b.control.rtc, wires.b.bulk.rtc, 'webrtc'))
  const garbage = (lane: Lane) => wires.a[lane].send(Uint8Array.of(77, 1, 2, 3))
  const teardown = () => {
    a.close()
    b.close()
  }
  return { a, b, teardown, garbage, onGarbage: 'lost', wires }
}

function relayed(): LinkPair {
  const wires = channels()
  const give = (peerId: string, side: 'a' | 'b') =>
    new Prepared((network) =>
      handOver(
        wires[side].control.rtc,
        wires[side].bulk.rtc,
        (handed) => network.add(peerId, 'c1', handed.control, handed.bulk, handed.kind),
        'never',
      ),
    )
  const a = give('peer-b', 'a')
  const b = give('peer-a', 'b')
  const garbage = (lane: Lane) => wires.a[lane].send(Uint8Array.of(77, 1, 2, 3))
  const teardown = () => {
    a.close()
    b.close()
  }
  return { a, b, teardown, garbage, onGarbage: 'lost' }
}

describeLinkContract('data channel (fake)', async () => direct())
describeLinkContract('data channel (fake) relayed over message ports', async () => relayed())

describe('data channel link', () => {
  it('[PLATFORM 5] takes a message that comes before open, and sends when open comes', async () => {
    const pair = direct()
    const { b, ab, ba, a } = await linked(pair)
    ab.send('control', frameOf(10, 1))
    ba.send('control', frameOf(10, 2))
    await b.until('a frame', () => b.frames.length === 1)
    await a.until('a frame', () => a.frames.length === 1)
    expect(b.ups.length).toBe(1)
    pair.teardown()
  })

  it('[PLATFORM 32] never fills the send queue of the channel', async () => {
    const pair = direct()
    const { b, ab } = await linked(pair)
    let most = 0
    const watch = setInterval(() => {
      most = Math.max(most, pair.wires.a.bulk.bufferedAmount)
    }, 0)
    ab.send('bulk', new Uint8Array(20 * 1024 * 1024))
    expect(pair.wires.a.bulk.bufferedAmount).toBeLessThan(1.1 * 1024 * 1024)
    await b.until('the frame', () => b.frames.length === 1)
    clearInterval(watch)
    expect(most).toBeLessThan(1.1 * 1024 * 1024)
    pair.teardown()
  })

  it('loses the link of a peer that takes nothing, before the memory is gone', async () => {
    const pair = direct()
    const { a, ab } = await linked(pair)
    for (let i = 0; i < 70; i += 1) ab.send('bulk', new Uint8Array(1024 * 1024))
    await a.until('a to be down', () => a.downs.length > 0)
    expect(a.downs).toEqual(['lost'])
    pair.teardown()
  })

  it('tells the page once that a connection has ended, and ignores what it says of unknown ones', async () => {
    const pair = direct()
    const { a, ab } = await linked(pair)
    pair.a.network.closeConnection('unknown', 'lost')
    ab.close('done')
    pair.a.network.closeConnection('c1', 'lost')
    await settle(20)
    expect([pair.a.ended, pair.b.ended, a.downs]).toEqual([['c1'], ['c1'], ['local']])
    pair.teardown()
  })

  it('[M1] told by the page that the connection is lost, the other end does not take it for a goodbye', async () => {
    const pair = direct()
    const { a, b } = await linked(pair)
    pair.a.network.closeConnection('c1', 'lost')
    await b.until('b to be down', () => b.downs.length > 0)
    expect([a.downs, b.downs]).toEqual([['lost'], ['lost']])
    pair.teardown()
  })

  it('[N1] a connection that came before anybody listened comes up then, with what was said on it meanwhile', async () => {
    const { a, b } = channels()
    const [early, other] = [new DataChannelNetwork(), new DataChannelNetwork()]
    const [witness, speaker] = [new Witness(), new Witness()]
    other.listen(speaker)
    early.add('peer-b', 'c1', a.control.rtc, a.bulk.rtc, 'webrtc')
    other.add('peer-a', 'c1', b.control.rtc, b.bulk.rtc, 'webrtc')
    await speaker.until('the speaker to be up', () => speaker.ups.length > 0)
    for (const value of [1, 2, 3]) speaker.ups[0]?.send('control', Uint8Array.of(value))
    await settle(20)
    early.listen(witness)
    await witness.until('three frames', () => witness.frames.length === 3)
    expect([witness.ups.length, witness.downs, witness.frames.map(({ frame }) => [...frame])]).toEqual([
      1,
      [],
      [[1], [2], [3]],
    ])
    early.close()
    other.close()
  })

  it('says nothing of a connection that never opened', async () => {
    const [control] = FakeDataChannel.pair()
    const [bulk] = FakeDataChannel.pair()
    const network = new DataChannelNetwork()
    const witness = new Witness()
    network.listen(witness)
    network.add('peer-b', 'c1', control.rtc, bulk.rtc, 'webrtc')
    network.closeConnection('c1', 'lost')
    await settle(20)
    expect([witness.ups.length, witness.downs.length]).toEqual([0, 0])
    network.close()
  })
})
