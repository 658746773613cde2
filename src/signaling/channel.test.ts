import { describe, expect, it } from 'vitest'
import { dialMs, pingMs, pongMs, stableMs } from './channel.js'
import { firstDialsMs } from './client.js'
import { outboxBurst, outboxFramesMax } from './outbox.js'
import type { ServerMessage } from './protocol.js'
import { FakePlatform, TestClient } from './test-kit.js'

function start(platform = new FakePlatform(), urls = ['ws://one']) {
  const { random, now, setTimer, createSocket } = platform
  const client = new TestClient(urls, 'alice', { random, now, setTimer, createSocket })
  client.connect()
  const types = () => client.events.all.map(({ type }) => type)
  return { platform, client, types }
}

const entered: ServerMessage = { type: 'entered', serverId: 's1', peers: [], roomId: null }

describe('back-off', () => {
  it('grows from 100 ms to 1 s, with full jitter, for ever', () => {
    const { platform, types } = start()
    const gaps: number[] = []
    for (let dial = 0; dial < 7; dial += 1) {
      const { dialedAt } = platform.last
      platform.last.fail()
      platform.advance(1_000)
      gaps.push(platform.last.dialedAt - dialedAt)
    }
    // Each step moves the clock by 1 s: the gap is the back-off itself, from the failure on.
    const dials = platform.sockets.map(({ dialedAt }) => dialedAt)
    expect(dials.map((at, index) => at - index * 1_000 + 1_000).slice(1)).toEqual([
      100, 200, 400, 800, 1_000, 1_000, 1_000,
    ])
    expect(types()).toEqual(['failed'])
    platform.chance = 0.5
    platform.last.fail()
    platform.advance(500)
    expect(platform.sockets).toHaveLength(9)
  })

  it('starts again after a connection that lasted, and goes on after one that did not', () => {
    const { platform } = start()
    for (let round = 0; round < 3; round += 1) {
      platform.last.enter()
      platform.last.fail()
      platform.advance(1_000)
    }
    const dials = platform.sockets.map(({ dialedAt }) => dialedAt)
    expect(dials).toEqual([0, 100, 1_200, 2_400])
    platform.last.enter()
    platform.advance(stableMs)
    platform.last.fail()
    platform.advance(100)
    expect(platform.sockets).toHaveLength(5)
  })

  it('is cut short by a kick, which leaves a dial alone', () => {
    const { platform, client } = start()
    client.kick()
    expect(platform.sockets).toHaveLength(1)
    platform.last.fail()
    client.kick()
    expect(platform.sockets).toHaveLength(2)
    platform.advance(99)
    expect(platform.sockets).toHaveLength(2)
  })

  it('reports a failure once: after four dials, or after 3 s of silence', () => {
    const quick = start()
    quick.platform.chance = 0
    for (let dial = 0; dial < 4; dial += 1) {
      expect(quick.types()).toEqual([])
      quick.platform.last.fail()
      quick.platform.advance(0)
    }
    expect(quick.types()).toEqual(['failed'])
    const silent = start()
    silent.platform.advance(firstDialsMs)
    expect(silent.types()).toEqual(['failed'])
    silent.platform.advance(60_000)
    expect(silent.types()).toEqual(['failed'])
    silent.client.kick()
    silent.platform.last.enter()
    expect(silent.types()).toEqual(['failed', 'up'])
    silent.platform.last.fail()
    for (let dial = 0; dial < 9; dial += 1) {
      silent.platform.advance(1_000)
      silent.platform.last.fail()
    }
    expect(silent.types()).toEqual(['failed', 'up', 'down'])
  })

  it('waits a full second after it was replaced by another connection of the same peer', () => {
    const { platform, types } = start()
    platform.chance = 0
    platform.last.enter()
    platform.last.receive({ type: 'error', code: 'replaced', message: '' })
    platform.advance(999)
    expect(platform.sockets).toHaveLength(1)
    platform.advance(1)
    expect(platform.sockets).toHaveLength(2)
    expect(types()).toEqual(['up', 'down'])
  })

  it('leaves no timer and no socket after close', () => {
    for (const act of [() => {}, (it: FakePlatform) => it.last.enter(), (it: FakePlatform) => it.last.fail()]) {
      const { platform, client } = start()
      act(platform)
      client.close()
      expect(platform.timers).toBe(0)
      client.connect()
      client.kick()
      platform.advance(60_000)
      expect(platform.sockets).toHaveLength(1)
    }
  })
})

