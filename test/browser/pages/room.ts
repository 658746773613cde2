/** A page that joins rooms as its test tells it: the library, and what a test needs to hold on to between its calls. */

import type { JoinOptions, Lock, LockOptions, Room } from '../../../src/index.js'
import * as comity from '../../../src/index.js'
import { type Work, work } from './users.js'

/** What became of a call: errors lose their class on the way to the test. */
export type Outcome =
  | { readonly ok: true; readonly value: unknown }
  | {
      readonly ok: false
      readonly name: string
      readonly code: string | null
      readonly message: string
      readonly details: unknown
    }

const held = new Map<string, Lock>()
let room: Room | null = null

/** Every worker that the page starts, so that a test can end one under its living page. */
const workers: Worker[] = []
window.Worker = class extends Worker {
  constructor(url: string | URL, options?: WorkerOptions) {
    super(kit.workerCode === '' ? preceded(kit.prelude, url) : scriptUrl(kit.workerCode), options)
    workers.push(this)
  }
}

/** Every connection that the page makes, in order. */
const connections: RTCPeerConnection[] = []
let isWalledIn = false
/** The library's own subclass never says `failed`. */
const trueState = Object.getOwnPropertyDescriptor(RTCPeerConnection.prototype, 'connectionState')?.get
window.RTCPeerConnection = class extends RTCPeerConnection {
  constructor(configuration?: RTCConfiguration) {
    // With relays only, and none of them, no connection comes of it: as between two NATs.
    super(isWalledIn ? { ...configuration, iceTransportPolicy: 'relay' } : configuration)
    connections.push(this)
  }
}

/** A worker that runs that code first: what its browser refuses it. */
function preceded(prelude: string, url: string | URL): string | URL {
  return prelude === '' ? url : scriptUrl(`${prelude}; await import(${JSON.stringify(String(url))})`)
}

function scriptUrl(source: string): string {
  return URL.createObjectURL(new Blob([source], { type: 'text/javascript' }))
}

async function outcome(run: () => unknown): Promise<Outcome> {
  try {
    return { ok: true, value: await run() }
  } catch (error) {
    const { name, message, code, ...details } = error as Error & { code?: string }
    return { ok: false, name, message, code: typeof code === 'string' ? code : null, details }
  }
}

const kit = {
  comity,
  /** Runs in every worker that the page starts from now on, before the library's own code. */
  prelude: '',
  /** Runs in them in place of the library's own code, if it is any: that of another version. */
  workerCode: '',
  outcome,
  get room(): Room {
    if (!room) throw new Error('the page has not joined')
    return room
  },
  join: (name: string, options: JoinOptions = {}): Promise<Outcome> =>
    outcome(async () => {
      room = await comity.join(name, options)
      return room.peerId
    }),
  /** Takes a lock and keeps it under that key. */
  acquire: (name: string, options: LockOptions = {}, key = name): Promise<Outcome> =>
    outcome(async () => {
      const lock = await kit.room.locks.acquire(name, options)
      if (!lock) return null
      held.set(key, lock)
      return lock.token
    }),
  lock(key: string): Lock {
    const lock = held.get(key)
    if (!lock) throw new Error(`no lock ${key}`)
    return lock
  },
  /** Busy users of store and locks: the test must have exposed `tell`. */
  work: (plan: Work): Promise<void> => work(kit.room, plan),
  get connections(): readonly RTCPeerConnection[] {
    return connections
  },
  get connectionStates(): readonly RTCPeerConnectionState[] {
    return connections.map((connection) => trueState?.call(connection))
  },
  /** From now on new connections of this page lead nowhere, or do again. */
  wallIn(walled: boolean): void {
    isWalledIn = walled
  },
  endWorkers(): void {
    for (const worker of workers) worker.terminate()
  },
  /**
   * The page's main thread does nothing else for that long. It waits for an answer that its test holds back, since a loop would
   * take one of the machine's cores from the other tabs.
   */
  block(ms: number): void {
    const request = new XMLHttpRequest()
    request.open('GET', `/blocked-for/${ms}`, false)
    request.send()
  },
}

export type Kit = typeof kit

declare global {
  interface Window {
    kit: Kit
  }
}

window.kit = kit
