/**
 * What the machine itself gives, in two pages beside the room that have not joined it: the round trip of two workers and one strict
 * write. A little of it is measured in every round of what it is compared with, so that a load that comes and goes falls on both.
 */
import type { Place } from './place.js'
import type { Limit, Row } from './result.js'
import { median } from './samples.js'
import { Tab } from './tab.js'

const perRound = { trips: 30, writes: 10 } as const

export class Yardstick {
  readonly #asks: Tab
  readonly #answers: Tab
  readonly #trips: number[] = []
  readonly #writes: number[] = []

  private constructor(asks: Tab, answers: Tab) {
    this.#asks = asks
    this.#answers = answers
  }

  static async open(place: Place): Promise<Yardstick> {
    const [first, second = first] = place.contexts
    if (!first || !second) throw new Error('no browser')
    const asks = await Tab.open(first, place.url)
    const answers = await Tab.open(second, place.url)
    await connectProbes(place, asks, answers)
    // Once without counting: the database is made, code is compiled.
    await asks.call('roundTrips', perRound.trips, 0)
    await asks.call('writes', perRound.writes, 0)
    return new Yardstick(asks, answers)
  }

  async measure(): Promise<void> {
    this.#trips.push(...(await this.#asks.call('roundTrips', perRound.trips, 0)))
    this.#writes.push(...(await this.#asks.call('writes', perRound.writes, 0)))
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

  async close(): Promise<void> {
    await Promise.all([this.#asks.discard(), this.#answers.discard()])
  }
}

/** A line between the workers of two tabs, of the same kind as the room's own link but without the library. */
export async function connectProbes(place: Place, a: Tab, b: Tab): Promise<void> {
  if (place.id === 'one-browser') {
    const name = crypto.randomUUID()
    await a.call('openBroadcast', name)
    await b.call('openBroadcast', name)
  } else {
    await b.call('accept', await a.call('answer', await b.call('offer')))
  }
}
