/**
 * What the signaling server does with messages: rooms, registration, and passing signals on. It knows connections and
 * no HTTP; it keeps nothing on disk, since a room's members carry its id (N1).
 */
import { randomUUID } from 'node:crypto'
import type { WebSocket } from 'ws'
import {
  Connection,
  type ConnectionListener,
  type Handshake,
  type Member,
  type Seat,
  type SeatedMessage,
} from './connection.js'
import type { SignalingLimits } from './limits.js'
import { closeCodes, type Enter, refusalNames, type ServerMessage } from './protocol.js'
import { type Authorize, handshakeRefusals, type RefusalReason, type SignalingMetrics } from './public.js'
import { Rooms } from './rooms.js'

/** How long a client gets to answer a close before its socket is cut. */
export const closeTimeoutMs = 1_000

export class SignalingService implements ConnectionListener {
  readonly #serverId = randomUUID()
  readonly #limits: SignalingLimits
  readonly #authorize: Authorize | undefined
  readonly #rooms: Rooms<Member>
  readonly #connections = new Set<Connection>()
  readonly #perAddress = new Map<string, number>()
  readonly #refused = new Map<RefusalReason, number>()
  readonly #pingTimer: NodeJS.Timeout
  #messages = 0
  #signals = 0
  #undeliverable = 0
  #registrations = 0
  #closing = false
  #onDrained = () => {}

  constructor(options: { limits: SignalingLimits; settleMs: number; authorize: Authorize | undefined }) {
    this.#limits = options.limits
    this.#authorize = options.authorize
    this.#rooms = new Rooms({ limits: options.limits, settleMs: options.settleMs, now: performance.now() })
    this.#pingTimer = setInterval(() => this.#onPingTimer(), options.limits.pingMs)
    this.#pingTimer.unref()
  }

