import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it, vi } from 'vitest'
import type { SignalingLimits } from './limits.js'
import type { ServerMessage } from './protocol.js'
import { createSignalingServer } from './server.js'
import { Bench, enterMessage, RawClient, within } from './test-kit.js'

const bench = new Bench()
afterEach(() => bench.dispose())

describe('a room', () => {
  it('tells who is there, who comes and who leaves, and passes signals on with the sender stamped', async () => {
    const { url } = await bench.server()
    const alice = await bench.entered(url, 'room', 'alice')
    expect(alice.answer).toMatchObject({ peers: [], roomId: null })
    const bob = await bench.entered(url, 'room', 'bob')
    expect(bob.answer.peers).toEqual([{ peerId: 'alice', browserId: 'browser of alice' }])
    expect(await alice.take('peer-entered')).toMatchObject({ peerId: 'bob', browserId: 'browser of bob' })
    // `from` is the server's word, whatever a client writes.
    bob.socket.send(JSON.stringify({ type: 'signal', to: 'alice', from: 'mallory', data: 'offer' }))
    expect(await alice.take('signal')).toEqual({ type: 'signal', from: 'bob', data: 'offer' })
    bob.send({ type: 'leave' })
    expect((await within(bob.closed, 'close')).code).toBe(1000)
    expect(await alice.take('peer-left')).toEqual({ type: 'peer-left', peerId: 'bob' })
  })

  it('hears of a peer whose socket just ends', async () => {
    const { url } = await bench.server()
    const alice = await bench.entered(url, 'room', 'alice')
    const bob = await bench.entered(url, 'room', 'bob')
    bob.socket.terminate()
    expect(await alice.take('peer-left')).toEqual({ type: 'peer-left', peerId: 'bob' })
  })

  it('never passes a signal to another room', async () => {
    const server = await bench.server()
    const alice = await bench.entered(server.url, 'room', 'alice')
    const eve = await bench.entered(server.url, 'other', 'eve')
    eve.send({ type: 'signal', to: 'alice', data: 'hello' })
    await eve.settle()
    await alice.settle()
    expect(alice.inbox.all.map(({ type }) => type)).toEqual(['entered', 'pong'])
    expect(server.metrics()).toMatchObject({ signals: 0, undeliverable: 1, rooms: 2, peers: 2 })
  })

  it('takes the newer connection of a peer and closes the older one with 4001', async () => {
    const { url } = await bench.server()
    const alice = await bench.entered(url, 'room', 'alice')
    const old = await bench.entered(url, 'room', 'bob')
    const young = await bench.entered(url, 'room', 'bob')
    expect(await old.take('error')).toMatchObject({ code: 'replaced' })
    expect(await within(old.closed, 'close')).toEqual({ code: 4001, reason: 'replaced' })
    expect(young.answer.peers).toEqual([{ peerId: 'alice', browserId: 'browser of alice' }])
    alice.send({ type: 'signal', to: 'bob', data: 'hi' })
    expect(await young.take('signal')).toMatchObject({ from: 'alice' })
    await alice.settle()
    expect(alice.inbox.all.filter(({ type }) => type === 'peer-left')).toEqual([])
  })

  it('[F2] does not let an earlier life push out a later one', async () => {
    const { url } = await bench.server()
    await bench.entered(url, 'room', 'bob', { incarnation: 7 })
    const zombie = await bench.raw(url)
    zombie.send(enterMessage('room', 'bob', { incarnation: 6 }))
    expect(await zombie.take('error')).toMatchObject({ code: 'replaced' })
    await bench.entered(url, 'room', 'bob', { incarnation: 8 })
  })
})

