import type { Registrar } from '../host/browser.js'
import type { Prng } from './prng.js'
import type { Thread } from './thread.js'
import type { World } from './world.js'

/** N1: a server that restarted registers no new id for so long, ms; whoever carries the room is back by then. */
const settleMs = 4_000
/** The longest back-off of those who reconnect. */
const backInMs = 2_000

interface Carrier {
  readonly thread: Thread
  readonly roomId: string
}

/** The signaling server's register of room ids, and its clients' part of the rule. */
export class SimRegistrar {
  readonly #world: World
  readonly #prng: Prng
  #roomId: string | null = null
  #settledAt = 0
  #isUp = true
  readonly #carriers: Carrier[] = []

  constructor(world: World) {
    this.#world = world
    this.#prng = world.prng.fork('registrar')
  }

  get isUp(): boolean {
    return this.#isUp
  }

  of(thread: Thread): Registrar {
    return {
      lookUp: () => this.#ask(thread, 'look up', () => ({ value: this.#roomId })),
      register: async (roomId, existing) => {
        const winner = await this.#ask(thread, `register ${roomId}`, () => this.#register(roomId, existing))
        this.#carriers.push({ thread, roomId: winner })
        return winner
      },
    }
  }

  goDown(): void {
    this.#isUp = false
  }

  /** Comes back, perhaps without its memory. Clients reconnect and say what they know. */
  comeUp(forgets: boolean): void {
    this.#isUp = true
    const living = this.#carriers.filter(({ thread }) => !thread.isDead)
    // Forgotten by the server and carried by nobody who is there: the next founding would be a second one, which is N2's affair.
    if (!forgets || living.length === 0) return
    this.#roomId = null
    this.#settledAt = this.#world.now + settleMs
    for (const [i, { thread, roomId }] of living.entries()) {
      this.#world.after(this.#prng.between(0, backInMs), `${thread.name} registers again`, () => {
        if (i === 0 || !thread.isDead) this.#roomId ??= roomId
      })
    }
  }

  /** It knows of no room any more, and nobody tells it: whoever founds next founds a second one (N2). */
  forget(): void {
    this.#roomId = null
  }

  /** Null: not yet, ask again. */
  #register(roomId: string, existing: boolean): { readonly value: string } | null {
    if (this.#roomId === null && !existing && this.#world.now < this.#settledAt) return null
    this.#roomId ??= roomId
    return { value: this.#roomId }
  }

  #ask<T>(thread: Thread, label: string, answer: () => { readonly value: T } | null): Promise<T> {
    return new Promise((resolve) => {
      const attempt = () => {
        if (thread.isDead) return
        const result = this.#isUp ? answer() : null
        if (result) thread.post(this.#prng.tail(15, 300), `registrar answers ${label}`, () => resolve(result.value))
        else this.#world.after(300, `${thread.name} asks again`, attempt)
      }
      this.#world.after(this.#prng.tail(15, 300), `${thread.name} asks registrar`, attempt)
    })
  }
}
