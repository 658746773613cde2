import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { MeshManager, meshPeersMax } from './mesh.js'
import { newConnectionId, parseMeshMessage, type Signal, signalText, wantText } from './mesh-signal.js'
import type { SimplePeerInstance } from './webrtc.js'

/** A connection that does what the test says. */
class FakePeerConnection extends EventTarget {
  state: RTCPeerConnectionState = 'new'
  isClosed = false

  get connectionState() {
    return this.state
  }

  get iceConnectionState() {
    return this.state === 'connecting' ? 'checking' : this.state
  }

  createDataChannel(label: string, init: unknown) {
    return { label, init }
  }

  become(state: RTCPeerConnectionState): void {
    this.state = state
    this.dispatchEvent(new Event('connectionstatechange'))
  }

  close(): void {
    this.isClosed = true
  }
}

type Listener = (value: unknown) => void

class FakeSimplePeer implements SimplePeerInstance {
  static readonly WEBRTC_SUPPORT = true
  static all: FakeSimplePeer[] = []
  readonly initiator: boolean
  readonly connection: FakePeerConnection
  readonly signals: Signal[] = []
  readonly sent: Uint8Array[] = []
  readonly #listeners = new Map<string, Listener>()
  isDestroyed = false

  constructor(options: { initiator: boolean; wrtc: { RTCPeerConnection: new () => FakePeerConnection } }) {
    this.initiator = options.initiator
    this.connection = new options.wrtc.RTCPeerConnection()
    FakeSimplePeer.all.push(this)
  }

  on(event: string, listener: Listener | (() => void)): void {
    this.#listeners.set(event, listener as Listener)
  }

  emit(event: string, value?: unknown): void {
    this.#listeners.get(event)?.(value)
  }

  signal(signal: Signal): void {
    if (signal.type === 'candidate' && signal.candidate.candidate === 'throws') throw new TypeError('bad candidate')
    this.signals.push(signal)
  }

  send(bytes: Uint8Array): void {
    this.sent.push(bytes)
  }

  destroy(): void {
    if (this.isDestroyed) return
    this.isDestroyed = true
    queueMicrotask(() => this.emit('close'))
  }
}

vi.mock('simple-peer/simplepeer.min.js', () => ({ default: FakeSimplePeer }))

interface World {
  mesh: MeshManager
  heard: string[]
  signals: { to: string; text: string }[]
}

function meshOf(peerId: string): World {
  const heard: string[] = []
  const signals: { to: string; text: string }[] = []
  const mesh = new MeshManager({
    peerId,
    random: () => 1,
    sendSignal: (to, text) => signals.push({ to, text }),
    events: {
      onConnection: ({ peerId: other }) => heard.push(`connection ${other}`),
      onClosed: ({ peerId: other, reason }) => heard.push(`closed ${other} ${reason}`),
      onState: (other, state) => heard.push(`state ${other} ${state}`),
      onForeign: (other, version) => heard.push(`foreign ${other} ${version}`),
      onPageFrame: (other, bytes) => heard.push(`page-frame ${other} ${bytes.byteLength}`),
      onFailure: ({ code, details }) => heard.push(`failure ${code} ${JSON.stringify(details)}`),
    },
  })
  return { mesh, heard, signals }
}

function peer(index: number): FakeSimplePeer {
  const found = FakeSimplePeer.all.at(index)
  if (!found) throw new Error(`no peer ${index} of ${FakeSimplePeer.all.length}`)
  return found
}

const offer: Signal = { type: 'offer', sdp: 'o' }
const answer: Signal = { type: 'answer', sdp: 'a' }

/** The connection id that the last signal of this world carries. */
function connectionIdOf(world: World): string {
  const message = parseMeshMessage(world.signals.at(-1)?.text ?? '')
  if (message?.kind !== 'signal') throw new Error('no signal was sent')
  return message.connectionId
}

async function dialed(): Promise<World> {
  const world = meshOf('a')
  world.mesh.addPeer('b')
  await vi.advanceTimersByTimeAsync(0)
  peer(-1).emit('signal', offer)
  return world
}

const advance = (ms: number) => vi.advanceTimersByTimeAsync(ms)
const count = () => FakeSimplePeer.all.length

