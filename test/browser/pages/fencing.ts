/** A page of a room that also writes where the room is not: into IndexedDB and to a server. */
import './room.js'
import { FencedStore } from '../../../examples/fenced-idb/fenced-store.js'
import { putFenced } from '../../../examples/fenced-server/client.js'
import type { Lock } from '../../../src/index.js'
import type { Outcome } from './room.js'

const text = 'paragraph'

const fencing = {
  FencedStore,
  /** One of that page and lock's writes at each place that can refuse it, and at one that cannot. */
  async writeAll(lock: Lock, value: string, places: Places): Promise<Record<string, Outcome>> {
    const { kit } = window
    const { store } = kit.room
    const notes = await FencedStore.open<string>(places.database)
    const written = {
      room: await kit.outcome(() => store.set(text, value, { fence: lock })),
      roomByToken: await kit.outcome(() => store.set(text, value, { fence: { name: lock.name, token: lock.token } })),
      database: await kit.outcome(() => notes.put(lock, text, value)),
      server: await kit.outcome(() => putFenced(places.server, lock, value)),
      unfenced: await kit.outcome(() => store.set('unfenced', value)),
    }
    notes.close()
    return written
  },
  async readAll(name: string, places: Places): Promise<Record<string, unknown>> {
    const { store } = window.kit.room
    const notes = await FencedStore.open<string>(places.database)
    const server = await fetch(new URL(`/documents/${encodeURIComponent(name)}`, places.server))
    const read = {
      room: (await store.get(text))?.value,
      database: await notes.get(text),
      server: await server.text(),
      unfenced: (await store.get('unfenced'))?.value,
    }
    notes.close()
    return read
  },
  /**
   * Is sure of its lock, and in the next line its main thread stops until the test answers: as long as a debugger, a slow disk or
   * a sleeping machine may stop it. Then it goes on with what it was about to do.
   */
  writeAfterSleep(name: string, value: string, places: Places): Promise<Record<string, Outcome>> {
    const lock = window.kit.lock(name)
    lock.assertHeld()
    const sleep = new XMLHttpRequest()
    sleep.open('GET', '/asleep', false)
    sleep.send()
    return fencing.writeAll(lock, value, places)
  },
}

/** Where a page writes besides its room. */
export interface Places {
  readonly database: string
  readonly server: string
}

declare global {
  interface Window {
    fencing: typeof fencing
  }
}

window.fencing = fencing