describe('a connection', () => {
  it('gives up a dial that does not enter in time, and ignores what its socket says later', () => {
    const { platform, types } = start()
    const [first] = platform.sockets
    platform.advance(dialMs)
    expect(first?.closedWith).toBe(1000)
    platform.advance(100)
    first?.enter()
    first?.fail()
    expect([platform.sockets.length, types()]).toEqual([2, ['failed']])
  })

  it('asks a silent server whether it lives, and dials again if it does not answer', () => {
    const { platform, client, types } = start()
    platform.last.enter()
    platform.advance(pingMs)
    expect(platform.last.sent.at(-1)).toEqual({ type: 'ping' })
    platform.last.receive({ type: 'pong' })
    platform.advance(pongMs)
    expect(types()).toEqual(['up'])
    client.kick()
    expect(platform.last.sent.filter(({ type }) => type === 'ping')).toHaveLength(2)
    platform.advance(pongMs - 1)
    client.kick()
    platform.advance(1)
    expect(types()).toEqual(['up', 'down'])
    platform.advance(100)
    expect(platform.sockets).toHaveLength(2)
  })

  it('enters again with the last server id, and registers again as existing', async () => {
    const { platform, client } = start()
    platform.last.enter(null, 's1')
    expect(platform.last.sent).toEqual([
      { type: 'enter', version: 1, room: 'room', peerId: 'alice', browserId: 'browser of alice' },
    ])
    const registration = client.register('mine', false)
    platform.last.receive({ type: 'registered', roomId: 'theirs' })
    expect(await registration).toBe('theirs')
    platform.last.fail()
    platform.advance(100)
    platform.last.enter(null, 's2')
    expect(platform.last.sent).toMatchObject([
      { type: 'enter', lastServerId: 's1' },
      { type: 'register', roomId: 'theirs', existing: true },
    ])
    platform.last.receive({ type: 'registered', roomId: 'theirs' })
    platform.last.fail()
    platform.advance(1_000)
    platform.last.enter('theirs', 's2')
    expect(platform.last.sent.map(({ type }) => type)).toEqual(['enter'])
  })

  it('asks again after a wait, and at once when it need not wait any more', () => {
    const { platform, client } = start()
    platform.last.enter()
    void client.register('id', false).catch(() => {})
    platform.last.receive({ type: 'wait', ms: 700 })
    platform.advance(699)
    expect(platform.last.sent.filter(({ type }) => type === 'register')).toHaveLength(1)
    platform.advance(1)
    expect(platform.last.sent.filter(({ type }) => type === 'register')).toHaveLength(2)
    platform.last.receive({ type: 'wait', ms: 700 })
    void client.register('id', true)
    expect(platform.last.sent.at(-1)).toEqual({ type: 'register', roomId: 'id', existing: true })
    client.close()
  })

  it.each<[string, unknown]>([
    ['no JSON', '{'],
    ['a binary frame', new ArrayBuffer(2)],
    ['an unknown type', '{"type":"hello"}'],
    ['a second entered', JSON.stringify(entered)],
    ['a wait without end', '{"type":"wait","ms":1e300}'],
  ])('ends at %s', (_name, frame) => {
    const { platform, types } = start()
    platform.last.enter()
    platform.last.receiveText(frame)
    expect(platform.last.closedWith).toBe(1000)
    expect(types()).toEqual(['up', 'down'])
  })

  it('ends at anything that comes before entered', () => {
    const { platform, types } = start()
    platform.last.open()
    platform.last.receive({ type: 'peer-left', peerId: 'bob' })
    platform.last.receive(entered)
    expect([platform.last.closedWith, types()]).toEqual([1000, []])
  })

  it('takes a socket that cannot even be made for a failed dial', () => {
    const platform = new FakePlatform()
    const { random, now, setTimer } = platform
    const createSocket = () => {
      throw new DOMException('mixed content', 'SecurityError')
    }
    const client = new TestClient(['ws://one'], 'alice', { random, now, setTimer, createSocket })
    client.connect()
    platform.advance(3_000)
    const [event] = client.events.all
    expect(event).toMatchObject({ type: 'failed', failure: { code: 'signaling' } })
    expect(event?.type === 'failed' && event.failure.message).toContain('mixed content')
  })

  it('sends a burst at once, lets the rest wait, and takes no more than fits', () => {
    const { platform, client } = start()
    platform.last.open()
    platform.last.receive({ ...entered, peers: [{ peerId: 'bob', browserId: 'b' }] })
    let taken = 0
    while (client.signal('bob', String(taken))) taken += 1
    expect(taken).toBe(outboxBurst - 1 + outboxFramesMax)
    expect(platform.last.sent).toHaveLength(outboxBurst)
    platform.advance(1_000)
    expect(platform.last.sent.length).toBeGreaterThanOrEqual(outboxBurst + 24)
    expect(platform.last.sent.length).toBeLessThanOrEqual(outboxBurst + 26)
    expect(platform.last.sent.at(-1)).toMatchObject({ data: String(platform.last.sent.length - 2) })
  })
})

