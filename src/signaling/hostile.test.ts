import { connect } from 'node:net'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { dataBytesMax, frameBytesMax, parseClientMessage, type ServerMessage } from './protocol.js'
import { Bench, createRandom, enterMessage, type RawClient, within } from './test-kit.js'

const bench = new Bench()
afterEach(() => bench.dispose())

const entered = JSON.stringify(enterMessage('room', 'mallory'))
const signal = (data: unknown) => JSON.stringify({ type: 'signal', to: 'alice', data })

describe('one bad frame ends its own connection and nothing else', () => {
  it.each<[string, (string | Buffer)[], string, number]>([
    ['no JSON', ['{'], 'malformed', 1008],
    ['an empty frame', [''], 'malformed', 1008],
    ['JSON null', ['null'], 'malformed', 1008],
    ['an array', ['[]'], 'malformed', 1008],
    ['an unknown type', ['{"type":"shutdown"}'], 'malformed', 1008],
    ['a type from the prototype', ['{"__proto__":{"type":"leave"}}'], 'malformed', 1008],
    ['a binary frame', [Buffer.from(entered)], 'malformed', 1008],
    ['another version', [entered.replace('"version":1', '"version":2')], 'version', 4002],
    ['a room without a name', [JSON.stringify(enterMessage('', 'mallory'))], 'malformed', 1008],
    ['a room name too long', [JSON.stringify(enterMessage('r'.repeat(257), 'mallory'))], 'malformed', 1008],
    ['a peer id too long', [JSON.stringify(enterMessage('room', 'm'.repeat(129)))], 'malformed', 1008],
    ['a signal before enter', [signal('')], 'not-entered', 1008],
    ['a register before enter', ['{"type":"register","roomId":"x","existing":false}'], 'not-entered', 1008],
    ['a second enter', [entered, entered], 'already-entered', 1008],
    ['data that is no string', [entered, signal({ a: 1 })], 'malformed', 1008],
    ['data too long', [entered, signal('x'.repeat(dataBytesMax + 1))], 'malformed', 1008],
    ['data too long in bytes', [entered, signal('ü'.repeat(dataBytesMax / 2 + 1))], 'malformed', 1008],
    ['a frame too long', [entered, signal('x'.repeat(frameBytesMax))], 'too-large', 1009],
  ])('%s', async (_name, frames, code, closeCode) => {
    const server = await bench.server()
    const alice = await bench.entered(server.url, 'room', 'alice')
    const mallory = await bench.raw(server.url)
    for (const frame of frames) mallory.socket.send(frame)
    expect(await mallory.take('error')).toMatchObject({ code })
    expect(await within(mallory.closed, 'close')).toEqual({ code: closeCode, reason: code })
    await alice.settle()
    expect(alice.inbox.all.filter(({ type }) => type === 'signal')).toEqual([])
    expect(server.metrics().refused).toMatchObject({ [code]: 1 })
  })

  it('a frame far too long, which is not even read', async () => {
    const server = await bench.server()
    const alice = await bench.entered(server.url, 'room', 'alice')
    const mallory = await bench.entered(server.url, 'room', 'mallory')
    mallory.socket.on('error', () => {})
    mallory.socket.send('x'.repeat(8 * 1024 * 1024))
    expect((await within(mallory.closed, 'close')).code).toBe(1009)
    expect(await alice.take('peer-left')).toMatchObject({ peerId: 'mallory' })
    expect(server.metrics().refused['too-large']).toBe(1)
  })

  it('bytes that are no WebSocket, and half a handshake', async () => {
    const { url } = await bench.server()
    const alice = await bench.entered(url, 'room', 'alice')
    const { hostname, port } = new URL(url)
    for (const bytes of [
      '\u0000\u0001\u0002\r\n\r\n',
      'GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n',
    ]) {
      const socket = connect(Number(port), hostname)
      socket.on('error', () => {})
      socket.end(bytes)
      socket.resume()
      await within(new Promise((resolve) => socket.on('close', resolve)), 'the end of the socket')
    }
    await alice.settle()
  })

  it('bad frames of the WebSocket protocol itself', async () => {
    const server = await bench.server()
    const alice = await bench.entered(server.url, 'room', 'alice')
    // Reserved opcode, unmasked frame, text that is no UTF-8 (masked with zeroes).
    for (const bytes of [
      [0x83, 0x80, 0, 0, 0, 0],
      [0x81, 0x01, 0x61],
      [0x81, 0x81, 0, 0, 0, 0, 0xff],
    ]) {
      const mallory = await bench.raw(server.url)
      mallory.socket.on('error', () => {})
      rawSocket(mallory).write(Buffer.from(bytes))
      expect((await within(mallory.closed, 'close')).code).toBeGreaterThanOrEqual(1002)
    }
    await alice.settle()
    expect(server.metrics().refused.malformed).toBe(3)
  })
})

