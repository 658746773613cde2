/**
 * A room of simulated tabs in simulated browsers. The host, the machine, the raft core and the page client are the real
 * ones; time, threads, links, disks, locks and the signaling server are doubles that one seed decides.
 */
import type { HostPort } from '../bridge/protocol.js'
import type { Abilities } from '../host/abilities.js'
import type { LockService } from '../host/browser.js'
import type { Goodbye } from '../host/page.js'
import type { Self } from '../host/peers.js'
import { defaultSnapshotSizes, type SnapshotSizes } from '../host/replicated.js'
import type { RoomSettings } from '../machine/command.js'
import type { MachineState } from '../machine/machine.js'
import { defaultSettings } from '../machine/settings.js'
import type { Network } from '../network/link.js'
import type { Entry, PeerId } from '../raft/entry.js'
import type { Clock } from '../shared/instant.js'
import type { Storage, StoredState, WriteBatch } from '../storage/storage.js'
import { coverWrite } from './branches.js'
import { SimBrowser } from './browser.js'
import { BeliefChecker } from './checkers/belief.js'
import { FenceRegister } from './checkers/fence.js'
import { GapBooks } from './checkers/gaps.js'
import { HistoryChecker } from './checkers/history.js'
import type { LogChecker } from './checkers/log.js'
import { LogMatchingChecker } from './checkers/log-matching.js'
import type { RaftChecker } from './checkers/raft.js'
import type { DeviceClockOptions } from './clock.js'
import { Courts } from './court.js'
import { historyKey } from './history-key.js'
import { Ether, fairWeather, type Weather } from './network.js'
import type { SimPage } from './page.js'
import { SimRegistrar } from './registrar.js'
import { SimTab } from './tab.js'
import { Thread } from './thread.js'
import type { Trace } from './trace.js'
import type { HostRecord } from './worker.js'
import { World } from './world.js'

/** What is done to the real code or its doubles: bugs, to prove that the checkers see them, and other versions. Empty in every honest run. */
export interface Surgery {
  readonly storage?: (storage: Storage) => Storage
  readonly hostClock?: (clock: Clock) => Clock
  readonly pageClock?: (clock: Clock) => Clock
  readonly locks?: (locks: LockService) => LockService
  /** Code of another version. */
  readonly abilities?: (self: Self) => Partial<Abilities>
  readonly network?: (network: Network, self: Self) => Network
  readonly port?: (port: HostPort, clock: Clock) => HostPort
}

export interface SimulationOptions {
  readonly settings: RoomSettings
  readonly weather: Weather
  /** Whether there is a signaling server: browsers meet only by one. */
  readonly registrar: boolean
  /** How often a page's last frame does not get out. */
  readonly goodbyeLost: number
  readonly snapshotSizes: SnapshotSizes
  /** After so long without a request a room slows down (M6); null: as in earnest. */
  readonly idleAfter: number | null
  readonly surgery: Surgery
}

export const defaultOptions: SimulationOptions = {
  settings: defaultSettings,
  weather: fairWeather,
  registrar: false,
  goodbyeLost: 0,
  snapshotSizes: defaultSnapshotSizes,
  idleAfter: null,
  surgery: {},
}

/** No room of six tabs has reason for more frames under way. */
const loadMax = 20_000

export class Simulation {
  readonly room = 'room'
  readonly world: World
  readonly options: SimulationOptions
  readonly ether: Ether
  readonly registrar: SimRegistrar | null
  readonly browsers: SimBrowser[] = []
  readonly tabs: SimTab[] = []
  /** Every host that has not stopped. */
  readonly #hosts = new Set<HostRecord>()
  readonly courts: Courts
  readonly logMatching: LogMatchingChecker
  readonly belief: BeliefChecker
  readonly history: HistoryChecker
  readonly fence: FenceRegister
  readonly gaps = new GapBooks()
  /** Told of each page, so that a workload can use it. */
  onpage: ((page: SimPage, tab: SimTab) => void) | null = null

