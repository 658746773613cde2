/**
 * What the machine itself gives, in two pages beside the room that have not joined it: the round trip of two workers and one strict
 * write. A little of it is measured in every round of what it is compared with, so that a load that comes and goes falls on both.
 */
import type { ProbeId } from './page/protocol.js'
import type { Place } from './place.js'
import type { Limit, Row } from './result.js'
import { median } from './samples.js'
import { Tab } from './tab.js'

const perRound = { trips: 30, writes: 10, turns: 60 } as const
/** What the first and the last turns take is not contended. */
const edge = 6

export class Yardstick {
  readonly #probes: readonly [Tab, Tab, Tab]
  readonly #trips: number[] = []
  readonly #writes: number[] = []
  readonly #bareHandOvers: number[] = []

  private constructor(probes: readonly [Tab, Tab, Tab]) {
    this.#probes = probes
  }

  static async open(place: Place): Promise<Yardstick> {
    const page = async (i: number) => {
      const context = place.contexts[i % place.contexts.length]
      if (!context) throw new Error('no browser')
      return Tab.open(context, place.url)
    }
    const yardstick = new Yardstick([await page(0), await page(1), await page(2)])
    const [a, b, c] = yardstick.#probes
    await connectProbes(place, [a, 0], [b, 1])
    await connectProbes(place, [a, 0], [c, 2])
    await connectProbes(place, [b, 1], [c, 2])
    // Once without counting: the databases are made, code is compiled.
    await yardstick.#roundTrips()
    await yardstick.#write()
    await yardstick.#passTurns()
    return yardstick
  }

  async measure(): Promise<void> {
    this.#trips.push(...(await this.#roundTrips()))
    this.#writes.push(...(await this.#write()))
  }

  /** What a contended lock takes in this place without a library: messages and writes alone, and three peers at it at once. */
  async measureHandOvers(): Promise<void> {
    this.#bareHandOvers.push(...(await this.#passTurns()))
  }

  #roundTrips(): Promise<number[]> {
    return this.#probes[0].call('roundTrips', 1, perRound.trips, 0)
  }

  #write(): Promise<number[]> {
    return this.#probes[0].call('writes', perRound.writes, 0)
  }

  async #passTurns(): Promise<number[]> {
    const [leader, ...others] = this.#probes
    const passed = others.map((tab, i) => tab.call('passTurns', i === 0 ? 1 : 2, perRound.turns))
    // They must have begun when the leader does.
    for (const tab of others) await tab.call('clock')
    const ofLeader = await leader.call('passTurns', 0, perRound.turns)
    const turns = [ofLeader, ...(await Promise.all(passed))].flatMap((times, i) =>
      times.map((time) => this.#probes[i]?.here(time) ?? Number.NaN),
    )
    turns.sort((x, y) => x - y)
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