describe('floods', () => {
  it('refuses who sends too fast, by messages or by pings', async () => {
    const server = await bench.server({ limits: { messagesPerSecond: 1, messagesBurst: 10 } })
    const alice = await bench.entered(server.url, 'room', 'alice')
    const mallory = await bench.entered(server.url, 'room', 'mallory')
    for (let count = 0; count < 20; count += 1) mallory.send({ type: 'signal', to: 'alice', data: '' })
    expect(await mallory.take('error')).toMatchObject({ code: 'rate' })
    expect((await within(mallory.closed, 'close')).code).toBe(1008)
    const pinger = await bench.entered(server.url, 'room', 'pinger')
    for (let count = 0; count < 20; count += 1) pinger.socket.ping()
    expect(await pinger.take('error')).toMatchObject({ code: 'rate' })
    await alice.settle()
    // One `enter`, then nine signals: the burst and no more.
    expect(alice.inbox.all.filter(({ type }) => type === 'signal')).toHaveLength(9)
  })

  it('drops a reader that does not read with 1013, and its room goes on', async () => {
    const limits = { bufferedBytes: 64 * 1024, messagesPerSecond: 1e6, messagesBurst: 1e6 }
    const server = await bench.server({ limits })
    const slow = await bench.entered(server.url, 'room', 'slow')
    slow.socket.pause()
    const alice = await bench.entered(server.url, 'room', 'alice')
    const data = 'x'.repeat(dataBytesMax)
    // The kernel takes some megabytes before anything waits in the server.
    for (let count = 0; count < 4_000 && server.metrics().refused.slow === 0; count += 1) {
      alice.send({ type: 'signal', to: 'slow', data })
      if (count % 32 === 0) await alice.settle()
    }
    expect(await alice.take('peer-left')).toMatchObject({ peerId: 'slow' })
    expect(server.metrics().refused.slow).toBe(1)
    await vi.waitFor(() => expect(server.metrics().connections).toBe(1), { timeout: 5_000 })
    await alice.settle()
  })
})

describe('fuzz', () => {
  const honest = [
    enterMessage('room', 'mallory'),
    { type: 'register', roomId: 'id', existing: true },
    { type: 'signal', to: 'alice', data: 'x' },
    { type: 'ping' },
    { type: 'leave' },
  ]

  it.each([1, 2, 3])(
    '[seed %i] random bytes and broken messages leave the server and the others unharmed',
    async (seed) => {
      const random = createRandom(seed)
      const server = await bench.server({ limits: { connectionsPerAddress: 500, peersPerRoom: 500 } })
      const alice = await bench.entered(server.url, 'room', 'alice')
      for (let round = 0; round < 60; round += 1) {
        const mallory = await bench.raw(server.url)
        mallory.socket.on('error', () => {})
        for (let count = 0; count < 5; count += 1) {
          if (mallory.socket.readyState !== mallory.socket.OPEN) break
          const kind = random()
          if (kind < 0.2) rawSocket(mallory).write(randomBytes(random))
          else if (kind < 0.4) mallory.socket.send(randomBytes(random), { binary: random() < 0.5 })
          else mallory.socket.send(mutate(JSON.stringify(honest[Math.floor(random() * honest.length)]), random))
        }
        mallory.socket.close()
      }
      await alice.settle()
      const bob = await bench.entered(server.url, 'room', 'bob')
      alice.send({ type: 'signal', to: 'bob', data: 'still here' })
      const isAlice = (message: ServerMessage): message is Extract<ServerMessage, { type: 'signal' }> =>
        message.type === 'signal' && message.from === 'alice'
      expect(await bob.inbox.take(isAlice, 'the signal')).toMatchObject({ data: 'still here' })
    },
  )

  it('[seed 4] the parser takes any text and never throws', () => {
    const random = createRandom(4)
    for (let round = 0; round < 5_000; round += 1) {
      const message = honest[Math.floor(random() * honest.length)]
      const parsed = parseClientMessage(mutate(JSON.stringify(message), random))
      if (!parsed.ok) expect(parsed.reason.length).toBeLessThan(200)
    }
    expect(parseClientMessage(`${'['.repeat(30_000)}`).ok).toBe(false)
    expect(parseClientMessage(`${'{"type":'.repeat(5_000)}1${'}'.repeat(5_000)}`).ok).toBe(false)
  })
})

function randomBytes(random: () => number): Buffer {
  return Buffer.from(Array.from({ length: Math.floor(random() * 200) }, () => Math.floor(random() * 256)))
}

function mutate(text: string, random: () => number): string {
  const at = Math.floor(random() * text.length)
  const kind = Math.floor(random() * 5)
  if (kind === 0) return text.slice(0, at)
  if (kind === 1) return text.slice(0, at) + String.fromCharCode(Math.floor(random() * 0x10000)) + text.slice(at + 1)
  if (kind === 2) return text.replace(/"[^"]*"(?=[,}])/, () => String(random() < 0.5 ? null : random() * 1e308))
  if (kind === 3) return text.slice(0, at) + text
  return text
}

/** The TCP socket under a client, to write what no WebSocket client would. */
function rawSocket(client: RawClient): { write(bytes: Buffer): void } {
  const socket: unknown = Reflect.get(client.socket, '_socket')
  return socket as { write(bytes: Buffer): void }
}
