/**
 * Misfortunes of whole rooms, and those that aim: a stream of its own beside `faults.ts`, so that a seed's other faults stay
 * what they were.
 */
import type { Configuration, PeerId } from '../raft/entry.js'
import type { SimBrowser } from './browser.js'
import type { SimDisk } from './disk.js'
import type { Prng } from './prng.js'
import type { Simulation } from './simulation.js'
import type { SimTab } from './tab.js'
import type { HostRecord } from './worker.js'

/** How likely each kind is, relative to the others; 0 switches it off. */
export interface UpheavalWeights {
  readonly swizzle: number
  readonly rolling: number
  readonly handOver: number
  readonly loseDisk: number
  readonly blankDisk: number
  readonly clearBrowser: number
  readonly crashAll: number
  readonly closeAll: number
  readonly sleepAll: number
  readonly exodus: number
  readonly abort: number
  readonly crashAtWrite: number
  readonly drift: number
  readonly breakSnapshot: number
}

export const allUpheavals: UpheavalWeights = {
  swizzle: 4,
  rolling: 4,
  handOver: 10,
  loseDisk: 5,
  blankDisk: 4,
  clearBrowser: 8,
  crashAll: 2,
  closeAll: 1,
  sleepAll: 1,
  exodus: 3,
  abort: 2,
  crashAtWrite: 6,
  drift: 3,
  breakSnapshot: 3,
}

type Kind = keyof UpheavalWeights

/** Half of the kinds, as with the other faults. */
export function drawUpheavals(prng: Prng): UpheavalWeights {
  const weights: Record<Kind, number> = { ...allUpheavals }
  if (prng.chance(0.3)) return weights
  for (const kind of Object.keys(weights) as Kind[]) if (prng.chance(0.5)) weights[kind] = 0
  return weights
}

export class Upheavals {
  readonly #sim: Simulation
  readonly #prng: Prng
  readonly #weights: UpheavalWeights
  readonly #everyMs: number
  /** Loads again who has no host that could go on. */
  readonly #mend: () => void
  #isOver = false

  constructor(sim: Simulation, prng: Prng, weights: UpheavalWeights, mend: () => void) {
    this.#sim = sim
    this.#prng = prng
    this.#weights = weights
    this.#everyMs = prng.between(700, 3_500)
    this.#mend = mend
    this.#plan()
  }

  /** Links, disks and clocks are mended with all others (`Faults.end`). */
  end(): void {
    this.#isOver = true
  }

