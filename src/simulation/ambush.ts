/**
 * A leader is cut off in the very moment in which a change of members stands in its log and nowhere else: whoever leads next may know
 * nothing of it. Random cuts hardly ever come so close, since a leader asks for answers just before (`quorum-check.ts`). A stream of its own.
 */
import type { Prng } from './prng.js'
import type { Simulation } from './simulation.js'
import type { HostRecord } from './worker.js'

export class Ambush {
  readonly #sim: Simulation
  readonly #prng: Prng
  #isSet = true
  #isOver = false

  constructor(sim: Simulation, prng: Prng) {
    this.#sim = sim
    this.#prng = prng
    sim.world.check(() => this.#look())
  }

  /** Links are mended with all others (`Faults.end`). */
  end(): void {
    this.#isOver = true
  }

  #look(): void {
    const { hosts, world } = this.#sim
    if (!this.#isSet || this.#isOver) return
    const record = hosts.find(({ thread }) => thread === world.active)
    if (!record || record.stopped !== undefined) return
    const { role, configurationIndex, commitIndex, configuration } = record.host.status
    if (role !== 'leader' || configurationIndex <= commitIndex || configuration.voters.length < 2) return
    this.#isSet = false
    this.#spring(record)
  }

  #spring({ self: { peerId } }: HostRecord): void {
    const { ether, hosts, world } = this.#sim
    const others = hosts.map(({ self }) => self.peerId).filter((other) => other !== peerId)
    world.note(`${peerId} is cut off with a change of members in its log alone`)
    world.coverage.hit('fault ambush')
    const ways = others.flatMap((other) => [[peerId, other] as const, [other, peerId] as const])
    // With what is on its way.
    for (const [from, to] of ways) ether.block(from, to, true)
    world.after(this.#prng.tail(2_000, 8_000), `let in ${peerId}`, () => {
      if (!this.#isOver) for (const [from, to] of ways) ether.unblock(from, to)
    })
    world.after(this.#prng.tail(4_000, 12_000), 'ambush', () => {
      this.#isSet = true
    })
  }
}