beforeEach(async () => {
  vi.useFakeTimers()
  FakeSimplePeer.all = []
  for (const name of ['RTCPeerConnection', 'RTCSessionDescription', 'RTCIceCandidate'])
    vi.stubGlobal(name, FakePeerConnection)
  await import('simple-peer/simplepeer.min.js')
})

afterEach(() => {
  vi.useRealTimers()
  vi.unstubAllGlobals()
})

describe('mesh', () => {
  it('the smaller id dials, with a connection id in every signal; channels come in the construction', async () => {
    const { heard, signals } = await dialed()
    expect(heard).toEqual(['state b connecting', 'connection b'])
    expect(peer(0).initiator).toBe(true)
    const message = parseMeshMessage(signals[0]?.text ?? '')
    expect(message).toMatchObject({ kind: 'signal', signal: offer })
  })

  it('[F1] a page that signals in another version is told of, and nobody else is', async () => {
    const { heard, mesh } = await dialed()
    heard.length = 0
    mesh.receiveSignal('b', JSON.stringify({ v: 2, kind: 'hello', more: [] }))
    mesh.receiveSignal('c', JSON.stringify({ v: 2 }))
    for (const text of ['{', '{"v":1}', '{"v":-1}', '{"v":"2"}', '[]', 'null']) mesh.receiveSignal('b', text)
    expect(heard).toEqual(['foreign b 2'])
  })

  it('the larger id waits, then asks for a dial again and again, ever more slowly', async () => {
    const world = meshOf('b')
    world.mesh.addPeer('a')
    await advance(299)
    expect(world.signals).toEqual([])
    await advance(1 + 200 + 400)
    expect(world.signals).toEqual([1, 2, 3].map(() => ({ to: 'a', text: wantText() })))
    await advance(60_000)
    expect(world.signals.length).toBeLessThan(20)
    expect(count()).toBe(0)
  })

  it('redials an attempt that did not connect in 10 s, with back-off up to 5 s', async () => {
    const { heard } = await dialed()
    await advance(10_000)
    expect(heard.at(-1)).toBe('closed b lost')
    await advance(200)
    expect(count()).toBe(2)
    expect([peer(0).connection.isClosed, peer(1).connection.isClosed]).toEqual([true, false])
    await advance(120_000)
    expect(count()).toBeGreaterThan(8)
    expect(count()).toBeLessThan(14)
  })

  it('drops signals of another attempt, of the wrong kind, and a second description', async () => {
    const world = await dialed()
    const id = connectionIdOf(world)
    world.mesh.receiveSignal('b', signalText(newConnectionId(), answer))
    world.mesh.receiveSignal('b', signalText(newConnectionId(), offer))
    world.mesh.receiveSignal('b', signalText(id, offer))
    world.mesh.receiveSignal('c', signalText(id, answer))
    expect([peer(0).signals, count()]).toEqual([[], 1])
    world.mesh.receiveSignal('b', signalText(id, answer))
    world.mesh.receiveSignal('b', signalText(id, { type: 'answer', sdp: 'other' }))
    expect(peer(0).signals).toEqual([answer])
  })

  it('survives whatever comes as a signal; what simple-peer cannot take ends that attempt only', async () => {
    const world = await dialed()
    const id = connectionIdOf(world)
    const texts = [
      '',
      'null',
      '[]',
      '{',
      '{"v":1}',
      'x'.repeat(200_000),
      JSON.stringify({ v: 1, kind: 'signal', connectionId: id }),
    ]
    for (const text of texts) world.mesh.receiveSignal('b', text)
    expect(peer(0).isDestroyed).toBe(false)
    const candidate = { candidate: 'throws', sdpMLineIndex: 0, sdpMid: null }
    world.mesh.receiveSignal('b', signalText(id, { type: 'candidate', candidate }))
    await advance(0)
    expect(world.heard.at(-1)).toBe('closed b lost')
    await advance(200)
    expect(count()).toBe(2)
  })

  it('keeps signals that come while simple-peer is being loaded', async () => {
    const world = meshOf('b')
    world.mesh.addPeer('a')
    const id = newConnectionId()
    const candidate: Signal = { type: 'candidate', candidate: { candidate: 'c', sdpMLineIndex: 0, sdpMid: '0' } }
    world.mesh.receiveSignal('a', signalText(id, offer))
    world.mesh.receiveSignal('a', signalText(id, candidate))
    await advance(0)
    expect([peer(0).initiator, peer(0).signals]).toEqual([false, [offer, candidate]])
    await advance(2_000)
    expect(world.signals).toEqual([])
  })

  it('a new offer takes the place of an attempt that is not connected', async () => {
    const world = meshOf('b')
    world.mesh.addPeer('a')
    world.mesh.receiveSignal('a', signalText(newConnectionId(), offer))
    await advance(0)
    world.mesh.receiveSignal('a', signalText(newConnectionId(), offer))
    await advance(0)
    expect(FakeSimplePeer.all.map((one) => one.connection.isClosed)).toEqual([true, false])
  })

  it('a request is heeded when the attempt is old and unanswered, or the connection is one that the other lacks', async () => {
    const world = await dialed()
    world.mesh.receiveSignal('b', wantText())
    expect(count()).toBe(1)
    await advance(2_000)
    world.mesh.receiveSignal('b', wantText())
    await advance(0)
    expect(count()).toBe(2)
    peer(1).connection.become('connected')
    world.mesh.receiveSignal('b', wantText())
    await advance(2_000)
    expect(count()).toBe(2)
    world.mesh.receiveSignal('b', wantText())
    await advance(0)
    expect([count(), peer(1).connection.isClosed]).toEqual([3, false])
  })

  it('[PLATFORM 27] a failed connection stays for 60 s, is shown as connected, and is dialed beside', async () => {
    const { heard } = await dialed()
    peer(0).connection.become('connected')
    await advance(6_000)
    peer(0).connection.become('failed')
    expect([peer(0).connection.connectionState, heard.at(-1)]).toEqual(['disconnected', 'state b connected'])
    await advance(0)
    expect(count()).toBe(2)
    await advance(59_000)
    expect(peer(0).connection.isClosed).toBe(false)
    await advance(2_000)
    expect(peer(0).connection.isClosed).toBe(true)
    expect(heard.filter((line) => line.startsWith('state')).at(-1)).toBe('state b connecting')
  })

  it('[PLATFORM 27] a failed connection that heals goes on, and no dial follows', async () => {
    await dialed()
    peer(0).connection.become('connected')
    await advance(6_000)
    peer(0).connection.become('failed')
    peer(0).connection.become('connected')
    await advance(120_000)
    expect([count(), peer(0).connection.isClosed]).toEqual([1, false])
  })

  it('[M1] a connection that another one replaces is lost for the worker, not closed by the other side', async () => {
    const { heard } = await dialed()
    peer(0).connection.become('connected')
    await advance(6_000)
    peer(0).connection.become('failed')
    await advance(0)
    peer(1).connection.become('connected')
    expect([heard.at(-1), peer(0).connection.isClosed]).toEqual(['closed b lost', false])
    await advance(250)
    expect([peer(0).connection.isClosed, peer(1).connection.isClosed]).toEqual([true, false])
  })

  it('[PLATFORM 22] tells a close by the other side from a failure', async () => {
    const { heard } = await dialed()
    peer(0).connection.become('connected')
    peer(0).emit('error', Object.assign(new Error('User-Initiated Abort'), { code: 'ERR_DATA_CHANNEL' }))
    peer(0).emit('close')
    expect(heard).toContain('closed b remote')
    await advance(200)
    peer(1).connection.become('connected')
    peer(1).emit('error', Object.assign(new Error('sdp'), { code: 'ERR_SET_REMOTE_DESCRIPTION' }))
    peer(1).emit('close')
    expect(heard).toContain('closed b lost')
  })

  it('kick dials at once, and does not disturb what is under way or connected', async () => {
    const { mesh } = await dialed()
    mesh.kick()
    expect(count()).toBe(1)
    for (let i = 0; i < 3; i += 1) await advance(15_000)
    const before = count()
    await advance(2_000)
    mesh.kick()
    await advance(0)
    expect(count()).toBe(before + 1)
    peer(-1).connection.become('connected')
    mesh.kick()
    await advance(0)
    expect(count()).toBe(before + 1)
  })

  it('restart begins anew what is under way, whose signals may be lost, and leaves what is connected', async () => {
    const world = await dialed()
    const { mesh } = world
    mesh.receiveSignal('b', signalText(connectionIdOf(world), answer))
    mesh.restart('b')
    await advance(0)
    expect(count()).toBe(2)
    peer(1).connection.become('connected')
    mesh.restart('b')
    await advance(0)
    expect([count(), peer(1).connection.isClosed]).toEqual([2, false])
    mesh.restart('nobody')
  })

  it('closes what is not wanted any more, and dials it no more', async () => {
    const { mesh, heard } = await dialed()
    peer(0).connection.become('connected')
    mesh.setPeers([{ peerId: 'a' }])
    expect(heard.slice(-2), 'the worker says so first, in its own last words').toEqual([
      'closed b lost',
      'state b closed',
    ])
    expect(peer(0).connection.isClosed).toBe(false)
    await advance(1_000)
    expect(peer(0).connection.isClosed).toBe(true)
    await advance(60_000)
    expect(count()).toBe(1)
  })

  it('destroy closes what was given up a moment before, too', async () => {
    const { mesh } = await dialed()
    peer(0).connection.become('connected')
    mesh.setPeers([])
    mesh.destroy()
    expect([peer(0).connection.isClosed, vi.getTimerCount()]).toEqual([true, 0])
  })

  it('a passive peer is neither dialed nor asked; what it asks for is answered, and what is there stays', async () => {
    const { mesh, signals } = await dialed()
    peer(0).connection.become('connected')
    mesh.setPeers([{ peerId: 'b', isPassive: true }])
    await advance(10_000)
    expect(peer(0).connection.isClosed).toBe(false)
    peer(0).emit('close')
    const before = signals.length
    mesh.kick()
    await advance(60_000)
    expect([count(), signals.length]).toEqual([1, before])
    mesh.receiveSignal('b', wantText())
    await advance(0)
    expect(count()).toBe(2)
    mesh.setPeers([{ peerId: 'b' }])
    peer(1).emit('close')
    await advance(5_000)
    expect(count()).toBe(3)
  })

  it('says when one that is not wanted asks for a connection, and only then', async () => {
    const { mesh } = await dialed()
    expect(mesh.receiveSignal('b', wantText()), 'wanted').toBe(false)
    expect(mesh.receiveSignal('c', wantText())).toBe(true)
    expect(mesh.receiveSignal('c', signalText(newConnectionId(), offer))).toBe(true)
    expect(mesh.receiveSignal('c', signalText(newConnectionId(), answer)), 'late').toBe(false)
    expect(mesh.receiveSignal('c', 'nonsense')).toBe(false)
  })

  it('of too many the first are connected to, also when they come later', async () => {
    const { mesh } = meshOf('a')
    const peers = Array.from({ length: meshPeersMax }, (_, i) => ({ peerId: `p${i}` }))
    mesh.setPeers(peers)
    await advance(0)
    expect(count()).toBe(meshPeersMax)
    mesh.setPeers([{ peerId: 'voter' }, ...peers])
    await advance(1_000)
    expect(count()).toBe(meshPeersMax + 1)
    expect(FakeSimplePeer.all.filter(({ connection }) => connection.isClosed)).toHaveLength(1)
  })

  it('destroy closes everything before it returns, tells nobody, and leaves no timer', async () => {
    const { mesh, heard } = await dialed()
    peer(0).connection.become('connected')
    mesh.addPeer('c')
    await advance(0)
    const before = heard.length
    mesh.destroy()
    expect(FakeSimplePeer.all.map((one) => one.connection.isClosed)).toEqual([true, true])
    await advance(0)
    expect([heard.length, vi.getTimerCount()]).toEqual([before, 0])
  })

  it('page frames go out on what is there, and say whether they did', async () => {
    const { mesh, heard } = await dialed()
    expect([mesh.sendPageFrame('b', Uint8Array.of(1)), mesh.sendPageFrame('c', Uint8Array.of(1))]).toEqual([
      true,
      false,
    ])
    peer(0).emit('data', Uint8Array.of(1, 2))
    expect(heard.at(-1)).toBe('page-frame b 2')
  })

  it('without RTCPeerConnection fails as a value, once', async () => {
    vi.stubGlobal('RTCPeerConnection', undefined)
    const { mesh, heard } = meshOf('a')
    mesh.setPeers([{ peerId: 'b' }, { peerId: 'c' }])
    expect(heard).toEqual([])
    await advance(0)
    expect(heard).toEqual(['failure unsupported {"missing":"webrtc"}'])
  })
})