describe('several servers', () => {
  it('[N1] asks one first and carries its answer to the others', async () => {
    const { platform, client } = start(new FakePlatform(), ['ws://one', 'ws://two', 'ws://three'])
    const [one, two, three] = platform.sockets
    for (const socket of platform.sockets) socket.enter()
    const registration = client.register('mine', false)
    expect([one, two, three].map((socket) => socket?.sent.length)).toEqual([2, 1, 1])
    one?.receive({ type: 'registered', roomId: 'theirs' })
    for (const socket of [two, three]) {
      expect(socket?.sent.at(-1)).toEqual({ type: 'register', roomId: 'theirs', existing: false })
    }
    two?.receive({ type: 'registered', roomId: 'theirs' })
    expect(await registration).toBe('theirs')
  })

  it('[N1] goes on with the next when the first one asked dies', () => {
    const { platform, client } = start(new FakePlatform(), ['ws://one', 'ws://two', 'ws://three'])
    const [one, two] = platform.sockets
    for (const socket of platform.sockets) socket.enter()
    void client.register('mine', false).catch(() => {})
    one?.fail()
    expect(two?.sent.at(-1)).toEqual({ type: 'register', roomId: 'mine', existing: false })
    client.close()
  })

  it('gives up only when every server refuses this peer', () => {
    const { platform, types } = start(new FakePlatform(), ['ws://one', 'ws://two'])
    const [one, two] = platform.sockets
    one?.open()
    one?.receive({ type: 'error', code: 'unauthorized', message: '' })
    expect(types()).toEqual([])
    two?.enter()
    two?.receive({ type: 'error', code: 'unauthorized', message: '' })
    expect(types()).toEqual(['up', 'down', 'failed'])
    platform.advance(60_000)
    expect(platform.sockets).toHaveLength(2)
  })
})

describe('the platform', () => {
  it('is touched when a client is made and not before', () => {
    const { WebSocket: native } = globalThis
    try {
      Reflect.set(globalThis, 'WebSocket', undefined)
      expect(() => Reflect.construct(TestClient, [['ws://one'], 'alice', { createSocket: undefined }])).toThrow(
        TypeError,
      )
    } finally {
      Reflect.set(globalThis, 'WebSocket', native)
    }
    expect(() => new TestClient([], 'alice')).toThrow(TypeError)
  })
})
