/** All locks of the room with their tokens, asked for anew when one has changed hands. */
import type { Room } from '../src/index.js'
import type { Person } from './person.js'

export class LockTable {
  readonly #room: Room<Person>
  readonly #onChange: () => void
  #tokens: ReadonlyMap<string, number> = new Map()
  #pending = 0
  #isAsking = false
  #isStale = false

  constructor(room: Room<Person>, onChange: () => void) {
    this.#room = room
    this.#onChange = onChange
  }

  get held(): number {
    return this.#tokens.size
  }

  get pending(): number {
    return this.#pending
  }

  tokenOf(lock: string): number | null {
    return this.#tokens.get(lock) ?? null
  }

  /** One question at a time; what changes meanwhile is asked once more after it. */
  refresh(): void {
    this.#isStale = true
    if (!this.#isAsking) void this.#ask()
  }

  async #ask(): Promise<void> {
    this.#isAsking = true
    try {
      while (this.#isStale) {
        this.#isStale = false
        const { held, pending } = await this.#room.locks.query()
        this.#tokens = new Map(held.map(({ name, token }) => [name, token]))
        this.#pending = pending.length
        this.#onChange()
      }
    } catch {
      // The room has ended; its status says so.
    } finally {
      this.#isAsking = false
    }
  }
}
