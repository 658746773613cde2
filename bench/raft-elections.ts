/**
 * How long a group is without a leader, as figure 16 of the Raft paper shows it: a leader crashes at a random moment of its
 * heartbeat, and the others elect over links of a given delay. Virtual time, one tick a millisecond; disks are instant.
 */

import { Pace } from '../src/host/pace.js'
import type { Timing } from '../src/machine/command.js'
import { defaultTiming } from '../src/machine/settings.js'
import { type Message, Raft, type RaftTiming } from '../src/raft/index.js'
import { configurationOf, timing } from './raft-cluster.js'

export interface Elections {
  /** Without a leader, ms, one for each trial. */
  readonly times: readonly number[]
  /** Trials that took more than one term. */
  readonly split: number
}

interface OnItsWay {
  readonly at: number
  readonly message: Message
}

class Trial {
  readonly #rafts = new Map<string, Raft>()
  readonly #delay: number
  #now = 0
  #links: OnItsWay[] = []

  constructor(nodes: number, delay: number, seed: number, times: RaftTiming) {
    this.#delay = delay
    const configuration = configurationOf(nodes)
    const entries = [{ type: 'configuration', term: 1, index: 1, time: 0, configuration }] as const
    const hardState = { term: 1, votedFor: null, promisedTo: null, commitIndex: 1 }
    configuration.voters.forEach((peerId, i) => {
      const restored = { hardState, snapshot: null, entries }
      this.#rafts.set(peerId, new Raft({ ...times, peerId, seed: seed * 1_000 + i, restored }))
    })
  }

  get leader(): Raft | undefined {
    return [...this.#rafts.values()].find((raft) => raft.role === 'leader')
  }

  step(): void {
    this.#now += 1
    for (const raft of this.#rafts.values()) raft.tick(1)
    const due = this.#links.filter(({ at }) => at <= this.#now)
    this.#links = this.#links.filter(({ at }) => at > this.#now)
    for (const { message } of due) this.#rafts.get(message.to)?.step(message)
    for (const raft of this.#rafts.values()) this.#perform(raft)
  }

  /** Time without a leader, and how many terms it took. */
  crashLeader(): { readonly ms: number; readonly terms: number } {
    const { leader } = this
    if (!leader) throw new Error('nobody leads')
    const { term } = leader
    this.#rafts.delete(leader.status().peerId)
    const begun = this.#now
    while (!this.leader) this.step()
    return { ms: this.#now - begun, terms: (this.leader?.term ?? term) - term }
  }

  #perform(raft: Raft): void {
    while (raft.hasReady()) {
      const ready = raft.ready()
      raft.persisted(ready.sequence)
      const last = ready.committed.at(-1)
      if (last) raft.applied(last.index)
      for (const message of [...ready.messages, ...ready.messagesAfterWrite])
        this.#links.push({ at: this.#now + this.#delay, message })
    }
  }
}

/** What a host makes of the room's own times once it has measured links of that delay (M5). */
export function adapted(nodes: number, delay: number): RaftTiming {
  const floor: Timing = defaultTiming
  return new Pace('node-0', () => 3 * 2 * delay).timing(floor, configurationOf(nodes), 0)
}

export function measureElections(nodes: number, delay: number, trials: number, times: RaftTiming = timing): Elections {
  const taken: number[] = []
  let split = 0
  for (let seed = 1; seed <= trials; seed += 1) {
    const trial = new Trial(nodes, delay, seed, times)
    while (!trial.leader) trial.step()
    // Everyone has heard of it; then it crashes somewhere in its heartbeat, the place being spread over the trials.
    const settle = 4 * delay + 200 + Math.floor((seed / trials) * times.heartbeatTicks)
    for (let ms = 0; ms < settle || !trial.leader; ms += 1) trial.step()
    const { ms, terms } = trial.crashLeader()
    taken.push(ms)
    if (terms > 1) split += 1
  }
  return { times: taken, split }
}
