/**
 * The other kind of liveness: a fixed healthy quorum, and a few who are broken for ever. Whatever those do, the others must get on.
 */
import { votersOf } from '../raft/configuration.js'
import { emptyConfiguration, type PeerId } from '../raft/entry.js'
import type { Prng } from './prng.js'
import type { Simulation } from './simulation.js'
import type { SimTab } from './tab.js'

/** How one tab is broken, from now to the end of the run. */
type Affliction = (sim: Simulation, prng: Prng, tab: SimTab, peers: readonly PeerId[]) => void

export const afflictions: Readonly<Record<string, Affliction>> = {
  crashed: (_sim, _prng, tab) => tab.crash(),
  frozen: (_sim, _prng, tab) => tab.freeze(1e9),
  'crashing again and again': (sim, prng, tab) => {
    const again = () => {
      tab.crash()
      sim.world.after(prng.tail(800, 4_000), 'reopen', () => {
        tab.reload()
        sim.world.after(prng.tail(1_500, 6_000), 'crash', again)
      })
    }
    again()
  },
  'cut off': (sim, _prng, _tab, peers) => cut(sim, peers, { hears: false, isHeard: false }),
  deaf: (sim, _prng, _tab, peers) => cut(sim, peers, { hears: false, isHeard: true }),
  mute: (sim, _prng, _tab, peers) => cut(sim, peers, { hears: true, isHeard: false }),
  'cut off again and again': (sim, prng, _tab, peers) => {
    const turn = (isCut: boolean) => {
      cut(sim, peers, { hears: !isCut, isHeard: !isCut })
      sim.world.after(prng.tail(600, 3_000), 'cut or heal', () => turn(!isCut))
    }
    turn(true)
  },
  'slow to write': (_sim, _prng, tab, peers) => {
    for (const peerId of peers) {
      const condition = tab.browser.disks.get(peerId)?.condition
      if (condition) condition.stallMs = 4_000
    }
  },
  'slow to talk to': (sim, prng, _tab, peers) => {
    const ms = prng.between(500, 3_000)
    for (const peerId of peers) for (const other of othersOf(sim, peers)) sim.ether.slowDown(peerId, other, ms)
  },
}

/** Breaks some of those who vote, fewer than a majority can do without. The tabs that are left whole; null if none can be spared. */
export function breakMinority(sim: Simulation, prng: Prng): SimTab[] | null {
  const configuration = sim.leader?.host.status.configuration ?? emptyConfiguration
  // A joint change needs a majority of both halves.
  const voters = votersOf(configuration)
  const halves = [configuration.voters, configuration.outgoing].filter((half) => half.length > 0)
  const spareOf = (half: readonly PeerId[]) => Math.ceil(half.length / 2) - 1
  const spare = Math.min(voters.length, ...halves.map(spareOf))
  const broken: SimTab[] = []
  const isBroken = (peerId: PeerId) => {
    const tab = tabOf(sim, peerId)
    return tab === null || broken.includes(tab)
  }
  for (const peerId of prng.shuffled(voters).slice(0, prng.integer(1, Math.max(1, spare)))) {
    const tab = tabOf(sim, peerId)
    if (!tab) continue
    broken.push(tab)
    if (halves.some((half) => half.filter(isBroken).length > spareOf(half))) broken.pop()
  }
  if (broken.length === 0) return null
  for (const tab of broken) {
    const name = prng.pick(Object.keys(afflictions))
    const peers = sim.hosts.filter(({ thread }) => tab.runs(thread)).map(({ self }) => self.peerId)
    sim.world.note(`${tab.name} (${peers}) is broken for ever: ${name}`)
    sim.world.coverage.hit(`for ever ${name}`)
    afflictions[name]?.(sim, prng, tab, peers)
  }
  return sim.tabs.filter((tab) => tab.isOpen && !broken.includes(tab))
}

function cut(sim: Simulation, peers: readonly PeerId[], way: { readonly hears: boolean; readonly isHeard: boolean }) {
  for (const peerId of peers) {
    for (const other of othersOf(sim, peers)) {
      if (way.hears) sim.ether.unblock(other, peerId)
      else sim.ether.block(other, peerId, false)
      if (way.isHeard) sim.ether.unblock(peerId, other)
      else sim.ether.block(peerId, other, false)
    }
  }
}

function othersOf(sim: Simulation, peers: readonly PeerId[]): PeerId[] {
  return sim.hosts.map(({ self }) => self.peerId).filter((peerId) => !peers.includes(peerId))
}

function tabOf(sim: Simulation, peerId: PeerId): SimTab | null {
  const record = sim.hosts.find(({ self }) => self.peerId === peerId)
  return (record && sim.tabs.find((tab) => tab.runs(record.thread))) ?? null
}
