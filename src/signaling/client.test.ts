import { afterEach, describe, expect, it, vi } from 'vitest'
import { WebSocketServer } from 'ws'
import { SignalingFailure } from './client.js'
import { dataBytesMax } from './protocol.js'
import { Bench, TestClient, within } from './test-kit.js'

const bench = new Bench()
afterEach(() => bench.dispose())

const portOf = (url: string) => Number(new URL(url).port)

describe('one server', () => {
  it('enters, sees others come and go, and exchanges signals', async () => {
    const { url } = await bench.server()
    const alice = bench.client([url], 'alice')
    expect(await alice.take('up')).toEqual({ type: 'up', peers: [], roomId: null })
    expect(await within(alice.register('id', false), 'register')).toBe('id')
    const bob = bench.client([url], 'bob')
    const up = await bob.take('up')
    expect(up).toEqual({ type: 'up', peers: [{ peerId: 'alice', browserId: 'browser of alice' }], roomId: 'id' })
    expect(await alice.take('peer-entered')).toMatchObject({ peerId: 'bob', browserId: 'browser of bob' })
    expect(alice.signal('bob', 'offer')).toBe(true)
    expect(await bob.take('signal')).toEqual({ type: 'signal', from: 'alice', data: 'offer' })
    expect(alice.signal('carol', 'offer')).toBe(false)
    expect(() => alice.signal('bob', 'x'.repeat(dataBytesMax + 1))).toThrow(RangeError)
    bob.close()
    bob.close()
    expect(await alice.take('peer-left')).toMatchObject({ peerId: 'bob' })
    expect(bob.signal('alice', 'late')).toBe(false)
    await expect(bob.register('id', true)).rejects.toThrow(SignalingFailure)
  })

  it('[N1] of two founders that race both learn the same winner', async () => {
    const { url } = await bench.server()
    const founders = ['alice', 'bob'].map((peerId) => bench.client([url], peerId))
    const winners = await within(
      Promise.all(founders.map((it, index) => it.register(`id-${index}`, false))),
      'register',
    )
    expect(new Set(winners).size).toBe(1)
  })

  it('[N1] waits while the server settles and then has its id', async () => {
    const { url } = await bench.server({ settleMs: 150 })
    const alice = bench.client([url], 'alice')
    expect(await within(alice.register('id', false), 'register')).toBe('id')
  })

  it('[N1] after a restart on the same port a member that carries the id wins against a founder', async () => {
    const first = await bench.server()
    const { url } = first
    const members = ['alice', 'bob'].map((peerId) => bench.client([url], peerId))
    for (const member of members) await within(member.register('old', false), 'register')
    await first.close()
    for (const member of members) await member.take('down')
    // A founder that is first at the new server, before any member is back.
    const settleMs = 30_000
    const restartedAt = performance.now()
    await bench.server({ port: portOf(url), settleMs })
    const founder = bench.client([url], 'founder')
    const asked = founder.register('new', false)
    expect(await within(asked, 'register')).toBe('old')
    // It was told, and did not wait for the server to settle.
    expect(performance.now() - restartedAt).toBeLessThan(settleMs)
    for (const member of members) {
      await vi.waitFor(() => expect(member.up).toBe(true), { timeout: 5_000 })
    }
    // And they can talk again.
    await vi.waitFor(() => expect(founder.signal('alice', 'hello')).toBe(true), { timeout: 5_000 })
    const [alice] = members
    expect(await alice?.take('signal')).toMatchObject({ from: 'founder', data: 'hello' })
  })

  it('greets more peers at once than the server would take, by waiting', async () => {
    const server = await bench.server()
    const alice = bench.client([server.url], 'alice')
    const bob = bench.client([server.url], 'bob')
    await Promise.all([alice.take('up'), bob.take('up')])
    await vi.waitFor(() => expect(alice.signal('bob', '0')).toBe(true))
    for (let count = 1; count < 130; count += 1) expect(alice.signal('bob', String(count))).toBe(true)
    for (let count = 0; count < 130; count += 1) expect(await bob.take('signal')).toMatchObject({ data: String(count) })
    expect(server.metrics().refused.rate).toBe(0)
  })
})