describe('registration', () => {
  it('[N1] is compare-and-set: of two founders one wins and both learn it', async () => {
    const server = await bench.server()
    const founders = await Promise.all(['alice', 'bob'].map((peerId) => bench.entered(server.url, 'room', peerId)))
    for (const [index, founder] of founders.entries()) {
      founder.send({ type: 'register', roomId: `id-${index}`, existing: false })
    }
    const winners = await Promise.all(founders.map(async (founder) => (await founder.take('registered')).roomId))
    expect(new Set(winners).size).toBe(1)
    expect(['id-0', 'id-1']).toContain(winners[0])
    const late = await bench.entered(server.url, 'room', 'carol')
    expect(late.answer.roomId).toBe(winners[0])
    expect(server.metrics().registrations).toBe(1)
  })

  it('[N1] makes a founder wait after the start, and lets a member that was there before win meanwhile', async () => {
    const { url } = await bench.server({ settleMs: 60_000 })
    const founder = await bench.entered(url, 'room', 'founder')
    founder.send({ type: 'register', roomId: 'new', existing: false })
    const { ms } = await founder.take('wait')
    expect(ms).toBeGreaterThan(50_000)
    expect(ms).toBeLessThanOrEqual(60_000)
    const member = await bench.entered(url, 'room', 'member')
    member.send({ type: 'register', roomId: 'old', existing: true })
    expect(await member.take('registered')).toMatchObject({ roomId: 'old' })
    founder.send({ type: 'register', roomId: 'new', existing: false })
    expect(await founder.take('registered')).toMatchObject({ roomId: 'old' })
  })

  it('[N1] grants a new id once the server has settled', async () => {
    const { url } = await bench.server({ settleMs: 50 })
    const founder = await bench.entered(url, 'room', 'founder')
    founder.send({ type: 'register', roomId: 'new', existing: false })
    type Answer = Extract<ServerMessage, { type: 'wait' | 'registered' }>
    const isAnswer = (message: ServerMessage): message is Answer =>
      message.type === 'wait' || message.type === 'registered'
    const first = await founder.inbox.take(isAnswer, 'an answer')
    // The server's own answer says how long; one more ms, since timers round down.
    if (first.type === 'wait') {
      await new Promise((resolve) => setTimeout(resolve, first.ms + 1))
      founder.send({ type: 'register', roomId: 'new', existing: false })
      await founder.take('registered')
    }
    expect(founder.inbox.all.at(-1)).toEqual({ type: 'registered', roomId: 'new' })
  })
})

describe('limits', () => {
  it('bounds the peers of a room', async () => {
    const { url } = await bench.server({ limits: { peersPerRoom: 2 } })
    const alice = await bench.entered(url, 'room', 'alice')
    await bench.entered(url, 'room', 'bob')
    const carol = await bench.raw(url)
    carol.send(enterMessage('room', 'carol'))
    expect(await carol.take('error')).toMatchObject({ code: 'room-full' })
    expect((await within(carol.closed, 'close')).code).toBe(4005)
    // A peer that is in comes back into a full room.
    await bench.entered(url, 'room', 'bob')
    await alice.settle()
  })

  it('bounds the rooms, and an empty one yields', async () => {
    const { url } = await bench.server({ limits: { rooms: 1 } })
    const alice = await bench.entered(url, 'first', 'alice')
    alice.send({ type: 'register', roomId: 'id', existing: false })
    await alice.take('registered')
    const bob = await bench.raw(url)
    bob.send(enterMessage('second', 'bob'))
    expect(await bob.take('error')).toMatchObject({ code: 'server-full' })
    alice.send({ type: 'leave' })
    await within(alice.closed, 'close')
    await bench.entered(url, 'second', 'carol')
  })

  it('bounds the connections in all and of one address', async () => {
    const few = await bench.server({ limits: { connections: 1 } })
    await bench.raw(few.url)
    await expect(bench.raw(few.url)).rejects.toThrow('503')
    const lonely = await bench.server({ limits: { connectionsPerAddress: 1 } })
    const first = await bench.raw(lonely.url)
    await expect(bench.raw(lonely.url)).rejects.toThrow('429')
    expect(lonely.metrics().refused).toMatchObject({ 'address-full': 1, 'server-full': 0 })
    await first.close()
    await vi.waitFor(() => expect(lonely.metrics().connections).toBe(0))
    await bench.raw(lonely.url)
  })

  it('counts by the forwarded address only when told to trust the proxy', async () => {
    const limits = { connectionsPerAddress: 1 }
    const trusting = await bench.server({ limits, trustProxy: true })
    await bench.raw(trusting.url, { 'x-forwarded-for': '6.6.6.6, 10.0.0.1' })
    await bench.raw(trusting.url, { 'x-forwarded-for': '6.6.6.6, 10.0.0.2' })
    const strict = await bench.server({ limits })
    await bench.raw(strict.url, { 'x-forwarded-for': '10.0.0.1' })
    await expect(bench.raw(strict.url, { 'x-forwarded-for': '10.0.0.2' })).rejects.toThrow('429')
  })

  it('closes a connection that enters no room, and one that answers no ping', async () => {
    const { url } = await bench.server({ limits: { enterMs: 20 } })
    const idle = await bench.raw(url)
    expect(await idle.take('error')).toMatchObject({ code: 'idle' })
    expect((await within(idle.closed, 'close')).code).toBe(4004)
    const pinging = await bench.server({ limits: { pingMs: 30 } })
    const alice = await bench.entered(pinging.url, 'room', 'alice')
    const frozen = await bench.entered(pinging.url, 'room', 'frozen')
    frozen.socket.pause()
    expect(await alice.take('peer-left')).toMatchObject({ peerId: 'frozen' })
  })

  it.each([
    [{ rooms: 0 }, RangeError],
    [{ rooms: Number.NaN }, RangeError],
    [{ peersPerRoom: 5_000 }, RangeError],
    [{ enterMs: 2 ** 40 }, RangeError],
    [{ roms: 5 } as Partial<SignalingLimits>, TypeError],
  ] satisfies [Partial<SignalingLimits>, unknown][])('refuses the limits %o', async (limits, error) => {
    await expect(createSignalingServer({ port: 0, limits })).rejects.toThrow(error)
  })
})

