import { describe, expect, it } from 'vitest'
import { MemoryDisk, MemoryStorage } from '../storage/memory.js'
import type { Storage } from '../storage/storage.js'
import type { IdentityStore, LockService } from './browser.js'
import { type Resident, Residents } from './residents.js'

/** Every lock is free: all of these died. */
const locks: LockService = { hold: async () => ({ release() {}, onlost: null }) }

describe('[L4] residents', () => {
  it('a node that cannot be started keeps nobody from the others, is closed, and is not tried for ever', async () => {
    const opened: string[] = []
    const closed: string[] = []
    const open = (peerId: string): Storage => {
      const storage = new MemoryStorage(new MemoryDisk(), 'n')
      const close = storage.close.bind(storage)
      storage.close = () => {
        closed.push(peerId)
        close()
      }
      opened.push(peerId)
      return storage
    }
    const identities: IdentityStore = {
      browserId: async () => 'browser',
      create: async () => ({ peerId: 'another' }),
      roomId: async () => null,
      setRoomId: async () => {},
      archive: async () => {},
      tokenFloor: async () => 0,
      archived: async () => [],
      list: async () => [{ peerId: 'newer' }, { peerId: 'sound' }],
      lastIncarnation: async () => ({ counter: 1, nonce: 'n' }),
      open: async (peerId) => open(peerId),
    }
    const started: string[] = []
    const resident: Resident = { configuration: null, unreachableVoters: [], isOver: false, archiving: null, stop() {} }
    const residents = new Residents({
      room: 'room',
      locks,
      identities,
      onDead: () => {},
      start: (peerId) => {
        if (peerId === 'newer') throw new Error('a snapshot of a later version')
        started.push(peerId)
        return resident
      },
    })
    const failures: unknown[] = []
    for (let i = 0; i < 3; i++) await residents.adopt(null).catch((error: unknown) => failures.push(error))
    expect(started).toEqual(['sound'])
    expect(closed).toEqual(['newer'])
    expect(opened).toEqual(['newer', 'sound'])
    // Somebody hears of it, once.
    expect(failures).toHaveLength(1)
  })
})