  /** Why another connection of this address cannot be taken now, or null. */
  fullFor(address: string): 'address-full' | 'server-full' | null {
    if (this.#connections.size >= this.#limits.connections) return 'server-full'
    if ((this.#perAddress.get(address) ?? 0) >= this.#limits.connectionsPerAddress) return 'address-full'
    return null
  }

  accept(socket: WebSocket, handshake: Handshake): void {
    const { address } = handshake
    // The handshake was under way when the server began to close.
    if (this.#closing) {
      socket.terminate()
      return
    }
    this.#perAddress.set(address, (this.#perAddress.get(address) ?? 0) + 1)
    this.#connections.add(new Connection(socket, handshake, { limits: this.#limits, listener: this }))
  }

  metrics(): SignalingMetrics {
    this.#rooms.sweep(performance.now())
    const reasons = [...refusalNames, ...(Object.keys(handshakeRefusals) as RefusalReason[])]
    const refused = reasons.map((reason) => [reason, this.#refused.get(reason) ?? 0] as const)
    return {
      connections: this.#connections.size,
      rooms: this.#rooms.size,
      peers: this.#rooms.peers,
      messages: this.#messages,
      signals: this.#signals,
      undeliverable: this.#undeliverable,
      registrations: this.#registrations,
      refused: Object.fromEntries(refused) as Record<RefusalReason, number>,
    }
  }

  /** Says goodbye to all. Resolves when every socket has ended; those that do not answer in time are cut. */
  async close(): Promise<void> {
    this.#closing = true
    clearInterval(this.#pingTimer)
    for (const connection of this.#connections) connection.close(closeCodes.shutdown, 'the server is closing')
    if (this.#connections.size === 0) return
    const timer = setTimeout(() => this.#terminate(), closeTimeoutMs)
    await new Promise<void>((resolve) => {
      this.#onDrained = resolve
    })
    clearTimeout(timer)
  }

  frameReceived(): void {
    this.#messages += 1
  }

  refused(reason: RefusalReason): void {
    this.#refused.set(reason, (this.#refused.get(reason) ?? 0) + 1)
  }

  enter(connection: Connection, message: Enter): void {
    // Without a hook everything stays in one turn: the order of arrival is the order of the room.
    if (this.#authorize) void this.#authorizeThenSeat(connection, message, this.#authorize)
    else this.#seat(connection, message)
  }

  message(connection: Connection, seat: Seat, message: SeatedMessage): void {
    if (message.type === 'register') this.#register(connection, seat, message)
    else this.#signal(seat, message)
  }

  left({ room, member }: Seat): void {
    // A replaced member has lost its place already, and the room has heard of the newer connection instead.
    if (!this.#rooms.leave(room, member, performance.now())) return
    this.#tellOthers(room, member, { type: 'peer-left', peerId: member.peerId })
  }

  closed(connection: Connection): void {
    if (!this.#connections.delete(connection)) return
    const { address } = connection.handshake
    const left = (this.#perAddress.get(address) ?? 1) - 1
    if (left > 0) this.#perAddress.set(address, left)
    else this.#perAddress.delete(address)
    if (this.#connections.size === 0) this.#onDrained()
  }

  #register(
    connection: Connection,
    { room, member }: Seat,
    message: Extract<SeatedMessage, { type: 'register' }>,
  ): void {
    const isNew = room.roomId === null
    const result = this.#rooms.register(room, member, message, performance.now())
    connection.send(result)
    if (!isNew || result.type === 'wait') return
    this.#registrations += 1
    // Founders that were told to wait need not wait any longer.
    this.#tellOthers(room, member, result)
  }

  #signal({ room, member }: Seat, { to, data }: Extract<SeatedMessage, { type: 'signal' }>): void {
    const target = room.members.get(to)
    // Peers leave while signals to them are on their way: not the sender's fault, and it hears `peer-left` anyway.
    if (!target) {
      this.#undeliverable += 1
      return
    }
    this.#signals += 1
    target.connection.send({ type: 'signal', from: member.peerId, data })
  }

  async #authorizeThenSeat(connection: Connection, message: Enter, authorize: Authorize): Promise<void> {
    const { url, headers } = connection.handshake
    try {
      const granted = await authorize({ url, headers, token: message.token }, message.room)
      // `true` and nothing else: a hook that forgot to return must not open the room.
      if (granted === true) this.#seat(connection, message)
      else connection.refuse('unauthorized', 'the server refused this token for this room')
    } catch {
      // A hook that fails has not refused: the client may come again. What it threw is not for strangers.
      connection.refuse('server-error', 'the server could not check the token')
    }
  }

  #seat(connection: Connection, message: Enter): void {
    // It may have gone while the hook was asked.
    if (!connection.open) return
    const { peerId, browserId, incarnation, lastServerId } = message
    const member: Member = { peerId, browserId, incarnation, connection }
    const fromOtherLife = lastServerId !== undefined && lastServerId !== this.#serverId
    const result = this.#rooms.enter(message.room, member, { now: performance.now(), fromOtherLife })
    if (result.type === 'refused') {
      connection.refuse(result.reason, result.message)
      return
    }
    const { room, replaced } = result
    connection.seat({ room, member })
    replaced?.connection.refuse('replaced', 'the same peer has connected again')
    const others = [...room.members.values()].filter((other) => other !== member)
    const peers = others.map((other) => ({ peerId: other.peerId, browserId: other.browserId }))
    connection.send({ type: 'entered', serverId: this.#serverId, peers, roomId: room.roomId })
    this.#tellOthers(room, member, { type: 'peer-entered', peerId, browserId })
  }

  #tellOthers(room: Seat['room'], member: Member, message: ServerMessage): void {
    // A copy: sending may find a reader too slow, and take it out of the room.
    for (const other of [...room.members.values()]) {
      if (other !== member) other.connection.send(message)
    }
  }

  #terminate(): void {
    for (const connection of this.#connections) connection.terminate()
  }

  #onPingTimer(): void {
    this.#rooms.sweep(performance.now())
    for (const connection of this.#connections) connection.ping()
  }
}
