import { beforeEach, describe, expect, it } from 'vitest'
import { type Room, type RoomMember, Rooms } from './rooms.js'

const limits = { rooms: 2, peersPerRoom: 2, roomIdleMs: 60_000 }
let rooms: Rooms<RoomMember>
beforeEach(() => {
  rooms = new Rooms({ limits, settleMs: 2_000, now: 0 })
})

function member(peerId: string, incarnation?: number): RoomMember {
  return { peerId, browserId: 'browser', incarnation }
}

function enter(name: string, who: RoomMember, now: number, fromOtherLife = false): Room<RoomMember> {
  const result = rooms.enter(name, who, { now, fromOtherLife })
  if (result.type === 'refused') throw new Error(result.reason)
  return result.room
}

describe('the registration of a room', () => {
  it('[N1] waits out the settling of the server, and not longer', () => {
    const alice = member('alice')
    const room = enter('room', alice, 500)
    expect(rooms.register(room, alice, { roomId: 'id', existing: false }, 500)).toEqual({ type: 'wait', ms: 1_500 })
    expect(rooms.register(room, alice, { roomId: 'id', existing: false }, 1_999.5)).toEqual({ type: 'wait', ms: 1 })
    expect(rooms.register(room, alice, { roomId: 'id', existing: false }, 2_000)).toEqual({
      type: 'registered',
      roomId: 'id',
    })
  })

  it('[N1] gives a member that comes late from before the restart the time to bring the id', () => {
    const [late, founder] = [member('late'), member('founder')]
    enter('room', late, 10_000, true)
    const room = enter('room', founder, 10_001)
    expect(rooms.register(room, founder, { roomId: 'new', existing: false }, 10_001)).toEqual({
      type: 'wait',
      ms: 1_999,
    })
    rooms.register(room, late, { roomId: 'old', existing: true }, 10_002)
    expect(rooms.register(room, founder, { roomId: 'new', existing: false }, 10_003)).toMatchObject({ roomId: 'old' })
  })

  it('lives as long as somebody who carries the room is in it, and a minute longer', () => {
    const alice = member('alice')
    const room = enter('room', alice, 5_000)
    rooms.register(room, alice, { roomId: 'id', existing: false }, 5_000)
    rooms.sweep(1e9)
    expect(rooms.size).toBe(1)
    rooms.leave(room, alice, 1e9)
    expect(enter('room', alice, 1e9 + 59_999).roomId).toBe('id')
    expect(rooms.register(room, alice, { roomId: 'id', existing: true }, 1e9 + 59_999)).toMatchObject({ roomId: 'id' })
    rooms.leave(room, alice, 2e9)
    expect(enter('room', alice, 2e9 + 60_000).roomId).toBeNull()
  })

  it('[N1] is not kept alive by those who wait for the room: in the end they found it anew', () => {
    const [alice, bob] = [member('alice'), member('bob')]
    const room = enter('room', alice, 5_000)
    rooms.register(room, alice, { roomId: 'id', existing: false }, 5_000)
    enter('room', bob, 6_000)
    rooms.leave(room, alice, 10_000)
    expect(rooms.register(room, bob, { roomId: 'new', existing: false }, 69_999)).toMatchObject({ roomId: 'id' })
    expect(rooms.register(room, bob, { roomId: 'new', existing: false }, 70_000)).toMatchObject({ roomId: 'new' })
  })

  it('is not kept for a room that never had one', () => {
    const alice = member('alice')
    rooms.leave(enter('room', alice, 0), alice, 0)
    expect(rooms.size).toBe(0)
  })
})

describe('entering', () => {
  it('replaces the older connection of a peer, whose leaving then says nothing', () => {
    const [old, young] = [member('bob'), member('bob')]
    const room = enter('room', old, 0)
    expect(rooms.enter('room', young, { now: 1, fromOtherLife: false })).toMatchObject({ replaced: old })
    expect(rooms.leave(room, old, 2)).toBe(false)
    expect([rooms.peers, room.members.get('bob')]).toEqual([1, young])
    expect(rooms.leave(room, young, 3)).toBe(true)
    expect(rooms.peers).toBe(0)
  })

  it('[F2] refuses an earlier incarnation', () => {
    enter('room', member('bob', 2), 0)
    expect(() => enter('room', member('bob', 1), 0)).toThrow('replaced')
  })

  it('makes space by dropping the room that has been empty longest, never one in use', () => {
    const [alice, bob] = [member('alice'), member('bob')]
    for (const [name, who, now] of [
      ['one', alice, 10_000],
      ['two', bob, 10_000],
    ] as const) {
      rooms.register(enter(name, who, now), who, { roomId: name, existing: true }, now)
    }
    expect(() => enter('three', member('carol'), 10_000)).toThrow('server-full')
    rooms.leave(enter('two', bob, 10_001), bob, 10_001)
    rooms.leave(enter('one', alice, 10_002), alice, 10_002)
    enter('three', member('carol'), 10_003)
    expect(enter('one', alice, 10_004).roomId).toBe('one')
    expect(rooms.size).toBe(2)
  })
})