  #plan(): void {
    this.#sim.world.after(this.#prng.tail(this.#everyMs, this.#everyMs * 4), 'upheaval', () => {
      if (this.#isOver) return
      this.#strike()
      this.#plan()
    })
  }

  #strike(): void {
    const kinds = Object.keys(this.#weights) as Kind[]
    const all = kinds.flatMap((kind) => Array.from({ length: this.#weights[kind] }, () => kind))
    if (all.length === 0) return
    const kind = this.#prng.pick(all)
    if (this[kind](this.#prng)) this.#sim.world.coverage.hit(`fault ${kind}`)
  }

  #later(ms: number, label: string, run: () => void): void {
    this.#sim.world.after(ms, label, () => {
      if (!this.#isOver) run()
    })
  }

  /** Some peers are cut off one by one, and come back in another order. */
  swizzle(prng: Prng): boolean {
    const all = this.#peers()
    if (all.length < 2) return false
    const peers = prng.shuffled(all).slice(0, prng.integer(1, all.length))
    const apart = prng.tail(400, 2_000)
    this.#sim.world.note(`${peers} are cut off one by one`)
    for (const [i, peerId] of peers.entries())
      this.#later(i * apart, `cut off ${peerId}`, () => this.#cutOff(peerId, true))
    const stays = peers.length * apart + prng.tail(1_000, 8_000)
    for (const [i, peerId] of prng.shuffled(peers).entries())
      this.#later(stays + i * apart, `let in ${peerId}`, () => this.#cutOff(peerId, false))
    return true
  }

  /** A partition that wanders: each peer in its turn is cut off, the next a little before the last is back. */
  rolling(prng: Prng): boolean {
    const peers = prng.shuffled(this.#peers())
    if (peers.length < 2) return false
    const width = prng.between(200, 2_000)
    this.#sim.world.note(`a partition rolls over ${peers}`)
    for (const [i, peerId] of peers.entries()) {
      this.#later(i * width, `cut off ${peerId}`, () => this.#cutOff(peerId, true))
      this.#later((i + 1.2) * width, `let in ${peerId}`, () => this.#cutOff(peerId, false))
    }
    return true
  }

  /** The leader is told to hand over: mostly to a voter, at times to somebody who cannot. One of the two may die of it. */
  handOver(prng: Prng): boolean {
    const { leader } = this.#sim
    if (!leader) return false
    const others = leader.host.status.configuration.voters.filter((peerId) => peerId !== leader.self.peerId)
    const to = others.length > 0 && prng.chance(0.9) ? prng.pick(others) : prng.pick(this.#peers())
    this.#sim.world.note(`${leader.self.peerId} is told to hand over to ${to}`)
    leader.thread.post(0, 'hand over', () => {
      this.#sim.world.coverage.hit(`transfer ${leader.host.handOver(to)}`)
    })
    const trouble = prng.pick(['none', 'none', 'none', 'death', 'silence'])
    if (trouble === 'death') {
      const dies = prng.chance(0.5) ? leader : this.#sim.hosts.find(({ self }) => self.peerId === to)
      const tab = dies && this.#tabOf(dies)
      if (tab) this.#crash([tab], prng.tail(5, 100))
    } else if (trouble === 'silence') {
      this.#sim.ether.block(leader.self.peerId, to, false)
      this.#later(prng.tail(300, 2_000), 'heal', () => this.#sim.ether.unblock(leader.self.peerId, to))
    }
    return true
  }

  /** One identity's database is gone: its tab comes back as somebody new, and somebody else has to vote in its place (B13). */
  loseDisk(prng: Prng): boolean {
    return this.#lose(prng, (browser, peerId) => browser.lose(peerId))
  }

  /** The same, and the browser still lists the identity: nobody may take it for a newborn one. */
  blankDisk(prng: Prng): boolean {
    return this.#lose(prng, (browser, peerId) => browser.blank(peerId))
  }

  #lose(prng: Prng, lose: (browser: SimBrowser, peerId: PeerId) => void): boolean {
    const record = this.#anyHost()
    const tab = record && this.#tabOf(record)
    if (!tab || !this.#canDoWithout([record.self.peerId])) return false
    this.#sim.world.note(`${record.self.peerId} has lost its disk`)
    // Under its feet, or while it was not there.
    if (prng.chance(0.5)) record.browser.disks.get(record.self.peerId)?.delete()
    else tab.crash()
    this.#sim.world.coverage.hit('disk lost for good')
    lose(record.browser, record.self.peerId)
    this.#reopen([tab], prng.tail(1_000, 8_000))
    return true
  }

  /** Everything that a browser knew of the room is gone: storage cleared by its user, or evicted. */
  clearBrowser(prng: Prng): boolean {
    const browser = prng.pick(this.#sim.browsers)
    const lost = [...browser.disks.keys()]
    if (lost.length === 0 || !this.#canDoWithout(lost)) return false
    const tabs = this.#tabsOf(browser)
    this.#sim.world.note(`browser ${browser.id} is cleared of ${lost}`)
    for (const tab of tabs) {
      tab.crash()
      tab.forget()
    }
    this.#sim.world.coverage.hit('disk lost for good', lost.length)
    for (const peerId of lost) browser.lose(peerId)
    browser.roomId = null
    this.#reopen(tabs, prng.tail(1_000, 8_000))
    return true
  }

  /** Power is out everywhere at once. */
  crashAll(prng: Prng): boolean {
    const tabs = this.#sim.tabs.filter((tab) => tab.isOpen)
    if (tabs.length === 0) return false
    for (const tab of tabs) tab.crash()
    for (const tab of tabs) this.#reopen([tab], prng.tail(1_000, 6_000))
    return true
  }

  /** Everybody leaves in one moment, goodbyes cross, and all of them come back. */
  closeAll(prng: Prng): boolean {
    const tabs = this.#sim.tabs.filter((tab) => tab.isOpen)
    if (tabs.length === 0) return false
    for (const tab of tabs) tab.close()
    for (const tab of tabs) this.#reopen([tab], prng.tail(1_000, 6_000))
    return true
  }

  /** All devices sleep; one wakes up first. */
  sleepAll(prng: Prng): boolean {
    const ms = prng.tail(4_000, 15_000)
    for (const browser of this.#sim.browsers) {
      const until = ms + prng.tail(100, 3_000)
      browser.clock.fallAsleep()
      for (const tab of this.#tabsOf(browser)) if (tab.isOpen) tab.freeze(until)
      this.#sim.world.after(until, `${browser.id} wakes up`, () => browser.clock.wakeUp())
    }
    return true
  }

  /** Several leave at once, some with a word and some without, and as many come back at once. */
  exodus(prng: Prng): boolean {
    const open = prng.shuffled(this.#sim.tabs.filter((tab) => tab.isOpen))
    if (open.length < 3) return false
    const tabs = open.slice(0, prng.integer(2, open.length - 1))
    for (const tab of tabs) {
      if (prng.chance(0.6)) tab.close()
      else tab.crash()
    }
    this.#reopen(tabs, prng.tail(1_500, 8_000))
    return true
  }

  /** A transaction is undone by the browser. */
  abort(prng: Prng): boolean {
    const record = this.#anyHost()
    const disk = record && this.#diskOf(record)
    if (!disk) return false
    disk.condition.aborts = true
    this.#later(prng.tail(2_000, 8_000), 'mend', this.#mend)
    return true
  }

  /** A crash in the very moment of a write: the next one, or one a little later. */
  crashAtWrite(prng: Prng): boolean {
    const record = prng.chance(0.5) ? (this.#sim.leader ?? this.#anyHost()) : this.#anyHost()
    const disk = record && this.#diskOf(record)
    if (!disk) return false
    const moment = prng.chance(0.5) ? 'before' : 'after'
    const backAfter = prng.tail(500, 6_000)
    disk.condition.trap = {
      moment,
      spring: (writer) => {
        const tab = this.#sim.tabs.find((tab) => tab.runs(writer))
        if (!tab || this.#isOver) return
        this.#sim.world.coverage.hit(`disk crash ${moment} a write`)
        tab.crash()
        this.#reopen([tab], backAfter)
      },
    }
    return true
  }

  /** A device's oscillator runs at another rate from now on, within what clocks are allowed (C2). */
  drift(prng: Prng): boolean {
    prng.pick(this.#sim.browsers).clock.drift(prng.between(0.9905, 1.0095))
    return true
  }

  /** The next snapshot on its way takes its link with it. */
  breakSnapshot(): boolean {
    this.#sim.ether.bulkBreaks = true
    return true
  }

  #crash(tabs: readonly SimTab[], after: number): void {
    this.#later(after, 'crash', () => {
      for (const tab of tabs) if (tab.isOpen) tab.crash()
      this.#reopen(tabs, this.#prng.tail(1_000, 6_000))
    })
  }

  #reopen(tabs: readonly SimTab[], after: number): void {
    this.#later(after, 'reopen', () => {
      for (const tab of tabs) if (!tab.isOpen || tab.page.isClosed) tab.reload()
    })
  }

  #cutOff(peerId: PeerId, isCut: boolean): void {
    const { ether } = this.#sim
    for (const other of this.#peers()) {
      if (other === peerId) continue
      for (const [from, to] of [
        [peerId, other],
        [other, peerId],
      ] as const) {
        if (isCut) ether.block(from, to, false)
        else ether.unblock(from, to)
      }
    }
  }

  /**
   * Whether the room goes on for good without these disks, and those lost before: whatever configuration anyone may still
   * hold to be in force keeps a majority, of both halves if it is joint. Less than that no protocol survives.
   */
  #canDoWithout(peerIds: readonly PeerId[]): boolean {
    const { browsers, hosts } = this.#sim
    const isLost = (peerId: PeerId) => peerIds.includes(peerId) || browsers.some(({ lost }) => lost.has(peerId))
    const disks = browsers.flatMap(({ disks }) => [...disks.values()])
    const known = [...hosts.map(({ host }) => host.status.configuration), ...disks.flatMap(configurationsOn)]
    const founded = known.filter(({ voters }) => voters.length > 0)
    const isMajorityKept = (voters: readonly PeerId[]) =>
      voters.length === 0 || voters.filter(isLost).length * 2 < voters.length
    return (
      founded.length > 0 && founded.every(({ voters, outgoing }) => isMajorityKept(voters) && isMajorityKept(outgoing))
    )
  }

  #tabOf({ thread }: HostRecord): SimTab | null {
    return this.#sim.tabs.find((tab) => tab.runs(thread)) ?? null
  }

  #tabsOf(browser: SimBrowser): SimTab[] {
    return this.#sim.tabs.filter((tab) => tab.browser === browser)
  }

  #diskOf({ self, browser }: HostRecord): SimDisk | null {
    return browser.disks.get(self.peerId) ?? null
  }

  #anyHost(): HostRecord | null {
    const { hosts } = this.#sim
    return hosts.length > 0 ? this.#prng.pick(hosts) : null
  }

  #peers(): PeerId[] {
    return [...new Set(this.#sim.hosts.map(({ self }) => self.peerId))]
  }
}

/** What its owner may take for the configuration when it comes back: the last ones of its log, and the snapshot's. */
function configurationsOn(disk: SimDisk): Configuration[] {
  const group = disk.read().groups.get(0)
  const inLog = group?.entries.flatMap((entry) => (entry.type === 'configuration' ? [entry.configuration] : [])) ?? []
  return [...inLog.slice(-2), ...(group?.snapshot ? [group.snapshot.meta.configuration] : [])]
}
