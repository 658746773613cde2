/**
 * What the machine itself gives, in pages beside the room that have not joined it: the round trip of two workers, one strict write, and what
 * three make of a lock's messages and writes. A little of it is measured in every round of what it is compared with, so that a load that
 * comes and goes falls on both.
 */
import type { ProbeId } from './page/protocol.js'
import type { Place } from './place.js'
import type { Limit, Row } from './result.js'
import { median } from './samples.js'
import { Tab } from './tab.js'

const perRound = { trips: 30, writes: 10, turns: 400 } as const
/** What the first and the last turns take is not contended. */
const edge = 6

export class Yardstick {
  readonly #place: Place
  readonly #probes: Tab[] = []
  readonly #trips: number[] = []
  readonly #writes: number[] = []
  readonly #bareHandOvers: number[] = []

  private constructor(place: Place) {
    this.#place = place
  }

  static async open(place: Place): Promise<Yardstick> {
    const yardstick = new Yardstick(place)
    await yardstick.#add()
    await yardstick.#add()
    // Once without counting: the database is made, code is compiled.
    await yardstick.#roundTrips()
    await yardstick.#write()
    return yardstick
  }

  /** One more page, with a line to each of the others. */
  async #add(): Promise<void> {
    const { contexts, url } = this.#place
    const context = contexts[this.#probes.length % contexts.length]
    if (!context) throw new Error('no browser')
    const tab = await Tab.open(context, url)
    for (const [i, other] of this.#probes.entries())
      await connectProbes(this.#place, [other, i as ProbeId], [tab, this.#probes.length as ProbeId])
    this.#probes.push(tab)
  }

  async measure(): Promise<void> {
    this.#trips.push(...(await this.#roundTrips()))
    this.#writes.push(...(await this.#write()))
  }

  /** So many without counting, as of what they are compared with. */
  async warmUpHandOvers(count: number): Promise<void> {
    await this.#add()
    await this.#passTurns(count)
  }

  /** What a contended lock takes in this place without a library: messages and writes alone, and three peers at it at once. */
  async measureHandOvers(): Promise<void> {
    this.#bareHandOvers.push(...(await this.#passTurns(perRound.turns)))
  }

  #roundTrips(): Promise<number[]> {
    return this.#probe(0).call('roundTrips', 1, perRound.trips, 0)
  }

  #write(): Promise<number[]> {
    return this.#probe(0).call('writes', perRound.writes, 0)
  }

  #probe(id: ProbeId): Tab {
    const tab = this.#probes[id]
    if (!tab) throw new Error(`no probe ${id}`)
    return tab
  }

  async #passTurns(count: number): Promise<number[]> {
    const play = async (id: ProbeId) => {
      const times = await this.#probe(id).call('passTurns', id, count)
      return times.map((time) => this.#probe(id).here(time))
    }
    const others = [play(1), play(2)]
    // They must have begun when the leader does.
    for (const id of [1, 2] as const) await this.#probe(id).call('clock')
    const turns = (await Promise.all([play(0), ...others])).flat().sort((x, y) => x - y)
    return turns.slice(1).flatMap((time, i) => (i < edge || i >= turns.length - edge ? [] : time - (turns[i] ?? 0)))
  }

  /** `extra`: what else the platform itself takes, and its name. */
  limit(trips: number, writes: number, extra?: { readonly name: string; readonly ms: number }): Limit {
    const word = (count: number, name: string) => `${count} ${name}${count > 1 ? 's' : ''}`
    const { name, ms } = extra ?? { name: '', ms: 0 }
    return {
      formula: `${name === '' ? '' : `${name} + `}${word(trips, 'trip')} + ${word(writes, 'write')}`,
      ms: ms + trips * median(this.#trips) + writes * median(this.#writes),
    }
  }

  /** `during`: what it was measured beside. */
  rows(during: string): readonly Row[] {
    const id = during.replaceAll(' ', '-')
    return [
      { id: `trip-${id}`, label: `machine, during ${during}: round trip`, samples: this.#trips },
      { id: `write-${id}`, label: `machine, during ${during}: strict write`, samples: this.#writes },
    ]
  }

  get bareHandOvers(): readonly number[] {
    return this.#bareHandOvers
  }

  async close(): Promise<void> {
    await Promise.all(this.#probes.map((tab) => tab.discard()))
  }
}

/** A line between the workers of two tabs, of the same kind as the room's own link but without the library. */
export async function connectProbes(
  place: Place,
  [a, ofA]: readonly [Tab, ProbeId],
  [b, ofB]: readonly [Tab, ProbeId],
): Promise<void> {
  if (place.id === 'one-browser') {
    const name = crypto.randomUUID()
    await a.call('openBroadcast', ofB, name)
    await b.call('openBroadcast', ofA, name)
  } else {
    await b.call('accept', ofA, await a.call('answer', ofB, await b.call('offer', ofA)))
  }
}
