import type { SimBrowser } from './browser.js'
import type { Prng } from './prng.js'
import type { Simulation } from './simulation.js'
import type { SimTab } from './tab.js'

/** How likely each kind of fault is, relative to the others; 0 switches it off. */
export interface FaultWeights {
  readonly crash: number
  readonly workerCrash: number
  readonly close: number
  readonly leave: number
  readonly reload: number
  readonly aside: number
  readonly block: number
  readonly freeze: number
  readonly sleep: number
  readonly throttle: number
  readonly wallClock: number
  readonly partition: number
  readonly isolate: number
  readonly oneWay: number
  readonly breakLink: number
  readonly slow: number
  readonly mischief: number
  readonly stall: number
  readonly quota: number
  readonly signaling: number
  readonly newTab: number
}

export const allFaults: FaultWeights = {
  crash: 5,
  workerCrash: 2,
  close: 4,
  leave: 3,
  reload: 4,
  aside: 2,
  block: 5,
  freeze: 5,
  sleep: 2,
  throttle: 1,
  wallClock: 4,
  partition: 7,
  isolate: 5,
  oneWay: 4,
  breakLink: 4,
  slow: 3,
  mischief: 3,
  stall: 3,
  quota: 1,
  signaling: 2,
  newTab: 2,
}

const tabsMax = 6

/** Each seed leaves half of the kinds out: what remains strikes more often, and in mixtures that all together never show. */
export function drawWeights(prng: Prng): FaultWeights {
  const weights: Record<keyof FaultWeights, number> = { ...allFaults }
  if (prng.chance(0.2)) return weights
  for (const kind of Object.keys(weights) as (keyof FaultWeights)[]) if (prng.chance(0.5)) weights[kind] = 0
  return weights
}

/** Breaks things at random, and mends all of them in the end. */
export class Faults {
  readonly #sim: Simulation
  readonly #prng: Prng
  readonly #weights: FaultWeights
  readonly #everyMs: number
  #isOver = false

  constructor(sim: Simulation, weights: FaultWeights, everyMs: number) {
    this.#sim = sim
    this.#prng = sim.world.prng.fork('faults')
    this.#weights = weights
    this.#everyMs = everyMs
    this.#plan()
  }

  get isOver(): boolean {
    return this.#isOver
  }

  /** From now on everything works, and whoever was gone is back: at least one tab of every browser. */
  end(): void {
    this.#isOver = true
    const { ether, registrar, browsers, tabs, world } = this.#sim
    world.note('faults end')
    if (ether.mischief) this.#breakAll()
    ether.heal()
    registrar?.comeUp(false)
    for (const browser of browsers) {
      browser.clock.wakeUp()
      for (const { condition } of browser.disks.values())
        Object.assign(condition, { writeMs: 0.5, stallMs: 0, isFull: false, aborts: false, trap: null })
    }
    for (const tab of tabs) {
      tab.throttle(0)
      tab.wake()
    }
    // Whoever is not well by then will not be.
    world.after(2_000, 'mend', () => this.mend())
  }

