/**
 * Users look at their pages and away, on phones and desktops, and browsers freeze what nobody looks at, with a word before. A stream of
 * its own, as with the upheavals.
 */
import type { Prng } from './prng.js'
import type { Simulation } from './simulation.js'
import type { SimTab } from './tab.js'

/** Relative to each other. */
const weights = { look: 6, flicker: 2, freezeWithWord: 3 } as const
export const attentions = Object.keys(weights) as readonly (keyof typeof weights)[]

export class Attention {
  readonly #sim: Simulation
  readonly #prng: Prng
  readonly #everyMs: number
  #isOver = false

  constructor(sim: Simulation, prng: Prng) {
    this.#sim = sim
    this.#prng = prng
    this.#everyMs = prng.between(400, 3_000)
    const phones = prng.pick([0, 0.5, 1])
    for (const browser of sim.browsers) browser.isPhone = prng.chance(phones)
    this.#plan()
  }

  /** What is hidden stays so: a room has to live with it. */
  end(): void {
    this.#isOver = true
  }

  #plan(): void {
    this.#sim.world.after(this.#prng.tail(this.#everyMs, this.#everyMs * 4), 'attention', () => {
      if (this.#isOver) return
      const kinds = attentions.flatMap((kind) => Array.from({ length: weights[kind] }, () => kind))
      const kind = this.#prng.pick(kinds)
      const tab = this.#tab()
      if (tab) {
        this[kind](tab)
        this.#sim.world.coverage.hit(`attention ${kind}`)
      }
      this.#plan()
    })
  }

  /** Most of all at or away from who leads: there it matters. */
  #tab(): SimTab | null {
    const open = this.#sim.tabs.filter((tab) => tab.isOpen)
    const leading = open.find((tab) => tab.page.peerId === this.#sim.leader?.self.peerId)
    if (leading && this.#prng.chance(0.4)) return leading
    return open.length > 0 ? this.#prng.pick(open) : null
  }

  look(tab: SimTab): void {
    tab.look(!tab.isVisible)
    if (tab.browser.isPhone && !tab.isVisible) this.#watchDemotion(tab.page.peerId)
  }

  /** Away and back, several times within seconds. */
  flicker(tab: SimTab): void {
    const times = this.#prng.integer(2, 8)
    const every = this.#prng.between(50, 1_500)
    for (let i = 0; i < times; i++)
      this.#sim.world.after(i * every, `${tab.name} flickers`, () => {
        if (!this.#isOver && tab.isOpen) tab.look(!tab.isVisible)
      })
  }

  freezeWithWord(tab: SimTab): void {
    tab.freezeWithWord(this.#prng.tail(2_000, 15_000), this.#prng.pick([0, 1, 10, 40]))
  }

  #watchDemotion(peerId: string): void {
    const has = (role: 'voters' | 'learners') => this.#sim.leader?.host.status.configuration[role].includes(peerId)
    if (!has('voters')) return
    this.#sim.world.after(1_000, 'look who votes', () => {
      if (has('learners')) this.#sim.world.coverage.hit('members voter demoted as its phone is put away')
    })
  }
}