describe('admission', () => {
  it('refuses foreign origins, and lets in known ones and clients that are no browsers', async () => {
    const server = await bench.server({ origins: ['https://Example.org/', 'http://localhost:5173'] })
    await bench.raw(server.url, { origin: 'https://example.org' })
    await bench.raw(server.url, { origin: 'http://localhost:5173' })
    await bench.raw(server.url)
    await expect(bench.raw(server.url, { origin: 'https://evil.example' })).rejects.toThrow('403')
    await expect(bench.raw(server.url, { origin: 'null' })).rejects.toThrow('403')
    expect(server.metrics().refused.origin).toBe(2)
    await expect(createSignalingServer({ port: 0, origins: ['example.org'] })).rejects.toThrow(TypeError)
  })

  it('asks the hook with url, headers, token and room, and refuses unless it says true', async () => {
    const asked: unknown[] = []
    const { url } = await bench.server({
      authorize: async ({ url: path, headers, token }, room) => {
        asked.push([path, typeof headers['upgrade'], token, room])
        return token === 'good'
      },
    })
    await bench.entered(`${url}/here?a=1`, 'room', 'alice', { token: 'good' })
    const bob = await bench.raw(url)
    bob.send(enterMessage('room', 'bob', { token: 'bad' }))
    expect(await bob.take('error')).toMatchObject({ code: 'unauthorized' })
    expect((await within(bob.closed, 'close')).code).toBe(4003)
    expect(asked).toEqual([
      ['/here?a=1', 'string', 'good', 'room'],
      ['/', 'string', 'bad', 'room'],
    ])
  })

  it('survives a hook that throws, and does not tell what it threw', async () => {
    const { url } = await bench.server({
      authorize: () => {
        throw new Error('database password is 1234')
      },
    })
    const alice = await bench.raw(url)
    alice.send(enterMessage('room', 'alice'))
    const error = await alice.take('error')
    expect(error.code).toBe('server-error')
    expect(error.message).not.toContain('1234')
  })

  it('seats nobody who has left while the hook was asked, and takes nothing meanwhile', async () => {
    const grants: ((granted: boolean) => void)[] = []
    const server = await bench.server({ authorize: () => new Promise((resolve) => grants.push(resolve)) })
    const gone = await bench.raw(server.url)
    gone.send(enterMessage('room', 'gone'))
    gone.send({ type: 'leave' })
    await within(gone.closed, 'close')
    const hasty = await bench.raw(server.url)
    hasty.send(enterMessage('room', 'hasty'))
    hasty.send({ type: 'signal', to: 'gone', data: '' })
    expect(await hasty.take('error')).toMatchObject({ code: 'not-entered' })
    for (const grant of grants) grant(true)
    await Promise.resolve()
    expect(server.metrics()).toMatchObject({ rooms: 0, peers: 0 })
  })
})