  /** Loads again whoever has no host that could go on. */
  mend(): void {
    for (const tab of this.#sim.tabs) if (tab.isOpen && !tab.isWell) tab.reload()
    for (const browser of this.#sim.browsers) {
      const tabs = this.#sim.tabs.filter((tab) => tab.browser === browser)
      if (!tabs.some((tab) => tab.isOpen)) tabs[0]?.reload()
    }
  }

  #plan(): void {
    this.#sim.world.after(this.#prng.tail(this.#everyMs, this.#everyMs * 6), 'fault', () => {
      if (this.#isOver) return
      this.#strike()
      this.#plan()
    })
  }

  #strike(): void {
    const kinds = Object.keys(this.#weights) as (keyof FaultWeights)[]
    const sum = kinds.reduce((sum, kind) => sum + this.#weights[kind], 0)
    if (sum === 0) return
    let at = this.#prng.fraction() * sum
    for (const kind of kinds) {
      at -= this.#weights[kind]
      if (at >= 0) continue
      if (this[kind](this.#prng)) this.#sim.world.coverage.hit(`fault ${kind}`)
      return
    }
  }

  #anyTab(): SimTab | null {
    const open = this.#sim.tabs.filter((tab) => tab.isOpen)
    return open.length > 0 ? this.#prng.pick(open) : null
  }

  /** Ends what it began after a while, unless the faults have ended before. */
  #for(typical: number, max: number, label: string, end: () => void): void {
    this.#sim.world.after(this.#prng.tail(typical, max), label, () => {
      if (!this.#isOver) end()
    })
  }

  crash(prng: Prng): boolean {
    const tab = this.#anyTab()
    if (!tab) return false
    tab.crash()
    if (prng.chance(0.8)) this.#for(2_000, 15_000, 'reopen', () => tab.isOpen || tab.reload())
    return true
  }

  workerCrash(): boolean {
    const tab = this.#anyTab()
    if (!tab?.isWell) return false
    tab.crashWorker()
    this.#for(5_000, 15_000, 'reload', () => tab.isOpen && tab.reload())
    return true
  }

  close(prng: Prng): boolean {
    const tab = this.#anyTab()
    if (!tab) return false
    tab.close()
    if (prng.chance(0.7)) this.#for(3_000, 15_000, 'reopen', () => tab.isOpen || tab.reload())
    return true
  }

  /** The page leaves the room by its own will, and is loaded again later. */
  leave(): boolean {
    const tab = this.#anyTab()
    if (!tab?.isWell) return false
    const { page } = tab
    page.thread.post(0, 'leave', () => void page.room.leave())
    this.#for(1_000, 8_000, 'reload', () => tab.isOpen && tab.reload())
    return true
  }

  reload(): boolean {
    const tab = this.#anyTab()
    tab?.reload()
    return tab !== null
  }

  aside(): boolean {
    const tab = this.#anyTab()
    tab?.putAside()
    if (tab) this.#for(2_000, 15_000, 'come back', () => tab.comeBack())
    return tab?.isAside === true
  }

  block(prng: Prng): boolean {
    const tab = this.#anyTab()
    tab?.block(prng.tail(2_000, 20_000))
    return tab !== null
  }

  freeze(prng: Prng): boolean {
    const tab = this.#anyTab()
    tab?.freeze(prng.tail(2_000, 20_000))
    return tab !== null
  }

  /** The whole device sleeps. */
  sleep(prng: Prng): boolean {
    const browser = this.#anyBrowser()
    const ms = prng.tail(4_000, 20_000)
    browser.clock.fallAsleep()
    for (const tab of this.#sim.tabs) if (tab.browser === browser && tab.isOpen) tab.freeze(ms)
    this.#sim.world.after(ms, `${browser.id} wakes up`, () => browser.clock.wakeUp())
    return true
  }

  throttle(prng: Prng): boolean {
    const tab = this.#anyTab()
    tab?.throttle(prng.pick([1_000, 1_000, 10_000]))
    if (tab) this.#for(5_000, 20_000, 'unthrottle', () => tab.throttle(0))
    return tab !== null
  }

  wallClock(prng: Prng): boolean {
    const sizes = [1_000, 60_000, 86_400_000, 31_536_000_000]
    const browser = this.#anyBrowser()
    // Set back, the wall clock hides a sleep that the other clock hides too: what hides from both is left to fences (C2).
    const step = prng.pick(sizes) * prng.between(browser.clock.countsSleep ? -1 : 0, 1)
    this.#sim.world.note(`the wall clock of ${browser.id} is set by ${Math.round(step)} ms`)
    browser.clock.stepWall(step)
    this.#sim.world.coverage.hit(step < 0 ? 'clock set back' : 'clock set forward')
    return true
  }

  partition(prng: Prng): boolean {
    return this.#split(prng, true)
  }

  /** Whoever leads is cut off: the most interesting partition of all. */
  isolate(prng: Prng): boolean {
    const leader = this.#sim.leader?.self.peerId
    const others = this.#peers().filter((peerId) => peerId !== leader)
    if (leader === undefined || others.length === 0) return false
    this.#cut(prng, [leader], others, prng.chance(0.7))
    return true
  }

  oneWay(prng: Prng): boolean {
    return this.#split(prng, false)
  }

  breakLink(prng: Prng): boolean {
    const [a, b] = prng.shuffled(this.#peers())
    if (a === undefined || b === undefined) return false
    this.#sim.world.note(`the link of ${a} and ${b} breaks`)
    this.#sim.ether.breakLinks(a, b)
    return true
  }

  slow(prng: Prng): boolean {
    const [a, b] = prng.shuffled(this.#peers())
    if (a === undefined || b === undefined) return false
    this.#sim.ether.slowDown(a, b, prng.tail(100, 2_000))
    this.#for(4_000, 15_000, 'fast again', () => this.#sim.ether.slowDown(a, b, 0))
    return true
  }

  mischief(prng: Prng): boolean {
    const level = prng.between(0.01, 0.3)
    this.#sim.world.note(`mischief ${level.toFixed(2)}`)
    this.#sim.ether.mischief = { drop: level, duplicate: level, reorder: level, replay: level / 2 }
    this.#for(3_000, 15_000, 'mischief ends', () => {
      this.#sim.ether.mischief = null
      // Ordered lanes have lost their order and more: no link of ours stays up then.
      this.#breakAll()
    })
    return true
  }

  stall(prng: Prng): boolean {
    const disk = prng.pick(this.#anyBrowserWithDisks())
    if (!disk) return false
    disk.condition.stallMs = prng.tail(100, 3_000)
    this.#for(3_000, 10_000, 'disk is fast again', () => {
      disk.condition.stallMs = 0
    })
    return true
  }

  quota(prng: Prng): boolean {
    const disk = prng.pick(this.#anyBrowserWithDisks())
    if (!disk) return false
    this.#sim.world.note('a disk is full')
    disk.condition.isFull = true
    this.#for(2_000, 8_000, 'disk has room again', () => {
      disk.condition.isFull = false
      this.mend()
    })
    return true
  }

  signaling(prng: Prng): boolean {
    const { registrar } = this.#sim
    if (!registrar?.isUp) return false
    registrar.goDown()
    this.#for(3_000, 15_000, 'signaling returns', () => registrar.comeUp(prng.chance(0.5)))
    return true
  }

  newTab(): boolean {
    if (this.#sim.tabs.length >= tabsMax) return false
    this.#sim.openTab(this.#anyBrowser())
    return true
  }

  #breakAll(): void {
    const peers = this.#peers()
    for (const [i, a] of peers.entries()) for (const b of peers.slice(i + 1)) this.#sim.ether.breakLinks(a, b)
  }

  /** Cuts the peers in two, in one direction or in both. */
  #split(prng: Prng, bothWays: boolean): boolean {
    const peers = prng.shuffled(this.#peers())
    if (peers.length < 2) return false
    const cut = prng.integer(1, peers.length - 1)
    this.#cut(prng, peers.slice(0, cut), peers.slice(cut), bothWays)
    return true
  }

  #cut(prng: Prng, here: readonly string[], there: readonly string[], bothWays: boolean): void {
    const isFatal = prng.chance(0.3)
    const ways = here.flatMap((a) => there.map((b) => [a, b] as const))
    this.#sim.world.note(`nothing goes from ${here} to ${there}${bothWays ? ' and back' : ''}`)
    for (const [a, b] of ways) {
      this.#sim.ether.block(a, b, isFatal)
      if (bothWays) this.#sim.ether.block(b, a, isFatal)
    }
    // Swizzled: each way heals in its own time.
    const together = prng.chance(0.6) ? prng.tail(4_000, 20_000) : null
    for (const [a, b] of ways) {
      this.#sim.world.after(together ?? prng.tail(4_000, 20_000), `heal ${a} ${b}`, () => {
        // At the end everything was healed; what is cut after it stays so.
        if (this.#isOver) return
        this.#sim.ether.unblock(a, b)
        if (bothWays) this.#sim.ether.unblock(b, a)
      })
    }
  }

  #anyBrowser(): SimBrowser {
    return this.#prng.pick(this.#sim.browsers)
  }

  #anyBrowserWithDisks() {
    const disks = this.#sim.browsers.flatMap(({ disks }) => [...disks.values()])
    return disks.length > 0 ? disks : [null]
  }

  #peers(): string[] {
    return [...new Set(this.#sim.hosts.map(({ self }) => self.peerId))]
  }
}
