/** A room of three tabs, and what it takes to have it whole again when one of them has gone. */
import type { BrowserContext } from '@playwright/test'
import type { PageState } from './page/protocol.js'
import type { Place } from './place.js'
import { Tab } from './tab.js'
import { until } from './waiting.js'

const size = 3

export interface Joined {
  readonly tab: Tab
  readonly joinMs: number
  readonly lockMs: number
}

export class BenchRoom {
  readonly #place: Place
  readonly #name: string
  readonly tabs: Tab[] = []

  constructor(place: Place) {
    this.#place = place
    this.#name = `bench ${crypto.randomUUID()}`
  }

  /** With three tabs that all vote. */
  static async open(place: Place): Promise<BenchRoom> {
    const room = new BenchRoom(place)
    try {
      while (room.tabs.length < size) await room.join()
      await room.whole()
    } catch (error) {
      await room.close()
      throw error
    }
    return room
  }

  /** One more page, which has not joined yet; by default in the next browser. */
  async openPage(context = this.#place.contexts[this.tabs.length % this.#place.contexts.length]): Promise<Tab> {
    if (!context) throw new Error('no browser')
    const tab = await Tab.open(context, this.#place.url)
    this.tabs.push(tab)
    return tab
  }

  /** One more tab. */
  async join(context?: BrowserContext): Promise<Joined> {
    return this.#join(await this.openPage(context))
  }

  /** All pages that have been opened, one after the other. */
  async joinAll(): Promise<void> {
    for (const tab of this.tabs) await this.#join(tab)
  }

  async #join(tab: Tab): Promise<Joined> {
    const { peerId, joinMs, lockMs } = await tab.call('join', this.#name, this.#place.joinOptions)
    tab.peerId = peerId
    return { tab, joinMs, lockMs }
  }

  /** Three voters who are linked, know one leader, and have the same log. */
  async whole(): Promise<{ leader: Tab; followers: readonly [Tab, Tab] }> {
    return until('three voters with one leader', async () => {
      const states = await this.states()
      const [first] = states
      const isWhole = states.every(
        ({ ready, leader, voters, learners, connected, commitIndex }) =>
          ready &&
          leader !== null &&
          leader === first?.leader &&
          voters === size &&
          learners === 0 &&
          connected === size &&
          commitIndex === first.commitIndex,
      )
      const leader = this.tabs.find(({ peerId }) => peerId === first?.leader)
      const [one, other] = this.tabs.filter((tab) => tab !== leader)
      return isWhole && leader && one && other ? { leader, followers: [one, other] } : null
    })
  }

  states(): Promise<PageState[]> {
    return Promise.all(this.tabs.map((tab) => tab.call('state')))
  }

  /** It is not counted any more: it was closed, or it crashed. */
  async remove(tab: Tab): Promise<void> {
    this.tabs.splice(this.tabs.indexOf(tab), 1)
    await tab.discard()
  }

  async close(): Promise<void> {
    await Promise.all(this.tabs.splice(0).map((tab) => tab.discard()))
  }
}
