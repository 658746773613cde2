/**
 * Who is in which room, and which id each room is registered under (N1). Knows neither sockets nor JSON, and reads no
 * clock: members are whatever the server puts in, time is an argument.
 */
import type { SignalingLimits } from './limits.js'

export interface RoomMember {
  readonly peerId: string
  readonly browserId: string
  readonly incarnation: number | undefined
}

export interface Room<M extends RoomMember> {
  readonly name: string
  readonly members: Map<string, M>
  /** Set once; from then on it is the answer to every `register` for as long as somebody carries the room. */
  roomId: string | null
  /** Those in the room who registered that id: they carry what it stands for. */
  readonly holders: Set<M>
  /** N1: no new id before this time. */
  settledAt: number
  /** When the last of the holders left; null while there is one. A room that nobody carries can be founded anew in time. */
  unheldSince: number | null
}

export type EnterResult<M extends RoomMember> =
  | { type: 'entered'; room: Room<M>; replaced: M | null }
  | { type: 'refused'; reason: 'replaced' | 'room-full' | 'server-full'; message: string }

export type RegisterResult = { type: 'registered'; roomId: string } | { type: 'wait'; ms: number }

export class Rooms<M extends RoomMember> {
  readonly #limits: Pick<SignalingLimits, 'rooms' | 'peersPerRoom' | 'roomIdleMs'>
  readonly #settleMs: number
  readonly #startedAt: number
  readonly #rooms = new Map<string, Room<M>>()
  #peers = 0

  constructor(options: {
    limits: Pick<SignalingLimits, 'rooms' | 'peersPerRoom' | 'roomIdleMs'>
    settleMs: number
    now: number
  }) {
    this.#limits = options.limits
    this.#settleMs = options.settleMs
    this.#startedAt = options.now
  }

  get size(): number {
    return this.#rooms.size
  }

  get peers(): number {
    return this.#peers
  }

  /**
   * The newer connection of a peer replaces the older one: who reconnects must not be locked out by a half-dead socket
   * of its own. `fromOtherLife`: the member knew another life of this server, so this one has forgotten something.
   */
  enter(name: string, member: M, options: { now: number; fromOtherLife: boolean }): EnterResult<M> {
    let room = this.#live(name, options.now)
    const replaced = room?.members.get(member.peerId) ?? null
    if (replaced && isOlder(member, replaced)) return refusal('replaced', 'a later life of this peer is connected')
    if (room && !replaced && room.members.size >= this.#limits.peersPerRoom) {
      return refusal('room-full', `expected at most ${this.#limits.peersPerRoom} peers in a room`)
    }
    if (!room) {
      if (!this.#makeSpace(options.now)) {
        return refusal('server-full', `expected at most ${this.#limits.rooms} rooms`)
      }
      const settledAt = this.#startedAt + this.#settleMs
      room = { name, members: new Map(), roomId: null, holders: new Set(), settledAt, unheldSince: null }
      this.#rooms.set(name, room)
    }
    // N1: whoever was here before the restart may carry the room's id; it gets the time to say so.
    if (options.fromOtherLife) room.settledAt = Math.max(room.settledAt, options.now + this.#settleMs)
    if (!replaced) this.#peers += 1
    if (replaced) this.#unhold(room, replaced, options.now)
    room.members.set(member.peerId, member)
    return { type: 'entered', room, replaced }
  }

  /** False if the member is not in the room (any more): it was replaced, or has left before. */
  leave(room: Room<M>, member: M, now: number): boolean {
    if (room.members.get(member.peerId) !== member) return false
    room.members.delete(member.peerId)
    this.#peers -= 1
    this.#unhold(room, member, now)
    if (room.members.size === 0 && room.roomId === null) this.#rooms.delete(room.name)
    return true
  }

  /** N1: compare-and-set, the first wins; a new id has to wait until the server has settled, an existing one does not. */
  register(room: Room<M>, member: M, request: { roomId: string; existing: boolean }, now: number): RegisterResult {
    this.#lapse(room, now)
    if (room.roomId === null && !request.existing && now < room.settledAt) {
      return { type: 'wait', ms: Math.ceil(room.settledAt - now) }
    }
    room.roomId ??= request.roomId
    if (room.roomId === request.roomId) {
      room.holders.add(member)
      room.unheldSince = null
    }
    return { type: 'registered', roomId: room.roomId }
  }

  /** Forgets what nobody has carried for too long. */
  sweep(now: number): void {
    for (const name of this.#rooms.keys()) this.#live(name, now)
  }

  /** The room, unless it is empty and nobody has carried it for too long: then it is forgotten. */
  #live(name: string, now: number): Room<M> | undefined {
    const room = this.#rooms.get(name)
    if (!room) return undefined
    this.#lapse(room, now)
    if (room.members.size > 0 || room.roomId !== null) return room
    this.#rooms.delete(name)
    return undefined
  }

  /** Who waits for a room that nobody brings back may found it anew. */
  #lapse(room: Room<M>, now: number): void {
    if (room.unheldSince === null || now - room.unheldSince < this.#limits.roomIdleMs) return
    room.roomId = null
    room.unheldSince = null
  }

  #unhold(room: Room<M>, member: M, now: number): void {
    if (room.holders.delete(member) && room.holders.size === 0) room.unheldSince = now
  }

  /** An empty room yields to one that is needed: else empty rooms alone could fill the server. */
  #makeSpace(now: number): boolean {
    if (this.#rooms.size < this.#limits.rooms) return true
    this.sweep(now)
    if (this.#rooms.size < this.#limits.rooms) return true
    let longestIdle: { name: string; since: number } | null = null
    for (const { name, members, unheldSince } of this.#rooms.values()) {
      if (members.size > 0 || unheldSince === null) continue
      if (longestIdle === null || unheldSince < longestIdle.since) longestIdle = { name, since: unheldSince }
    }
    return longestIdle !== null && this.#rooms.delete(longestIdle.name)
  }
}

type Refused = Extract<EnterResult<RoomMember>, { type: 'refused' }>
function refusal(reason: Refused['reason'], message: string): Refused {
  return { type: 'refused', reason, message }
}

/** F2: a zombie page of an earlier life must not push out the later one. */
function isOlder(member: RoomMember, present: RoomMember): boolean {
  if (member.incarnation === undefined || present.incarnation === undefined) return false
  return member.incarnation < present.incarnation
}