  constructor(seed: string, options: Partial<SimulationOptions> = {}, trace?: Trace) {
    this.options = { ...defaultOptions, ...options }
    this.world = new World(seed, trace)
    this.ether = new Ether(this.world, this.options.weather)
    this.registrar = this.options.registrar ? new SimRegistrar(this.world) : null
    this.ether.signaling = () => this.registrar?.isUp ?? false
    this.logMatching = new LogMatchingChecker(this.world)
    this.courts = new Courts(this.world, this.logMatching, (peerId) => this.#diskOf(peerId))
    this.belief = new BeliefChecker(this.world, this.log, (record) => this.courts.of(record).log)
    this.history = new HistoryChecker(this.world, this.log)
    this.fence = new FenceRegister(this.world)
    this.world.check(() => this.#check())
  }

  /** What was committed in the room's first history: the only one, unless somebody asks for another or two are founded. */
  get log(): LogChecker {
    return this.courts.main.log
  }

  get raft(): RaftChecker {
    return this.courts.main.raft
  }

  get hosts(): readonly HostRecord[] {
    return [...this.#hosts]
  }

  /** The record of the host that leads in the highest term, if one does. */
  get leader(): HostRecord | null {
    let leader: HostRecord | null = null
    for (const record of this.#hosts) {
      if (record.host.status.role !== 'leader') continue
      if (!leader || record.host.status.term > leader.host.status.term) leader = record
    }
    return leader
  }

  createBrowser(clock: Partial<DeviceClockOptions> = {}): SimBrowser {
    const id = 'abcdefgh'[this.browsers.length] ?? `z${this.browsers.length}`
    const options = { rate: 1, wallOffset: 0, countsSleep: true, ...clock }
    const browser = new SimBrowser(this.world, id, options, (peerId, batch, before) =>
      this.#written(peerId, batch, before),
    )
    this.browsers.push(browser)
    return browser
  }

  openTab(browser: SimBrowser): SimTab {
    const number = this.tabs.filter((tab) => tab.browser === browser).length + 1
    const tab = new SimTab(this, browser, `${browser.id}${number}`)
    this.tabs.push(tab)
    return tab
  }

  createThread(name: string, browser: SimBrowser): Thread {
    return new Thread(this.world, name, browser.clock)
  }

  pageLoaded(tab: SimTab, page: SimPage): void {
    this.onpage?.(page, tab)
  }

  hostStarted(record: HostRecord): void {
    const { peerId, incarnation, resident } = record.self
    if (this.browsers.some(({ lost }) => lost.has(peerId)))
      this.world.convict('amnesia', `${peerId} has lost its disk and is back under its old id`)
    if (this.browsers.some(({ archived }) => archived.has(peerId)))
      this.world.convict('amnesia', `${peerId} belonged to a history that has ended, and is back under its old id`)
    this.world.coverage.hit(incarnation.counter === 1 ? 'host newborn' : 'host restarted from its disk')
    if (resident) this.world.coverage.hit('host resident')
    this.#hosts.add(record)
    this.gaps.started(record)
    record.thread.onDeath(() => this.#hosts.delete(record))
  }

  applied(record: HostRecord, entry: Entry, machine: MachineState): void {
    this.gaps.applied(record, entry.index)
    this.courts.of(record).log.applied(record, entry, machine, this.hosts)
  }

  /** M1: a page's last word goes past its worker: to the other tab's worker, or to the other page. */
  sendGoodbye(record: HostRecord, { peerId, link, frame }: Goodbye): void {
    const delay = this.world.prng
      .fork(`goodbye ${this.world.events} ${peerId}`)
      .tail(link === 'broadcast' ? 1 : 10, 200)
    if (link === 'broadcast') {
      this.ether.lastWord(record.network, peerId, frame, delay)
      return
    }
    const to = this.tabs.find((tab) => tab.isOpen && tab.page.peerId === peerId)
    to?.page.thread.post(delay, 'goodbye', () => to.page.connection.pageFrame(record.self.peerId, frame))
    this.ether.lastWord(record.network, peerId, null, delay + 1)
  }

  /** What was lost since counts: a commit relied on it at its time. */
  #diskOf(peerId: PeerId) {
    for (const browser of this.browsers) {
      const disk = browser.lost.get(peerId) ?? browser.disks.get(peerId)
      if (disk) return disk
    }
    return null
  }

  #written(peerId: PeerId, batch: WriteBatch, before: StoredState): void {
    coverWrite(this.world.coverage, batch, before)
    // Two may found a room at once, and one of the two gives up: their first entries are of two logs.
    const lineage = batch.lineage ?? before.lineage
    const key = lineage ? historyKey(lineage) : ''
    for (const { entries } of batch.groups) this.logMatching.written(peerId, key, entries)
  }

  #check(): void {
    const { active } = this.world
    for (const record of this.#hosts) {
      if (record.stopped !== undefined) this.#hosts.delete(record)
      else if (record.thread === active) this.courts.of(record).raft.check(record)
    }
    this.belief.check()
    const { load } = this.ether
    if (load > loadMax) this.world.convict('bounds', `${load} frames are under way at once`)
  }
}
