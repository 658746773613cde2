import { beforeEach, describe, expect, it } from 'vitest'
import type { HostStatus } from '../host/page.js'
import { defaultLimits, defaultTiming } from '../machine/settings.js'
import { RoomConnection } from './connection.js'
import { type Room, RoomHandle } from './room.js'
import { TestClock, TestPort } from './test-port.js'

const settings = {
  durability: 'strict',
  partition: 'pause',
  timing: defaultTiming,
  limits: defaultLimits,
} as const

let port: TestPort
let connection: RoomConnection
let room: Room<null>

const open = (whenNoQuorum: 'wait' | 'reject' = 'wait'): Room<null> => {
  const nothing = () => () => {}
  const shared = { name: 'r', peerId: 'ann', storage: 'indexeddb', suspended: false, connection, settings } as const
  return new RoomHandle(
    { ...shared, members: [], onpeerchange: nothing, onfailure: nothing, release: async () => {} },
    whenNoQuorum,
  )
}

beforeEach(() => {
  port = new TestPort()
  connection = new RoomConnection(new TestClock())
  connection.attach(port)
  room = open()
})

const tell = (status: Partial<HostStatus>) =>
  port.tell({
    type: 'status',
    status: { phase: 'ready', raftLeader: 'bob', term: 1, role: 'follower', missing: [], ...status },
  })

describe('missing', () => {
  it('is known to a handle that is opened when the quorum is gone already, and to its calls', async () => {
    tell({ phase: 'no-quorum', missing: ['bob'] })
    const later = open('reject')
    expect([later.status, later.missing]).toEqual(['no-quorum', ['bob']])
    await expect(later.locks.acquire('doc')).rejects.toMatchObject({ name: 'NoQuorumError', missing: ['bob'] })
    tell({ missing: ['bob'] })
    expect([room.missing, later.missing]).toEqual([[], []])
    await later.leave()
    expect(later.missing).toEqual([])
  })
})

describe('statuschange', () => {
  it('tells who is missing as soon as that is known, which may be after the quorum is gone', () => {
    const told: unknown[] = []
    room.addEventListener('statuschange', ({ detail }) => told.push(detail))
    tell({})
    tell({ phase: 'no-quorum' })
    tell({ phase: 'no-quorum', missing: ['bob'] })
    tell({ phase: 'no-quorum', missing: ['bob'], term: 2 })
    tell({})
    expect(told).toEqual([
      { status: 'ready', missing: [] },
      { status: 'no-quorum', missing: [] },
      { status: 'no-quorum', missing: ['bob'] },
      { status: 'ready', missing: [] },
    ])
  })
})
