/** Fixed stories in virtual time: whoever writes one says what happens, and the simulated room does the rest. */
import type { Lock } from '../../src/client/lock.js'
import type { LockOptions } from '../../src/client/lock-options.js'
import { encodeFrame, type Frame, type Item, protocolVersion } from '../../src/host/frame.js'
import { defaultSettings, defaultTiming } from '../../src/machine/settings.js'
import { Simulation, type SimulationOptions } from '../../src/simulation/simulation.js'
import type { SimTab } from '../../src/simulation/tab.js'
import type { HostRecord } from '../../src/simulation/worker.js'

/** What has become of a promise so far. */
export interface Watched<T> {
  value: T | undefined
  error: unknown
  /** True time of the outcome, null while there is none. */
  at: number | null
}

export class Story {
  readonly sim: Simulation

  constructor(seed: string, options: Partial<SimulationOptions> = {}) {
    this.sim = new Simulation(seed, options)
  }

  get now(): number {
    return this.sim.world.now
  }

  /** Opens tabs, one browser for each number, and waits until all are ready. The first one founds the room. */
  async open(...tabsOfBrowsers: readonly number[]): Promise<SimTab[]> {
    const tabs: SimTab[] = []
    for (const count of tabsOfBrowsers) {
      const browser = this.sim.createBrowser()
      for (let i = 0; i < count; i++) {
        const tab = this.sim.openTab(browser)
        tabs.push(tab)
        await this.until(() => tab.page.room.status === 'ready', 10_000, `${tab.name} ready`)
      }
    }
    // Long enough for promotions.
    await this.pass(3_000)
    return tabs
  }

  async pass(ms: number): Promise<void> {
    await this.sim.world.run(ms)
  }

  async until(holds: () => boolean, within = 10_000, what = 'the condition'): Promise<void> {
    const came = await this.sim.world.run(within, holds)
    if (!came) throw new Error(`${what} did not come within ${within} ms:\n${this.sim.world.trace.tail.join('\n')}`)
  }

  watch<T>(promise: Promise<T>): Watched<T> {
    const watched: Watched<T> = { value: undefined, error: undefined, at: null }
    promise.then(
      (value) => Object.assign(watched, { value, at: this.now }),
      (error: unknown) => Object.assign(watched, { error, at: this.now }),
    )
    return watched
  }

  /** Runs until it is settled. */
  async settle<T>(promise: Promise<T>, within = 10_000): Promise<T> {
    const watched = this.watch(promise)
    await this.until(() => watched.at !== null, within, 'an answer')
    if (watched.error !== undefined) throw watched.error
    return watched.value as T
  }

  ask(tab: SimTab, name: string, options: LockOptions = {}): Watched<Lock> {
    return this.watch(
      tab.page.room.locks.acquire(name, options).then((lock) => {
        this.sim.belief.got(tab.page, lock, options.scope)
        return lock
      }),
    )
  }

  async acquire(tab: SimTab, name: string, options: LockOptions = {}): Promise<Lock> {
    const watched = this.ask(tab, name, options)
    await this.until(() => watched.at !== null, 10_000, `${name} for ${tab.name}`)
    if (!watched.value) throw watched.error
    return watched.value
  }

  peerOf(tab: SimTab): string {
    return tab.page.peerId
  }

  /** The tab whose own host leads. */
  leaderOf(tabs: readonly SimTab[]): SimTab {
    const leader = tabs.find((tab) => tab.page.peerId === this.sim.leader?.self.peerId)
    if (!leader) throw new Error('nobody leads')
    return leader
  }

  /** The tab's own host. */
  hostOf(tab: SimTab): HostRecord {
    const record = tab.page.worker?.record
    if (!record) throw new Error(`${tab.name} has no host`)
    return record
  }

  /** What the other host hears on its link, as if that one had said it: `change` lies about more than the items. */
  say(from: SimTab, to: SimTab, items: readonly Item[], change: Partial<Frame> = {}): void {
    const [{ self, host }, { self: other }] = [this.hostOf(from), this.hostOf(to)]
    const head = { version: protocolVersion, lineage: host.lineage, from: self.peerId, to: other.peerId }
    const lives = { fromIncarnation: self.incarnation, toIncarnation: other.incarnation }
    this.sayBytes(from, to, encodeFrame({ ...head, ...lives, items, ...change }))
  }

  sayBytes(from: SimTab, to: SimTab, bytes: Uint8Array): void {
    const { network, thread } = this.hostOf(to)
    const [link] = [...network.links].filter(({ to: end }) => end.peerId === this.peerOf(from))
    if (!link) throw new Error(`${from.name} has no link to ${to.name}`)
    thread.post(0, 'a forged frame', () => network.listener?.frame(link, 'control', bytes))
  }

  /** Nothing goes between these and the others; what is sent is held back. */
  cutOff(tab: SimTab, others: readonly SimTab[]): void {
    for (const other of others) {
      this.sim.ether.block(this.peerOf(tab), this.peerOf(other), false)
      this.sim.ether.block(this.peerOf(other), this.peerOf(tab), false)
    }
  }

  heal(): void {
    this.sim.ether.heal()
  }
}

export function withLease(lease: number, snapshotEvery = 1_000): Partial<SimulationOptions> {
  return {
    settings: {
      ...defaultSettings,
      timing: { ...defaultTiming, lease },
      limits: { ...defaultSettings.limits, snapshotEvery },
    },
  }
}
