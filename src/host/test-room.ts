/** A room of hosts in one process, on real time and memory, for the tests of the host. */

import { defaultSettings } from '../machine/settings.js'
import { machineVersion } from '../machine/version.js'
import type { MemoryHub } from '../network/memory.js'
import { systemClock } from '../shared/system-clock.js'
import { MemoryDisk, MemoryStorage } from '../storage/memory.js'
import type { StoredState } from '../storage/storage.js'
import { settleRoom } from './boot.js'
import type { IdentityStore, LockService } from './browser.js'
import { Host } from './host.js'
import type { Shared } from './inheritance.js'
import type { Answers, Call, CallType, HostEvent, Reply } from './page.js'

export interface TestPeerOptions {
  /** Its log ends with it. */
  readonly inMemory?: boolean
  readonly shared?: Shared
}

export class TestPeer {
  readonly events: HostEvent[] = []
  readonly host: Host
  readonly disk: MemoryDisk

  constructor(
    peerId: string,
    hub: MemoryHub,
    disk: MemoryDisk,
    storage: MemoryStorage,
    stored: StoredState,
    options: TestPeerOptions,
  ) {
    this.disk = disk
    this.host = new Host({
      self: { peerId, incarnation: storage.incarnation, browserId: `browser of ${peerId}`, resident: false },
      storage,
      stored,
      expectedRoomId: null,
      clock: systemClock,
      soon: queueMicrotask,
      networks: [hub.join(peerId)],
      seed: peerId.charCodeAt(0),
      randomText: () => `history of ${peerId}`,
      tokenFloor: 0,
      shared: options.shared ?? null,
      learnerOnly: false,
      inMemory: options.inMemory ?? false,
      state: null,
      emit: (event) => this.#heard(event),
    })
    this.host.start()
  }

  #heard(event: HostEvent): void {
    this.events.push(event)
    if (event.type === 'testament' && event.confirm)
      queueMicrotask(() => this.host.notice({ type: 'testament', number: event.number }))
    if (event.type === 'ask') queueMicrotask(() => this.host.notice({ type: 'alive', sentAt: systemClock.now() }))
  }

  call<T extends CallType>(call: Extract<Call, { type: T }>): Promise<Reply<Answers[T]>> {
    return new Promise((resolve) => this.host.call<T>(call, resolve))
  }
}

const freeLocks: LockService = { hold: async () => ({ release() {}, onlost: null }) }

export async function foundRoom(peerId: string, hub: MemoryHub, options: TestPeerOptions = {}): Promise<TestPeer> {
  const disk = new MemoryDisk()
  const storage = new MemoryStorage(disk, 'n')
  const identities = { roomId: async () => null, setRoomId: async () => {} } as unknown as IdentityStore
  const lock = { release() {}, onlost: null }
  const { stored } = await settleRoom(
    { peerId, storage, lock },
    {
      room: 'r',
      locks: freeLocks,
      identities,
      clock: systemClock,
      registrar: null,
      settings: defaultSettings,
      machineVersion,
      randomText: () => 'roomid',
      inMemory: options.inMemory ?? false,
    },
  )
  return new TestPeer(peerId, hub, disk, storage, stored, options)
}

export function joinRoom(peerId: string, hub: MemoryHub, options: TestPeerOptions = {}): TestPeer {
  const disk = new MemoryDisk()
  const storage = new MemoryStorage(disk, 'n')
  return new TestPeer(peerId, hub, disk, storage, storage.stored, options)
}