describe('life of the server', () => {
  it('answers /healthz and /metrics in plain text', async () => {
    const server = await bench.server()
    await bench.entered(server.url, 'room', 'alice')
    const http = server.url.replace('ws:', 'http:')
    const health = await fetch(`${http}/healthz`)
    expect([health.status, await health.text()]).toEqual([200, 'ok\n'])
    const metrics = await fetch(`${http}/metrics`)
    expect(metrics.headers.get('content-type')).toContain('text/plain')
    const text = await metrics.text()
    expect(text).toContain('comity_signaling_peers 1\n')
    expect(text).toContain('comity_signaling_refused{reason="rate"} 0\n')
    expect((await fetch(`${http}/healthz`, { method: 'POST', body: 'x' })).status).toBe(405)
    expect((await fetch(`${http}/`)).status).toBe(426)
  })

  it('prints a URL that can be opened, whatever it listens on', async () => {
    const everywhere = await createSignalingServer({ port: 0 })
    expect(everywhere.url).toMatch(/^ws:\/\/localhost:\d+$/)
    await new RawClient(everywhere.url).opened
    await everywhere.close()
    const withPath = await bench.server({ path: '/signal' })
    expect(withPath.url).toMatch(/^ws:\/\/127\.0\.0\.1:\d+\/signal$/)
    await bench.entered(withPath.url, 'room', 'alice')
    await expect(bench.raw(withPath.url.replace('/signal', '/other'))).rejects.toThrow('404')
  })

  it('closes everything, also sockets that do not answer, and frees the port at once', async () => {
    const server = await bench.server()
    const port = Number(new URL(server.url).port)
    const alice = await bench.entered(server.url, 'room', 'alice')
    const deaf = await bench.entered(server.url, 'room', 'deaf')
    deaf.socket.pause()
    await within(Promise.all([server.close(), server.close()]), 'the close')
    expect((await within(alice.closed, 'close')).code).toBe(1001)
    const again = await bench.server({ port })
    await bench.entered(again.url, 'room', 'alice')
    expect(again.url).toBe(server.url)
  })

  it('rejects when the port is taken or no port', async () => {
    const { url } = await bench.server()
    const port = Number(new URL(url).port)
    await expect(bench.server({ port })).rejects.toMatchObject({ code: 'EADDRINUSE' })
    await expect(bench.server({ port: 70_000 })).rejects.toThrow(RangeError)
    await expect(bench.server({ port: 1.5 })).rejects.toThrow(RangeError)
  })

  it('attaches to a server of the user, beside other upgrades, and leaves it alone at the end', async () => {
    const http = createServer((_request, response) => response.end('mine'))
    await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve))
    const { port } = http.address() as AddressInfo
    try {
      const signaling = await createSignalingServer({ server: http, settleMs: 0 })
      expect(signaling.url).toBe(`ws://127.0.0.1:${port}/signal`)
      await bench.entered(signaling.url, 'room', 'alice')
      await expect(bench.raw(`ws://127.0.0.1:${port}/other`)).rejects.toThrow('404')
      http.on('upgrade', (request, socket) => {
        if (request.url === '/other') socket.end('HTTP/1.1 418 Teapot\r\n\r\n')
      })
      await expect(bench.raw(`ws://127.0.0.1:${port}/other`)).rejects.toThrow('418')
      await within(signaling.close(), 'the close')
      expect(await (await fetch(`http://127.0.0.1:${port}/healthz`)).text()).toBe('mine')
    } finally {
      http.closeAllConnections()
      http.close()
    }
  })
})