describe('failures', () => {
  it('reports `signaling` after the first retries, goes on, and comes up when the server does', async () => {
    const probe = await bench.server()
    const { url } = probe
    await probe.close()
    const alice = bench.client([url], 'alice')
    const { failure } = await alice.take('failed')
    expect(failure.code).toBe('signaling')
    expect(failure.message).toContain(url)
    await bench.server({ port: portOf(url) })
    await alice.take('up')
    expect(alice.events.all.filter(({ type }) => type === 'failed')).toHaveLength(1)
  })

  it('reports `room-auth` when refused, gives up, and rejects a registration', async () => {
    const server = await bench.server({ authorize: ({ token }) => token === 'good' })
    const alice = bench.client([server.url], 'alice', { token: async () => 'bad' })
    const registration = alice.register('id', false)
    const rejected = expect(within(registration, 'register')).rejects.toMatchObject({ failure: { code: 'room-auth' } })
    expect((await alice.take('failed')).failure.code).toBe('room-auth')
    await rejected
    alice.kick()
    expect(server.metrics().refused.unauthorized).toBe(1)
    const bob = bench.client([server.url], 'bob', { token: () => 'good' })
    await bob.take('up')
  })

  it('asks for a new token at each dial, and takes a failing one for a failed dial', async () => {
    const server = await bench.server({ authorize: ({ token }) => token === 'token 3' })
    let asked = 0
    const token = () => {
      asked += 1
      if (asked < 3) throw new Error('token service is down')
      return `token ${asked}`
    }
    const alice = bench.client([server.url], 'alice', { token })
    await alice.take('up')
    expect(asked).toBe(3)
  })

  it('drops a server that talks nonsense, and tries again', async () => {
    const nonsense = new WebSocketServer({ port: 0, host: '127.0.0.1' })
    await new Promise((resolve) => nonsense.once('listening', resolve))
    const address = nonsense.address()
    const port = typeof address === 'object' && address ? address.port : 0
    const codes: number[] = []
    nonsense.on('connection', (socket) => {
      socket.on('close', (code) => codes.push(code))
      socket.send('{"type":"entered","serverId":5}')
    })
    try {
      const alice = bench.client([`ws://127.0.0.1:${port}`], 'alice')
      const { failure } = await alice.take('failed')
      expect(failure.message).toContain('malformed')
      expect(codes.length).toBeGreaterThanOrEqual(3)
      alice.close()
    } finally {
      nonsense.close()
      for (const socket of nonsense.clients) socket.terminate()
    }
  })

  it('says nothing after close, and rejects what waits', async () => {
    const { url } = await bench.server({ settleMs: 60_000 })
    const alice = bench.client([url], 'alice')
    await alice.take('up')
    const registration = alice.register('id', false)
    alice.close()
    await expect(registration).rejects.toMatchObject({ failure: { code: 'signaling' } })
    const seen = alice.events.all.length
    const bob = bench.client([url], 'bob')
    expect((await bob.take('up')).peers).toEqual([])
    expect(alice.events.all).toHaveLength(seen)
  })

  it('supersedes a registration by another id, and shares the promise of the same', async () => {
    const alice = new TestClient(['ws://127.0.0.1:1'], 'alice')
    const first = alice.register('one', false)
    expect(alice.register('one', true)).toBe(first)
    const second = alice.register('two', false)
    await expect(first).rejects.toThrow('superseded')
    alice.close()
    await expect(second).rejects.toThrow('closed')
  })
})

describe('several servers', () => {
  it('[N1] a founder needs a majority of the configured servers', async () => {
    const [one, two, three] = [await bench.server(), await bench.server(), await bench.server()]
    const urls = [one.url, two.url, three.url]
    await two.close()
    await three.close()
    const alice = bench.client(urls, 'alice')
    await alice.take('up')
    let winner: string | undefined
    const registration = alice.register('id', false).then((id) => {
      winner = id
    })
    await vi.waitFor(() => expect(one.metrics().registrations).toBe(1))
    expect(winner).toBeUndefined()
    const back = await bench.server({ port: portOf(two.url) })
    await within(registration, 'register')
    expect(winner).toBe('id')
    expect(back.metrics().registrations).toBe(1)
    // The third learns it when it comes, as an existing one, whether settled or not.
    const last = await bench.server({ port: portOf(three.url), settleMs: 60_000 })
    await vi.waitFor(() => expect(last.metrics().registrations).toBe(1), { timeout: 5_000 })
  })

  it('[N1] founders that reach different servers first agree', async () => {
    const servers = [await bench.server(), await bench.server(), await bench.server()]
    const urls = servers.map(({ url }) => url)
    const founders = urls.map((_, index) =>
      bench.client([...urls.slice(index), ...urls.slice(0, index)], `founder-${index}`),
    )
    const winners = await within(
      Promise.all(founders.map((it, index) => it.register(`id-${index}`, false))),
      'register',
    )
    expect(new Set(winners).size).toBe(1)
  })

  it('sees the union of peers, tells each once, and signals through any server that sees the target', async () => {
    const servers = [await bench.server(), await bench.server()]
    const [one = '', two = ''] = servers.map(({ url }) => url)
    const alice = bench.client([one, two], 'alice')
    await alice.take('up')
    await vi.waitFor(() => expect(servers.map((server) => server.metrics().peers)).toEqual([1, 1]))
    const bob = bench.client([one], 'bob')
    const carol = bench.client([two], 'carol')
    const dave = bench.client([one, two], 'dave')
    for (const peer of [bob, carol, dave]) await peer.take('up')
    await vi.waitFor(() => expect(servers.map((server) => server.metrics().peers)).toEqual([3, 3]))
    await vi.waitFor(() => expect(enteredIds(alice).sort()).toEqual(['bob', 'carol', 'dave']))
    expect(alice.signal('bob', 'to bob')).toBe(true)
    expect(alice.signal('carol', 'to carol')).toBe(true)
    expect(await bob.take('signal')).toMatchObject({ data: 'to bob' })
    expect(await carol.take('signal')).toMatchObject({ data: 'to carol' })
    // Bob was seen by the first server only; dave is still seen by the second.
    await servers[0]?.close()
    expect(await alice.take('peer-left')).toMatchObject({ peerId: 'bob' })
    expect(alice.signal('dave', 'to dave')).toBe(true)
    expect(await dave.take('signal')).toMatchObject({ data: 'to dave' })
    expect(alice.events.all.filter(({ type }) => type === 'down')).toEqual([])
    expect(enteredIds(alice)).toHaveLength(3)
  })

  function enteredIds(client: TestClient): string[] {
    return client.events.all.flatMap((event) => (event.type === 'peer-entered' ? [event.peerId] : []))
  }
})
